//! How far reads jump: the distribution of signed gaps, in powers of two, with the queue depth at issue.
//!
//! The five classes hide whether "large" is 2 MiB or 10 GiB. A device with 32 reads in its queue does not
//! feel the order of their issue, so the mean queue depth of each bucket stands beside it.

use serde::{Deserialize, Serialize};

use crate::stats::formulas::ratio;

/// Buckets for one sign: distances of 2^(k−1) … 2^k − 1 sectors for k = 1 … 64.
const MAGNITUDES: usize = 64;

/// Index of the bucket of gap 0; backward gaps lie below, forward gaps above.
const ZERO: usize = MAGNITUDES;

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Bucket {
    count: u64,
    bytes: u64,
    depth_sum: u64,
}

/// Signed gaps by power of two. Mergeable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DistanceDistribution {
    buckets: Vec<Bucket>,
}

impl Default for DistanceDistribution {
    fn default() -> Self {
        Self {
            buckets: vec![Bucket::default(); 2 * MAGNITUDES + 1],
        }
    }
}

impl DistanceDistribution {
    /// Counts the gap of a read of `bytes` bytes that starts at `start_sector` after `previous_end`, at a
    /// queue depth of `queue_depth` (the read included).
    pub fn record(&mut self, start_sector: u64, previous_end: u64, bytes: u64, queue_depth: u64) {
        let index = match start_sector.abs_diff(previous_end) {
            0 => ZERO,
            distance => {
                let magnitude = distance.ilog2() as usize + 1;
                if start_sector > previous_end {
                    ZERO + magnitude
                } else {
                    ZERO - magnitude
                }
            }
        };
        if let Some(bucket) = self.buckets.get_mut(index) {
            bucket.count += 1;
            bucket.bytes = bucket.bytes.saturating_add(bytes);
            bucket.depth_sum = bucket.depth_sum.saturating_add(queue_depth);
        }
    }

    /// Adds another part of the stream.
    pub fn merge(&mut self, other: &Self) {
        for (bucket, other) in self.buckets.iter_mut().zip(&other.buckets) {
            bucket.count = bucket.count.saturating_add(other.count);
            bucket.bytes = bucket.bytes.saturating_add(other.bytes);
            bucket.depth_sum = bucket.depth_sum.saturating_add(other.depth_sum);
        }
    }

    /// The points of the cumulative distribution, from the farthest backward to the farthest forward;
    /// empty buckets are left out.
    #[must_use]
    pub fn points(&self) -> Vec<DistancePoint> {
        let total = self
            .buckets
            .iter()
            .fold(0u64, |sum, bucket| sum.saturating_add(bucket.count));
        let mut below = 0u64;
        let mut points = Vec::new();
        for (index, bucket) in self
            .buckets
            .iter()
            .enumerate()
            .filter(|(_, bucket)| bucket.count > 0)
        {
            below = below.saturating_add(bucket.count);
            let (from_sectors, to_sectors) = bounds(index);
            points.push(DistancePoint {
                from_sectors,
                to_sectors,
                count: bucket.count,
                bytes: bucket.bytes,
                cumulative_share: ratio(below, total),
                mean_queue_depth: ratio(bucket.depth_sum, bucket.count),
            });
        }
        points
    }
}

/// Smallest and largest signed distance of a bucket, in sectors; beyond `i64` the bound is `i64`'s own (no
/// device has so many sectors).
fn bounds(index: usize) -> (i64, i64) {
    let magnitude = index.abs_diff(ZERO);
    if magnitude == 0 {
        return (0, 0);
    }
    let near = 1i64
        .checked_shl(magnitude as u32 - 1)
        .filter(|near| *near > 0)
        .unwrap_or(i64::MAX);
    let far = near.saturating_mul(2).saturating_sub(1).max(near);
    if index > ZERO {
        (near, far)
    } else {
        (-far, -near)
    }
}

/// A bucket of distances, and the share of gaps up to its end.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DistancePoint {
    /// Smallest distance of the bucket, in sectors; negative is backward.
    pub from_sectors: i64,
    /// Largest distance of the bucket, in sectors.
    pub to_sectors: i64,
    /// Gaps in it.
    pub count: u64,
    /// Bytes of the model in the reads after them.
    pub bytes: u64,
    /// Share of all gaps that are at most `to_sectors`, 0 – 1.
    pub cumulative_share: Option<f64>,
    /// Mean number of the model's reads with the driver when these were issued, themselves included.
    pub mean_queue_depth: Option<f64>,
}

#[cfg(test)]
mod tests {
    use super::{DistanceDistribution, ZERO, bounds};
    use proptest::prelude::*;

    fn counted(gaps: &[(u64, u64, u64)]) -> DistanceDistribution {
        let mut distances = DistanceDistribution::default();
        for (start, end, depth) in gaps {
            distances.record(*start, *end, 4096, *depth);
        }
        distances
    }

    #[test]
    fn both_signs_have_their_buckets() {
        let points = counted(&[
            (100, 100, 1),
            (101, 100, 1),
            (99, 100, 3),
            (98, 100, 1),
            (97, 100, 2),
        ])
        .points();
        let bounds: Vec<_> = points
            .iter()
            .map(|p| (p.from_sectors, p.to_sectors, p.count))
            .collect();
        assert_eq!(bounds, [(-3, -2, 2), (-1, -1, 1), (0, 0, 1), (1, 1, 1)]);
        assert_eq!(points[0].mean_queue_depth, Some(1.5));
        assert_eq!(points[0].cumulative_share, Some(0.4));
        assert_eq!(points[3].cumulative_share, Some(1.0));
        assert_eq!(bounds.len(), 4);
    }

    #[test]
    fn the_farthest_distances_have_a_bucket() {
        let points = counted(&[(u64::MAX, 0, 1), (0, u64::MAX, 1)]).points();
        assert_eq!(points.len(), 2);
        assert_eq!(points[0].from_sectors, -i64::MAX);
        assert_eq!(points[1].to_sectors, i64::MAX);
    }

    proptest! {
        #[test]
        fn a_distance_lies_between_its_bounds(start in 0u64..1 << 55, end in 0u64..1 << 55) {
            let points = counted(&[(start, end, 1)]).points();
            let distance = start as i64 - end as i64;
            prop_assert!(points[0].from_sectors <= distance && distance <= points[0].to_sectors);
        }

        #[test]
        fn buckets_are_contiguous(index in 1usize..=ZERO + 62) {
            prop_assume!(index > 2);
            prop_assert_eq!(bounds(index - 1).1.saturating_add(1), bounds(index).0);
        }

        #[test]
        fn split_anywhere_and_merged_it_is_the_same(
            gaps in prop::collection::vec((0u64..5000, 0u64..5000, 1u64..40), 0..100),
            at: prop::sample::Index,
        ) {
            let (first, second) = gaps.split_at(at.index(gaps.len() + 1));
            let mut merged = counted(first);
            merged.merge(&counted(second));
            prop_assert_eq!(merged, counted(&gaps));
        }
    }
}
