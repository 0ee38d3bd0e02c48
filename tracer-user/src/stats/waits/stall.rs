//! Stall: the time threads wait for the model's folios, by step.
//!
//! Boundaries divide the window into spans (the steps, what is before the first and what is after the last).
//! A wait is cut at the boundaries: a stall belongs to the step that waits. For each span
//!
//! * **stall** = length of the union, over all threads, of their waits for a folio of the model: the wall time
//!   during which at least one thread waited. Nanoseconds.
//! * **reclaim**, **locks**, **other** = wall time during which at least one thread waited so, and none in a way before it:
//!   for the model, in reclaim, for a lock, for other I/O. With the stall they are parts of the span. Nanoseconds.
//! * **thread sums** = Σ over threads of the time in waits of a kind. Nanoseconds; larger than the span where
//!   several threads wait at once.
//! * **largest concurrency** = most threads that waited for a folio of the model at one moment.
//!
//! Σ stall over the spans = the stall of the window, and Σ thread sums = Σ waits cut to the window.
//!
//! # How it is computed, and why so
//!
//! A wait becomes known when it ends, and a boundary when it is noticed, a little out of order. To keep all
//! waits until the end would be simpler, but 24 bytes each make a long run (10⁵ major faults a second) exceed
//! any limit, and a limit takes the figures away from just those runs. So time is swept once, from start to
//! end, `horizon` behind the latest wait: whatever begins before the sweep is known by then, and only the waits
//! of the last `horizon` and a sixteenth are kept (24 bytes each, at most [`MAX_KEPT_WAITS`]; with more, the sweep moves on
//! early). What comes too late all the same is not guessed: a wait that begins before the sweep still counts
//! exactly in the thread sums, but the spans it reaches back into lose their stall and concurrency (`None`),
//! and a boundary behind the sweep takes away all figures of the two spans that it divides. Both are counted.
//! So every figure that is there is exact.

use std::{
    cmp::Reverse,
    collections::{BinaryHeap, HashMap},
};

use foldhash::fast::RandomState;

use crate::stats::event::Nanos;

mod coming;
mod so_far;

use coming::ComingWaits;

pub use so_far::{LookedAtTimeline, WaitsSoFar};

/// Waits kept at most: 96 MiB of them. With more, time is swept ahead of the horizon.
pub const MAX_KEPT_WAITS: usize = 4 << 20;

/// How far the sweep stays behind, in nanoseconds: 10 s. Longer than a wait for a healthy device, and than
/// the delay of any event.
pub const DEFAULT_HORIZON_NS: u64 = 10_000_000_000;

/// So many sweeps there are at most while a horizon passes: each has to look among the waits that have come since.
const SWEEPS_IN_HORIZON: u64 = 16;

/// What a thread waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum WaitKind {
    /// A folio of the model that is being read.
    ModelFolio,
    /// Other input or output.
    OtherIo,
    /// Memory that it has to reclaim first.
    Reclaim,
    Lock,
}

const KINDS: usize = 4;

/// A moment belongs to the first of these that a thread waits so in.
const FIRST_HOLDS: [WaitKind; KINDS] = [
    WaitKind::ModelFolio,
    WaitKind::Reclaim,
    WaitKind::Lock,
    WaitKind::OtherIo,
];

/// A thread waited from `start` to `end`. A wait that has not ended with the window is to be given with the
/// window's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Wait {
    pub thread: u32,
    /// When it began to wait.
    pub start: Nanos,
    /// When it went on.
    pub end: Nanos,
    pub kind: WaitKind,
}

/// The order of the fields is that of the waits: by start first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kept {
    start: Nanos,
    end: Nanos,
    thread: u32,
    kind: WaitKind,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    /// Wall time by the kind that it belongs to ([`FIRST_HOLDS`]).
    wall_ns: [u64; KINDS],
    largest_concurrency: u64,
    thread_ns: [u64; KINDS],
    /// A wait for the model was seen too late for the union.
    union_unknown: bool,
    /// A wait of any kind was.
    parts_unknown: bool,
    /// The span was divided too late.
    all_unknown: bool,
}

impl Sums {
    fn add(&mut self, nanos: u64, waiting: u64, by_kind: &[u64; KINDS]) {
        let holds = |kind: &WaitKind| by_kind.get(*kind as usize).is_some_and(|count| *count > 0);
        if let Some(first) = FIRST_HOLDS.into_iter().find(holds)
            && let Some(wall) = self.wall_ns.get_mut(first as usize)
        {
            *wall = wall.saturating_add(nanos);
        }
        self.largest_concurrency = self.largest_concurrency.max(waiting);
        for (sum, count) in self.thread_ns.iter_mut().zip(by_kind) {
            *sum = sum.saturating_add(nanos.saturating_mul(*count));
        }
    }

    fn add_late(&mut self, kind: WaitKind, nanos: u64) {
        if let Some(sum) = self.thread_ns.get_mut(kind as usize) {
            *sum = sum.saturating_add(nanos);
        }
        self.union_unknown |= kind == WaitKind::ModelFolio;
        self.parts_unknown = true;
    }

    fn figures(&self, start_ns: Nanos, end_ns: Nanos) -> SpanStall {
        let known = |nanos| (!self.all_unknown).then_some(nanos);
        let union_known = !self.all_unknown && !self.union_unknown;
        let [model_folio, other_io, reclaim, lock] = self.thread_ns;
        let part = |kind: WaitKind| {
            let wall = self.wall_ns.get(kind as usize).copied();
            wall.filter(|_| !self.all_unknown && !self.parts_unknown)
        };
        SpanStall {
            start_ns,
            end_ns,
            waits: WaitFigures {
                stall_ns: self
                    .wall_ns
                    .get(WaitKind::ModelFolio as usize)
                    .copied()
                    .filter(|_| union_known),
                reclaim_ns: part(WaitKind::Reclaim),
                lock_ns: part(WaitKind::Lock),
                other_io_ns: part(WaitKind::OtherIo),
                thread_sum_ns: known(model_folio),
                other_io_thread_ns: known(other_io),
                reclaim_thread_ns: known(reclaim),
                lock_thread_ns: known(lock),
            },
            largest_concurrency: union_known.then_some(self.largest_concurrency),
        }
    }
}

/// Takes in waits and boundaries, in any order within the horizon.
#[derive(Clone, Debug)]
pub struct StallTimeline {
    window_start: Nanos,
    horizon_ns: u64,
    max_kept: usize,
    /// End of the latest wait.
    latest: Nanos,
    /// Everything before this is in the sums.
    swept: Nanos,
    /// Ascending; `spans[n]` ends at `boundaries[n]`.
    boundaries: Vec<Nanos>,
    spans: Vec<Sums>,
    whole: Sums,
    /// The span that holds `swept`, or one before it: where nothing was to be summed since, or a late boundary
    /// moved the spans.
    current: usize,
    /// Waits that begin at or after `swept`.
    coming: ComingWaits<Kept>,
    /// Waits that `swept` lies in, by their end.
    under_way: BinaryHeap<Reverse<(Nanos, u32, WaitKind)>>,
    /// Number of waits under way, by kind.
    by_kind: [u64; KINDS],
    /// Number of waits for a folio of the model under way, by thread: more than one only by a lost event.
    waiting: HashMap<u32, u64, RandomState>,
    late_waits: u64,
    late_boundaries: u64,
    reversed_waits: u64,
}

impl StallTimeline {
    /// A window from `window_start` on, swept [`DEFAULT_HORIZON_NS`] behind the latest wait.
    #[must_use]
    pub fn new(window_start: Nanos) -> Self {
        Self::with_horizon(window_start, DEFAULT_HORIZON_NS)
    }

    /// The same with another horizon, in nanoseconds: it must exceed the longest wait plus the delay of events,
    /// and the waits that end within it are kept in memory.
    #[must_use]
    pub fn with_horizon(window_start: Nanos, horizon_ns: u64) -> Self {
        Self {
            window_start,
            horizon_ns,
            max_kept: MAX_KEPT_WAITS,
            latest: window_start,
            swept: window_start,
            boundaries: Vec::new(),
            spans: vec![Sums::default()],
            whole: Sums::default(),
            current: 0,
            coming: ComingWaits::default(),
            under_way: BinaryHeap::new(),
            by_kind: [0; KINDS],
            waiting: HashMap::default(),
            late_waits: 0,
            late_boundaries: 0,
            reversed_waits: 0,
        }
    }

    /// A step begins. One before the window counts as at its start.
    pub fn boundary(&mut self, time: Nanos) {
        let time = time.max(self.window_start);
        let place = self.boundaries.partition_point(|earlier| *earlier <= time);
        self.boundaries.insert(place, time);
        let mut after = Sums::default();
        if time < self.swept {
            self.late_boundaries = self.late_boundaries.saturating_add(1);
            after.all_unknown = true;
            if let Some(before) = self.spans.get_mut(place) {
                before.all_unknown = true;
            }
        }
        self.spans.insert(place + 1, after);
    }

    pub fn wait(&mut self, wait: Wait) {
        if wait.end < wait.start {
            self.reversed_waits = self.reversed_waits.saturating_add(1);
            return;
        }
        let mut start = wait.start.max(self.window_start);
        if start < self.swept.min(wait.end) {
            self.late_waits = self.late_waits.saturating_add(1);
            self.add_late(start, wait.end.min(self.swept), wait.kind);
            start = self.swept;
        }
        if start >= wait.end {
            return;
        }
        self.coming.push(Kept {
            start,
            end: wait.end,
            thread: wait.thread,
            kind: wait.kind,
        });
        self.latest = self.latest.max(wait.end);
        let due = self.latest.0.saturating_sub(self.horizon_ns);
        if due.saturating_sub(self.swept.0) >= self.horizon_ns / SWEEPS_IN_HORIZON {
            self.sweep(Nanos(due));
        }
        if self.kept() > self.max_kept {
            self.sweep(Nanos(self.swept.0.midpoint(self.latest.0)));
            if self.kept() > self.max_kept / 2 {
                self.sweep(self.latest);
            }
        }
    }

    fn kept(&self) -> usize {
        self.coming.len() + self.under_way.len()
    }

    /// Adds `start..end`, which the sweep has passed, to the spans there.
    fn add_late(&mut self, start: Nanos, end: Nanos, kind: WaitKind) {
        self.whole.add_late(kind, end.since(start).unwrap_or(0));
        let mut from = start;
        let first = self.boundaries.partition_point(|earlier| *earlier <= start);
        for (index, span) in self.spans.iter_mut().enumerate().skip(first) {
            let until = self.boundaries.get(index).map_or(end, |to| end.min(*to));
            // Two boundaries at one time: nothing lies between them.
            if let Some(nanos) = until.since(from).filter(|nanos| *nanos > 0) {
                span.add_late(kind, nanos);
            }
            from = until;
            if from >= end {
                break;
            }
        }
    }

    fn sweep(&mut self, to: Nanos) {
        if to <= self.swept {
            return;
        }
        loop {
            let starts = self.coming.first().map(|wait| wait.start);
            let ends = self.under_way.peek().map(|Reverse((end, ..))| *end);
            let next = match (starts, ends) {
                (Some(start), Some(end)) => start.min(end),
                (Some(next), None) | (None, Some(next)) => next,
                (None, None) => break,
            };
            if next > to {
                break;
            }
            self.sum_until(next);
            if ends == Some(next) {
                self.end_one();
            } else {
                self.begin_one();
            }
        }
        self.sum_until(to);
    }

    fn begin_one(&mut self) {
        let Some(wait) = self.coming.pop_first() else {
            return;
        };
        self.under_way
            .push(Reverse((wait.end, wait.thread, wait.kind)));
        if let Some(count) = self.by_kind.get_mut(wait.kind as usize) {
            *count += 1;
        }
        if wait.kind == WaitKind::ModelFolio {
            *self.waiting.entry(wait.thread).or_default() += 1;
        }
    }

    fn end_one(&mut self) {
        let Some(Reverse((_, thread, kind))) = self.under_way.pop() else {
            return;
        };
        if let Some(count) = self.by_kind.get_mut(kind as usize) {
            *count = count.saturating_sub(1);
        }
        if kind == WaitKind::ModelFolio
            && let Some(count) = self.waiting.get_mut(&thread)
        {
            *count = count.saturating_sub(1);
            if *count == 0 {
                self.waiting.remove(&thread);
            }
        }
    }

    /// Moves on to `until`; what is under way lasts until then.
    fn sum_until(&mut self, until: Nanos) {
        if self.under_way.is_empty() {
            self.swept = self.swept.max(until);
            return;
        }
        while self.swept < until {
            while self
                .boundaries
                .get(self.current)
                .is_some_and(|end| *end <= self.swept)
            {
                self.current += 1;
            }
            let end = self
                .boundaries
                .get(self.current)
                .map_or(until, |end| until.min(*end));
            let nanos = end.since(self.swept).unwrap_or(0);
            let waiting = self.waiting.len() as u64;
            self.whole.add(nanos, waiting, &self.by_kind);
            if let Some(span) = self.spans.get_mut(self.current) {
                span.add(nanos, waiting, &self.by_kind);
            }
            self.swept = end;
        }
    }

    /// The figures of the window, which ends at `window_end`: one span more than boundaries. Boundaries after
    /// the end count as at the end.
    #[must_use]
    pub fn finish(mut self, window_end: Nanos) -> StallFigures {
        let window_end = window_end.max(self.window_start);
        if self.swept > window_end {
            // The sweep has gone too far, and what it took in after the end cannot be told apart.
            let first = self.boundaries.partition_point(|time| *time <= window_end);
            self.whole.all_unknown = true;
            for span in self.spans.iter_mut().skip(first) {
                span.all_unknown = true;
            }
        }
        self.sweep(window_end);
        let mut start = self.window_start;
        let mut spans = Vec::with_capacity(self.spans.len());
        for (index, sums) in self.spans.iter().enumerate() {
            let end = self
                .boundaries
                .get(index)
                .map_or(window_end, |end| window_end.min(*end));
            spans.push(sums.figures(start, end));
            start = end;
        }
        StallFigures {
            spans,
            whole: self.whole.figures(self.window_start, window_end),
            late_waits: self.late_waits,
            late_boundaries: self.late_boundaries,
            reversed_waits: self.reversed_waits,
        }
    }
}

/// Waits in a part of a run, in nanoseconds. Parts add up. `None` where something became known too late.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitFigures {
    /// Time during which at least one thread waited for a folio of the model. `None` where a wait became known too
    /// late.
    pub stall_ns: Option<u64>,
    /// Time during which at least one thread was in reclaim, and none waited for the model. This and the next two are
    /// `None` where a wait of any kind became known too late.
    pub reclaim_ns: Option<u64>,
    /// Time during which at least one thread waited for a lock, and none in one of the ways above.
    pub lock_ns: Option<u64>,
    /// Time during which at least one thread waited for other input or output, and none in one of the ways above.
    pub other_io_ns: Option<u64>,
    /// Σ over threads of waits for a folio of the model. This and the following are `None` where a boundary became
    /// known too late.
    pub thread_sum_ns: Option<u64>,
    /// Σ over threads of waits for other input or output.
    pub other_io_thread_ns: Option<u64>,
    /// Σ over threads of waits for memory to be reclaimed.
    pub reclaim_thread_ns: Option<u64>,
    /// Σ over threads of waits for locks, in page faults on the model.
    pub lock_thread_ns: Option<u64>,
}

/// No wait.
impl Default for WaitFigures {
    fn default() -> Self {
        Self {
            stall_ns: Some(0),
            reclaim_ns: Some(0),
            lock_ns: Some(0),
            other_io_ns: Some(0),
            thread_sum_ns: Some(0),
            other_io_thread_ns: Some(0),
            reclaim_thread_ns: Some(0),
            lock_thread_ns: Some(0),
        }
    }
}

impl WaitFigures {
    /// Another part of the run comes to it.
    pub fn merge(&mut self, other: &Self) {
        for (own, other) in [
            (&mut self.stall_ns, other.stall_ns),
            (&mut self.reclaim_ns, other.reclaim_ns),
            (&mut self.lock_ns, other.lock_ns),
            (&mut self.other_io_ns, other.other_io_ns),
            (&mut self.thread_sum_ns, other.thread_sum_ns),
            (&mut self.other_io_thread_ns, other.other_io_thread_ns),
            (&mut self.reclaim_thread_ns, other.reclaim_thread_ns),
            (&mut self.lock_thread_ns, other.lock_thread_ns),
        ] {
            *own = own.zip(other).map(|(own, other)| own.saturating_add(other));
        }
    }
}

/// Waits in one span of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SpanStall {
    /// Where the span begins.
    pub start_ns: Nanos,
    pub end_ns: Nanos,
    pub waits: WaitFigures,
    /// Most threads that waited for a folio of the model at one moment; `None` as for the stall.
    pub largest_concurrency: Option<u64>,
}

/// Waits in the window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct StallFigures {
    /// One for each boundary, and one before the first.
    pub spans: Vec<SpanStall>,
    pub whole: SpanStall,
    /// Waits that became known too late.
    pub late_waits: u64,
    /// Boundaries that became known too late.
    pub late_boundaries: u64,
    /// Waits that end before they begin, in no figure.
    pub reversed_waits: u64,
}

#[cfg(test)]
mod tests;
