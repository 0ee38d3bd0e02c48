//! Distinct bytes: which parts of a file were read at all.

use std::collections::BTreeMap;

/// A set of byte offsets, kept as disjoint ranges that do not touch.
///
/// Reads come in long sequential runs, so the range that grew last is kept out of the tree: growing it costs
/// two comparisons.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ByteSet {
    /// Start → end of every range but `latest`.
    ranges: BTreeMap<u64, u64>,
    /// The range that was touched last, empty at first.
    latest: (u64, u64),
    /// Start of the first range after `latest`.
    next_start: Option<u64>,
    bytes: u64,
}

impl ByteSet {
    /// Adds the offsets `start..end`; an empty or reversed range adds nothing.
    pub fn insert(&mut self, start: u64, end: u64) {
        if start >= end {
            return;
        }
        let (latest_start, latest_end) = self.latest;
        let before_next = self.next_start.is_none_or(|next| end < next);
        if latest_start < latest_end && latest_start <= start && start <= latest_end && before_next
        {
            if end > latest_end {
                self.bytes += end - latest_end;
                self.latest.1 = end;
            }
            return;
        }
        self.insert_elsewhere(start, end);
    }

    fn insert_elsewhere(&mut self, start: u64, end: u64) {
        if self.latest.0 < self.latest.1 {
            self.ranges.insert(self.latest.0, self.latest.1);
        }
        let (mut merged_start, mut merged_end) = (start, end);
        let mut absorbed = 0;
        // From the last range that starts at or before `end` backwards, as long as they touch.
        while let Some((range_start, range_end)) = self
            .ranges
            .range(..=merged_end)
            .next_back()
            .map(|(start, end)| (*start, *end))
        {
            if range_end < merged_start {
                break;
            }
            self.ranges.remove(&range_start);
            absorbed += range_end - range_start;
            merged_start = merged_start.min(range_start);
            merged_end = merged_end.max(range_end);
        }
        self.bytes += merged_end - merged_start - absorbed;
        self.latest = (merged_start, merged_end);
        self.next_start = self
            .ranges
            .range(merged_end..)
            .next()
            .map(|(start, _)| *start);
    }

    /// Number of distinct bytes.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The ranges, ascending, disjoint and not touching each other.
    #[must_use]
    pub fn ranges(&self) -> Vec<(u64, u64)> {
        let mut ranges: Vec<_> = self
            .ranges
            .iter()
            .map(|(start, end)| (*start, *end))
            .collect();
        if self.latest.0 < self.latest.1 {
            let place = ranges.partition_point(|range| range.0 < self.latest.0);
            ranges.insert(place, self.latest);
        }
        ranges
    }

    /// The offsets of `start..end` that are in the set, as disjoint ranges in no order.
    #[must_use]
    pub fn within(&self, start: u64, end: u64) -> Vec<(u64, u64)> {
        let before = self.ranges.range(..start).next_back();
        let others = before
            .into_iter()
            .chain(self.ranges.range(start..end.max(start)));
        others
            .map(|(own_start, own_end)| (*own_start, *own_end))
            .chain([self.latest])
            .map(|(own_start, own_end)| (own_start.max(start), own_end.min(end)))
            .filter(|(start, end)| start < end)
            .collect()
    }

    /// Adds the offsets of another set.
    pub fn merge(&mut self, other: &Self) {
        for (start, end) in other.ranges() {
            self.insert(start, end);
        }
    }
}

/// Distinct bytes of each of a model's files.
#[derive(Clone, Debug, Default)]
pub struct UniqueBytes {
    files: BTreeMap<u16, ByteSet>,
}

impl UniqueBytes {
    /// Adds `length_bytes` bytes from `offset_bytes` of a file.
    pub fn insert(&mut self, file: u16, offset_bytes: u64, length_bytes: u64) {
        self.files
            .entry(file)
            .or_default()
            .insert(offset_bytes, offset_bytes.saturating_add(length_bytes));
    }

    /// Adds another part of the stream.
    pub fn merge(&mut self, other: &Self) {
        for (file, set) in &other.files {
            self.files.entry(*file).or_default().merge(set);
        }
    }

    /// Distinct bytes of all files.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.files
            .values()
            .fold(0, |sum, set| sum.saturating_add(set.bytes()))
    }

    /// Distinct bytes of one file.
    #[must_use]
    pub fn file_bytes(&self, file: u16) -> u64 {
        self.files.get(&file).map_or(0, ByteSet::bytes)
    }

    /// Of `start..end` of one file what was read, as disjoint ranges in no order.
    #[must_use]
    pub fn within(&self, file: u16, start: u64, end: u64) -> Vec<(u64, u64)> {
        self.files
            .get(&file)
            .map_or_else(Vec::new, |set| set.within(start, end))
    }

    /// The files of which anything was read.
    pub fn files(&self) -> impl Iterator<Item = u16> {
        self.files.keys().copied()
    }

    /// The ranges of one file that were read, ascending.
    #[must_use]
    pub fn file_ranges(&self, file: u16) -> Vec<(u64, u64)> {
        self.files.get(&file).map_or_else(Vec::new, ByteSet::ranges)
    }
}

#[cfg(test)]
mod tests {
    use super::{ByteSet, UniqueBytes};
    use proptest::prelude::*;

    fn set(ranges: &[(u64, u64)]) -> ByteSet {
        let mut set = ByteSet::default();
        ranges
            .iter()
            .for_each(|(start, end)| set.insert(*start, *end));
        set
    }

    /// The same by marking every byte.
    fn marked(ranges: &[(u64, u64)]) -> Vec<bool> {
        let mut bytes = vec![false; 400];
        for (start, end) in ranges {
            (*start..*end).for_each(|byte| bytes[byte as usize] = true);
        }
        bytes
    }

    fn range() -> impl Strategy<Value = (u64, u64)> {
        (0u64..300, 0u64..40).prop_map(|(start, length)| (start, start + length))
    }

    #[test]
    fn a_sequential_run_is_one_range() {
        let mut bytes = ByteSet::default();
        (0..1000u64).for_each(|block| bytes.insert(block * 4096, block * 4096 + 4096));
        assert_eq!(bytes.ranges(), [(0, 4_096_000)]);
        assert!(bytes.ranges.is_empty());
    }

    #[test]
    fn growing_into_the_next_range_joins_them() {
        let bytes = set(&[(20, 30), (0, 10), (10, 20)]);
        assert_eq!((bytes.ranges(), bytes.bytes()), (vec![(0, 30)], 30));
        let bytes = set(&[(20, 30), (0, 10), (10, 25)]);
        assert_eq!((bytes.ranges(), bytes.bytes()), (vec![(0, 30)], 30));
    }

    #[test]
    fn files_are_apart() {
        let mut unique = UniqueBytes::default();
        unique.insert(0, 0, 10);
        unique.insert(1, 5, 10);
        unique.insert(1, 0, 10);
        assert_eq!(
            (unique.bytes(), unique.file_bytes(0), unique.file_bytes(1)),
            (25, 10, 15)
        );
        assert_eq!(unique.file_ranges(1), [(0, 15)]);
        assert_eq!((unique.file_bytes(2), unique.file_ranges(2)), (0, vec![]));
    }

    proptest! {
        #[test]
        fn it_is_what_marking_every_byte_gives(ranges in prop::collection::vec(range(), 0..60)) {
            let bytes = set(&ranges);
            let marks = marked(&ranges);
            prop_assert_eq!(bytes.bytes(), marks.iter().filter(|mark| **mark).count() as u64);
            prop_assert_eq!(marked(&bytes.ranges()), marks);
            let disjoint = bytes.ranges().windows(2).all(|pair| pair[0].1 < pair[1].0);
            prop_assert!(disjoint);
        }

        #[test]
        fn what_is_within_is_what_marking_gives(
            ranges in prop::collection::vec(range(), 0..60), asked in range(),
        ) {
            let within = set(&ranges).within(asked.0, asked.1);
            let marks = marked(&ranges);
            let wanted = (asked.0..asked.1).filter(|byte| marks[*byte as usize]).count() as u64;
            prop_assert_eq!(within.iter().map(|(start, end)| end - start).sum::<u64>(), wanted);
            prop_assert_eq!(set(&within).bytes(), wanted);
        }

        #[test]
        fn unique_is_at_most_total(ranges in prop::collection::vec(range(), 0..60)) {
            prop_assert!(set(&ranges).bytes() <= ranges.iter().map(|range| range.1 - range.0).sum());
        }

        #[test]
        fn split_anywhere_and_merged_it_is_the_same(
            ranges in prop::collection::vec((0u16..3, range()), 0..60), at: prop::sample::Index,
        ) {
            let unique = |reads: &[(u16, (u64, u64))]| {
                let mut unique = UniqueBytes::default();
                reads.iter().for_each(|(file, r)| unique.insert(*file, r.0, r.1 - r.0));
                unique
            };
            let (first, second) = ranges.split_at(at.index(ranges.len() + 1));
            let mut merged = unique(first);
            merged.merge(&unique(second));
            let whole = unique(&ranges);
            prop_assert_eq!(merged.bytes(), whole.bytes());
            for file in 0..3 {
                prop_assert_eq!(merged.file_ranges(file), whole.file_ranges(file));
            }
        }
    }
}
