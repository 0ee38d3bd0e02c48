//! Bios of a device that has no requests of its own (device mapper, md, zram): queued, completed.
//!
//! `block_bio_queue` fires once for a bio, whole and with its sector on the whole disk: a bio that is split later
//! keeps the flag that it was traced (`BIO_TRACE_COMPLETION`), and its pieces are not traced again
//! (`submit_bio_noacct_nocheck` in block/blk-core.c). A driver that hands a clone on to a lower device makes a bio
//! of that device, which is not looked at here.

use aya_ebpf::programs::BtfTracePointContext;
use tracer_common::{
    counters::Operation,
    gap::SECTOR_BYTES,
    program::Program,
    request::{RequestSlot, state},
};

use super::{
    arrival::{self, Completion},
    transfer::{self, Transfer},
};
use crate::{
    abilities::Abilities,
    field::{Bio, argument},
    filter, gate,
    maps::BIOS,
    settings::setting,
};

/// `block_bio_queue`.
#[inline(always)]
pub fn queue<A: Abilities>(context: &BtfTracePointContext) {
    if !gate::is_open() {
        return;
    }
    let bio = Bio(argument(context, setting!(constants.queued_bio_argument)));
    let Some(device) = filter::device_of(bio.disk()) else {
        return;
    };
    let transfer = Transfer {
        address: bio.address(),
        command_flags: bio.command_flags(),
        sector: bio.sector(),
        bytes: bio.bytes(),
        reissue: false,
        first_bio: bio,
    };
    let slot = if filter::operation_of(transfer.command_flags) == Operation::Read {
        slot_of(transfer.address)
    } else {
        None
    };
    transfer::issued::<A>(context, Program::BioQueue, device, &transfer, slot);
}

/// `block_bio_complete`: the queue, the bio. Its sector and bytes have been used up by then.
#[inline(always)]
pub fn complete<A: Abilities>(context: &BtfTracePointContext) {
    if !gate::is_open() {
        return;
    }
    let bio = Bio(context.arg(1));
    let Some(device) = filter::device_of(bio.disk()) else {
        return;
    };
    if filter::operation_of(bio.command_flags()) != Operation::Read {
        return;
    }
    let address = bio.address();
    // SAFETY: a value of the map; nothing else has this bio now.
    let Some(slot) = BIOS.get_ptr_mut(address).map(|slot| unsafe { &mut *slot }) else {
        // Queued before the gate opened.
        return;
    };
    let sector = slot.next_sector;
    let bytes = (slot.end_sector - sector) * SECTOR_BYTES;
    let completion = Completion {
        address,
        sector,
        bytes: bytes as u32,
        status: bio.status(),
        last: true,
    };
    arrival::completed::<A>(
        context,
        Program::BioComplete,
        device,
        &completion,
        Some(slot),
    );
    let _ = BIOS.remove(address);
}

#[inline(always)]
fn slot_of(address: u64) -> Option<&'static mut RequestSlot> {
    if BIOS.get_ptr_mut(address).is_none() {
        let free = RequestSlot {
            request: address,
            issue_time_ns: 0,
            next_sector: 0,
            end_sector: 0,
            state: state::FREE,
            device: 0,
            extent: 0,
            reserved: 0,
            slice: 0,
            reserved_too: [0; 2],
        };
        BIOS.insert(address, free, 0).ok()?;
    }
    // SAFETY: as in `complete`.
    BIOS.get_ptr_mut(address).map(|slot| unsafe { &mut *slot })
}
