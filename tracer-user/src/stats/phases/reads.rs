//! The reads of one part of a run. Parts add up: [`PhaseReads::merge`].

use serde::{Deserialize, Serialize};
use tracer_common::{gap::GapClass, slice::SliceCounts};

use crate::stats::{
    FileRange,
    order::gaps::{ByGapClass, GapCounts, GapFigure},
    reads::{
        latency::{Latencies, LatencyFigures},
        repeated::RepeatedBytes,
    },
};

/// Reads whose first issue lies in one part of the run.
#[derive(Clone, Debug, Default)]
pub struct PhaseReads {
    reads: u64,
    /// Issued − requeued; below 0 while a part of the run is known in part only.
    bytes: i64,
    readahead_reads: u64,
    arrived_bytes: u64,
    gaps: GapCounts,
    stream_gaps: GapCounts,
    latencies: Latencies,
    distinct: RepeatedBytes,
}

impl PhaseReads {
    /// A read was issued for the first time; `gap` is None for the first read of a device.
    pub fn first_issue(&mut self, bytes: u64, readahead: bool, gap: Option<GapClass>) {
        self.reads += 1;
        self.readahead_reads += u64::from(readahead);
        self.change_bytes(i64::try_from(bytes).unwrap_or(i64::MAX));
        if let Some(gap) = gap {
            self.gaps.record(gap, bytes);
        }
    }

    /// A slice of time in which the kernel counted: distinct bytes and latencies are not in it.
    pub fn slice(&mut self, counts: &SliceCounts) {
        self.reads += counts.reads;
        self.readahead_reads += counts.readahead_reads;
        self.change_bytes(i64::try_from(counts.bytes).unwrap_or(i64::MAX));
        self.arrived_bytes = self.arrived_bytes.saturating_add(counts.arrived_bytes);
        self.gaps.add(counts.gaps, counts.gap_bytes);
    }

    /// A read that began here went back to the queue, or was issued again.
    pub fn change_bytes(&mut self, bytes: i64) {
        self.bytes = self.bytes.saturating_add(bytes);
    }

    /// A part of it arrived without error.
    pub fn arrived(&mut self, ranges: &[FileRange]) {
        for range in ranges {
            self.arrived_bytes = self.arrived_bytes.saturating_add(range.length_bytes);
            self.distinct
                .insert(range.file, range.offset_bytes, range.length_bytes);
        }
    }

    /// It came back whole.
    pub fn ended(&mut self, latency_nanos: u64) {
        self.latencies.record(latency_nanos);
    }

    /// The class of its stream-aware gap.
    pub fn in_stream(&mut self, gap: GapClass, bytes: u64) {
        self.stream_gaps.record(gap, bytes);
    }

    /// Of another part its bytes alone, which is all that a look at a run that goes on needs.
    pub fn merge_bytes(&mut self, other: &Self) {
        self.change_bytes(other.bytes);
    }

    pub fn merge(&mut self, other: &Self) {
        self.reads += other.reads;
        self.change_bytes(other.bytes);
        self.readahead_reads += other.readahead_reads;
        self.arrived_bytes = self.arrived_bytes.saturating_add(other.arrived_bytes);
        self.gaps.merge(&other.gaps);
        self.stream_gaps.merge(&other.stream_gaps);
        self.latencies.merge(&other.latencies);
        self.distinct.merge(&other.distinct);
    }

    /// Bytes of the model in them: issued − requeued.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        u64::try_from(self.bytes).unwrap_or(0)
    }

    #[must_use]
    pub fn figures(&self) -> PhaseReadFigures {
        PhaseReadFigures {
            reads: self.reads,
            total_bytes: self.total_bytes(),
            unique_bytes: self.distinct.bytes(),
            three_times_bytes: self.distinct.three_times_bytes(),
            arrived_bytes: self.arrived_bytes,
            readahead_reads: self.readahead_reads,
            gaps: PhaseGaps {
                classes: self.gaps.figures(),
                stream_sequential_share: self.stream_gaps.figures().sequential.share,
            },
            latency_us: self.latencies.figures(),
        }
    }
}

/// Figures of the reads of one part of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct PhaseReadFigures {
    /// Reads, by first issue.
    pub reads: u64,
    /// Bytes of the model in them: issued − requeued.
    pub total_bytes: u64,
    /// Distinct bytes among those that arrived without error.
    pub unique_bytes: u64,
    /// Those of them that arrived three times or more.
    pub three_times_bytes: u64,
    /// Bytes that arrived without error.
    pub arrived_bytes: u64,
    /// Reads that the kernel marked as read-ahead.
    pub readahead_reads: u64,
    pub gaps: PhaseGaps,
    pub latency_us: LatencyFigures,
}

/// Gaps of a phase; a gap belongs to the later read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PhaseGaps {
    #[serde(flatten)]
    pub classes: ByGapClass<GapFigure>,
    /// Share of gaps whose read continues one of the last 32 reads.
    pub stream_sequential_share: Option<f64>,
}
