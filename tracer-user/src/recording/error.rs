//! What can be wrong with a recording.

use std::{io, path::PathBuf};

use parquet::errors::ParquetError;
use thiserror::Error;

/// Why a recording cannot be written or read.
#[derive(Debug, Error)]
pub enum RecordingError {
    #[error(
        "{0} has no recording: `tracer launch` makes one, and so do `demo --record` and `attach --detail events --record`"
    )]
    Missing(PathBuf),
    #[error("cannot read {path}: {source}")]
    Unreadable { path: PathBuf, source: io::Error },
    #[error("{path} is no intact Parquet file: {why}")]
    NotParquet { path: PathBuf, why: String },
    #[error("{path} is not what a tracer writes: {why}")]
    Foreign { path: PathBuf, why: String },
    /// A newer tracer has written it.
    #[error(
        "the layout of {path} is version {found}, and this tracer knows up to {known}: open it with a newer tracer"
    )]
    Newer {
        path: PathBuf,
        found: u32,
        known: u32,
    },
    /// A value that no tracer writes.
    #[error("{path}, row {row}: {why}")]
    Row {
        path: PathBuf,
        /// From 0.
        row: u64,
        why: String,
    },
    /// A segment in the middle is not there.
    #[error("{0} is missing, and a later segment is there: events are missing in between")]
    Gap(PathBuf),
    #[error("{path} has {found} events, and end.json says that there are {expected}")]
    Short {
        path: PathBuf,
        found: u64,
        expected: u64,
    },
    #[error("cannot write the recording: {0}")]
    Write(String),
}

impl RecordingError {
    pub(super) fn write(error: &ParquetError) -> Self {
        // What the system said, without the crate's words around it.
        match error {
            ParquetError::External(source) => Self::Write(source.to_string()),
            other => Self::Write(other.to_string()),
        }
    }
}
