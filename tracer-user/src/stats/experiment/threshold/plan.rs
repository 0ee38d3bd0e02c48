//! Which sizes to run, and in which order.

use std::num::NonZeroU64;

use super::{
    size::{FEWEST_RUNS, SizeFigures, Standing, UndecidedSize},
    verdict::{CollapseError, OnsetError, Verdict},
};

/// Most sizes that are added between two: beyond it a resolution was mistyped.
const MOST_SIZES: u64 = 10_000;

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
