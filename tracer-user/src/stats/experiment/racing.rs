//! Which of several settings is the best, with as few runs as that takes: a race, from which is taken what is clearly worse.
//!
//! Runs are made in blocks: each block holds every setting that still races once, so what drifts falls on all alike. After
//! each block the standings are looked at (Birattari and others, "A Racing Algorithm for Configuring Metaheuristics", 2002).
//! Values are compared as logarithms, since settings change a speed by factors. Their spread is that of all settings
//! together: a setting with two runs alone has none that could be believed.

use serde::{Deserialize, Serialize};

use super::bootstrap::median;

/// The spread that is believed before any setting has two runs, as a standard deviation of the logarithm, and how many runs
/// it counts for: a choice, between that of an engine that has room and that of one that thrashes.
const PRIOR_SPREAD: f64 = 0.15;
const PRIOR_RUNS: f64 = 2.0;
/// Standard errors that a setting lies behind the leader when it is taken out: a wrong one is rarely taken out, though it
/// is looked at after each block.
const CLEARLY_BEHIND: f64 = 2.8;
/// Closer than this nobody needs to tell them apart.
const SAME_WITHIN: f64 = 0.02;

/// A setting and the speeds of its runs.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Entrant {
    /// More is better; all above 0.
    pub values: Vec<f64>,
    /// Runs that failed, or that gave no value.
    pub failed: u64,
}

/// How a setting stands.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// The highest median.
    Leads,
    /// Not told apart from the one that leads.
    Races,
    /// Clearly worse than the one that leads.
    Behind,
    /// A run of it failed.
    Failed,
    /// No run of it was made.
    #[default]
    NotTried,
}

/// How each stands. Of equal medians the first leads.
#[must_use]
pub fn standings(entrants: &[Entrant]) -> Vec<Standing> {
    let leader = leader(entrants);
    let spread = spread(entrants);
    entrants
        .iter()
        .enumerate()
        .map(|(at, entrant)| {
            if entrant.failed > 0 {
                return Standing::Failed;
            }
            let Some(first) = leader else {
                return Standing::NotTried;
            };
            if at == first {
                Standing::Leads
            } else if entrant.values.is_empty() {
                Standing::NotTried
            } else if entrants
                .get(first)
                .is_some_and(|leader| is_behind(entrant, leader, spread))
            {
                Standing::Behind
            } else {
                Standing::Races
            }
        })
        .collect()
}

/// Which has the highest median of those that did not fail.
#[must_use]
pub fn leader(entrants: &[Entrant]) -> Option<usize> {
    let mut best: Option<(usize, f64)> = None;
    for (at, entrant) in entrants.iter().enumerate() {
        if entrant.failed > 0 {
            continue;
        }
        if let Some(median) = median(&entrant.values)
            && best.is_none_or(|(_, highest)| median > highest)
        {
            best = Some((at, median));
        }
    }
    best.map(|(at, _)| at)
}

fn is_behind(entrant: &Entrant, leader: &Entrant, spread: f64) -> bool {
    let (Some((own, own_runs)), Some((best, best_runs))) = (mean(entrant), mean(leader)) else {
        return false;
    };
    let error = spread * (1.0 / own_runs + 1.0 / best_runs).sqrt();
    best - own > (CLEARLY_BEHIND * error).max(SAME_WITHIN)
}

/// Mean of the logarithms, and how many there are.
fn mean(entrant: &Entrant) -> Option<(f64, f64)> {
    let runs = entrant.values.len() as f64;
    let sum: f64 = entrant.values.iter().map(|value| value.ln()).sum();
    (runs > 0.0 && sum.is_finite()).then(|| (sum / runs, runs))
}

/// Standard deviation of the logarithm within a setting, over all settings, with the one that is believed before.
fn spread(entrants: &[Entrant]) -> f64 {
    let mut squares = PRIOR_RUNS * PRIOR_SPREAD * PRIOR_SPREAD;
    let mut freedom = PRIOR_RUNS;
    for entrant in entrants {
        let Some((mean, runs)) = mean(entrant) else {
            continue;
        };
        squares += entrant
            .values
            .iter()
            .map(|value| (value.ln() - mean).powi(2))
            .sum::<f64>();
        freedom += runs - 1.0;
    }
    (squares / freedom).sqrt()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use crate::stats::random_numbers::SplitMix64;

    use super::{Entrant, Standing, standings};

    fn entrants(values: &[&[f64]]) -> Vec<Entrant> {
        values
            .iter()
            .map(|values| Entrant {
                values: values.to_vec(),
                failed: 0,
            })
            .collect()
    }

    #[test]
    fn what_is_clearly_worse_is_taken_out() {
        // The measured course of read-ahead with the built-in engine: 2560, 512, 128, 32, 0 KiB, one run each.
        let first = entrants(&[&[9.1], &[8.5], &[18.6], &[25.7], &[12.0]]);
        let of = standings(&first);
        assert_eq!(of[3], Standing::Leads);
        assert_eq!(
            (of[0], of[1], of[4]),
            (Standing::Behind, Standing::Behind, Standing::Behind)
        );
        assert_eq!(
            of[2],
            Standing::Races,
            "a run each does not tell 18.6 from 25.7"
        );
        let second = entrants(&[&[18.6, 18.1, 18.9], &[25.7, 25.2, 25.9]]);
        assert_eq!(standings(&second), [Standing::Behind, Standing::Leads]);
    }

    #[test]
    fn what_failed_or_was_not_run_does_not_lead() {
        let mut all = entrants(&[&[1.0], &[9.0], &[]]);
        all[1].failed = 1;
        assert_eq!(
            standings(&all),
            [Standing::Leads, Standing::Failed, Standing::NotTried]
        );
        assert_eq!(standings(&entrants(&[&[], &[]])), [Standing::NotTried; 2]);
    }

    /// A log-normal value around `middle`.
    fn drawn(random: &mut SplitMix64, middle: f64, spread: f32) -> f64 {
        middle * f64::from(random.normal(spread)).exp()
    }

    /// Of settings that are all the same, each looked at after each of five blocks, few are taken out; one that is worse by a
    /// third is out after five.
    #[test]
    fn equal_settings_stay_and_worse_ones_go() {
        for spread in [0.02, 0.1, 0.2] {
            let mut random = SplitMix64::new(7, 1);
            let (mut wrong, mut kept) = (0, 0);
            const RACES: usize = 400;
            for _ in 0..RACES {
                let mut all = vec![Entrant::default(); 4];
                let mut out = [false; 4];
                for _ in 0..5 {
                    for (at, entrant) in all.iter_mut().enumerate() {
                        let middle = if at == 3 { 0.67 } else { 1.0 };
                        entrant.values.push(drawn(&mut random, middle, spread));
                    }
                    for (out, standing) in out.iter_mut().zip(standings(&all)) {
                        *out |= standing == Standing::Behind;
                    }
                }
                wrong += out[..3].iter().filter(|out| **out).count();
                kept += usize::from(!out[3]);
            }
            let share = wrong as f64 / (3 * RACES) as f64;
            assert!(
                share < 0.08,
                "{spread}: {share} of equal ones were taken out"
            );
            let share = kept as f64 / RACES as f64;
            assert!(share < 0.15, "{spread}: {share} of worse ones stay");
        }
    }

    proptest! {
        /// Exactly one leads where any has a value, and it has the highest median.
        #[test]
        fn one_leads(values in proptest::collection::vec(proptest::collection::vec(0.01f64..100.0, 0..5), 1..8)) {
            let all: Vec<Entrant> = values.iter().map(|values| Entrant { values: values.clone(), failed: 0 }).collect();
            let of = standings(&all);
            let leaders = of.iter().filter(|standing| **standing == Standing::Leads).count();
            prop_assert_eq!(leaders, usize::from(values.iter().any(|values| !values.is_empty())));
            for (standing, values) in of.iter().zip(&values) {
                prop_assert_eq!(*standing == Standing::NotTried, values.is_empty());
            }
        }
    }
}
