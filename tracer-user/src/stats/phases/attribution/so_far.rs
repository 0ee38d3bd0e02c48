//! A model's events up to now.

use crate::stats::{Nanos, phases::so_far::ModelSoFar, waits::stall::WaitsSoFar};

use super::Attribution;

impl Attribution {
    /// What is known of a window that began at `start` and goes on, at `now`.
    #[must_use]
    pub fn so_far(&self, start: Nanos, now: Nanos) -> ModelSoFar {
        ModelSoFar {
            phases: self.segments.so_far(start, now),
            piece_bytes: self.piece_reads.read_bytes().collect(),
        }
    }

    /// Waits up to `now`.
    #[must_use]
    pub fn waits_so_far(&self, now: Nanos) -> WaitsSoFar {
        self.stalls.so_far(now)
    }
}
