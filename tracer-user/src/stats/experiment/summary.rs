//! One figure over the runs that did the same work.

use super::{
    bootstrap::{FEWEST_VALUES, Interval, median, median_interval},
    modes::{Modes, modes},
};

/// Fewest values of a ratio whose interval is not marked.
pub const FEWEST_RATIOS: usize = 10;

/// What kind of number a figure is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FigureKind {
    /// A count, bytes, seconds, a rate.
    Amount,
    /// A quotient of two figures of a run: coverage, amplification, a share. Its interval from fewer than
    /// [`FEWEST_RATIOS`] runs is marked.
    Ratio,
}

/// One figure over several runs.
#[derive(Clone, Debug, PartialEq)]
pub struct FigureSummary {
    /// Every run's value, in the order given.
    pub points: Vec<f64>,
    /// Median. Where the runs have two modes it lies in neither or in one of them: see [`Spread::Modes`].
    pub median: Option<f64>,
    /// What can be said of the spread.
    pub spread: Spread,
}

/// What can be said of a figure's spread.
#[derive(Clone, Debug, PartialEq)]
pub enum Spread {
    /// Identical in all runs, of which there are at least two: no interval.
    Deterministic,
    /// Two groups of runs; one interval over both would describe neither.
    Modes(Modes),
    /// Too few runs for an interval.
    TooFew {
        /// Runs with this figure.
        have: usize,
        /// Runs that an interval needs.
        needed: usize,
    },
    /// The interval of the median.
    Interval {
        interval: Interval,
        /// A ratio over fewer than [`FEWEST_RATIOS`] runs.
        few: bool,
    },
}

/// Sums up a figure over runs. Values that are no numbers are left out. `seed` is the bootstrap's.
#[must_use]
pub fn summarise(values: &[f64], kind: FigureKind, seed: u64) -> FigureSummary {
    let points: Vec<f64> = values
        .iter()
        .copied()
        .filter(|value| value.is_finite())
        .collect();
    let spread = if points.len() >= 2 && points.windows(2).all(|pair| pair.first() == pair.last()) {
        Spread::Deterministic
    } else if let Some(modes) = modes(&points) {
        Spread::Modes(modes)
    } else if let Some(interval) = median_interval(&points, seed) {
        Spread::Interval {
            interval,
            few: kind == FigureKind::Ratio && points.len() < FEWEST_RATIOS,
        }
    } else {
        Spread::TooFew {
            have: points.len(),
            needed: FEWEST_VALUES,
        }
    };
    FigureSummary {
        median: median(&points),
        points,
        spread,
    }
}

#[cfg(test)]
mod tests {
    use super::{FigureKind, Spread, summarise};

    #[test]
    fn identical_figures_are_deterministic_but_one_alone_says_nothing() {
        let spread = |values: &[f64]| summarise(values, FigureKind::Amount, 1).spread;
        assert_eq!(spread(&[5.0, 5.0]), Spread::Deterministic);
        assert_eq!(spread(&[5.0; 12]), Spread::Deterministic);
        assert_eq!(spread(&[5.0]), Spread::TooFew { have: 1, needed: 5 });
        assert_eq!(
            spread(&[5.0, 5.0, 5.1]),
            Spread::TooFew { have: 3, needed: 5 }
        );
    }

    #[test]
    fn a_ratio_over_few_runs_is_marked() {
        let values: Vec<f64> = (0..10).map(|i| 1.0 + f64::from(i) / 100.0).collect();
        let few = |kind, n: usize| match summarise(&values[..n], kind, 1).spread {
            Spread::Interval { few, .. } => few,
            other => panic!("{other:?}"),
        };
        assert!(few(FigureKind::Ratio, 9));
        assert!(!few(FigureKind::Ratio, 10));
        assert!(!few(FigureKind::Amount, 5));
    }

    #[test]
    fn two_modes_have_no_interval_and_every_point_stays() {
        let summary = summarise(&[0.0, 9.0, 0.1, 9.1, f64::NAN], FigureKind::Amount, 1);
        assert!(matches!(summary.spread, Spread::Modes(_)));
        assert_eq!(summary.points, [0.0, 9.0, 0.1, 9.1]);
    }
}
