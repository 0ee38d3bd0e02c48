//! A model's counts up to now.

use crate::stats::{Nanos, phases::so_far::ModelSoFar, pieces::reads::CountedReads};

use super::CountedAttribution;

impl CountedAttribution {
    /// What is known of a window that began at `start`. `until`: up to when all slices have been taken in; `reads`: by piece,
    /// what was counted by place.
    #[must_use]
    pub fn so_far(&self, start: Nanos, until: Nanos, reads: &[CountedReads]) -> ModelSoFar {
        let mut pieces = self.rare.clone();
        for (piece, reads) in (0u32..).zip(reads) {
            pieces.add_counted(&self.table, piece, reads);
        }
        ModelSoFar {
            phases: self.segments.so_far(start, until),
            piece_bytes: pieces.read_bytes().collect(),
        }
    }

    /// Pages resident at the start; None where that is not known.
    #[must_use]
    pub fn pages_at_start(&self) -> Option<u64> {
        let bytes: u64 = self.resident_at_start.as_ref()?.iter().sum();
        Some(bytes.div_ceil(self.table.page_bytes()))
    }
}
