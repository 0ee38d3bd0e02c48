//! Which sizes to run, and in which order.

use std::num::NonZeroU64;

use thiserror::Error;

use crate::stats::random_numbers::SplitMix64;

use super::verdict::{
    CollapseError, FEWEST_RUNS, OnsetError, SizeFigures, Standing, UndecidedSize, Verdict,
};

/// Most sizes of a grid: beyond it a step was mistyped.
const MOST_SIZES: u64 = 10_000;

/// Why there is no grid.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum GridError {
    /// The wrong way round, or nothing.
    #[error("a grid goes from a larger size down to a smaller one, not from {0} to {1} bytes")]
    WrongWay(u64, u64),
    /// Too fine.
    #[error("a grid of {0} sizes is too fine: at most {MOST_SIZES}")]
    TooFine(u64),
}

/// Sizes from `largest_bytes` down in steps of `step_bytes`; the smallest is the last one, and nearer to the one before
/// it where the steps do not divide the way.
pub fn descending_grid(
    largest_bytes: u64,
    smallest_bytes: u64,
    step_bytes: NonZeroU64,
) -> Result<Vec<u64>, GridError> {
    let way = largest_bytes
        .checked_sub(smallest_bytes)
        .ok_or(GridError::WrongWay(largest_bytes, smallest_bytes))?;
    let steps = way.div_ceil(step_bytes.get());
    if steps >= MOST_SIZES {
        return Err(GridError::TooFine(steps.saturating_add(1)));
    }
    Ok((0..steps)
        .map(|step| largest_bytes - step * step_bytes.get())
        .chain([smallest_bytes])
        .collect())
}

/// Randomised complete blocks: each block holds every cell once, in a random order of its own (Fisher and Yates'
/// shuffle), so that what changes in the course of an experiment meets all cells alike.
#[must_use]
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

/// What is still to be run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NextRuns {
    /// New sizes between collapse and onset, descending, after which neighbouring tested sizes of the bracket are no
    /// further apart than the wished resolution.
    pub refine_bytes: Vec<u64>,
    /// Sizes with too few runs that can be judged, and how many they lack.
    pub repeat: Vec<(u64, usize)>,
    /// Sizes with a run that says nothing though it did not fail: more of the same would not help, longer runs or
    /// known needs would.
    pub unjudged_bytes: Vec<u64>,
    /// A size above this one is needed, for the onset.
    pub above_bytes: Option<u64>,
    /// A size below this one is needed, for the collapse.
    pub below_bytes: Option<u64>,
}

impl NextRuns {
    /// Nothing is missing: onset and collapse are known, as exactly as wished.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// What the verdict lacks. Without an onset the bracket's upper end is the largest tested size, without a collapse its
/// lower end is the smallest.
#[must_use]
pub fn next_runs(verdict: &Verdict, resolution_bytes: NonZeroU64) -> NextRuns {
    let mut next = NextRuns::default();
    let sizes = &verdict.sizes;
    let (Some(largest), Some(smallest)) = (sizes.first(), sizes.last()) else {
        return next;
    };
    match &verdict.onset {
        Err(OnsetError::NoCleanSize { largest_bytes }) => next.above_bytes = Some(*largest_bytes),
        Err(OnsetError::AllClean { smallest_bytes }) => next.below_bytes = Some(*smallest_bytes),
        _ => {}
    }
    match &verdict.collapse {
        Err(CollapseError::NoCollapsedSize { smallest_bytes }) => {
            next.below_bytes = Some(*smallest_bytes);
        }
        Err(CollapseError::AllCollapsed { largest_bytes }) => {
            next.above_bytes = Some(*largest_bytes);
        }
        _ => {}
    }
    for size in sizes {
        match undecided(size) {
            Some(UndecidedSize::TooFewRuns(have)) => {
                let missing = FEWEST_RUNS.saturating_sub(*have);
                next.repeat.push((size.size_bytes, missing));
            }
            Some(UndecidedSize::Unjudged { .. }) => next.unjudged_bytes.push(size.size_bytes),
            Some(UndecidedSize::AllFailed(_)) | None => {}
        }
    }
    let top = match &verdict.onset {
        Ok(onset) => onset.size_bytes,
        Err(OnsetError::AllClean { .. }) => return next,
        Err(_) => largest.size_bytes,
    };
    let bottom = match &verdict.collapse {
        Ok(collapse) => collapse.size_bytes,
        Err(CollapseError::AllCollapsed { .. }) => return next,
        Err(_) => smallest.size_bytes,
    };
    let bracket = sizes.iter().map(|size| size.size_bytes);
    let bracket: Vec<u64> = bracket
        .filter(|size| (bottom..=top).contains(size))
        .collect();
    for (upper, lower) in bracket.iter().zip(bracket.iter().skip(1)) {
        let parts = (upper - lower).div_ceil(resolution_bytes.get());
        if parts > MOST_SIZES {
            continue;
        }
        let between = |part: u64| lower + scaled(upper - lower, part, parts);
        next.refine_bytes.extend((1..parts).rev().map(between));
    }
    next
}

/// ⌊whole · part / parts⌋ without overflow.
fn scaled(whole: u64, part: u64, parts: u64) -> u64 {
    u64::try_from(u128::from(whole) * u128::from(part) / u128::from(parts)).unwrap_or(u64::MAX)
}

/// Why a size is undecided, for the onset or for the collapse.
fn undecided(size: &SizeFigures) -> Option<&UndecidedSize> {
    [&size.clean, &size.collapsed]
        .into_iter()
        .find_map(|standing| match standing {
            Standing::Undecided(why) => Some(why),
            Standing::All | Standing::NotAll => None,
        })
}

#[cfg(test)]
mod tests;
