//! Backward gaps that are no seek at all: the read covers sectors of its predecessor again.
//!
//! A gap of minus one request's length is what counting a request twice looks like, and what two threads
//! that miss on the same block look like. So backward gaps whose read overlaps its predecessor's range are
//! shown apart: with predecessor `[p, e)` and read `[s, t)`, backward means `s < e`, overlapping means
//! `t > p` as well. The record carries only `e`; `p` comes from the restored order of the exchange.

use serde::{Deserialize, Serialize};

/// Backward gaps by overlap with the predecessor.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BackwardOverlap {
    /// Backward gaps whose read overlaps its predecessor's range.
    pub overlapping: u64,
    /// Bytes of the model in those reads.
    pub overlapping_bytes: u64,
    /// Those among them that read exactly the predecessor's range again.
    pub repeated: u64,
    /// Backward gaps whose read lies wholly before its predecessor.
    pub apart: u64,
    /// Backward gaps whose predecessor is not known, because records were lost or the order could not be
    /// restored.
    pub unknown: u64,
}

impl BackwardOverlap {
    /// Classes the backward gap of a read of sectors `read.0..read.1`, whose predecessor read the sectors
    /// `predecessor.0..predecessor.1`.
    pub fn record(&mut self, read: (u64, u64), predecessor: Option<(u64, u64)>, bytes: u64) {
        let Some(predecessor) = predecessor else {
            self.unknown += 1;
            return;
        };
        if read.0 < predecessor.1 && read.1 > predecessor.0 {
            self.overlapping += 1;
            self.overlapping_bytes = self.overlapping_bytes.saturating_add(bytes);
            if read == predecessor {
                self.repeated += 1;
            }
        } else {
            self.apart += 1;
        }
    }

    /// Adds another device, or another part of the stream.
    pub fn merge(&mut self, other: &Self) {
        self.overlapping = self.overlapping.saturating_add(other.overlapping);
        self.overlapping_bytes = self
            .overlapping_bytes
            .saturating_add(other.overlapping_bytes);
        self.repeated = self.repeated.saturating_add(other.repeated);
        self.apart = self.apart.saturating_add(other.apart);
        self.unknown = self.unknown.saturating_add(other.unknown);
    }

    /// All backward gaps that were classed here.
    #[must_use]
    pub const fn total(&self) -> u64 {
        self.overlapping
            .saturating_add(self.apart)
            .saturating_add(self.unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::BackwardOverlap;

    #[test]
    fn overlap_begins_with_one_common_sector() {
        let mut overlap = BackwardOverlap::default();
        let predecessor = Some((100, 200));
        overlap.record((0, 100), predecessor, 1);
        assert_eq!((overlap.apart, overlap.overlapping), (1, 0));
        overlap.record((0, 101), predecessor, 2);
        overlap.record((199, 300), predecessor, 4);
        assert_eq!((overlap.overlapping, overlap.repeated), (2, 0));
        overlap.record((100, 200), predecessor, 8);
        assert_eq!(
            (
                overlap.overlapping,
                overlap.overlapping_bytes,
                overlap.repeated
            ),
            (3, 14, 1)
        );
        overlap.record((100, 200), None, 8);
        assert_eq!((overlap.unknown, overlap.total()), (1, 5));
        let mut sum = overlap;
        sum.merge(&overlap);
        assert_eq!(
            (sum.total(), sum.overlapping_bytes, sum.repeated),
            (10, 28, 2)
        );
    }
}
