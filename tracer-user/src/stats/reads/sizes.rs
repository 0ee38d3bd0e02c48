//! Sizes of requests, exactly: how many reads of how many bytes.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tracer_common::request::{SIZE_CLASSES, size_class, size_class_end};

/// Reads by the size of the whole request at its first issue. Mergeable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestSizes {
    reads: BTreeMap<u32, u64>,
}

impl RequestSizes {
    pub fn record(&mut self, request_bytes: u32) {
        *self.reads.entry(request_bytes).or_default() += 1;
    }

    /// Adds another part of the stream.
    pub fn merge(&mut self, other: &Self) {
        for (bytes, reads) in &other.reads {
            let own = self.reads.entry(*bytes).or_default();
            *own = own.saturating_add(*reads);
        }
    }

    /// Sizes and their counts, ascending by size.
    #[must_use]
    pub fn figures(&self) -> Vec<SizeCount> {
        self.reads
            .iter()
            .map(|(bytes, reads)| SizeCount {
                bytes: u64::from(*bytes),
                count: *reads,
            })
            .collect()
    }
}

/// Reads of sizes up to one, and above half of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SizeClassCount {
    /// Most bytes of the whole request.
    pub up_to_bytes: u64,
    /// Reads of such sizes.
    pub count: u64,
}

/// Classes that have reads, of counts by [`tracer_common::request::size_class`].
#[must_use]
pub fn size_classes(counts: [u64; SIZE_CLASSES]) -> Vec<SizeClassCount> {
    counts
        .into_iter()
        .enumerate()
        .filter(|(_, count)| *count > 0)
        .map(|(class, count)| SizeClassCount {
            up_to_bytes: size_class_end(class),
            count,
        })
        .collect()
}

/// The same of reads by their size.
#[must_use]
pub fn classes_of_sizes(sizes: &[SizeCount]) -> Vec<SizeClassCount> {
    let mut counts = [0; SIZE_CLASSES];
    for size in sizes {
        // A request has less than 4 GiB.
        let class = size_class(u32::try_from(size.bytes).unwrap_or(u32::MAX));
        if let Some(count) = counts.get_mut(class) {
            *count += size.count;
        }
    }
    size_classes(counts)
}

/// Reads of one size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SizeCount {
    /// Bytes of the whole request.
    pub bytes: u64,
    /// Reads of that size.
    pub count: u64,
}

#[cfg(test)]
mod tests {
    use super::{RequestSizes, SizeCount};
    use proptest::prelude::*;

    fn counted(sizes: &[u32]) -> RequestSizes {
        let mut counts = RequestSizes::default();
        sizes.iter().for_each(|size| counts.record(*size));
        counts
    }

    #[test]
    fn every_size_is_kept() {
        let figures = counted(&[131_072, 4096, 131_072]).figures();
        assert_eq!(
            figures,
            [
                SizeCount {
                    bytes: 4096,
                    count: 1
                },
                SizeCount {
                    bytes: 131_072,
                    count: 2
                }
            ]
        );
    }

    proptest! {
        #[test]
        fn split_anywhere_and_merged_it_is_the_same(
            sizes in prop::collection::vec(0u32..20, 0..100), at: prop::sample::Index,
        ) {
            let (first, second) = sizes.split_at(at.index(sizes.len() + 1));
            let mut merged = counted(first);
            merged.merge(&counted(second));
            prop_assert_eq!(&merged, &counted(&sizes));
            prop_assert_eq!(merged.figures().iter().map(|s| s.count).sum::<u64>(), sizes.len() as u64);
        }
    }
}
