//! The five gap classes, by reads and by bytes.
//!
//! A gap is the start of a read minus the end of its predecessor; which read is the predecessor is the
//! caller's business: the kernel's exchange (device sectors), the same file (file offsets), or the nearest
//! stream. A gap counts for the later read: its bytes, its phase.

use serde::{Deserialize, Serialize};
use tracer_common::gap::{
    GAP_CLASSES, GapClass, MEDIUM_FROM_SECTORS, MEDIUM_TO_SECTORS, SECTOR_BYTES,
};

use crate::stats::formulas::ratio;

/// Counts and bytes by class. Merging the counts of two parts of a stream gives the counts of the whole,
/// because each gap is known from its own record.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct GapCounts {
    counts: [u64; GAP_CLASSES],
    bytes: [u64; GAP_CLASSES],
}

impl GapCounts {
    /// Counts one gap whose later read has `bytes` bytes of the model.
    pub fn record(&mut self, class: GapClass, bytes: u64) {
        self.counts[class.slot()] += 1;
        self.bytes[class.slot()] = self.bytes[class.slot()].saturating_add(bytes);
    }

    /// Adds what was counted by [`GapClass::slot`]: gaps, and bytes of their later reads.
    pub fn add(&mut self, counts: [u64; GAP_CLASSES], bytes: [u64; GAP_CLASSES]) {
        self.merge(&Self { counts, bytes });
    }

    /// Adds the counts of another part of the stream.
    pub fn merge(&mut self, other: &Self) {
        for class in 0..GAP_CLASSES {
            self.counts[class] = self.counts[class].saturating_add(other.counts[class]);
            self.bytes[class] = self.bytes[class].saturating_add(other.bytes[class]);
        }
    }

    /// Number of gaps of a class.
    #[must_use]
    pub const fn count(&self, class: GapClass) -> u64 {
        self.counts[class.slot()]
    }

    /// Number of gaps: reads − devices.
    #[must_use]
    pub fn total(&self) -> u64 {
        sum(self.counts)
    }

    /// Counts and shares. The shares are `None` where there is no gap.
    #[must_use]
    pub fn figures(&self) -> ByGapClass<GapFigure> {
        let gaps = self.total();
        let bytes = sum(self.bytes);
        ByGapClass::of(|class| GapFigure {
            count: self.counts[class.slot()],
            share: ratio(self.counts[class.slot()], gaps),
            share_of_bytes: ratio(self.bytes[class.slot()], bytes),
        })
    }
}

/// Class of a gap in bytes, for file offsets: the same boundaries as [`GapClass::of`], and exact where an
/// end is no multiple of a sector (a file's last read ends with the file).
#[must_use]
pub const fn class_of_bytes(start_bytes: u64, previous_end_bytes: u64) -> GapClass {
    if start_bytes < previous_end_bytes {
        return GapClass::Backward;
    }
    let forward_bytes = start_bytes - previous_end_bytes;
    if forward_bytes == 0 {
        GapClass::Sequential
    } else if forward_bytes < MEDIUM_FROM_SECTORS * SECTOR_BYTES {
        GapClass::Small
    } else if forward_bytes <= MEDIUM_TO_SECTORS * SECTOR_BYTES {
        GapClass::Medium
    } else {
        GapClass::Large
    }
}

/// One value for each class of gaps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ByGapClass<T> {
    /// Gap 0.
    pub sequential: T,
    /// 0 < gap < 128 KiB.
    pub small: T,
    /// 128 KiB ≤ gap ≤ 1 MiB.
    pub medium: T,
    /// Gap > 1 MiB.
    pub large: T,
    /// Gap < 0.
    pub backward: T,
}

impl<T: Copy> ByGapClass<T> {
    /// The value that each class has.
    #[must_use]
    pub fn of(mut value: impl FnMut(GapClass) -> T) -> Self {
        Self {
            sequential: value(GapClass::Sequential),
            small: value(GapClass::Small),
            medium: value(GapClass::Medium),
            large: value(GapClass::Large),
            backward: value(GapClass::Backward),
        }
    }

    /// Something of each value.
    #[must_use]
    pub fn map<U: Copy>(&self, mut pick: impl FnMut(T) -> U) -> ByGapClass<U> {
        let values = self.in_slots();
        ByGapClass::of(|class| pick(values[class.slot()]))
    }

    /// The values in the order of [`GapClass::slot`], which is that of the tables.
    #[must_use]
    pub const fn in_slots(&self) -> [T; GAP_CLASSES] {
        [
            self.sequential,
            self.small,
            self.medium,
            self.large,
            self.backward,
        ]
    }
}

/// The gaps of one class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GapFigure {
    /// Gaps of this class.
    pub count: u64,
    /// Share of all gaps, 0 – 1.
    pub share: Option<f64>,
    /// Share of the bytes of the reads that have a gap, 0 – 1.
    pub share_of_bytes: Option<f64>,
}

impl ByGapClass<GapFigure> {
    /// Gaps of all classes.
    #[must_use]
    pub fn count(&self) -> u64 {
        sum(self.map(|gap| gap.count).in_slots())
    }

    /// The same with another side's counts, by [`GapClass::slot`]; the shares of bytes stay.
    #[must_use]
    pub fn with_counts(&self, counts: [u64; GAP_CLASSES]) -> Self {
        let (own, all) = (self.in_slots(), sum(counts));
        Self::of(|class| GapFigure {
            count: counts[class.slot()],
            share: ratio(counts[class.slot()], all),
            ..own[class.slot()]
        })
    }
}

fn sum(counts: [u64; GAP_CLASSES]) -> u64 {
    counts.into_iter().fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::{ByGapClass, GapCounts, class_of_bytes};
    use proptest::prelude::*;
    use tracer_common::gap::GapClass;

    fn gap() -> impl Strategy<Value = (u64, u64, u64)> {
        (0u64..10_000, 0u64..10_000, 1u64..1_000_000)
    }

    fn counted(gaps: &[(u64, u64, u64)]) -> GapCounts {
        let mut counts = GapCounts::default();
        for (start, previous_end, bytes) in gaps {
            counts.record(GapClass::of(*start, *previous_end), *bytes);
        }
        counts
    }

    #[test]
    fn without_gaps_there_are_no_shares() {
        let figures = GapCounts::default().figures();
        assert_eq!(figures.count(), 0);
        let mut classes = figures.in_slots().into_iter();
        assert!(classes.all(|gap| gap.share.is_none() && gap.share_of_bytes.is_none()));
    }

    #[test]
    fn a_value_stands_in_the_slot_of_its_class() {
        let slots = ByGapClass::of(|class| class);
        assert_eq!(slots.in_slots(), GapClass::ALL);
        assert_eq!(slots.map(GapClass::slot).in_slots(), [0, 1, 2, 3, 4]);
    }

    #[test]
    fn bytes_weigh_a_class() {
        let figures = counted(&[(8, 8, 3000), (0, 8, 1000)]).figures();
        assert_eq!(figures.sequential.share, Some(0.5));
        assert_eq!(figures.sequential.share_of_bytes, Some(0.75));
        assert_eq!(figures.backward.share_of_bytes, Some(0.25));
    }

    #[test]
    fn byte_boundaries_are_those_of_the_sectors() {
        for (distance, class) in [
            (0, GapClass::Sequential),
            (1, GapClass::Small),
            (128 * 1024 - 1, GapClass::Small),
            (128 * 1024, GapClass::Medium),
            (1024 * 1024, GapClass::Medium),
            (1024 * 1024 + 1, GapClass::Large),
        ] {
            assert_eq!(class_of_bytes(77 + distance, 77), class, "{distance}");
        }
        assert_eq!(class_of_bytes(76, 77), GapClass::Backward);
    }

    proptest! {
        #[test]
        fn with_its_own_counts_it_is_the_same(gaps in prop::collection::vec(gap(), 0..200)) {
            let figures = counted(&gaps).figures();
            prop_assert_eq!(figures.with_counts(figures.map(|gap| gap.count).in_slots()), figures);
        }

        #[test]
        fn sectors_and_their_bytes_agree(start in 0u64..1 << 50, end in 0u64..1 << 50) {
            prop_assert_eq!(class_of_bytes(start * 512, end * 512), GapClass::of(start, end));
        }

        #[test]
        fn shares_sum_to_one(gaps in prop::collection::vec(gap(), 1..200)) {
            let figures = counted(&gaps).figures();
            let shares = figures.in_slots();
            let sum: f64 = shares.iter().filter_map(|figure| figure.share).sum();
            let bytes: f64 = shares.iter().filter_map(|figure| figure.share_of_bytes).sum();
            prop_assert!((sum - 1.0).abs() < 1e-9 && (bytes - 1.0).abs() < 1e-9);
            prop_assert_eq!(figures.count(), gaps.len() as u64);
        }

        #[test]
        fn split_anywhere_and_merged_it_is_the_same(
            gaps in prop::collection::vec(gap(), 0..200), at: prop::sample::Index,
        ) {
            let (first, second) = gaps.split_at(at.index(gaps.len() + 1));
            let mut merged = counted(first);
            merged.merge(&counted(second));
            prop_assert_eq!(merged, counted(&gaps));
        }
    }
}
