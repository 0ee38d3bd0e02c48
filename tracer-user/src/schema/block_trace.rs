//! What an old trace says: the members of a run's record that it can fill, under the same names.

use serde::{Deserialize, Serialize};

use super::{Check, DeviceRecord, ModelRecord, TimeRecord};

/// Version of the layout of `trace.json`. 1: the first one.
pub const BLOCK_TRACE_SCHEMA_VERSION: u32 = 1;

/// What `tracer blktrace` found.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct BlockTraceRecord {
    /// [`BLOCK_TRACE_SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// Version of the tracer.
    pub tracer_version: String,
    /// `blktrace`.
    pub mode: String,
    pub files: Vec<String>,
    pub format: String,
    /// Wall clock of the first record, RFC 3339 in UTC. Null for a text, which does not say it.
    pub recorded_at: Option<String>,
    /// From the first record to the last one.
    pub time: TimeRecord,
    /// Records read, of all devices and kinds.
    pub records: u64,
    /// The thread whose share is in `reads.process_share`, where one was named.
    pub thread_id: Option<u32>,
    /// Where the model's extents come from. Null without a model: then all reads of the device are taken for it.
    pub extents_from: Option<String>,
    /// First sector of the model's partition, where it was added.
    pub partition_start_sector: Option<u64>,
    /// The model's figures. What an old trace cannot tell is null: the page cache, phases, tensors.
    #[serde(flatten)]
    pub model: ModelRecord,
    /// The device that was looked at, then the others, of which only the reads are told.
    pub devices: Vec<DeviceRecord>,
    /// Records that are missing.
    pub loss: TraceLossRecord,
    /// The trace does not cover all of the recording.
    pub partial: bool,
    /// Why, where `partial` is set.
    pub partial_reason: Option<String>,
    /// No record is missing and every check holds.
    pub complete: bool,
    pub checks: Vec<Check>,
    /// What a reader should know.
    pub notes: Vec<String>,
}

/// Records that a trace does not have. What the kernel dropped for want of buffers leaves no mark in the files: only
/// blktrace's own summary knows.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TraceLossRecord {
    /// Missing by their numbers; in a text, by blkparse's `Skips:`. Null for a text without that line in which numbers
    /// are missing: somebody may have left records out on purpose.
    pub missing_records: Option<u64>,
    /// Dropped by blktrace, where its summary stands in the text.
    pub dropped_records: Option<u64>,
    /// Out of the order of time, so late that they could not be put to their place.
    pub late_records: u64,
    /// Files that end within a record.
    pub cut_off: Vec<String>,
    /// Files of the same recording that were not given.
    pub files_left_out: Vec<String>,
}

impl TraceLossRecord {
    /// Nothing is missing, as far as the files tell.
    #[must_use]
    pub fn is_none(&self) -> bool {
        self.missing_records == Some(0)
            && self.dropped_records.unwrap_or(0) == 0
            && self.late_records == 0
            && self.cut_off.is_empty()
            && self.files_left_out.is_empty()
    }

    /// Why the trace does not cover all of the recording; None where it does.
    #[must_use]
    pub fn partial_reason(&self) -> Option<String> {
        let left_out = (!self.files_left_out.is_empty()).then(|| {
            format!(
                "these files of the same recording were not given: {}",
                self.files_left_out.join(", ")
            )
        });
        let reasons: Vec<String> = self.cut_off.iter().cloned().chain(left_out).collect();
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }
}
