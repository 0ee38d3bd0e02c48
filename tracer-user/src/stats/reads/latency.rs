//! Latency of reads: from the first issue to the last completion.
//!
//! Kept twice. The quantiles come from an `hdrhistogram` with three significant digits (a recorded value is
//! off by at most 0.1 %), the largest is exact. Beside it stand the coarse buckets that the
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
            max_nanos: 0,
        }
    }
}

impl Latencies {
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
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            max: observed.then(|| microseconds(self.max_nanos)),
            untimed: None,
        }
    }
}

/// Quantiles of counts by the kernel side's buckets: the largest latency that the bucket can hold in which a quantile lies, so at
/// most 12.5 % more than the latency itself. The largest of all is not known.
#[must_use]
pub fn of_buckets(buckets: &[u64]) -> LatencyFigures {
    let count: u64 = buckets.iter().sum();
    let quantile = |of_1000: u64| {
        // As the histogram does it: the value that at least so many are at or below.
        let rank = (count.saturating_mul(of_1000)).div_ceil(1000).max(1);
        let mut seen = 0;
        let bucket = buckets.iter().position(|reads| {
            seen += reads;
            seen >= rank
        })?;
        let next = bucket + 1;
        Some(microseconds(if next < LATENCY_BUCKETS {
            latency_bucket_start(next) - 1
        } else {
            u64::MAX
        }))
    };
    LatencyFigures {
        count,
        p50: quantile(500),
        p90: quantile(900),
        p99: quantile(990),
        max: None,
        untimed: None,
    }
}

/// How many reads took at most so many nanoseconds, for the last nanosecond before each power of two from 2^13 (8 µs) to 2^33
/// (8.6 s): counts by the kernel side's buckets, added up. All of them together are the sum of `buckets`.
#[must_use]
pub fn cumulative(buckets: &[u64]) -> Vec<(u64, u64)> {
    (13..=33)
        .map(|power| {
            let end = 1 << power;
            let within = buckets.get(..latency_bucket(end)).unwrap_or(buckets);
            (end - 1, within.iter().sum())
        })
        .collect()
}

fn microseconds(nanos: u64) -> f64 {
    nanos as f64 / 1e3
}

/// Latency in microseconds, of the reads whose first issue and last completion were both observed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct LatencyFigures {
    /// Half of the reads took at most this long.
    pub p50: Option<f64>,
    /// Nine of ten reads took at most this long.
    pub p90: Option<f64>,
    /// 99 of 100 reads took at most this long.
    pub p99: Option<f64>,
    /// Longest, exact.
    pub max: Option<f64>,
    pub count: u64,
    /// Completions without an observed issue, or stamped before it, which are not timed. Null where they cannot be told by model.
    pub untimed: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::{Latencies, LatencyFigures, cumulative, of_buckets};
    use proptest::prelude::*;

    fn counted(nanos: &[u64]) -> Latencies {
        let mut latencies = Latencies::default();
        nanos.iter().for_each(|nanos| latencies.record(*nanos));
        latencies
    }

    proptest! {
        #[test]
        fn added_up_they_are_the_reads_that_took_at_most_so_long(
            nanos in proptest::collection::vec(prop_oneof![1_u64..1 << 14, 1_u64..1 << 40, (1_u32..36).prop_map(|power| 1 << power), (1_u32..36).prop_map(|power| (1 << power) - 1)], 0..200),
        ) {
            let found = cumulative(counted(&nanos).buckets());
            prop_assert_eq!(found.len(), 21);
            for (at_most, reads) in found {
                let expected = nanos.iter().filter(|nanos| **nanos <= at_most).count() as u64;
                prop_assert_eq!(reads, expected, "at most {}", at_most);
            }
        }

        #[test]
        fn a_quantile_of_buckets_is_at_most_an_eighth_too_long(
            nanos in proptest::collection::vec(8_u64..1 << 40, 1..200),
        ) {
            let latencies = counted(&nanos);
            let (exact, bound) = (latencies.figures(), of_buckets(latencies.buckets()));
            prop_assert_eq!(exact.count, bound.count);
            for (exact, bound) in [(exact.p50, bound.p50), (exact.p90, bound.p90), (exact.p99, bound.p99)] {
                let (exact, bound) = (exact.expect("observed"), bound.expect("observed"));
                // The other one is off by 0.1 % itself.
                prop_assert!(bound >= exact * 0.998 && bound <= exact * 1.128, "{} and {}", exact, bound);
            }
        }
    }

    #[test]
    fn without_a_read_there_is_no_quantile() {
        let none = of_buckets(Latencies::default().buckets());
        assert_eq!((none.count, none.p50, none.p99), (0, None, None));
    }

    #[test]
    fn nothing_timed_has_no_latency() {
        assert_eq!(counted(&[]).figures(), LatencyFigures::default());
    }

    #[test]
    fn the_longest_possible_latency_is_kept() {
        let latencies = counted(&[0, u64::MAX]);
        let figures = latencies.figures();
        assert_eq!(figures.count, 2);
        assert_eq!(figures.max, Some(u64::MAX as f64 / 1e3));
        assert!(figures.p99.is_none_or(|p99| p99 > 1e15));
        assert_eq!(latencies.buckets().iter().sum::<u64>(), 2);
    }

    proptest! {
        #[test]
        fn quantiles_are_off_by_at_most_a_thousandth(
            mut nanos in prop::collection::vec(1u64..10_000_000_000, 1..300),
        ) {
            let latencies = counted(&nanos);
            let figures = latencies.figures();
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
            prop_assert!(figures.p50 <= figures.p90 && figures.p90 <= figures.p99 && figures.p99 <= figures.max);
            prop_assert_eq!(latencies.buckets().iter().sum::<u64>(), figures.count);
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
