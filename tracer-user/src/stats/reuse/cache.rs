//! A cache of blocks that is simulated, and what it reads.

use std::ops::{Range, RangeInclusive};

/// How the kernel reads ahead, in blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadAround {
    /// Blocks before the missing one.
    pub before: u32,
    /// Blocks after it.
    pub after: u32,
}

impl ReadAround {
    /// Blocks that are read where `number` is missing, of a file of so many.
    pub(super) fn of(self, number: u32, file_blocks: usize) -> RangeInclusive<u32> {
        let last = u32::try_from(file_blocks.saturating_sub(1)).unwrap_or(u32::MAX);
        number.saturating_sub(self.before)..=number.saturating_add(self.after).min(last)
    }
}

/// A cache that is simulated.
pub trait Cache {
    /// Uses a block; one beyond the file's end is none.
    fn use_block(&mut self, number: u32);

    /// Blocks read since the beginning, those that were read ahead among them.
    fn read_blocks(&self) -> u64;
}

/// Blocks that each step reads.
pub fn reads_of_steps(cache: &mut impl Cache, steps: &[Vec<Range<u32>>]) -> Vec<u64> {
    let of_step = |step: &Vec<Range<u32>>| {
        let before = cache.read_blocks();
        for number in step.iter().cloned().flatten() {
            cache.use_block(number);
        }
        cache.read_blocks() - before
    };
    steps.iter().map(of_step).collect()
}
