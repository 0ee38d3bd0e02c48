//! A model's counts up to now.

use crate::stats::{Nanos, phases::so_far::ModelSoFar, pieces::reads::CountedReads};

use super::CountedAttribution;

impl CountedAttribution {
    /// What is known of a window that began at `start` and goes on, at `now`. `reads`: by piece, what was counted by place.
    #[must_use]
    pub fn so_far(&self, start: Nanos, now: Nanos, reads: &[CountedReads]) -> ModelSoFar {
        let mut pieces = self.rare.clone();
        for (piece, reads) in (0u32..).zip(reads) {
            pieces.add_counted(&self.table, piece, reads);
        }
        ModelSoFar {
            phases: self.segments.so_far(start, now),
            waits: None,
            piece_bytes: pieces.read_bytes().collect(),
        }
    }
}
