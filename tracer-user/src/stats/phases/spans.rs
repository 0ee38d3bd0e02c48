//! Segments put together: a phase, a decode step.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::stats::{Nanos, waits::stall::SpanStall};

use super::steps::StepFigures;

/// Segments put together: a decode step, or a phase.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SpanFigures {
    /// When it began.
    pub start_ns: Nanos,
    /// When its last segment ended.
    pub end_ns: Nanos,
    /// Time of its segments.
    pub nanos: u64,
    /// Reads first issued in it.
    pub reads: u64,
    /// Bytes of them: issued − requeued.
    pub read_bytes: u64,
    /// Those of reads flagged as read-ahead.
    pub readahead_bytes: u64,
    /// Page faults on the model.
    pub faults: u64,
    /// Of them: those that inserted the page.
    pub major_faults: u64,
    /// Bytes that entered the page cache.
    pub inserted_bytes: u64,
    /// Bytes that left it.
    pub evicted_bytes: u64,
    /// Bytes that entered it after an eviction seen in this run.
    pub refaulted_bytes: u64,
    /// Bytes read by piece; None where they could not be kept.
    pub pieces: Option<BTreeMap<u32, u64>>,
    /// Waits; a member is None where one segment's is.
    pub waits: WaitFigures,
}

impl SpanFigures {
    /// Adds a segment.
    pub fn add(&mut self, segment: &StepFigures, stall: &SpanStall) {
        self.end_ns = segment.end_ns;
        self.nanos += segment.end_ns.since(segment.start_ns).unwrap_or(0);
        self.reads += segment.reads;
        self.read_bytes += segment.bytes;
        self.readahead_bytes += segment.readahead_bytes;
        self.faults += segment.faults;
        self.major_faults += segment.major_faults;
        self.inserted_bytes += segment.inserted_bytes;
        self.evicted_bytes += segment.evicted_bytes;
        self.refaulted_bytes += segment.refaulted_bytes;
        self.waits.add(stall);
        match (&mut self.pieces, &segment.pieces) {
            (Some(own), Some(pieces)) => {
                for (piece, bytes) in pieces {
                    *own.entry(*piece).or_default() += bytes;
                }
            }
            (own, _) => *own = None,
        }
    }
}

/// Waits of several segments. Nanoseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WaitFigures {
    /// At least one thread waited for a folio of the model.
    pub stall_ns: Option<u64>,
    /// Sum over threads of the same.
    pub thread_sum_ns: Option<u64>,
    /// Sum over threads of other I/O.
    pub other_io_thread_ns: Option<u64>,
    /// Sum over threads of reclaim.
    pub reclaim_thread_ns: Option<u64>,
    /// Sum over threads of locks in page faults on the model.
    pub lock_thread_ns: Option<u64>,
}

impl Default for WaitFigures {
    fn default() -> Self {
        Self {
            stall_ns: Some(0),
            thread_sum_ns: Some(0),
            other_io_thread_ns: Some(0),
            reclaim_thread_ns: Some(0),
            lock_thread_ns: Some(0),
        }
    }
}

impl WaitFigures {
    /// Those of one segment.
    #[must_use]
    pub const fn of(span: &SpanStall) -> Self {
        Self {
            stall_ns: span.stall_ns,
            thread_sum_ns: span.thread_sum_ns,
            other_io_thread_ns: span.other_io_thread_ns,
            reclaim_thread_ns: span.reclaim_thread_ns,
            lock_thread_ns: span.lock_thread_ns,
        }
    }

    fn add(&mut self, span: &SpanStall) {
        let other = Self::of(span);
        for (own, other) in [
            (&mut self.stall_ns, other.stall_ns),
            (&mut self.thread_sum_ns, other.thread_sum_ns),
            (&mut self.other_io_thread_ns, other.other_io_thread_ns),
            (&mut self.reclaim_thread_ns, other.reclaim_thread_ns),
            (&mut self.lock_thread_ns, other.lock_thread_ns),
        ] {
            *own = own.zip(other).map(|(own, other)| own.saturating_add(other));
        }
    }
}
