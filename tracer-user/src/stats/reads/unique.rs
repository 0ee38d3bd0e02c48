//! Distinct bytes: which parts of a model's files were read at all.

use std::collections::BTreeMap;

use super::byte_set::ByteSet;

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

    /// The same, and calls `again` for what of it had been read before, in disjoint ranges from one offset up to another.
    pub fn insert_again(
        &mut self,
        file: u16,
        offset_bytes: u64,
        length_bytes: u64,
        again: impl FnMut(u64, u64),
    ) {
        let end = offset_bytes.saturating_add(length_bytes);
        let set = self.files.entry(file).or_default();
        set.insert_again(offset_bytes, end, again);
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
    use super::UniqueBytes;
    use proptest::prelude::*;

    fn range() -> impl Strategy<Value = (u64, u64)> {
        (0u64..300, 0u64..40).prop_map(|(start, length)| (start, start + length))
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
