//! A set of byte offsets.

use std::collections::BTreeMap;

use super::block_chunk::{BlockChunk, CHUNK_BLOCKS};

/// Caches and devices are read in whole blocks of this size, but for the ends of files and for small direct reads.
const BLOCK_BYTES: u64 = 4096;

/// A set of byte offsets: whole blocks, and what else there is in parts of blocks.
///
/// Random reads of a file leave a range for each of its blocks. As a tree of ranges that took a third of the time that the
/// tracer spends on a read.
#[derive(Clone, Debug, Default)]
pub struct ByteSet {
    /// Whole blocks by chunk: chunk `n` begins at block `n × CHUNK_BLOCKS`.
    chunks: BTreeMap<u64, BlockChunk>,
    /// Start → end of parts of blocks that are not whole; disjoint, and within a block not touching.
    parts: BTreeMap<u64, u64>,
    bytes: u64,
}

impl ByteSet {
    /// Adds the offsets `start..end`; an empty or reversed range adds nothing.
    pub fn insert(&mut self, start: u64, end: u64) {
        self.insert_again(start, end, |_, _| {});
    }

    /// The same, and calls `again` for what was in the set before, in disjoint ranges.
    pub fn insert_again(&mut self, start: u64, end: u64, mut again: impl FnMut(u64, u64)) {
        let (first_block, last_block) = (start.div_ceil(BLOCK_BYTES), end / BLOCK_BYTES);
        let (whole_start, whole_end) = (block_start(first_block), block_start(last_block));
        if whole_start >= whole_end {
            // At most two parts: before and after the border of two blocks.
            let border = whole_start.clamp(start, end.max(start));
            self.insert_part(start, border, &mut again);
            self.insert_part(border, end, &mut again);
            return;
        }
        self.insert_part(start, whole_start, &mut again);
        self.insert_blocks(first_block, last_block, &mut again);
        self.insert_part(whole_end, end, &mut again);
    }

    fn insert_blocks(&mut self, mut from: u64, to: u64, again: &mut impl FnMut(u64, u64)) {
        if !self.parts.is_empty() {
            self.take_parts(block_start(from), block_start(to), again);
        }
        let chunk_blocks = u64::from(CHUNK_BLOCKS);
        while from < to {
            let chunk = from / chunk_blocks;
            let first = chunk * chunk_blocks;
            let end = to.min(first + chunk_blocks);
            // Both are numbers of blocks within a chunk.
            let (chunk_from, chunk_to) = ((from - first) as u16, (end - first) as u16);
            let new =
                self.chunks
                    .entry(chunk)
                    .or_default()
                    .insert(chunk_from, chunk_to, |start, end| {
                        again(
                            block_start(first + u64::from(start)),
                            block_start(first + u64::from(end)),
                        );
                    });
            self.bytes = self.bytes.saturating_add(new.saturating_mul(BLOCK_BYTES));
            from = end;
        }
    }

    /// Removes the parts within whole blocks that are about to come in as such.
    fn take_parts(&mut self, start: u64, end: u64, again: &mut impl FnMut(u64, u64)) {
        while let Some((part_start, part_end)) = self.first_part(start, end) {
            self.parts.remove(&part_start);
            self.bytes -= part_end - part_start;
            again(part_start, part_end);
        }
    }

    fn first_part(&self, start: u64, end: u64) -> Option<(u64, u64)> {
        let part = self.parts.range(start..end).next()?;
        Some((*part.0, *part.1))
    }

    /// Adds a range within one block.
    fn insert_part(&mut self, start: u64, end: u64, again: &mut impl FnMut(u64, u64)) {
        if start >= end {
            return;
        }
        let block = start / BLOCK_BYTES;
        if self.has_block(block) {
            again(start, end);
            return;
        }
        let block_end = block_start(block + 1);
        let (mut merged_start, mut merged_end) = (start, end);
        let mut absorbed = 0;
        // From the last part of the block that starts at or before `end` backwards, as long as they touch.
        while let Some((part_start, part_end)) = self
            .parts
            .range(block_start(block)..=merged_end.min(block_end.saturating_sub(1)))
            .next_back()
            .map(|(start, end)| (*start, *end))
        {
            if part_end < merged_start {
                break;
            }
            self.parts.remove(&part_start);
            absorbed += part_end - part_start;
            let (common_start, common_end) = (part_start.max(start), part_end.min(end));
            if common_start < common_end {
                again(common_start, common_end);
            }
            merged_start = merged_start.min(part_start);
            merged_end = merged_end.max(part_end);
        }
        self.bytes = self
            .bytes
            .saturating_add(merged_end - merged_start - absorbed);
        if merged_end - merged_start < BLOCK_BYTES {
            self.parts.insert(merged_start, merged_end);
            return;
        }
        let in_chunk = (block % u64::from(CHUNK_BLOCKS)) as u16;
        self.chunks
            .entry(block / u64::from(CHUNK_BLOCKS))
            .or_default()
            .insert(in_chunk, in_chunk + 1, |_, _| {});
    }

    fn has_block(&self, block: u64) -> bool {
        let chunk = self.chunks.get(&(block / u64::from(CHUNK_BLOCKS)));
        chunk.is_some_and(|chunk| chunk.contains((block % u64::from(CHUNK_BLOCKS)) as u16))
    }

    /// Number of offsets.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// All ranges, ascending, disjoint and not touching.
    #[must_use]
    pub fn ranges(&self) -> Vec<(u64, u64)> {
        let mut pieces: Vec<(u64, u64)> = self
            .parts
            .iter()
            .map(|(start, end)| (*start, *end))
            .collect();
        for (chunk, blocks) in &self.chunks {
            let first = chunk * u64::from(CHUNK_BLOCKS);
            blocks.for_each_run(|start, end| {
                pieces.push((
                    block_start(first + u64::from(start)),
                    block_start(first + u64::from(end)),
                ));
            });
        }
        pieces.sort_unstable();
        let mut ranges: Vec<(u64, u64)> = Vec::new();
        for (start, end) in pieces {
            match ranges.last_mut() {
                Some(last) if last.1 == start => last.1 = end,
                _ => ranges.push((start, end)),
            }
        }
        ranges
    }

    /// Adds the offsets of another set.
    pub fn merge(&mut self, other: &Self) {
        for (start, end) in other.ranges() {
            self.insert(start, end);
        }
    }
}

/// Where a block begins; the last offset that there is for one behind it.
const fn block_start(block: u64) -> u64 {
    block.saturating_mul(BLOCK_BYTES)
}

#[cfg(test)]
mod tests {
    use super::{BLOCK_BYTES, ByteSet};
    use proptest::prelude::*;

    /// Four blocks and a bit.
    const LENGTH: usize = 18_000;

    fn set(ranges: &[(u64, u64)]) -> ByteSet {
        let mut set = ByteSet::default();
        ranges
            .iter()
            .for_each(|(start, end)| set.insert(*start, *end));
        set
    }

    fn marked(ranges: &[(u64, u64)]) -> Vec<bool> {
        let mut bytes = vec![false; LENGTH];
        for (start, end) in ranges {
            (*start..*end).for_each(|byte| bytes[byte as usize] = true);
        }
        bytes
    }

    /// Small ones, whole blocks, and blocks with a bit at the ends.
    fn range() -> impl Strategy<Value = (u64, u64)> {
        let near_a_block = (0u64..4, 0u64..5).prop_map(|(block, by)| block * BLOCK_BYTES + by);
        let start = prop_oneof![0u64..300, near_a_block.clone(), near_a_block];
        let length = prop_oneof![
            0u64..40,
            Just(BLOCK_BYTES),
            BLOCK_BYTES - 4..BLOCK_BYTES + 4,
            Just(2 * BLOCK_BYTES)
        ];
        (start, length).prop_map(|(start, length)| (start, (start + length).min(LENGTH as u64)))
    }

    #[test]
    fn a_sequential_run_is_one_range() {
        let mut bytes = ByteSet::default();
        (0..10_000u64).for_each(|block| bytes.insert(block * 4096, block * 4096 + 4096));
        assert_eq!(bytes.ranges(), [(0, 40_960_000)]);
        assert_eq!(bytes.bytes(), 40_960_000);
    }

    #[test]
    fn parts_that_fill_a_block_are_a_block() {
        let bytes = set(&[(1, 4095), (0, 1), (4095, 4096)]);
        assert_eq!((bytes.ranges(), bytes.bytes()), (vec![(0, 4096)], 4096));
        assert!(bytes.parts.is_empty());
    }

    #[test]
    fn growing_into_the_next_range_joins_them() {
        let bytes = set(&[(20, 30), (0, 10), (10, 20)]);
        assert_eq!((bytes.ranges(), bytes.bytes()), (vec![(0, 30)], 30));
        let bytes = set(&[(4090, 4096), (4096, 4100), (10, 25)]);
        assert_eq!(
            (bytes.ranges(), bytes.bytes()),
            (vec![(10, 25), (4090, 4100)], 25)
        );
    }

    #[test]
    fn the_last_offsets_that_there_are_do_not_overflow() {
        let bytes = set(&[(u64::MAX - 5, u64::MAX), (u64::MAX - 5000, u64::MAX - 4999)]);
        assert_eq!(bytes.bytes(), 6);
        assert_eq!(set(&[(10, 3)]).bytes(), 0);
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
        fn what_comes_again_is_what_marking_gives(
            ranges in prop::collection::vec(range(), 0..60), next in range(),
        ) {
            let mut bytes = set(&ranges);
            let mut again = Vec::new();
            bytes.insert_again(next.0, next.1, |start, end| again.push((start, end)));
            let marks = marked(&ranges);
            let wanted = (next.0..next.1).filter(|byte| marks[*byte as usize]).count() as u64;
            prop_assert_eq!(again.iter().map(|(start, end)| end - start).sum::<u64>(), wanted);
            prop_assert_eq!(set(&again).bytes(), wanted);
            let inside = again.iter().all(|(start, end)| next.0 <= *start && *end <= next.1);
            prop_assert!(inside);
        }

        #[test]
        fn unique_is_at_most_total(ranges in prop::collection::vec(range(), 0..60)) {
            prop_assert!(set(&ranges).bytes() <= ranges.iter().map(|range| range.1 - range.0).sum());
        }
    }
}
