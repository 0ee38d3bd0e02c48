//! The middle of a few measurements, and how sure it is.

use serde::{Deserialize, Serialize};

/// What intervals are made for, where there are enough rounds.
const WANTED: f64 = 0.95;

/// The median of some rounds, and an interval for the median of all rounds that could be made. It is between two of
/// the values, of which the ranks alone decide (order statistics), so nothing is assumed of their distribution.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// The middle value, or halfway between the two in the middle.
    pub median: f64,
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// How often such an interval holds the true median, 0 to 1: at least 0.95 from six rounds on, less with fewer,
    /// since even the whole range cannot be surer.
    pub coverage: f64,
    /// Rounds.
    pub rounds: usize,
}

impl Interval {
    /// From the rounds' values; None where there are none. Values that are no numbers are a mistake of the caller's.
    #[must_use]
    pub fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let count = sorted.len();
        if count == 0 {
            return None;
        }
        // Leaves as many out at each end as the wanted coverage allows.
        let mut left_out = 0;
        while 2 * (left_out + 1) < count && coverage(count, left_out + 1) >= WANTED {
            left_out += 1;
        }
        Some(Self {
            median: f64::midpoint(sorted[(count - 1) / 2], sorted[count / 2]),
            low: sorted[left_out],
            high: sorted[count - 1 - left_out],
            coverage: coverage(count, left_out),
            rounds: count,
        })
    }
}

/// How often the median lies between the values of ranks `left_out` and `count - 1 - left_out`: the number of values
/// below it is binomial with one half.
fn coverage(count: usize, left_out: usize) -> f64 {
    let mut term = 0.5f64.powi(i32::try_from(count).unwrap_or(i32::MAX));
    let mut tail = 0.0;
    for below in 0..=left_out {
        tail += term;
        term *= (count - below) as f64 / (below + 1) as f64;
    }
    (1.0 - 2.0 * tail).max(0.0)
}

#[cfg(test)]
mod tests {
    use super::Interval;

    fn of(count: u32) -> Interval {
        let values: Vec<f64> = (1..=count).rev().map(f64::from).collect();
        Interval::of(&values).expect("values")
    }

    #[test]
    fn ends_are_those_of_the_tables() {
        // Conover, "Practical Nonparametric Statistics": ranks for the median at 95 %.
        for (count, low, high) in [
            (6, 1.0, 6.0),
            (8, 1.0, 8.0),
            (9, 2.0, 8.0),
            (10, 2.0, 9.0),
            (20, 6.0, 15.0),
        ] {
            let interval = of(count);
            assert_eq!((interval.low, interval.high), (low, high), "{count}");
            assert!(interval.coverage >= 0.95, "{count}");
        }
    }

    #[test]
    fn few_rounds_say_how_sure_their_range_is() {
        assert_eq!(of(1).coverage, 0.0);
        assert_eq!(of(5).coverage, 0.9375);
        assert_eq!((of(3).low, of(3).median, of(3).high), (1.0, 2.0, 3.0));
        assert_eq!(of(4).median, 2.5);
        assert_eq!(Interval::of(&[]), None);
    }
}
