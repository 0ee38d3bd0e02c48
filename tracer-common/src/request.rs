//! A read on its way through a traced device, as the kernel side remembers it.

use crate::latency::highest_bit;

/// State of a [`RequestSlot`].
pub mod state {
    /// No read.
    pub const FREE: u32 = 0;
    /// Handed to the driver.
    pub const ISSUED: u32 = 1;
    /// Given back by the driver, and not yet issued again.
    pub const REQUEUED: u32 = 2;
}

/// Number of classes of request sizes, powers of two from a sector on.
pub const SIZE_CLASSES: usize = 16;

/// The class of a request's size: 512 B to just below 1 KiB is 0, each next one doubles, the last one has no end.
#[inline(always)]
#[must_use]
pub const fn size_class(bytes: u32) -> usize {
    let sectors = bytes as u64 >> 9;
    let class = if sectors == 0 {
        0
    } else {
        highest_bit(sectors) as usize
    };
    if class < SIZE_CLASSES {
        class
    } else {
        SIZE_CLASSES - 1
    }
}

/// Least size of a class, bytes.
#[must_use]
pub const fn size_class_start_bytes(class: usize) -> u64 {
    512 << class
}

/// One read in flight. The table is indexed by device, hardware queue and tag: a tag names one request
/// until it has completed, so no hash map is needed on this path. All reads of the device are in it, so that
/// a completion that no program saw is noticed when its tag is used again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct RequestSlot {
    /// Address of the kernel's `struct request`.
    pub request: u64,
    /// `CLOCK_MONOTONIC` at the first issue, in nanoseconds.
    pub issue_time_ns: u64,
    /// First sector that has not completed.
    pub next_sector: u64,
    /// Sector after the last one of the request.
    pub end_sector: u64,
    /// One of [`state`].
    pub state: u32,
    /// Slot of the device.
    pub device: u32,
    /// The extent that the read began in; only a hint, since the read may lie in none.
    pub extent: u32,
    /// Fills the cache line: neighbours are written by other CPUs.
    pub reserved: [u32; 5],
}

const _: () = assert!(size_of::<RequestSlot>() == 64);

#[cfg(test)]
mod tests {
    use super::{SIZE_CLASSES, size_class, size_class_start_bytes};

    #[test]
    fn a_class_begins_with_its_least_size() {
        for class in 0..SIZE_CLASSES {
            let start = u32::try_from(size_class_start_bytes(class)).expect("16 MiB at most");
            assert_eq!(size_class(start), class);
            assert_eq!(size_class(start - 1), class.saturating_sub(1));
        }
        assert_eq!(size_class(0), 0);
        assert_eq!(size_class(u32::MAX), SIZE_CLASSES - 1);
    }
}
