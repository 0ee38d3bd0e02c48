//! A read on its way through a traced device, as the kernel side remembers it, and the classes of its size: each up to the
//! double of the one before.

use crate::gap::SECTOR_BYTES;

/// State of a [`RequestSlot`].
pub mod state {
    /// No read.
    pub const FREE: u32 = 0;
    /// Handed to the driver.
    pub const ISSUED: u32 = 1;
    /// Given back by the driver, and not yet issued again.
    pub const REQUEUED: u32 = 2;
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
    /// Keeps the next member aligned.
    pub reserved: u32,
    /// The slice of its first issue, where slices are counted ([`crate::slice`]).
    pub slice: u64,
    /// Fills the cache line: neighbours are written by other CPUs.
    pub reserved_too: [u32; 2],
}

const _: () = assert!(size_of::<RequestSlot>() == 64);

/// Number of classes of sizes: the first has up to one sector, each further one up to twice as many. A request has less than
/// 4 GiB (`__data_len` in `include/linux/blk-mq.h`), so it is in one of them.
pub const SIZE_CLASSES: usize = 24;

/// Class of a request of so many bytes.
#[must_use]
pub const fn size_class(bytes: u32) -> usize {
    class_of_sectors(further_sectors(bytes))
}

/// Sectors that a request of so many bytes has besides its first.
#[inline(always)]
#[must_use]
pub const fn further_sectors(bytes: u32) -> u64 {
    bytes.saturating_sub(1) as u64 / SECTOR_BYTES
}

/// Class of a request of so many sectors besides its first: how many bits their number has. Without a branch, each of which the
/// verifier would follow to the end of the program.
#[inline(always)]
#[must_use]
pub const fn class_of_sectors(further_sectors: u64) -> usize {
    let mut rest = further_sectors;
    let mut bits = 0;
    let mut step = 16;
    while step > 0 {
        // 1 where the rest has more than `step` bits: then the difference is below 0.
        let has_more = ((1 << step) - 1u64).wrapping_sub(rest) >> 63;
        let shift = has_more * step;
        rest >>= shift;
        bits += shift;
        step /= 2;
    }
    (bits + rest) as usize
}

/// Most bytes of a request of a class.
#[must_use]
pub const fn size_class_end(class: usize) -> u64 {
    SECTOR_BYTES << class
}

#[cfg(test)]
mod tests {
    use super::{SIZE_CLASSES, size_class, size_class_end};

    #[test]
    fn a_class_ends_where_the_next_begins() {
        for class in 0..SIZE_CLASSES - 1 {
            let end = u32::try_from(size_class_end(class)).expect("below 4 GiB");
            assert_eq!(size_class(end), class);
            assert_eq!(size_class(end + 1), class + 1);
        }
        assert_eq!(size_class(u32::MAX), SIZE_CLASSES - 1);
        assert_eq!((size_class(0), size_class(1)), (0, 0));
    }
}
