//! Miss-stream distance: how much came into the page cache while a page was away.
//!
//! For a page that is inserted after an eviction seen in this run, the distance is **the pages of the traced
//! files inserted between its eviction and its insert, × the bytes of a page**; the pages of its own folio do not count,
//! nor do pages beyond a file's end. It is not a reuse distance: accesses that hit are invisible, so it says
//! how much longer the page had to stay, in units of what reclaim had to make room for. A cyclic scan of a
//! model of M bytes through a cache of C bytes that drops what it needs next gives distances about M − C.

/// Distance 0, and 2^(k−1) … 2^k − 1 pages for k = 1 … 32.
const BUCKETS: usize = 33;

/// Distances in powers of two. Mergeable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissStreamDistances {
    pages: [u64; BUCKETS],
    unknown_pages: u64,
}

impl Default for MissStreamDistances {
    fn default() -> Self {
        Self {
            pages: [0; BUCKETS],
            unknown_pages: 0,
        }
    }
}

impl MissStreamDistances {
    /// Counts one page that came back after `distance_pages` other pages; `None` where that is not known.
    pub fn record(&mut self, distance_pages: Option<u32>) {
        let pages = match distance_pages {
            None => Some(&mut self.unknown_pages),
            Some(distance) => {
                let bucket = distance
                    .checked_ilog2()
                    .map_or(0, |power| power as usize + 1);
                self.pages.get_mut(bucket)
            }
        };
        if let Some(pages) = pages {
            *pages = pages.saturating_add(1);
        }
    }

    /// Adds another part of the stream.
    pub fn merge(&mut self, other: &Self) {
        for (pages, other) in self.pages.iter_mut().zip(&other.pages) {
            *pages = pages.saturating_add(*other);
        }
        self.unknown_pages = self.unknown_pages.saturating_add(other.unknown_pages);
    }

    /// The histogram and its quantiles, for pages of this size.
    #[must_use]
    pub fn figures(&self, page_bytes: u64) -> MissStreamFigures {
        let buckets: Vec<_> = self
            .pages
            .iter()
            .enumerate()
            .filter(|(_, pages)| **pages > 0)
            .map(|(bucket, pages)| {
                let (from_pages, to_pages) = match bucket {
                    0 => (0, 0),
                    _ => (1u64 << (bucket - 1), (1u64 << bucket) - 1),
                };
                MissStreamBucket {
                    from_bytes: from_pages * page_bytes,
                    to_bytes: to_pages * page_bytes,
                    pages: *pages,
                }
            })
            .collect();
        MissStreamFigures {
            p50_at_most_bytes: bound(&buckets, 50),
            p90_at_most_bytes: bound(&buckets, 90),
            buckets,
            unknown_pages: self.unknown_pages,
        }
    }
}

/// Upper bound of the first bucket up to which at least `percent` of the pages lie.
fn bound(buckets: &[MissStreamBucket], percent: u128) -> Option<u64> {
    let total: u128 = buckets.iter().map(|bucket| u128::from(bucket.pages)).sum();
    let mut below = 0;
    buckets
        .iter()
        .find(|bucket| {
            below += u128::from(bucket.pages);
            below * 100 >= total * percent
        })
        .map(|bucket| bucket.to_bytes)
}

/// One bucket; empty ones are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MissStreamBucket {
    /// Smallest distance in it, in bytes.
    pub from_bytes: u64,
    /// Largest distance in it, in bytes.
    pub to_bytes: u64,
    /// Re-inserted pages in it.
    pub pages: u64,
}

/// Distribution of the miss-stream distance over re-inserted pages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MissStreamFigures {
    /// Ascending; empty buckets are left out.
    pub buckets: Vec<MissStreamBucket>,
    /// A bucket's bound, not a measured distance: half of the pages have at most this one, and the true median
    /// is more than half of it. `None` where no page came back.
    pub p50_at_most_bytes: Option<u64>,
    /// The same for nine pages in ten.
    pub p90_at_most_bytes: Option<u64>,
    /// Re-inserted pages whose distance is not known: they were evicted after 2^32 − 1 pages (16 TiB)
    /// had been inserted. In no bucket.
    pub unknown_pages: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Of a kernel for aarch64.
    const PAGE_BYTES: u64 = 16 << 10;

    #[test]
    fn quantiles_are_bounds_of_buckets() {
        let mut distances = MissStreamDistances::default();
        assert_eq!(distances.figures(PAGE_BYTES), MissStreamFigures::default());
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 1000]
            .iter()
            .for_each(|pages| distances.record(Some(*pages)));
        distances.record(None);
        let figures = distances.figures(PAGE_BYTES);
        assert_eq!(figures.p50_at_most_bytes, Some(7 * PAGE_BYTES));
        assert_eq!(figures.p90_at_most_bytes, Some(15 * PAGE_BYTES));
        assert_eq!(figures.unknown_pages, 1);
        let pages: Vec<_> = figures.buckets.iter().map(|bucket| bucket.pages).collect();
        assert_eq!(pages, [1, 1, 2, 4, 1, 1]);
    }

    proptest! {
        #[test]
        fn each_distance_lies_in_its_bucket(power in 0u32..33, low in any::<u32>()) {
            let distance = low.checked_shr(power).unwrap_or(0);
            let mut distances = MissStreamDistances::default();
            distances.record(Some(distance));
            let figures = distances.figures(PAGE_BYTES);
            let bytes = u64::from(distance) * PAGE_BYTES;
            prop_assert_eq!(figures.buckets.len(), 1);
            let bucket = figures.buckets[0];
            prop_assert!(bucket.from_bytes <= bytes && bytes <= bucket.to_bytes);
            prop_assert!(bucket.to_bytes / PAGE_BYTES < 2 * (bucket.from_bytes / PAGE_BYTES).max(1));
        }

        #[test]
        fn a_quantile_is_at_least_the_true_one_and_less_than_twice_it(
            mut pages in prop::collection::vec(0u32..5000, 1..60),
        ) {
            let mut distances = MissStreamDistances::default();
            pages.iter().for_each(|pages| distances.record(Some(*pages)));
            pages.sort_unstable();
            let median = u64::from(pages[pages.len().div_ceil(2) - 1]) * PAGE_BYTES;
            let bound = distances.figures(PAGE_BYTES).p50_at_most_bytes.expect("there are pages");
            prop_assert!(median <= bound && bound < (2 * median).max(1));
        }
    }
}
