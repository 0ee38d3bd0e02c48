//! Records into the ring buffer; what finds no room is counted.

use aya_ebpf::bindings::{BPF_RB_AVAIL_DATA, BPF_RB_FORCE_WAKEUP, BPF_RB_NO_WAKEUP};
use tracer_common::{
    counters::loss_cell,
    program::Program,
    record::{EventRecord, Kind},
};

use crate::{
    maps::{LOST_RECORDS, RECORDS, value},
    settings::setting,
};

/// Writes a record of a program, or counts it as lost. The reader comes by itself every few milliseconds; a record
/// wakes it only where the buffer fills faster than that.
#[inline(always)]
pub fn emit<T: EventRecord>(program: Program, record: T) {
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

/// Counts a record of a program as lost.
#[inline(always)]
pub fn lose(program: Program, kind: Kind) {
    *value!(LOST_RECORDS, loss_cell(program, kind)) += 1;
}
