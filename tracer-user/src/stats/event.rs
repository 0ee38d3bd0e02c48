//! What the accumulators take in: the life of a read, as plain values.
//!
//! The run room makes these from ring-buffer records, the recording and the old traces from their own. They
//! arrive in the order of the ring buffer: the events of one request in their causal order (the kernel writes
//! the issue before the driver can complete it), events of different requests out of order by microseconds.

use serde::{Deserialize, Serialize};
use smallvec::SmallVec;

/// A point on `CLOCK_MONOTONIC`, in nanoseconds.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Nanos(pub u64);

impl Nanos {
    /// Nanoseconds from `earlier` to this, or `None` where `earlier` is later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Option<u64> {
        self.0.checked_sub(earlier.0)
    }
}

/// Address of the kernel's `struct request`: names one request until its last completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// Where in a file a read lies, if it lies in one contiguous piece of one file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FilePosition {
    /// Slot of the file among the model's files.
    pub file: u16,
    /// First byte.
    pub offset_bytes: u64,
    /// Byte after the last one.
    pub end_offset_bytes: u64,
}

/// A piece of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FileRange {
    /// Slot of the file among the model's files.
    pub file: u16,
    /// First byte.
    pub offset_bytes: u64,
    /// Number of bytes.
    pub length_bytes: u64,
}

/// Pieces of files, in the order of the sectors: nearly always one.
pub type FileRanges = SmallVec<[FileRange; 1]>;

/// What of a range of sectors belongs to one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Slot of the model.
    pub model: u16,
    /// First sector of the model in the range.
    pub start_sector: u64,
    /// Sector after the model's last one in the range.
    pub end_sector: u64,
    /// Bytes of the model in the range.
    pub bytes: u64,
    /// The same as pieces of files.
    pub ranges: FileRanges,
}

impl Part {
    /// Where the part lies, if it is one piece of one file.
    #[must_use]
    pub fn file_position(&self) -> Option<FilePosition> {
        let first = self.ranges.first()?;
        let mut end_offset_bytes = first.offset_bytes;
        for range in &self.ranges {
            if range.file != first.file || range.offset_bytes != end_offset_bytes {
                return None;
            }
            end_offset_bytes = end_offset_bytes.saturating_add(range.length_bytes);
        }
        Some(FilePosition {
            file: first.file,
            offset_bytes: first.offset_bytes,
            end_offset_bytes,
        })
    }
}

/// The parts of the models that a range of sectors touches: nearly always one.
pub type Parts = SmallVec<[Part; 1]>;

/// A read was handed to the driver, for the first time or again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadIssued {
    /// When.
    pub time: Nanos,
    /// Which request.
    pub request: RequestId,
    /// Slot of the device.
    pub device: u8,
    /// First sector of the model in the request.
    pub start_sector: u64,
    /// Sector after the model's last one in the request.
    pub end_sector: u64,
    /// First sector of the whole request.
    pub request_start_sector: u64,
    /// Bytes of the whole request.
    pub request_bytes: u32,
    /// Bytes of the model in the request: the sum of the overlaps with its extents, so at most
    /// `(end_sector - start_sector) * 512`.
    pub bytes: u64,
    /// What the kernel's exchange returned: the end of the model's previous read on this device. `None` for
    /// the first one, and for a re-issue, which makes no exchange.
    pub previous_end: Option<u64>,
    /// Where the model's part lies in its file; `None` where that is not one contiguous piece.
    pub file_position: Option<FilePosition>,
    /// Process that was current.
    pub process_id: u32,
    /// Thread that was current.
    pub thread_id: u32,
    /// Issued before: after a requeue, or the remainder after a partial completion.
    pub reissue: bool,
    /// Read ahead of the need (`REQ_RAHEAD`).
    pub readahead: bool,
    /// The file system's metadata flag (`REQ_META`).
    pub metadata: bool,
    /// The submitter waits for it (`REQ_SYNC`).
    pub synchronous: bool,
}

/// A part of a read, or all of it, came back from the driver. The pieces of files in it come beside it (see
/// [`crate::stats::model::accumulator::ModelAccumulator::complete`]).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadCompleted {
    /// When.
    pub time: Nanos,
    /// Which request.
    pub request: RequestId,
    /// Bytes of the model in what came back. May be 0: then the event only says whether the request ended.
    pub bytes: u64,
    /// The driver reported an error for this part.
    pub failed: bool,
    /// Nothing of the request is left.
    pub last: bool,
}

/// An issued read went back to the queue, and will be issued again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadRequeued {
    /// When.
    pub time: Nanos,
    /// Which request.
    pub request: RequestId,
    /// Bytes of the model in what went back.
    pub bytes: u64,
}
