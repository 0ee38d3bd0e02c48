//! The unstable band: what the steps do at the sizes between collapse and onset.

use crate::stats::{experiment::bootstrap::median, formulas::ratio};

use super::{
    run::{CLEAN_SHARE, COLLAPSED_SHARE},
    size::SizeFigures,
};

/// Lengths of stays in one state, in steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Dwells {
    /// Stays whose begin and end were seen.
    pub whole: Vec<usize>,
    /// Stays cut by the begin or the end of what is counted of a run: they lasted at least so long.
    pub cut: Vec<usize>,
}

/// The band between collapse and onset.
///
/// A step is in the high state from the first one that read at least half of its need on, and in the low state from the
/// first one that read at most 1 % on: a step in between changes nothing (hysteresis, as of a Schmitt trigger), so that a
/// state is not left by noise. Steps before the first of either are in no state. Of each run the second half of the
/// steps is looked at.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Band {
    /// Tested sizes strictly between the bounds, ascending. Empty where none was tested there: then the band is narrower
    /// than the grid, and nothing else here says anything.
    pub sizes_bytes: Vec<u64>,
    /// Whether collapse bounds it; else it goes down to the smallest tested size, and may go further.
    pub bounded_below: bool,
    /// Judged runs in it.
    pub runs: usize,
    /// Steps of these runs that are in a state.
    pub steps: usize,
    /// Share of them in the high state. `None` without any.
    pub high_share: Option<f64>,
    /// Steps that read more than 1 % and less than half of their need.
    pub steps_between: usize,
    /// Stays in the low state.
    pub low: Dwells,
    /// Stays in the high state.
    pub high: Dwells,
    /// Changes of state within runs.
    pub switches: usize,
    /// Runs with at least one.
    pub runs_that_switch: usize,
    /// Neighbouring sizes of which the runs with more memory read more of their need (medians over runs, beyond 1 %):
    /// smaller and larger size.
    pub more_memory_read_more: Vec<(u64, u64)>,
}

/// The band made of these sizes, ascending; `neighbours` are the same with the bounds on both sides.
pub(super) fn band(
    sizes: &[&SizeFigures],
    neighbours: &[&SizeFigures],
    bounded_below: bool,
) -> Band {
    let mut band = Band {
        sizes_bytes: sizes.iter().map(|size| size.size_bytes).collect(),
        bounded_below,
        more_memory_read_more: inversions(neighbours),
        ..Band::default()
    };
    let mut high_steps = 0;
    for run in sizes.iter().flat_map(|size| &size.runs) {
        band.runs += 1;
        band.steps_between += run
            .step_shares
            .iter()
            .filter(|share| **share > CLEAN_SHARE && **share < COLLAPSED_SHARE)
            .count();
        let stays = stays(&run.step_shares);
        let switches = stays.len().saturating_sub(1);
        band.switches += switches;
        band.runs_that_switch += usize::from(switches > 0);
        for (at, (is_high, steps)) in stays.iter().enumerate() {
            band.steps += steps;
            let dwells = if *is_high {
                high_steps += steps;
                &mut band.high
            } else {
                &mut band.low
            };
            if at == 0 || at == switches {
                dwells.cut.push(*steps);
            } else {
                dwells.whole.push(*steps);
            }
        }
    }
    band.high_share = ratio(high_steps as u64, band.steps as u64);
    band
}

/// Consecutive steps in one state: whether it is the high one, and how many steps.
fn stays(step_shares: &[f64]) -> Vec<(bool, usize)> {
    let mut stays: Vec<(bool, usize)> = Vec::new();
    for share in step_shares {
        let crossed = if *share >= COLLAPSED_SHARE {
            Some(true)
        } else if *share <= CLEAN_SHARE {
            Some(false)
        } else {
            None
        };
        match (stays.last_mut(), crossed) {
            (Some((state, steps)), crossed) if crossed.is_none_or(|now| now == *state) => {
                *steps += 1;
            }
            (_, Some(now)) => stays.push((now, 1)),
            (_, None) => {}
        }
    }
    stays
}

fn inversions(ascending: &[&SizeFigures]) -> Vec<(u64, u64)> {
    let typical = |size: &SizeFigures| {
        let shares: Vec<f64> = size.runs.iter().map(|run| run.read_share).collect();
        median(&shares)
    };
    ascending
        .iter()
        .zip(ascending.iter().skip(1))
        .filter(|(smaller, larger)| {
            matches!((typical(smaller), typical(larger)),
                (Some(less), Some(more)) if more > less + CLEAN_SHARE)
        })
        .map(|(smaller, larger)| (smaller.size_bytes, larger.size_bytes))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::stays;
    use proptest::prelude::*;

    #[test]
    fn a_step_in_between_changes_no_state() {
        assert_eq!(
            stays(&[0.2, 0.0, 0.3, 0.01, 0.9, 0.2, 0.02, 0.6, 0.0]),
            [(false, 3), (true, 4), (false, 1)]
        );
        assert!(stays(&[0.3, 0.4]).is_empty());
    }

    proptest! {
        #[test]
        fn stays_alternate_and_hold_every_step_from_the_first_known_one(
            shares in prop::collection::vec(0.0..1.2f64, 0..60),
        ) {
            let stays = stays(&shares);
            for pair in stays.windows(2) {
                prop_assert_ne!(pair[0].0, pair[1].0);
            }
            let known = shares.iter().position(|share| *share >= 0.5 || *share <= 0.01);
            let held: usize = stays.iter().map(|(_, steps)| steps).sum();
            prop_assert_eq!(held, known.map_or(0, |first| shares.len() - first));
        }
    }
}
