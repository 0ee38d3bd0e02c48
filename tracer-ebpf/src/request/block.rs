//! Requests: issued, completed, requeued.

use aya_ebpf::{helpers::generated::bpf_ktime_get_ns, programs::BtfTracePointContext};
use tracer_common::{
    counters::Operation,
    gap::SECTOR_BYTES,
    program::Program,
    record::{KindByte, RequeueRecord},
    request::{RequestSlot, state},
};

use super::{
    arrival::{self, Completion},
    transfer::{self, Transfer},
    walk::{self, Range, space},
};
use crate::{
    abilities::Abilities,
    emit::emit_always,
    field::{Request, argument},
    filter::{self, Device},
    gate,
    maps::{MODEL_REQUEUES, REQUESTS, value},
    settings::setting,
};

/// `block_rq_issue`.
#[inline(always)]
pub fn issue<A: Abilities>(context: &BtfTracePointContext) {
    if !gate::is_open() {
        return;
    }
    let request = Request(argument(context, setting!(constants.request_argument)));
    let Some(device) = filter::device_of(request.disk()) else {
        return;
    };
    let slot = slot_of(request, device);
    let transfer = Transfer {
        address: request.address(),
        command_flags: request.command_flags(),
        sector: request.sector(),
        bytes: request.bytes(),
        reissue: request.was_issued_before() && !took_over(request, slot.as_deref()),
        first_bio: request.first_bio(),
    };
    transfer::issued::<A>(context, Program::BlockIssue, device, &transfer, slot);
}

/// Whether a request that is issued again has the tag of a read whose end no program saw, nor its own first issue and the
/// requeue that followed at once: it was allocated after that read's issue. Then this is its first issue to us.
#[inline(always)]
fn took_over(request: Request, slot: Option<&RequestSlot>) -> bool {
    slot.is_some_and(|slot| {
        slot.state == state::ISSUED
            && slot.request == request.address()
            && slot.issue_time_ns != 0
            && request.started_ns() > slot.issue_time_ns
    })
}

/// `block_rq_complete`: the request, `blk_status_t`, bytes.
#[inline(always)]
pub fn complete<A: Abilities>(context: &BtfTracePointContext) {
    if !gate::is_open() {
        return;
    }
    let request = Request(context.arg(0));
    let Some(device) = filter::device_of(request.disk()) else {
        return;
    };
    let command_flags = request.command_flags();
    if filter::operation_of(command_flags) != Operation::Read {
        return;
    }
    let sector = request.sector();
    let mut slot = slot_of(request, device);
    if let Some(slot) = slot.as_deref_mut() {
        let is_known = slot.state != state::FREE
            && slot.request == request.address()
            && sector >= slot.next_sector
            && sector < slot.end_sector;
        if setting!(takes_in_late) != 0 && !is_known && request.started_ns() >= gate::opened_ns() {
            take_in::<A>(context, request, device, slot);
        }
    }
    let status: u8 = context.arg(1);
    let bytes: u32 = context.arg(2);
    let completion = Completion {
        address: request.address(),
        sector,
        bytes,
        status,
        // The tracepoint fires before the bytes are taken off the request.
        last: bytes >= request.bytes(),
    };
    arrival::completed::<A>(context, Program::BlockComplete, device, &completion, slot);
}

/// Takes in a read whose issue no program saw, although it began in the window, when it completes.
///
/// From Linux 7 on a program on a tracepoint can be preempted, and the kernel skips it for whatever other tasks do on that
/// processor until it is back. Completions come in interrupts, which nothing preempts.
#[inline(always)]
fn take_in<A: Abilities>(
    context: &BtfTracePointContext,
    request: Request,
    device: Device,
    slot: &mut RequestSlot,
) {
    let transfer = Transfer {
        address: request.address(),
        command_flags: request.command_flags(),
        sector: request.sector(),
        bytes: request.bytes(),
        reissue: false,
        first_bio: request.first_bio(),
    };
    transfer::issued::<A::Late>(
        context,
        Program::BlockComplete,
        device,
        &transfer,
        Some(slot),
    );
}

/// `block_rq_requeue`. It also fires for a request that the driver never saw (no budget, no tag): only one
/// that was issued counts.
#[inline(always)]
pub fn requeue<A: Abilities>(context: &BtfTracePointContext) {
    if !gate::is_open() {
        return;
    }
    let request = Request(argument(context, setting!(constants.requeued_argument)));
    let Some(device) = filter::device_of(request.disk()) else {
        return;
    };
    let Some(slot) = slot_of(request, device) else {
        return;
    };
    if slot.state != state::ISSUED || slot.request != request.address() {
        return;
    }
    slot.state = state::REQUEUED;
    let sector = request.sector();
    let bytes = request.bytes();
    let end_sector = sector + u64::from(bytes) / SECTOR_BYTES;
    let range = Range {
        device,
        sector,
        end_sector,
    };
    if A::COUNTS_MODELS {
        let parts = walk::parts(space::REQUEUE, range, Some(slot.extent), false);
        if !parts.are_some() {
            return;
        }
        walk::each_model(&parts, |model, part| {
            let counters = value!(MODEL_REQUEUES, model);
            counters.requeues += 1;
            counters.requeued_bytes += part.bytes;
        });
    } else if !walk::touches(range) {
        return;
    }
    emit_always::<A>(
        Program::BlockRequeue,
        RequeueRecord {
            kind: KindByte::NEW,
            device: device.slot as u8,
            reserved: 0,
            bytes,
            // SAFETY: no arguments.
            time_ns: unsafe { bpf_ktime_get_ns() },
            request: request.address(),
            sector,
            issue_time_ns: slot.issue_time_ns,
        },
    );
}

/// Slot of a request's tag; none where the tag lies outside the table, which the loader sized by what
/// sysfs says.
#[inline(always)]
fn slot_of(request: Request, device: Device) -> Option<&'static mut RequestSlot> {
    let queue = request.hardware_queue();
    let tag = request.lasting_tag();
    if tag < 0 || tag as u32 >= device.tags() || queue >= device.hardware_queues() {
        return None;
    }
    let index = device.first_slot() + queue * device.tags() + tag as u32;
    // SAFETY: a value of the map. The issue, requeue and completion of one request follow each other, so
    // no two programs are in one slot at a time.
    REQUESTS
        .get_ptr_mut(index)
        .map(|slot| unsafe { &mut *slot })
}
