//! Which way of counting gives the figures that somebody has.
//!
//! Amplification decides: it is the number of records that were counted for each read, times what was really read
//! again. The shares of the gaps also depend on how the records of neighbouring requests stand between each other, and
//! only tell among those that fit. Several accountings look alike; all that fit are named.

use super::accounting::{AccountingFigures, Action};

/// An amplification fits within this part of itself.
pub const AMPLIFICATION_TOLERANCE: f64 = 0.05;
/// A share of gaps fits within this.
pub const SHARE_TOLERANCE: f64 = 0.03;

/// Figures that somebody has. Shares are fractions of 1.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Expectation {
    /// Total / unique.
    pub amplification: Option<f64>,
    /// Share of gaps of 0.
    pub sequential: Option<f64>,
    /// Share of gaps below 128 KiB.
    pub small: Option<f64>,
    /// Share of gaps of 128 KiB to 1 MiB.
    pub medium: Option<f64>,
    /// Share of gaps over 1 MiB.
    pub large: Option<f64>,
    /// Share of gaps below 0.
    pub backward: Option<f64>,
}

/// How well one accounting gives the expected figures.
#[derive(Clone, Debug, PartialEq)]
pub struct Fit {
    /// Which: position in the figures.
    pub accounting: usize,
    /// |amplification − expected| / expected; None where either is missing.
    pub amplification_difference: Option<f64>,
    /// Largest difference of a share; None where none was expected or there are no gaps.
    pub share_difference: Option<f64>,
    /// Records of each read that it counts, rounded; None where it counts a part of the issues.
    pub records_per_read: Option<u64>,
}

impl Fit {
    /// The amplification is the expected one. True where none is expected.
    #[must_use]
    pub fn amplification_fits(&self) -> bool {
        self.amplification_difference
            .is_none_or(|difference| difference <= AMPLIFICATION_TOLERANCE)
    }

    /// All expected shares fit. True where none is expected.
    #[must_use]
    pub fn shares_fit(&self) -> bool {
        self.share_difference
            .is_none_or(|difference| difference <= SHARE_TOLERANCE)
    }
}

/// All accountings, the best fit first: those whose amplification fits, and among them by their shares. Left out are
/// accountings with a record that the trace does not have, since they repeat others, and those without figures.
#[must_use]
pub fn fits(figures: &[AccountingFigures], expectation: &Expectation) -> Vec<Fit> {
    let mut fits: Vec<Fit> = figures
        .iter()
        .enumerate()
        .filter(|(_, figures)| figures.not_recorded.is_empty())
        .filter_map(|(accounting, figures)| fit(accounting, figures, expectation))
        .collect();
    // Stable: of equals the simpler one, which comes first, stays first.
    fits.sort_by(|one, other| {
        let rank = |fit: &Fit| {
            if fit.amplification_fits() {
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

fn fit(accounting: usize, figures: &AccountingFigures, expectation: &Expectation) -> Option<Fit> {
    let amplification = figures.amplification?;
    let gaps = &figures.gaps;
    let share_difference = [
        (expectation.sequential, gaps.sequential.share),
        (expectation.small, gaps.small.share),
        (expectation.medium, gaps.medium.share),
        (expectation.large, gaps.large.share),
        (expectation.backward, gaps.backward.share),
    ]
    .into_iter()
    .filter_map(|(expected, share)| Some((expected? - share?).abs()))
    .reduce(f64::max);
    Some(Fit {
        accounting,
        amplification_difference: expectation
            .amplification
            .filter(|expected| *expected > 0.0)
            .map(|expected| (amplification - expected).abs() / expected),
        share_difference,
        records_per_read: figures
            .records_per_read
            .map(|records| records.round() as u64),
    })
}

/// Actions whose records the trace has none of, over all accountings.
#[must_use]
pub fn never_recorded(figures: &[AccountingFigures]) -> Vec<Action> {
    Action::ALL
        .into_iter()
        .filter(|action| {
            figures
                .iter()
                .any(|figures| figures.not_recorded.contains(action))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::stats::audit::accounting::{AccountingAudit, AccountingFigures, Action, ReadRecord};

    use super::{Expectation, Fit, fits, never_recorded};

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
            .filter(|fit| fit.amplification_fits() && fit.shares_fit())
            .map(|fit| figures[fit.accounting].accounting.name())
            .collect()
    }

    const STUDY: Expectation = Expectation {
        amplification: Some(3.02),
        backward: Some(0.669),
        sequential: None,
        small: None,
        medium: None,
        large: None,
    };

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
        let four = Expectation {
            amplification: Some(4.0),
            backward: Some(0.751),
            ..Expectation::default()
        };
        // Every record there is: these four.
        assert_eq!(fitting(&figures, &four), ["Q+G+D+C", "every record"]);
        assert_eq!(never_recorded(&figures), [Action::Remap, Action::Insert]);
    }

    #[test]
    fn amplification_goes_first() {
        // Deep queues: the records of one request stand far apart, and few gaps are backward.
        let figures = figures(&[Action::Queue, Action::Issue, Action::Complete], 50);
        assert_eq!(fitting(&figures, &STUDY), [""; 0]);
        let best: Fit = fits(&figures, &STUDY).remove(0);
        assert!(best.amplification_fits() && !best.shares_fit());
        assert_eq!(best.records_per_read, Some(3));
    }

    #[test]
    fn the_right_shares_with_another_amplification_are_no_fit() {
        let figures = figures(&[Action::Queue, Action::Issue, Action::Complete], 1);
        let sequential = Expectation {
            amplification: Some(3.0),
            backward: Some(0.0),
            ..Expectation::default()
        };
        assert_eq!(fitting(&figures, &sequential), [""; 0]);
        let fits = fits(&figures, &sequential);
        assert!(fits[0].amplification_fits() && fits[0].records_per_read == Some(3));
        let once = fits.iter().find(|fit| fit.accounting == 0).expect("a fit");
        assert!(once.shares_fit() && !once.amplification_fits());
    }

    #[test]
    fn the_truth_is_found_as_well() {
        let figures = figures(&[Action::Queue, Action::Issue, Action::Complete], 1);
        let truth = Expectation {
            amplification: Some(1.0),
            sequential: Some(1.0),
            ..Expectation::default()
        };
        assert_eq!(fitting(&figures, &truth)[0], "each request once");
    }
}
