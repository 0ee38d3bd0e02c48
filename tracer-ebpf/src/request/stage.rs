//! The other stages of a read in the block layer, for the audit: queued, given a request, inserted, remapped.
//!
//! Each read passes several of them, which is what made old traces count it several times. They are looked at only in a
//! run that asks for the audit.

use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, generated::bpf_ktime_get_ns},
    programs::BtfTracePointContext,
};
use tracer_common::{
    counters::Operation,
    gap::SECTOR_BYTES,
    program::Program,
    record::{KindByte, StageRecord, stage},
};

use super::walk::{self, Range};
use crate::{
    abilities::Early,
    emit::emit,
    field::{Bio, Request, argument},
    filter, gate,
    settings::setting,
};

/// `block_bio_queue`.
#[inline(always)]
pub fn queued(context: &BtfTracePointContext) {
    if !gate::is_open() {
        return;
    }
    let bio = Bio(argument(context, setting!(constants.queued_bio_argument)));
    passed(Program::AuditQueue, &Passing::of_bio(bio, stage::QUEUE));
}

/// `block_getrq`. Without a bio where a request of no file is allocated.
#[inline(always)]
pub fn request_allocated(context: &BtfTracePointContext) {
    if !gate::is_open() {
        return;
    }
    let bio = Bio(argument(
        context,
        setting!(constants.allocated_bio_argument),
    ));
    if bio.address() == 0 {
        return;
    }
    passed(
        Program::AuditRequest,
        &Passing::of_bio(bio, stage::GET_REQUEST),
    );
}

/// `block_rq_insert`.
#[inline(always)]
pub fn inserted(context: &BtfTracePointContext) {
    if !gate::is_open() {
        return;
    }
    let request = Request(argument(
        context,
        setting!(constants.inserted_request_argument),
    ));
    let passing = Passing {
        disk: request.disk(),
        command_flags: request.command_flags(),
        sector: request.sector(),
        bytes: request.bytes(),
        stage: stage::INSERT,
    };
    passed(Program::AuditInsert, &passing);
}

/// `block_bio_remap`: the bio names its new device and sector already.
#[inline(always)]
pub fn remapped(context: &BtfTracePointContext) {
    if !gate::is_open() {
        return;
    }
    let bio = Bio(argument(context, setting!(constants.remapped_bio_argument)));
    passed(Program::AuditRemap, &Passing::of_bio(bio, stage::REMAP));
}

struct Passing {
    disk: (u32, u32),
    command_flags: u32,
    sector: u64,
    bytes: u32,
    stage: u8,
}

impl Passing {
    #[inline(always)]
    fn of_bio(bio: Bio, stage: u8) -> Self {
        Self {
            disk: bio.disk(),
            command_flags: bio.command_flags(),
            sector: bio.sector(),
            bytes: bio.bytes(),
            stage,
        }
    }
}

#[inline(always)]
fn passed(program: Program, passing: &Passing) {
    let Some(device) = filter::device_of(passing.disk) else {
        return;
    };
    if filter::operation_of(passing.command_flags) != Operation::Read {
        return;
    }
    let end_sector = passing.sector + u64::from(passing.bytes) / SECTOR_BYTES;
    let range = Range {
        device,
        sector: passing.sector,
        end_sector,
    };
    if !walk::touches(range) {
        return;
    }
    let process_and_thread = bpf_get_current_pid_tgid();
    emit::<Early>(
        program,
        StageRecord {
            kind: KindByte::NEW,
            device: device.slot as u8,
            stage: passing.stage,
            reserved: 0,
            bytes: passing.bytes,
            // SAFETY: no arguments.
            time_ns: unsafe { bpf_ktime_get_ns() },
            sector: passing.sector,
            thread_id: process_and_thread as u32,
            process_id: (process_and_thread >> 32) as u32,
        },
    );
}
