//! Which blocks of a model's files each step uses, in which order.

use std::ops::Range;

/// Most blocks that a model is divided into: a simulation takes time in proportion.
const MOST_BLOCKS: u64 = 1 << 15;

/// The files of a model, one after the other, in blocks of one size.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Blocks {
    /// Bytes of a block: a power of two times a page.
    pub block_bytes: u64,
    /// First block of each file.
    starts: Vec<u64>,
    count: u32,
}

impl Blocks {
    /// Blocks of files of these sizes: a page each, or as few times larger as keeps their number small.
    #[must_use]
    pub fn of_files(sizes_bytes: &[u64], page_bytes: u64) -> Self {
        let total: u64 = sizes_bytes.iter().sum();
        let mut block_bytes = page_bytes.max(1);
        while total.div_ceil(block_bytes) > MOST_BLOCKS {
            block_bytes *= 2;
        }
        let mut starts = Vec::with_capacity(sizes_bytes.len());
        let mut count = 0u64;
        for size in sizes_bytes {
            starts.push(count);
            count += size.div_ceil(block_bytes);
        }
        Self {
            block_bytes,
            starts,
            count: u32::try_from(count).unwrap_or(u32::MAX),
        }
    }

    /// Blocks of all files.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The blocks whose middle lies in this part of a file, so that parts side by side share none. None for a file that there
    /// is not.
    #[must_use]
    pub fn of(&self, file: usize, offset_bytes: u64, bytes: u64) -> Range<u32> {
        let Some(start) = self.starts.get(file) else {
            return 0..0;
        };
        let border = |at: u64| {
            let block = start + at.saturating_add(self.block_bytes / 2) / self.block_bytes;
            u32::try_from(block).map_or(self.count, |block| block.min(self.count))
        };
        border(offset_bytes)..border(offset_bytes.saturating_add(bytes))
    }

    /// So many bytes in blocks, to the nearest.
    #[must_use]
    pub fn nearest(&self, bytes: u64) -> u32 {
        u32::try_from(bytes.saturating_add(self.block_bytes / 2) / self.block_bytes)
            .unwrap_or(u32::MAX)
    }
}

/// The uses of steps, in their order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OrderOfUse {
    pub steps: Vec<Vec<Range<u32>>>,
}

impl OrderOfUse {
    /// All uses one after the other, and the place at which the second half of the steps begins: before, a cache fills.
    #[must_use]
    pub fn flat(&self) -> (Vec<u32>, usize) {
        let mut uses = Vec::new();
        let mut from = 0;
        for (number, step) in self.steps.iter().enumerate() {
            if number == self.settled_from() {
                from = uses.len();
            }
            uses.extend(step.iter().cloned().flatten());
        }
        (uses, from)
    }

    /// First step of the second half.
    #[must_use]
    pub const fn settled_from(&self) -> usize {
        self.steps.len() / 2
    }

    /// Different blocks that are used.
    #[must_use]
    pub fn used_blocks(&self) -> u32 {
        let mut blocks: Vec<u32> = self.flat().0;
        blocks.sort_unstable();
        blocks.dedup();
        u32::try_from(blocks.len()).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::Blocks;
    use proptest::prelude::*;

    proptest! {
        /// Parts that cover a file share no block and leave none out.
        #[test]
        fn parts_side_by_side_cover_each_block_once(
            mut borders in prop::collection::vec(0..1_000_000u64, 0..20),
        ) {
            borders.extend([0, 1_000_000]);
            borders.sort_unstable();
            let blocks = Blocks::of_files(&[5_000, 1_000_000], 4096);
            let first = blocks.of(0, 0, 5_000).end.max(2);
            let mut expected = first;
            for pair in borders.windows(2) {
                let part = blocks.of(1, pair[0], pair[1] - pair[0]);
                prop_assert_eq!(part.start, expected);
                expected = part.end;
            }
            prop_assert_eq!(expected, 2 + 1_000_000 / 4096);
        }
    }

    #[test]
    fn a_large_model_has_larger_blocks() {
        let blocks = Blocks::of_files(&[100 << 30], 4096);
        assert_eq!(blocks.block_bytes, 4 << 20);
        assert_eq!(blocks.count(), 25_600);
        assert_eq!(blocks.nearest(9 << 20), 2);
    }
}
