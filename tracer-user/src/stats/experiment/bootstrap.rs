//! Median, and the percentile bootstrap of it.

use crate::stats::random_numbers::SplitMix64;

/// Times that the sample is drawn anew. Efron and Tibshirani ("An Introduction to the Bootstrap", 1993, chapter 13)
/// want at least 1000 for an interval by percentiles.
const RESAMPLES: usize = 4_000;
/// Share of the resampled medians that the interval holds.
pub const CONFIDENCE: f64 = 0.95;
/// Fewest values of which an interval is given. With 5 it is the whole range, which holds the median of the population
/// in 1 − 2 (1/2)⁵ = 94 % of samples; with 4 nothing reaches 90 %.
pub const FEWEST_VALUES: usize = 5;

/// An interval, both ends included.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Interval {
    pub low: f64,
    pub high: f64,
}

/// The middle value; of an even number the mean of the two middle ones. `None` of nothing.
#[must_use]
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    median_in(&mut sorted)
}

fn median_in(values: &mut [f64]) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let upper = *values.get(values.len() / 2)?;
    if values.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = *values.get(values.len() / 2 - 1)?;
    Some(f64::midpoint(lower, upper))
}

/// The percentile bootstrap's interval of the median (Efron and Tibshirani, as above): `values` are drawn
/// with replacement, and the ends are the quantiles at 2.5 and 97.5 % of the medians. The same seed gives the same
/// interval. `None` of fewer than [`FEWEST_VALUES`].
#[must_use]
pub fn median_interval(values: &[f64], seed: u64) -> Option<Interval> {
    /// Sets these random numbers apart from those of other purposes of a seed.
    const PURPOSE: u64 = 0x626f_6f74;
    if values.len() < FEWEST_VALUES {
        return None;
    }
    let mut random = SplitMix64::new(seed, PURPOSE);
    let mut drawn = Vec::with_capacity(values.len());
    let medians = (0..RESAMPLES).filter_map(|_| resampled_median(values, &mut drawn, &mut random));
    percentiles(medians.collect())
}

/// The percentile bootstrap's interval of the difference of two medians, other − first, of samples that have nothing to
/// do with each other: each is drawn anew on its own (Efron and Tibshirani, as above, chapter 8). `None` where either has
/// fewer than [`FEWEST_VALUES`].
#[must_use]
pub fn median_difference_interval(first: &[f64], other: &[f64], seed: u64) -> Option<Interval> {
    /// As above.
    const PURPOSE: u64 = 0x6469_6666;
    if first.len().min(other.len()) < FEWEST_VALUES {
        return None;
    }
    let mut random = SplitMix64::new(seed, PURPOSE);
    let mut drawn = Vec::with_capacity(first.len().max(other.len()));
    let differences = (0..RESAMPLES).filter_map(|_| {
        let one = resampled_median(first, &mut drawn, &mut random)?;
        Some(resampled_median(other, &mut drawn, &mut random)? - one)
    });
    percentiles(differences.collect())
}

fn resampled_median(values: &[f64], drawn: &mut Vec<f64>, random: &mut SplitMix64) -> Option<f64> {
    drawn.clear();
    for _ in 0..values.len() {
        let at = usize::try_from(random.below(values.len() as u64)).unwrap_or(0);
        drawn.extend(values.get(at));
    }
    median_in(drawn)
}

/// The interval that holds [`CONFIDENCE`] of resampled values, as much of the rest on either side.
fn percentiles(mut resampled: Vec<f64>) -> Option<Interval> {
    resampled.sort_by(f64::total_cmp);
    let outside = ((1.0 - CONFIDENCE) / 2.0 * RESAMPLES as f64) as usize;
    Some(Interval {
        low: *resampled.get(outside)?,
        high: *resampled.get(resampled.len().checked_sub(outside + 1)?)?,
    })
}

#[cfg(test)]
mod tests {
    use super::{Interval, median, median_difference_interval, median_interval};
    use crate::stats::random_numbers::SplitMix64;
    use proptest::prelude::*;

    #[test]
    fn the_middle_of_odd_and_even_samples() {
        assert_eq!(median(&[]), None);
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }

    #[test]
    fn fewer_than_five_give_no_interval() {
        assert_eq!(median_interval(&[1.0, 2.0, 3.0, 4.0], 0), None);
        assert!(median_interval(&[1.0, 2.0, 3.0, 4.0, 5.0], 0).is_some());
    }

    /// P(the median of a resample of 5 is the smallest value) = P(at least 3 of 5 draws are it) = 5.8 %, more than
    /// 2.5 %: so the interval of five is their range, with any seed.
    #[test]
    fn the_interval_of_five_is_their_range() {
        for seed in 0..20 {
            let interval = median_interval(&[5.0, 1.0, 4.0, 2.0, 3.0], seed);
            assert_eq!(
                interval,
                Some(Interval {
                    low: 1.0,
                    high: 5.0
                })
            );
        }
    }

    /// The resampled median of an odd n is at most the k-th smallest value where at least (n+1)/2 of n draws are among
    /// the k smallest: a binomial tail, which gives the exact quantiles.
    #[test]
    fn the_ends_are_those_of_the_exact_bootstrap_distribution() {
        let n = 17u32;
        let at_most = |k: u32| -> f64 {
            let p = f64::from(k) / f64::from(n);
            (n.div_ceil(2)..=n)
                .map(|hits| {
                    let ways = (0..hits).fold(1.0, |product, i| {
                        product * f64::from(n - i) / f64::from(hits - i)
                    });
                    ways * p.powi(hits.cast_signed()) * (1.0 - p).powi((n - hits).cast_signed())
                })
                .sum()
        };
        let quantile = |level: f64| (1..=n).find(|k| at_most(*k) >= level).map(f64::from);
        let values: Vec<f64> = (1..=n).map(f64::from).collect();
        // For n = 17 the probabilities next to the levels are 0.036 and 0.964: 4,000 resamples do not miss them.
        let interval = median_interval(&values, 7);
        assert_eq!(interval.map(|interval| interval.low), quantile(0.025));
        assert_eq!(interval.map(|interval| interval.high), quantile(0.975));
    }

    /// Coverage over many samples of a known population, whose median is 0.5.
    #[test]
    fn about_as_many_intervals_as_promised_hold_the_true_median() {
        let mut random = SplitMix64::new(3, 0);
        let held = (0..200)
            .filter(|seed| {
                let values: Vec<f64> = (0..11).map(|_| random.fraction()).collect();
                median_interval(&values, *seed)
                    .is_some_and(|interval| interval.low <= 0.5 && 0.5 <= interval.high)
            })
            .count();
        assert!((180..=199).contains(&held), "{held} of 200");
    }

    /// Two samples of one population of which one is shifted: nearly as many intervals as promised hold the shift.
    #[test]
    fn about_as_many_intervals_as_promised_hold_the_true_difference() {
        let mut random = SplitMix64::new(5, 0);
        let held = (0..200)
            .filter(|seed| {
                let first: Vec<f64> = (0..11).map(|_| random.fraction()).collect();
                let other: Vec<f64> = (0..9).map(|_| random.fraction() + 0.25).collect();
                median_difference_interval(&first, &other, *seed)
                    .is_some_and(|interval| interval.low <= 0.25 && 0.25 <= interval.high)
            })
            .count();
        assert!((180..=200).contains(&held), "{held} of 200");
        let few = [1.0; 4];
        assert_eq!(median_difference_interval(&few, &[1.0; 9], 0), None);
        assert_eq!(median_difference_interval(&[1.0; 9], &few, 0), None);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]
        #[test]
        fn the_interval_lies_in_the_range_and_around_the_median(
            values in prop::collection::vec(-1e6..1e6f64, 5..30), seed: u64,
        ) {
            let interval = median_interval(&values, seed).expect("five or more");
            let middle = median(&values).expect("not empty");
            let low = values.iter().copied().fold(f64::INFINITY, f64::min);
            let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            prop_assert!(low <= interval.low && interval.low <= middle);
            prop_assert!(middle <= interval.high && interval.high <= high);
            prop_assert_eq!(Some(interval), median_interval(&values, seed));
        }
    }
}
