//! Why a run cannot be opened again.

use std::path::PathBuf;

use thiserror::Error;

use crate::{output::KeptRecordError, read_list::ReadListError, recording::RecordingError};

/// Why a run cannot be opened again.
#[derive(Debug, Error)]
pub enum ReopenError {
    #[error(transparent)]
    Recording(#[from] RecordingError),
    #[error(transparent)]
    Record(#[from] KeptRecordError),
    /// What was known before the first event makes no sense.
    #[error("{path} makes no sense: {why}")]
    Setup { path: PathBuf, why: String },
    /// The list of reads cannot be made again.
    #[error(transparent)]
    Reads(#[from] ReadListError),
    /// Nothing is looked at.
    #[error(
        "no tensor of the recording matches {patterns}; there are {others}, … (`tracer open RUN --json` has all names, in `tensors`). * stands for any characters"
    )]
    NoTensor { patterns: String, others: String },
}
