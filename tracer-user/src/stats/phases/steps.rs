//! The parts of a run between marks: the load, the warm-up, the prompt, each generation step. What they are called
//! is not known here ([`crate::stats::phases::phase`]).
//!
//! A mark begins a step, which lasts until the next mark; so the steps divide the window, and **for every
//! count, the sum over the steps is the total**. An event belongs to the step in which its time lies, whenever
//! it arrives: what is before the first step counts in the first, what is after the last mark in the last. A
//! read belongs to the step of its issue.

use crate::stats::{
    event::{FileRange, Nanos},
    pieces::{
        steps::{MAX_ENTRIES, StepPieces},
        table::PieceTable,
    },
};

#[derive(Clone, Copy, Debug, Default)]
struct Step {
    start: Nanos,
    start_late_ns: u64,
    /// All but the bytes read, which are known at the end.
    counts: EventCounts,
    issued_bytes: u64,
    requeued_bytes: u64,
    readahead_issued_bytes: u64,
    readahead_requeued_bytes: u64,
}

fn add(counter: &mut u64, amount: u64) {
    *counter = counter.saturating_add(amount);
}

fn bytes_of(ranges: &[FileRange]) -> u64 {
    ranges
        .iter()
        .fold(0, |sum, range| sum.saturating_add(range.length_bytes))
}

/// Takes in marks, in the order of their time, and events in any order.
///
/// An event is counted when it arrives, so a mark should arrive before the events that follow it; where it does
/// not, the step says by how much ([`StepFigures::start_late_ns`]).
#[derive(Clone, Debug)]
pub struct StepSeries {
    /// All but the one of the latest mark.
    before: Vec<Step>,
    current: Step,
    /// Time of the latest event.
    latest: Option<Nanos>,
    pieces: Option<StepPieces>,
}

impl StepSeries {
    /// Begins at `start`, and keeps the bytes of each piece in each step.
    #[must_use]
    pub fn new(start: Nanos) -> Self {
        let mut pieces = StepPieces::new(MAX_ENTRIES);
        pieces.begin_step();
        Self {
            pieces: Some(pieces),
            ..Self::without_pieces(start)
        }
    }

    /// The same without the bytes of each piece.
    #[must_use]
    pub fn without_pieces(start: Nanos) -> Self {
        Self {
            before: Vec::new(),
            current: Step {
                start,
                ..Step::default()
            },
            latest: None,
            pieces: None,
        }
    }

    /// A step begins at `time`. One that would begin before the step that is current begins with it.
    pub fn mark(&mut self, time: Nanos) {
        let start = time.max(self.current.start);
        let seen_until = self.latest.map_or(start, |latest| latest.max(start));
        let late_ns = seen_until.since(time).unwrap_or(0);
        self.before.push(self.current);
        self.current = Step {
            start,
            start_late_ns: late_ns,
            ..Step::default()
        };
        if let Some(pieces) = &mut self.pieces {
            pieces.begin_step();
        }
    }

    /// Index of the step that a time lies in: of several that begin at it, the last.
    #[must_use]
    pub fn step_at(&self, time: Nanos) -> usize {
        if time >= self.current.start {
            return self.before.len();
        }
        self.before
            .partition_point(|step| step.start <= time)
            .saturating_sub(1)
    }

    fn step(&mut self, time: Nanos) -> &mut Step {
        self.latest = self.latest.max(Some(time));
        let at = self.step_at(time);
        match self.before.get_mut(at) {
            Some(step) => step,
            None => &mut self.current,
        }
    }

    fn add_pieces(&mut self, time: Nanos, table: &PieceTable, ranges: &[FileRange], sign: i64) {
        let at = self.step_at(time);
        let Some(pieces) = &mut self.pieces else {
            return;
        };
        for range in ranges {
            for (piece, bytes) in table.range_overlaps(range) {
                let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
                pieces.add(at, piece, bytes.saturating_mul(sign));
            }
        }
    }

    /// A read was issued for the first time; `ranges` are the pieces of files in it.
    pub fn issue(
        &mut self,
        time: Nanos,
        table: &PieceTable,
        ranges: &[FileRange],
        readahead: bool,
    ) {
        add(&mut self.step(time).counts.reads, 1);
        self.reissue(time, table, ranges, readahead);
    }

    /// A read was issued again: its bytes count again, it does not. `first_issue` is the time of its first
    /// issue where that is known, else its own: a read belongs to the step of its first issue.
    pub fn reissue(
        &mut self,
        first_issue: Nanos,
        table: &PieceTable,
        ranges: &[FileRange],
        readahead: bool,
    ) {
        let (step, bytes) = (self.step(first_issue), bytes_of(ranges));
        add(&mut step.issued_bytes, bytes);
        if readahead {
            add(&mut step.readahead_issued_bytes, bytes);
        }
        self.add_pieces(first_issue, table, ranges, 1);
    }

    /// An issued read went back to the queue. `first_issue` as for [`StepSeries::reissue`].
    pub fn requeue(
        &mut self,
        first_issue: Nanos,
        table: &PieceTable,
        ranges: &[FileRange],
        readahead: bool,
    ) {
        let (step, bytes) = (self.step(first_issue), bytes_of(ranges));
        add(&mut step.requeued_bytes, bytes);
        if readahead {
            add(&mut step.readahead_requeued_bytes, bytes);
        }
        self.add_pieces(first_issue, table, ranges, -1);
    }

    /// Of a read that has been counted: its bytes by piece.
    pub fn divide(&mut self, time: Nanos, table: &PieceTable, ranges: &[FileRange]) {
        self.add_pieces(time, table, ranges, 1);
    }

    /// What was counted from `time` on, all of it in one step, and bytes read by piece.
    pub fn counted(
        &mut self,
        time: Nanos,
        counts: &EventCounts,
        by_piece: impl IntoIterator<Item = (u32, u64)>,
    ) {
        let step = self.step(time);
        add(&mut step.issued_bytes, counts.read_bytes);
        add(&mut step.readahead_issued_bytes, counts.readahead_bytes);
        step.counts.merge(&EventCounts {
            read_bytes: 0,
            readahead_bytes: 0,
            ..*counts
        });
        let at = self.step_at(time);
        if let Some(pieces) = &mut self.pieces {
            for (piece, bytes) in by_piece {
                pieces.add(at, piece, i64::try_from(bytes).unwrap_or(i64::MAX));
            }
        }
    }

    /// A thread faulted on a page of the model.
    pub fn fault(&mut self, time: Nanos) {
        add(&mut self.step(time).counts.faults, 1);
    }

    /// A fault that was counted turned out to be a major one: it brought the page in.
    pub fn major_fault(&mut self, time: Nanos) {
        add(&mut self.step(time).counts.major_faults, 1);
    }

    /// Bytes of the model entered the page cache, `refaulted_bytes` of them after an eviction seen in this run.
    pub fn inserted(&mut self, time: Nanos, bytes: u64, refaulted_bytes: u64) {
        let counts = &mut self.step(time).counts;
        add(&mut counts.inserted_bytes, bytes);
        add(&mut counts.refaulted_bytes, refaulted_bytes);
    }

    /// Bytes of the model left the page cache.
    pub fn evicted(&mut self, time: Nanos, bytes: u64) {
        add(&mut self.step(time).counts.evicted_bytes, bytes);
    }

    /// The steps; the last one ends at `end`, or where it begins if that is later.
    #[must_use]
    pub fn finish(mut self, end: Nanos) -> Vec<StepFigures> {
        self.before.push(self.current);
        let steps = self.before;
        let recorded = self.pieces.map(StepPieces::finish).unwrap_or_default();
        let mut recorded = recorded.into_iter();
        let ends = steps.iter().skip(1).map(|step| step.start).chain([end]);
        steps
            .iter()
            .zip(ends)
            .map(|(step, end)| StepFigures {
                start_ns: step.start,
                end_ns: end.max(step.start),
                start_late_ns: step.start_late_ns,
                counts: EventCounts {
                    read_bytes: step.issued_bytes.saturating_sub(step.requeued_bytes),
                    readahead_bytes: step
                        .readahead_issued_bytes
                        .saturating_sub(step.readahead_requeued_bytes),
                    ..step.counts
                },
                excess_requeued_bytes: step.requeued_bytes.saturating_sub(step.issued_bytes),
                pieces: recorded.next().flatten(),
            })
            .collect()
    }
}

/// What happened to the model in a part of the run. Parts add up.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EventCounts {
    /// Reads first issued in it.
    pub reads: u64,
    /// Bytes of the model in them: issued − requeued. Bytes beyond a file's end are among them.
    pub read_bytes: u64,
    /// Those of `read_bytes` that reads flagged as read-ahead brought.
    pub readahead_bytes: u64,
    /// Page faults.
    pub faults: u64,
    /// Of them: those that brought the page in, and had to wait for a read.
    pub major_faults: u64,
    /// Bytes that entered the page cache.
    pub inserted_bytes: u64,
    /// Bytes that left it.
    pub evicted_bytes: u64,
    /// Bytes that entered it after an eviction seen in this run.
    pub refaulted_bytes: u64,
}

impl EventCounts {
    /// Another part of the run comes to it.
    pub fn merge(&mut self, other: &Self) {
        for (own, other) in [
            (&mut self.reads, other.reads),
            (&mut self.read_bytes, other.read_bytes),
            (&mut self.readahead_bytes, other.readahead_bytes),
            (&mut self.faults, other.faults),
            (&mut self.major_faults, other.major_faults),
            (&mut self.inserted_bytes, other.inserted_bytes),
            (&mut self.evicted_bytes, other.evicted_bytes),
            (&mut self.refaulted_bytes, other.refaulted_bytes),
        ] {
            add(own, other);
        }
    }
}

/// What happened in a step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepFigures {
    pub start_ns: Nanos,
    /// When the next one began, or the window ended.
    pub end_ns: Nanos,
    /// The mark of this step arrived after an event this much later than it, or was this much earlier than the
    /// mark before it. Events of that time may be counted in an earlier step. 0: none is.
    pub start_late_ns: u64,
    pub counts: EventCounts,
    /// Bytes that went back to the queue in this step beyond those issued in it: of reads that were issued
    /// unseen, or in an earlier step. Σ `read_bytes` − Σ this = Σ issued − Σ requeued.
    pub excess_requeued_bytes: u64,
    /// Bytes read of each piece, ascending by piece, those of which nothing was read left out. `None` where
    /// that was not to be kept, or could not be kept for all reads of the step.
    pub pieces: Option<Vec<(u32, u64)>>,
}

#[cfg(test)]
mod tests;
