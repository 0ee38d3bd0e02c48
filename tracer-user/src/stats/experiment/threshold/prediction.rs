//! How far the memory that a model takes without pressure predicts its onset.

use super::verdict::Onset;

/// RssFile + RssAnon of a run without pressure, beside the onset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prediction {
    /// The sum, bytes.
    pub resident_bytes: u64,
    /// The onset that it is held against.
    pub onset: Onset,
}

impl Prediction {
    /// Onset − sum, bytes.
    #[must_use]
    pub fn difference_bytes(&self) -> i64 {
        let side = |bytes: u64| i64::try_from(bytes).unwrap_or(i64::MAX);
        side(self.onset.size_bytes) - side(self.resident_bytes)
    }

    /// Onset / sum. `None` where the sum is 0.
    #[must_use]
    pub fn ratio(&self) -> Option<f64> {
        crate::stats::formulas::ratio(self.onset.size_bytes, self.resident_bytes)
    }

    /// Whether the sum lies where the onset was found, which is as much as the tested sizes can tell: above the
    /// largest size that is not clean, and not above the onset.
    #[must_use]
    pub const fn within_resolution(&self) -> bool {
        self.onset.unclean_bytes < self.resident_bytes
            && self.resident_bytes <= self.onset.size_bytes
    }
}

#[cfg(test)]
mod tests {
    use super::{Onset, Prediction};

    #[test]
    fn a_sum_between_the_last_unclean_size_and_the_onset_predicts_it() {
        let of = |resident_bytes| Prediction {
            resident_bytes,
            onset: Onset {
                size_bytes: 1000,
                unclean_bytes: 900,
            },
        };
        assert!(of(901).within_resolution() && of(1000).within_resolution());
        assert!(!of(900).within_resolution() && !of(1001).within_resolution());
        assert_eq!(of(1250).difference_bytes(), -250);
        assert_eq!(of(1250).ratio(), Some(0.8));
        assert_eq!(of(0).ratio(), None);
    }
}
