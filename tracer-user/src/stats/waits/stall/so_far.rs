//! Waits up to now, while more of them come.

use crate::stats::event::Nanos;

use super::{StallTimeline, WaitFigures};

/// How far the sweep of a timeline that is looked at stays behind: so late its figures are, nanoseconds.
const LOOKED_AT_HORIZON_NS: u64 = 2_000_000_000;

/// Waits of a part of the window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitsSoFar {
    /// Where it begins: at the window's start, or later where a wait became known too late.
    pub since: Nanos,
    pub until: Nanos,
    pub waits: WaitFigures,
}

/// A timeline that is looked at while it goes on: it is swept soon, so that a look costs nothing. Where a wait becomes known too
/// late for that, another one begins.
#[derive(Clone, Debug)]
pub struct LookedAtTimeline(StallTimeline);

impl LookedAtTimeline {
    /// From `start` on.
    #[must_use]
    pub fn new(start: Nanos) -> Self {
        Self(StallTimeline::with_horizon(start, LOOKED_AT_HORIZON_NS))
    }

    /// As [`StallTimeline::wait`].
    pub fn wait(&mut self, wait: super::Wait) {
        self.0.wait(wait);
    }

    /// What is known at `now`.
    pub fn so_far(&mut self, now: Nanos) -> WaitsSoFar {
        let timeline = &mut self.0;
        timeline.sweep(Nanos(now.0.saturating_sub(LOOKED_AT_HORIZON_NS)));
        if timeline.late_waits > 0 {
            *self = Self::new(now);
        }
        self.0.swept_so_far()
    }
}

impl StallTimeline {
    fn swept_so_far(&self) -> WaitsSoFar {
        WaitsSoFar {
            since: self.window_start,
            until: self.swept.max(self.window_start),
            waits: self.whole.figures(self.window_start, self.swept).waits,
        }
    }

    /// The waits of the whole window, as [`StallTimeline::finish`] would have them if it ended at `now`: sweeps all that is
    /// kept.
    #[must_use]
    pub fn until(&self, now: Nanos) -> WaitsSoFar {
        let mut ahead = Self {
            boundaries: Vec::new(),
            spans: Vec::new(),
            current: 0,
            coming: self.coming.clone(),
            under_way: self.under_way.clone(),
            waiting: self.waiting.clone(),
            ..*self
        };
        ahead.sweep(now);
        ahead.swept_so_far()
    }
}

#[cfg(test)]
mod tests {
    use crate::stats::{
        Nanos,
        waits::stall::{LookedAtTimeline, StallTimeline, Wait, WaitKind},
    };

    fn wait(thread: u32, start: u64, end: u64, kind: WaitKind) -> Wait {
        Wait {
            thread,
            start: Nanos(start),
            end: Nanos(end),
            kind,
        }
    }

    #[test]
    fn a_look_shows_what_the_end_would_and_changes_nothing() {
        let mut timeline = StallTimeline::with_horizon(Nanos(0), 1000);
        for wait in [
            wait(1, 0, 40, WaitKind::ModelFolio),
            wait(2, 20, 60, WaitKind::ModelFolio),
            wait(1, 70, 90, WaitKind::Reclaim),
        ] {
            timeline.wait(wait);
            timeline.boundary(wait.end);
        }
        let until = timeline.until(Nanos(100));
        assert_eq!((until.since, until.until), (Nanos(0), Nanos(100)));
        assert_eq!(until.waits.stall_ns, Some(60));
        assert_eq!(until.waits.reclaim_ns, Some(20));
        assert_eq!(timeline.until(Nanos(100)), until);
        assert_eq!(timeline.finish(Nanos(100)).whole.waits, until.waits);
    }

    #[test]
    fn what_is_looked_at_is_two_seconds_late_and_begins_anew_after_a_late_wait() {
        const S: u64 = 1_000_000_000;
        let mut timeline = LookedAtTimeline::new(Nanos(S));
        timeline.wait(wait(1, S, 2 * S, WaitKind::ModelFolio));
        timeline.wait(wait(1, 3 * S, 6 * S, WaitKind::ModelFolio));
        let so_far = timeline.so_far(Nanos(6 * S));
        assert_eq!((so_far.since, so_far.until), (Nanos(S), Nanos(4 * S)));
        assert_eq!(so_far.waits.stall_ns, Some(2 * S));
        // Longer than that, and known only now.
        timeline.wait(wait(2, 2 * S, 7 * S, WaitKind::OtherIo));
        let so_far = timeline.so_far(Nanos(7 * S));
        assert_eq!((so_far.since, so_far.until), (Nanos(7 * S), Nanos(7 * S)));
        assert_eq!(so_far.waits.stall_ns, Some(0));
    }
}
