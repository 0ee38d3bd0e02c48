//! Waits up to now, while more of them come.

use crate::stats::event::Nanos;

use super::{StallTimeline, WaitFigures};

/// Waits that are swept anew for each look at most: a fraction of a millisecond. With more, what was swept already has to do.
const MOST_SWEPT: usize = 20_000;

/// Waits from the window's start up to some moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitsSoFar {
    /// That moment: now, or some seconds before where there are too many waits.
    pub until: Nanos,
    pub waits: WaitFigures,
}

impl StallTimeline {
    /// The waits of the whole window up to `now`, as [`StallTimeline::finish`] would have them. Those that have not ended by
    /// then are in none of it.
    #[must_use]
    pub fn so_far(&self, now: Nanos) -> WaitsSoFar {
        if self.kept() > MOST_SWEPT {
            return WaitsSoFar {
                until: self.swept,
                waits: self.whole.figures(self.window_start, self.swept).waits,
            };
        }
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
        WaitsSoFar {
            until: ahead.swept,
            waits: ahead.whole.figures(self.window_start, ahead.swept).waits,
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::stats::{
        Nanos,
        waits::stall::{StallTimeline, Wait, WaitKind},
    };

    #[test]
    fn a_look_shows_what_the_end_would_and_changes_nothing() {
        let mut timeline = StallTimeline::with_horizon(Nanos(0), 1000);
        let wait = |thread, start, end, kind| Wait {
            thread,
            start: Nanos(start),
            end: Nanos(end),
            kind,
        };
        for wait in [
            wait(1, 0, 40, WaitKind::ModelFolio),
            wait(2, 20, 60, WaitKind::ModelFolio),
            wait(1, 70, 90, WaitKind::Reclaim),
        ] {
            timeline.wait(wait);
            timeline.boundary(wait.end);
        }
        let so_far = timeline.so_far(Nanos(100));
        assert_eq!(so_far.until, Nanos(100));
        assert_eq!(so_far.waits.stall_ns, Some(60));
        assert_eq!(so_far.waits.reclaim_ns, Some(20));
        assert_eq!(timeline.so_far(Nanos(100)), so_far);
        assert_eq!(timeline.finish(Nanos(100)).whole.waits, so_far.waits);
    }
}
