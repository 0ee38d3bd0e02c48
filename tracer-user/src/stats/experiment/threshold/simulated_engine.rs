//! An engine for tests whose threshold and unstable band are known.

use super::run::{StepBytes, ThresholdRun};
use crate::stats::random_numbers::SplitMix64;

/// What a step of the simulated engine needs, bytes.
const NEED_BYTES: u64 = 1_000_000;

/// From `clean_from_bytes` on it reads nothing, up to `collapsed_up_to_bytes` everything, and in between it switches
/// between the two states at random.
#[derive(Clone, Copy, Debug)]
pub struct SimulatedEngine {
    pub clean_from_bytes: u64,
    pub collapsed_up_to_bytes: u64,
    /// Probability to enter the high state at a step.
    pub rise: f64,
    /// Probability to leave it at a step.
    pub fall: f64,
}

impl SimulatedEngine {
    /// One run of so many steps.
    pub fn run(
        &self,
        run: u64,
        block: u64,
        size_bytes: u64,
        steps: usize,
        random: &mut SplitMix64,
    ) -> ThresholdRun {
        let mut high = random.fraction() < 0.5;
        let steps = (0..steps)
            .map(|_| {
                let flip = random.fraction();
                high = if size_bytes >= self.clean_from_bytes {
                    false
                } else if size_bytes <= self.collapsed_up_to_bytes {
                    true
                } else if high {
                    flip >= self.fall
                } else {
                    flip < self.rise
                };
                // Noise on both states: up to 1 % of the need, and 70 to 130 % of it.
                let share = if high {
                    0.7 + 0.6 * random.fraction()
                } else {
                    0.01 * random.fraction()
                };
                StepBytes {
                    read_bytes: Some((share * NEED_BYTES as f64) as u64),
                    need_bytes: Some(NEED_BYTES),
                }
            })
            .collect();
        ThresholdRun {
            run,
            size_bytes,
            block,
            failed: false,
            steps,
            tokens_per_s: None,
        }
    }

    /// Every size once in each block, in the blocks' order.
    pub fn experiment(&self, blocks: &[Vec<u64>], steps: usize, seed: u64) -> Vec<ThresholdRun> {
        let mut random = SplitMix64::new(seed, 1);
        let planned = blocks
            .iter()
            .zip(0..)
            .flat_map(|(sizes, block)| sizes.iter().map(move |size| (block, *size)));
        planned
            .zip(0..)
            .map(|((block, size), run)| self.run(run, block, size, steps, &mut random))
            .collect()
    }
}

/// Randomised complete blocks: each block holds every cell once, in a random order of its own (Fisher and Yates'
/// shuffle), so that what changes in the course of an experiment meets all cells alike.
pub fn randomised_blocks<T: Clone>(cells: &[T], blocks: usize, seed: u64) -> Vec<Vec<T>> {
    (0..blocks as u64)
        .map(|block| {
            let mut random = SplitMix64::new(seed, block);
            let mut order = cells.to_vec();
            for last in (1..order.len()).rev() {
                let at = random.below(last as u64 + 1);
                order.swap(last, usize::try_from(at).unwrap_or(last));
            }
            order
        })
        .collect()
}
