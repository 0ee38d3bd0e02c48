//! The recording beside a run's record.

use serde::{Deserialize, Serialize};

/// What became of the recording.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordingRecord {
    /// Name of its folder in the run's.
    pub folder: String,
    /// Events in it.
    pub events: u64,
    /// Why events are missing, where that is so.
    pub error: Option<String>,
}
