//! Segments put together: a phase, a decode step.

use std::collections::BTreeMap;

use crate::stats::{
    Nanos,
    waits::stall::{SpanStall, WaitFigures},
};

use super::steps::{EventCounts, StepFigures};

/// Segments put together: a decode step, or a phase.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct SpanFigures {
    pub start_ns: Nanos,
    /// When its last segment ended.
    pub end_ns: Nanos,
    /// Time of its segments.
    pub nanos: u64,
    pub counts: EventCounts,
    /// Bytes read by piece; None where they could not be kept.
    pub pieces: Option<BTreeMap<u32, u64>>,
    /// Waits; a member is None where one segment's is.
    pub waits: WaitFigures,
}

impl SpanFigures {
    pub fn add(&mut self, segment: &StepFigures, stall: &SpanStall) {
        self.end_ns = segment.end_ns;
        self.nanos += segment.end_ns.since(segment.start_ns).unwrap_or(0);
        self.counts.merge(&segment.counts);
        self.waits.merge(&stall.waits);
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
