//! A model's events up to now.

use crate::stats::{
    Nanos,
    pages::figures::PageCounts,
    phases::so_far::ModelSoFar,
    waits::stall::{LookedAtTimeline, WaitsSoFar},
};

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

    /// How many of its pages came and went so far.
    #[must_use]
    pub const fn page_counts(&self) -> PageCounts {
        self.pages.page_counts()
    }

    /// Waits will be looked at while they come, from `start` on.
    pub fn look_at_waits(&mut self, start: Nanos) {
        self.stalls_looked_at = Some(LookedAtTimeline::new(start));
    }

    /// Waits up to about `now`; None where they are not to be looked at.
    pub fn waits_so_far(&mut self, now: Nanos) -> Option<WaitsSoFar> {
        Some(self.stalls_looked_at.as_mut()?.so_far(now))
    }

    /// Waits of a window that ends at `end`.
    #[must_use]
    pub fn waits_until(&self, end: Nanos) -> WaitsSoFar {
        self.stalls.until(end)
    }
}
