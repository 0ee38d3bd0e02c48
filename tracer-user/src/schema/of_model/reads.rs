//! Reads that reached the device: how many, in which order, how fast.

use serde::{Deserialize, Serialize};

use crate::schema::{
    ByGapClass, DistanceBucket, GapFigure, ProcessShare, ReadFigures, SizeClassCount, SizeCount,
};

/// Reads that reached the device, by the road that each record has.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ReadsRecord {
    /// How much, and how often.
    #[serde(flatten)]
    pub amount: ReadFigures,
    /// Bytes that arrived without error.
    pub completed_bytes: u64,
    pub failed: u64,
    /// Bytes that failed.
    pub failed_bytes: u64,
    /// Reads whose completion no program saw ([`crate::schema::LossRecord::unseen_completions`]).
    pub unseen: u64,
    /// Bytes of them; they arrived, or the device would not have used their tag again, and are not part of
    /// `completed_bytes`.
    pub unseen_bytes: u64,
    /// Reads in flight at the end of the window.
    pub in_flight: u64,
    /// Bytes of them that had not arrived.
    pub in_flight_bytes: u64,
    /// Times that the driver gave a read back.
    pub requeues: u64,
    /// Issues of reads that had been issued before. They are the same reads and in none of the counts.
    pub reissues: u64,
    /// Reads that the kernel marked as read-ahead.
    pub readahead: Option<u64>,
    /// Write requests to the model's extents. Null where the kernel side cannot tell whom a write is to.
    pub writes: Option<u64>,
    /// Bytes of them.
    pub write_bytes: Option<u64>,
    pub sizes: Option<Vec<SizeCount>>,
    /// The same in powers of two, which counts tell too.
    #[serde(default)]
    pub size_classes: Option<Vec<SizeClassCount>>,
    /// The part that the engine's own threads issued.
    pub process_share: Option<ProcessShare>,
}

/// Gaps between consecutive reads on a device: the counts of one road, and what only the stream of reads can tell.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct GapsRecord {
    #[serde(flatten)]
    pub classes: ByGapClass<GapFigure>,
    /// Gaps: reads − devices.
    pub count: u64,
    /// Backward reads that overlap the read before them.
    pub backward_overlapping: Option<u64>,
    /// Gaps of each class over offsets in the files.
    pub file_order: Option<ByGapClass<u64>>,
    /// Share of gaps whose read continues one of the last 32 reads.
    pub stream_sequential_share: Option<f64>,
    /// Signed distances, in powers of two.
    pub distances: Option<Vec<DistanceBucket>>,
    /// Mean number of the model's reads already in flight at an issue.
    pub mean_queue_depth: Option<f64>,
    /// Largest number of the model's reads in flight.
    pub largest_queue_depth: Option<u64>,
}
