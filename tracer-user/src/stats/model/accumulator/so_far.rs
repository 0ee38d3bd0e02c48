//! A model's reads up to now.

use tracer_common::gap::{GAP_CLASSES, GapClass};

use super::ModelAccumulator;

impl ModelAccumulator {
    /// Distinct bytes that have arrived without error by now.
    #[must_use]
    pub fn unique_bytes(&self) -> u64 {
        self.unique.bytes()
    }

    /// Gaps by now, by [`GapClass::slot`].
    #[must_use]
    pub fn gap_counts(&self) -> [u64; GAP_CLASSES] {
        GapClass::ALL.map(|class| self.gaps.count(class))
    }
}
