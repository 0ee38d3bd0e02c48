//! Which way of counting gives the figures that somebody has.
//!
//! Amplification decides: it is the number of records that were counted for each read, times what was really read
//! again. The shares of the gaps also depend on how the records of neighbouring requests stand between each other, and
//! only tell among those that fit. Several accountings look alike; all that fit are named.

use serde::{Deserialize, Serialize};

use crate::stats::{formulas::relative_difference, order::gaps::ByGapClass};

use super::accounting::AccountingFigures;

/// An amplification fits within this part of itself.
pub const AMPLIFICATION_TOLERANCE: f64 = 0.05;
/// A share of gaps fits within this.
pub const SHARE_TOLERANCE: f64 = 0.03;

/// Figures that somebody has. Shares are fractions of 1; null is not given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Expectation {
    pub amplification: Option<f64>,
    /// Shares of gaps.
    #[serde(flatten)]
    pub shares: ByGapClass<Option<f64>>,
}

/// Figures that somebody has, and the accountings that give them.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    #[serde(flatten)]
    pub expected: Expectation,
    /// Accountings, the best first: all whose amplification fits; where none does, the nearest.
    pub fits: Vec<Fit>,
}

/// How well one accounting gives the expected figures.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Fit {
    /// Name of the accounting.
    pub accounting: String,
    /// Its amplification is the expected one, within [`AMPLIFICATION_TOLERANCE`] of it. True where none is expected.
    pub amplification_fits: bool,
    /// |amplification − expected| / expected. Null where none is expected.
    pub amplification_difference: Option<f64>,
    /// All expected shares are its own, within [`SHARE_TOLERANCE`]. True where none is expected.
    pub shares_fit: bool,
    /// Largest difference of a share. Null where none is expected, or there are no gaps.
    pub share_difference: Option<f64>,
    /// Records of each read that it counts, rounded. Null where it counts a part of the issues.
    pub records_per_read: Option<u64>,
}

/// Which accountings give the expected figures.
#[must_use]
pub fn explain(figures: &[AccountingFigures], expected: &Expectation) -> Explanation {
    let mut fits = fits(figures, expected);
    let fitting = fits.iter().filter(|fit| fit.amplification_fits).count();
    fits.truncate(fitting.max(1));
    Explanation {
        expected: *expected,
        fits,
    }
}

/// All accountings, the best fit first: those whose amplification fits, and among them by their shares. Left out are
/// accountings with a record that the trace does not have, since they repeat others, and those without figures.
#[must_use]
pub fn fits(figures: &[AccountingFigures], expected: &Expectation) -> Vec<Fit> {
    let mut fits: Vec<Fit> = figures
        .iter()
        .filter(|figures| figures.not_recorded.is_empty())
        .filter_map(|figures| fit(figures, expected))
        .collect();
    // Stable: of equals the simpler one, which comes first, stays first.
    fits.sort_by(|one, other| {
        let rank = |fit: &Fit| {
            if fit.amplification_fits {
                (0, fit.share_difference.unwrap_or(0.0))
            } else {
                (1, fit.amplification_difference.unwrap_or(0.0))
            }
        };
        let (one, other) = (rank(one), rank(other));
        one.0.cmp(&other.0).then(one.1.total_cmp(&other.1))
    });
    fits
}

fn fit(figures: &AccountingFigures, expected: &Expectation) -> Option<Fit> {
    let amplification = figures.amplification?;
    let amplification_difference = expected
        .amplification
        .and_then(|expected| relative_difference(amplification, expected));
    let shares = figures.gaps.map(|gap| gap.share).in_slots();
    let share_difference = expected
        .shares
        .in_slots()
        .into_iter()
        .zip(shares)
        .filter_map(|(expected, share)| Some((expected? - share?).abs()))
        .reduce(f64::max);
    Some(Fit {
        accounting: figures.name.clone(),
        amplification_fits: amplification_difference
            .is_none_or(|difference| difference <= AMPLIFICATION_TOLERANCE),
        amplification_difference,
        shares_fit: share_difference.is_none_or(|difference| difference <= SHARE_TOLERANCE),
        share_difference,
        records_per_read: figures
            .records_per_read
            .map(|records| records.round() as u64),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use crate::stats::{
        audit::accounting::{AccountingAudit, AccountingFigures, Action, ONCE, ReadRecord},
        order::gaps::ByGapClass,
    };

    use super::{Expectation, Fit, explain, fits};

    /// Requests one after another, each with these records.
    fn figures(actions: &[Action], queue_depth: u64) -> Vec<AccountingFigures> {
        let mut audit = AccountingAudit::new(None, None);
        for batch in 0..200 {
            for action in actions {
                for read in 0..queue_depth {
                    let start_sector = (batch * queue_depth + read) * 512;
                    audit.take(&ReadRecord {
                        action: *action,
                        start_sector,
                        end_sector: start_sector + 512,
                        thread_id: 1,
                        again: false,
                    });
                }
            }
        }
        audit.figures()
    }

    fn fitting(figures: &[AccountingFigures], expectation: &Expectation) -> Vec<String> {
        fits(figures, expectation)
            .iter()
            .filter(|fit| fit.amplification_fits && fit.shares_fit)
            .map(|fit| fit.accounting.clone())
            .collect()
    }

    const STUDY: Expectation = Expectation {
        amplification: Some(3.02),
        shares: ByGapClass {
            backward: Some(0.669),
            sequential: None,
            small: None,
            medium: None,
            large: None,
        },
    };

    fn expected(amplification: f64, shares: ByGapClass<Option<f64>>) -> Expectation {
        Expectation {
            amplification: Some(amplification),
            shares,
        }
    }

    fn backward(share: f64) -> ByGapClass<Option<f64>> {
        ByGapClass {
            backward: Some(share),
            ..ByGapClass::default()
        }
    }

    #[test]
    fn all_that_look_alike_are_named() {
        let figures = figures(
            &[
                Action::Queue,
                Action::GetRequest,
                Action::Issue,
                Action::Complete,
            ],
            1,
        );
        assert_eq!(fitting(&figures, &STUDY), ["Q+D+C", "G+D+C", "Q+G+D"]);
        let four = expected(4.0, backward(0.751));
        // Every record there is: these four.
        assert_eq!(fitting(&figures, &four), ["Q+G+D+C", "every record"]);
        let never: BTreeSet<Action> = figures
            .iter()
            .flat_map(|figures| figures.not_recorded.iter().copied())
            .collect();
        assert_eq!(never, [Action::Remap, Action::Insert].into());
    }

    #[test]
    fn amplification_goes_first() {
        // Deep queues: the records of one request stand far apart, and few gaps are backward.
        let figures = figures(&[Action::Queue, Action::Issue, Action::Complete], 50);
        assert_eq!(fitting(&figures, &STUDY), [""; 0]);
        let best: Fit = fits(&figures, &STUDY).remove(0);
        assert!(best.amplification_fits && !best.shares_fit);
        assert_eq!(best.records_per_read, Some(3));
    }

    #[test]
    fn the_right_shares_with_another_amplification_are_no_fit() {
        let figures = figures(&[Action::Queue, Action::Issue, Action::Complete], 1);
        let sequential = expected(3.0, backward(0.0));
        assert_eq!(fitting(&figures, &sequential), [""; 0]);
        let fits = fits(&figures, &sequential);
        assert!(fits[0].amplification_fits && fits[0].records_per_read == Some(3));
        let once = fits
            .iter()
            .find(|fit| fit.accounting == ONCE)
            .expect("a fit");
        assert!(once.shares_fit && !once.amplification_fits);
    }

    #[test]
    fn an_explanation_names_those_that_fit_or_the_nearest() {
        let figures = figures(&[Action::Queue, Action::Issue, Action::Complete], 1);
        let all = explain(&figures, &STUDY).fits;
        assert!(all.len() > 1 && all.iter().all(|fit| fit.amplification_fits));
        let none = explain(&figures, &expected(50.0, ByGapClass::default()));
        let [nearest] = none.fits.as_slice() else {
            panic!("{none:?}");
        };
        assert!(!nearest.amplification_fits);
        assert_eq!(none.expected.amplification, Some(50.0));
    }

    #[test]
    fn the_truth_is_found_as_well() {
        let figures = figures(&[Action::Queue, Action::Issue, Action::Complete], 1);
        let sequential = ByGapClass {
            sequential: Some(1.0),
            ..ByGapClass::default()
        };
        let truth = expected(1.0, sequential);
        assert_eq!(fitting(&figures, &truth)[0], "each request once");
    }
}
