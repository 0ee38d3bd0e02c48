//! What came back of a request, or of a bio of a device without requests.

use aya_ebpf::{helpers::generated::bpf_ktime_get_ns, programs::BtfTracePointContext};
use aya_log_ebpf::debug;
use tracer_common::{
    gap::SECTOR_BYTES,
    latency::{LATENCY_BUCKETS, latency_bucket},
    program::Program,
    record::{CompleteRecord, KindByte, complete_flag},
    request::{RequestSlot, state},
};

use super::{
    parts::Part,
    walk::{self, Parts, Range, space},
};
use crate::{
    abilities::Abilities,
    counts::slice,
    emit::emit,
    filter::Device,
    maps::{DEVICE_COMPLETES, LATENCIES, MODEL_COMPLETES, value},
};

/// What came back of a transfer.
#[derive(Clone, Copy)]
pub struct Completion {
    /// Its address in the kernel.
    pub address: u64,
    /// First sector that came back.
    pub sector: u64,
    /// Bytes that came back.
    pub bytes: u32,
    /// `blk_status_t`: 0 without error.
    pub status: u8,
    /// Nothing of the transfer is left.
    pub last: bool,
}

/// A part of a read, or all of it, came back.
#[inline(always)]
pub fn completed<A: Abilities>(
    context: &BtfTracePointContext,
    program: Program,
    device: Device,
    completion: &Completion,
    slot: Option<&mut RequestSlot>,
) {
    let Completion {
        address,
        sector,
        bytes,
        status,
        last,
    } = *completion;
    let device_counters = value!(DEVICE_COMPLETES, device.slot);
    device_counters.read_events += 1;
    device_counters.read_bytes += u64::from(bytes);

    let range = Range {
        device,
        sector,
        end_sector: sector + u64::from(bytes) / SECTOR_BYTES,
    };
    let slot = slot.filter(|slot| slot.state != state::FREE && slot.request == address);
    let arrived = slot.is_some() && status == 0;
    let parts = if A::COUNTS_MODELS {
        let hint = slot.as_deref().map(|slot| slot.extent);
        walk::parts(space::COMPLETE, range, hint, arrived)
    } else {
        Parts::NONE
    };
    let touches = parts.are_some() || (!A::COUNTS_MODELS && walk::touches(range));
    if !touches {
        // A read that touches a model in its other part only, or not at all.
        if let Some(slot) = slot {
            advance(slot, last, range.end_sector);
        }
        return;
    }
    let Some(slot) = slot else {
        device_counters.unmatched += 1;
        walk::each_model(&parts, |_model, part| {
            device_counters.unmatched_bytes += part.bytes;
        });
        debug!(context, "completion without an issue at sector {}", sector);
        return;
    };
    // SAFETY: no arguments.
    let time_ns = unsafe { bpf_ktime_get_ns() };
    let latency = Latency {
        is_known: slot.issue_time_ns != 0,
        ns: time_ns.wrapping_sub(slot.issue_time_ns),
    };
    let issued_in = slot.slice;
    advance(slot, last, range.end_sector);
    walk::each_model(&parts, |model, part| {
        count_completed(model, part, completion, latency);
        if A::COUNTS_MODELS && slice::are_counted() && arrived {
            count_arrived(model, part.bytes, issued_in, time_ns);
        }
    });
    emit::<A>(
        program,
        CompleteRecord {
            kind: KindByte::NEW,
            device: device.slot as u8,
            status,
            flags: if last { complete_flag::LAST } else { 0 },
            bytes,
            time_ns,
            request: address,
            sector,
        },
    );
}

/// From the first issue to the last completion. No `Option`: the compiler keeps what None does not have in a register that has
/// no value, and the verifier refuses to see it copied.
#[derive(Clone, Copy)]
struct Latency {
    is_known: bool,
    ns: u64,
}

#[inline(always)]
fn count_completed(model: u32, part: &Part, completion: &Completion, latency: Latency) {
    let counters = value!(MODEL_COMPLETES, model);
    let arrived = completion.status == 0;
    if arrived {
        counters.completed_bytes += part.bytes;
    } else {
        counters.failed_bytes += part.bytes;
    }
    if !completion.last {
        return;
    }
    if arrived {
        counters.reads += 1;
    } else {
        counters.failed_reads += 1;
    }
    if latency.is_known {
        let bucket = model as usize * LATENCY_BUCKETS + latency_bucket(latency.ns);
        *value!(LATENCIES, bucket as u32) += 1;
    }
}

/// Counts what arrived for the slice of now, and for that of the read's issue.
#[inline(always)]
fn count_arrived(model: u32, bytes: u64, issued_in: u64, time_ns: u64) {
    let current = slice::at(time_ns);
    if let Some(counts) = slice::counts(model, current) {
        counts.completed_bytes += bytes;
    }
    if let Some(counts) = slice::counts(model, slice::of_read(issued_in, current)) {
        counts.arrived_bytes += bytes;
    }
}

/// Notes that sectors up to `end_sector` came back.
#[inline(always)]
fn advance(slot: &mut RequestSlot, last: bool, end_sector: u64) {
    if last {
        slot.state = state::FREE;
    } else {
        slot.next_sector = end_sector;
    }
}
