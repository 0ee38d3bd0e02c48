//! A model's events up to now.

use crate::stats::{Nanos, phases::so_far::ModelSoFar};

use super::Attribution;

impl Attribution {
    /// What is known of a window that began at `start` and goes on, at `now`.
    #[must_use]
    pub fn so_far(&self, start: Nanos, now: Nanos) -> ModelSoFar {
        ModelSoFar {
            phases: self.segments.so_far(start, now),
            waits: Some(self.stalls.so_far(now)),
            piece_bytes: self.piece_reads.read_bytes().collect(),
        }
    }
}
