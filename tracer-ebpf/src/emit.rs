//! Records to user space; what finds no room is counted.

use aya_ebpf::{
    bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP},
    helpers::bpf_get_smp_processor_id,
};
use tracer_common::{
    counters::loss_cell,
    program::Program,
    record::{EventRecord, Kind},
    ring::RING_MARGIN,
};

use crate::{
    abilities::Abilities,
    atomic, gate,
    maps::{LOST_RECORDS, RECORDS, RING_ENDS, RING_SLOTS, value},
    settings::setting,
};

/// Writes a record of a program, or counts it as lost, where each event gives a record.
#[inline(always)]
pub fn emit<A: Abilities>(program: Program, record: impl EventRecord) {
    if setting!(records) != 0 && (setting!(steps_down) == 0 || !gate::has_stepped_down()) {
        emit_always::<A>(program, record);
    }
}

/// Writes a record of something rare, which gives one at every level: into the ring of this CPU, or where the kernel's eBPF
/// cannot do that, into the ring buffer that all CPUs share.
#[inline(always)]
pub fn emit_always<A: Abilities>(program: Program, record: impl EventRecord) {
    if A::HAS_RINGS {
        to_ring(program, record);
    } else {
        to_ring_buffer(program, record);
    }
}

/// Counts a record of a program as lost.
#[inline(always)]
pub fn lose(program: Program, kind: Kind) {
    *value!(LOST_RECORDS, loss_cell(program, kind)) += 1;
}

#[inline(always)]
fn to_ring<T: EventRecord>(program: Program, record: T) {
    // SAFETY: no arguments.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    let slots = setting!(ring_slots);
    let Some(ends) = RING_ENDS.get_ptr_mut(cpu) else {
        return lose(program, T::KIND);
    };
    // SAFETY: aligned words of the map, which programs that interrupt this one and user space change.
    let (taken, read) = unsafe {
        (
            core::ptr::read_volatile(&raw const (*ends).taken),
            core::ptr::read_volatile(&raw const (*ends).read),
        )
    };
    let unread = taken.wrapping_sub(read);
    if unread >= u64::from(slots.saturating_sub(RING_MARGIN)) {
        return lose(program, T::KIND);
    }
    // SAFETY: an aligned word of the map.
    let place = unsafe { atomic::fetch_add(&raw mut (*ends).taken, 1) };
    let in_ring = place as u32 & slots.wrapping_sub(1);
    let Some(slot) = RING_SLOTS.get_ptr_mut(cpu * slots + in_ring) else {
        return;
    };
    // SAFETY: a place of the map that no other program has taken, and that user space has read; the record fits in
    // (`tracer_common::record`).
    unsafe {
        (&raw mut (*slot).record).cast::<T>().write(record);
        atomic::publish(&raw mut (*slot).whole, place.wrapping_add(1));
    }
    // The reader comes by itself every few milliseconds; it is woken where the ring fills faster than that.
    if unread != 0 && unread as u32 & (slots / 4).wrapping_sub(1) == 0 {
        wake();
    }
}

/// Wakes the reader, which waits for the ring buffer.
#[inline(always)]
pub fn wake() {
    if let Some(entry) = RECORDS.reserve::<u64>(0) {
        entry.discard(u64::from(BPF_RB_FORCE_WAKEUP));
    }
}

#[inline(always)]
fn to_ring_buffer<T: EventRecord>(program: Program, record: T) {
    match RECORDS.reserve::<T>(0) {
        Some(mut entry) => {
            entry.write(record);
            let unread_bytes = RECORDS.query(u64::from(BPF_RB_AVAIL_DATA));
            let wake = unread_bytes >= u64::from(setting!(wake_above_bytes));
            entry.submit(u64::from(if wake {
                BPF_RB_FORCE_WAKEUP
            } else {
                BPF_RB_NO_WAKEUP
            }));
        }
        None => lose(program, T::KIND),
    }
}
