//! How a recording ended.

use serde::{Deserialize, Serialize};

/// Name of the file.
pub const END: &str = "end.json";

/// What is known when the last event has been written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingEnd {
    /// [`super::RECORDING_SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// When the window closed, nanoseconds since the gate opened.
    pub closed_ns: u64,
    /// Events in all segments.
    pub events: u64,
    pub segments: u64,
    /// Why events are missing from some time on, where that is so.
    pub error: Option<String>,
}
