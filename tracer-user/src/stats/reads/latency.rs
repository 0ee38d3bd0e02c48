//! Latency of reads: from the first issue to the last completion.
//!
//! Kept twice. The quantiles come from an `hdrhistogram` with three significant digits (a recorded value is
//! off by at most 0.1 %), smallest, largest and mean are exact. Beside it stand the coarse buckets that the
//! kernel side fills by the same function ([`latency_bucket`]), to be compared count by count.

use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use tracer_common::latency::{LATENCY_BUCKETS, latency_bucket, latency_bucket_start};

/// Significant decimal digits of the quantiles.
const SIGNIFICANT_DIGITS: u8 = 3;

/// Latencies in nanoseconds. Mergeable.
#[derive(Clone, Debug)]
pub struct Latencies {
    /// `None` only if the library refuses the constant precision above; then no quantile is shown.
    quantiles: Option<Histogram<u64>>,
    buckets: Vec<u64>,
    count: u64,
    sum_nanos: u128,
    min_nanos: u64,
    max_nanos: u64,
}

impl Default for Latencies {
    fn default() -> Self {
        Self {
            quantiles: Histogram::new(SIGNIFICANT_DIGITS)
                .ok()
                .map(|mut histogram| {
                    histogram.auto(true);
                    histogram
                }),
            buckets: vec![0; LATENCY_BUCKETS],
            count: 0,
            sum_nanos: 0,
            min_nanos: u64::MAX,
            max_nanos: 0,
        }
    }
}

impl Latencies {
    /// Counts one read.
    pub fn record(&mut self, nanos: u64) {
        if let Some(histogram) = &mut self.quantiles
            && histogram.record(nanos).is_err()
        {
            // The histogram grows to any value it can name; what it cannot would bend every quantile.
            self.quantiles = None;
        }
        if let Some(bucket) = self.buckets.get_mut(latency_bucket(nanos)) {
            *bucket += 1;
        }
        self.count += 1;
        self.sum_nanos += u128::from(nanos);
        self.min_nanos = self.min_nanos.min(nanos);
        self.max_nanos = self.max_nanos.max(nanos);
    }

    /// Adds another part of the stream.
    pub fn merge(&mut self, other: &Self) {
        self.quantiles = match (self.quantiles.take(), &other.quantiles) {
            (Some(mut own), Some(other)) => own.add(other).is_ok().then_some(own),
            _ => None,
        };
        for (own, other) in self.buckets.iter_mut().zip(&other.buckets) {
            *own = own.saturating_add(*other);
        }
        self.count = self.count.saturating_add(other.count);
        self.sum_nanos = self.sum_nanos.saturating_add(other.sum_nanos);
        self.min_nanos = self.min_nanos.min(other.min_nanos);
        self.max_nanos = self.max_nanos.max(other.max_nanos);
    }

    /// Reads by the kernel side's buckets, [`LATENCY_BUCKETS`] of them.
    #[must_use]
    pub fn buckets(&self) -> &[u64] {
        &self.buckets
    }

    /// Quantiles in microseconds; `None` without a read.
    #[must_use]
    pub fn figures(&self) -> LatencyFigures {
        let observed = self.count > 0;
        let quantile = |quantile: f64| {
            self.quantiles
                .as_ref()
                .filter(|_| observed)
                .map(|histogram| {
                    // The histogram answers with the top of a bucket, which may lie above the largest value.
                    microseconds(histogram.value_at_quantile(quantile).min(self.max_nanos))
                })
        };
        LatencyFigures {
            count: self.count,
            min: observed.then(|| microseconds(self.min_nanos)),
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            max: observed.then(|| microseconds(self.max_nanos)),
            mean: observed.then(|| self.sum_nanos as f64 / self.count as f64 / 1e3),
            buckets: self
                .buckets
                .iter()
                .enumerate()
                .filter(|(_, reads)| **reads > 0)
                .map(|(bucket, reads)| LatencyBucket {
                    from_nanos: latency_bucket_start(bucket),
                    reads: *reads,
                })
                .collect(),
        }
    }
}

fn microseconds(nanos: u64) -> f64 {
    nanos as f64 / 1e3
}

/// Latency in microseconds, of the reads whose first issue and last completion were both observed.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LatencyFigures {
    /// Reads timed.
    pub count: u64,
    /// Shortest, exact.
    pub min: Option<f64>,
    /// Half of the reads took at most this long.
    pub p50: Option<f64>,
    /// Nine of ten reads took at most this long.
    pub p90: Option<f64>,
    /// 99 of 100 reads took at most this long.
    pub p99: Option<f64>,
    /// Longest, exact.
    pub max: Option<f64>,
    /// Mean, exact.
    pub mean: Option<f64>,
    /// The coarse buckets that are not empty, ascending.
    pub buckets: Vec<LatencyBucket>,
}

/// Reads in one coarse bucket, which reaches up to the next one's start: eight to a power of two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LatencyBucket {
    /// Shortest latency of the bucket, in nanoseconds.
    pub from_nanos: u64,
    /// Reads.
    pub reads: u64,
}

#[cfg(test)]
mod tests {
    use super::{Latencies, LatencyFigures};
    use proptest::prelude::*;

    fn counted(nanos: &[u64]) -> Latencies {
        let mut latencies = Latencies::default();
        nanos.iter().for_each(|nanos| latencies.record(*nanos));
        latencies
    }

    #[test]
    fn nothing_timed_has_no_latency() {
        assert_eq!(counted(&[]).figures(), LatencyFigures::default());
    }

    #[test]
    fn the_longest_possible_latency_is_kept() {
        let figures = counted(&[0, u64::MAX]).figures();
        assert_eq!((figures.count, figures.min), (2, Some(0.0)));
        assert_eq!(figures.max, Some(u64::MAX as f64 / 1e3));
        assert!(figures.p99.is_none_or(|p99| p99 > 1e15));
        assert_eq!(
            figures
                .buckets
                .iter()
                .map(|bucket| bucket.reads)
                .sum::<u64>(),
            2
        );
    }

    proptest! {
        #[test]
        fn quantiles_are_off_by_at_most_a_thousandth(
            mut nanos in prop::collection::vec(1u64..10_000_000_000, 1..300),
        ) {
            let figures = counted(&nanos).figures();
            nanos.sort_unstable();
            let exact = |share: f64| {
                let rank = (share * nanos.len() as f64).ceil() as usize;
                nanos[rank.clamp(1, nanos.len()) - 1] as f64 / 1e3
            };
            for (quantile, share) in [(figures.p50, 0.5), (figures.p90, 0.9), (figures.p99, 0.99)] {
                let quantile = quantile.unwrap();
                prop_assert!((quantile - exact(share)).abs() <= exact(share) / 1000.0, "{quantile} {}", exact(share));
            }
            prop_assert_eq!(figures.max, Some(exact(1.0)));
            prop_assert_eq!(figures.min, Some(nanos[0] as f64 / 1e3));
            prop_assert!(figures.p50 <= figures.p90 && figures.p90 <= figures.p99 && figures.p99 <= figures.max);
            prop_assert_eq!(figures.buckets.iter().map(|bucket| bucket.reads).sum::<u64>(), figures.count);
        }

        #[test]
        fn split_anywhere_and_merged_it_is_the_same(
            nanos in prop::collection::vec(0u64..10_000_000, 0..100), at: prop::sample::Index,
        ) {
            let (first, second) = nanos.split_at(at.index(nanos.len() + 1));
            let mut merged = counted(first);
            merged.merge(&counted(second));
            prop_assert_eq!(merged.figures(), counted(&nanos).figures());
            prop_assert_eq!(merged.buckets().to_vec(), counted(&nanos).buckets().to_vec());
        }
    }
}
