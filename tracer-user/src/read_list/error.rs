//! What can be wrong with a list of reads.

use std::{io, path::PathBuf};

use parquet::errors::ParquetError;
use thiserror::Error;

/// Why a list of reads cannot be written or read.
#[derive(Debug, Error)]
pub enum ReadListError {
    /// The file cannot be opened.
    #[error("cannot open {path}: {source}")]
    Unopenable {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The bytes are no Parquet, or are damaged.
    #[error("it is no intact Parquet file: {0}")]
    NotParquet(String),
    /// Parquet, but not by a tracer.
    #[error("it has no {0:?} in its metadata: no tracer has written it")]
    Foreign(&'static str),
    /// Metadata of the tracer that make no sense.
    #[error("{key:?} in its metadata is {value:?}, which makes no sense")]
    Metadata {
        /// Which.
        key: &'static str,
        /// What it holds.
        value: String,
    },
    /// A newer tracer has written it.
    #[error(
        "its layout is version {found}, and this tracer knows up to {known}: open it with a newer tracer"
    )]
    FutureSchema {
        /// The file's.
        found: u32,
        /// The largest that is known.
        known: u32,
    },
    /// A column is not there.
    #[error("it has no column {0}")]
    MissingColumn(&'static str),
    /// A column is of another type.
    #[error("its column {column} is {found}, not {expected}")]
    WrongType {
        /// The column.
        column: &'static str,
        /// What it is.
        found: String,
        /// What it should be.
        expected: String,
    },
    /// A value that no tracer writes.
    #[error("row {row} has the value {value} in {column}, which makes no sense")]
    Value {
        /// Number of the row, from 0.
        row: u64,
        /// The column.
        column: &'static str,
        /// The value.
        value: String,
    },
    /// It cannot be written.
    #[error("cannot write the list of reads: {0}")]
    Write(String),
}

impl ReadListError {
    pub(super) fn not_parquet(error: &ParquetError) -> Self {
        Self::NotParquet(error.to_string())
    }

    pub(super) fn write(error: &ParquetError) -> Self {
        // What the system said, without the crate's words around it.
        match error {
            ParquetError::External(source) => Self::Write(source.to_string()),
            other => Self::Write(other.to_string()),
        }
    }
}
