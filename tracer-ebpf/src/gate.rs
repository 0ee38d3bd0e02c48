//! Events count only while the gate is open: it opens after the last program was attached and closes
//! before the maps are read, so that all programs see the same window.

use tracer_common::settings::STEPPED_DOWN;

use crate::maps::GATE;

/// Whether events count.
#[inline(always)]
pub fn is_open() -> bool {
    opened_ns() != 0
}

/// Whether records are wanted no longer, although the programs were loaded to give them.
#[inline(always)]
pub fn has_stepped_down() -> bool {
    // SAFETY: as below.
    GATE.get_ptr(STEPPED_DOWN)
        .is_some_and(|stepped_down| unsafe { core::ptr::read_volatile(stepped_down) } != 0)
}

/// When the gate was opened, nanoseconds of the monotonic clock; 0 while it is closed.
#[inline(always)]
pub fn opened_ns() -> u64 {
    // SAFETY: an aligned word of the map; the loader changes it while programs run, so it is volatile.
    GATE.get_ptr(0)
        .map_or(0, |gate| unsafe { core::ptr::read_volatile(gate) })
}
