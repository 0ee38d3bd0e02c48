//! The gap between consecutive reads, and its classes: the one definition for kernel and user side.
//!
//! The gap of a read is its first sector minus the sector after the last one of the model's previous
//! read on the same device, in the order of the kernel's exchange (`docs/METRICS.md`, "Gap").

/// Bytes in a sector. The block layer counts in 512-byte sectors whatever the device's own block size
/// (`SECTOR_SHIFT` in `include/linux/blk_types.h`).
pub const SECTOR_BYTES: u64 = 512;

/// First gap, in sectors, that is no longer small: 128 KiB.
pub const MEDIUM_FROM_SECTORS: u64 = 128 * 1024 / SECTOR_BYTES;

/// Last gap, in sectors, that is still medium: 1 MiB.
pub const MEDIUM_TO_SECTORS: u64 = 1024 * 1024 / SECTOR_BYTES;

/// Number of gap classes.
pub const GAP_CLASSES: usize = 5;

/// Class of a gap. The discriminants are slots of kernel counters and never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(usize)]
pub enum GapClass {
    /// The read starts where the previous one ended.
    Sequential = 0,
    /// Forward by less than 128 KiB.
    Small = 1,
    /// Forward by 128 KiB up to and including 1 MiB.
    Medium = 2,
    /// Forward by more than 1 MiB.
    Large = 3,
    /// The read starts before the end of the previous one.
    Backward = 4,
}

impl GapClass {
    /// All classes, in the order of their slots.
    pub const ALL: [Self; GAP_CLASSES] = [
        Self::Sequential,
        Self::Small,
        Self::Medium,
        Self::Large,
        Self::Backward,
    ];

    /// Class of a read that starts at `start_sector` after one that ended before `previous_end_sector`.
    #[inline(always)]
    #[must_use]
    pub const fn of(start_sector: u64, previous_end_sector: u64) -> Self {
        if start_sector < previous_end_sector {
            return Self::Backward;
        }
        let forward_sectors = start_sector - previous_end_sector;
        if forward_sectors == 0 {
            Self::Sequential
        } else if forward_sectors < MEDIUM_FROM_SECTORS {
            Self::Small
        } else if forward_sectors <= MEDIUM_TO_SECTORS {
            Self::Medium
        } else {
            Self::Large
        }
    }

    /// Slot of this class in [`crate::counters::IssueCounters::gaps`].
    #[inline(always)]
    #[must_use]
    pub const fn slot(self) -> usize {
        self as usize
    }
}

#[cfg(test)]
mod tests {
    use super::{GapClass, MEDIUM_FROM_SECTORS, MEDIUM_TO_SECTORS};

    #[test]
    fn boundaries_fall_on_the_documented_side() {
        let end = 1_000_000;
        for (distance, class) in [
            (0, GapClass::Sequential),
            (1, GapClass::Small),
            (255, GapClass::Small),
            (256, GapClass::Medium),
            (2048, GapClass::Medium),
            (2049, GapClass::Large),
        ] {
            assert_eq!(GapClass::of(end + distance, end), class, "{distance}");
        }
        assert_eq!(GapClass::of(end - 1, end), GapClass::Backward);
        assert_eq!(GapClass::of(0, u64::MAX), GapClass::Backward);
        assert_eq!((MEDIUM_FROM_SECTORS, MEDIUM_TO_SECTORS), (256, 2048));
    }
}
