//! What is wrong with a trace, and where.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use thiserror::Error;

/// A place in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// All of it.
    File,
    /// A line, from 1 on, and a column, from 1 on.
    Line {
        /// Number of the line.
        line: u64,
        /// Number of the column, in bytes.
        column: usize,
    },
    /// Bytes from its start.
    Byte(u64),
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File => Ok(()),
            Self::Line { line, column } => write!(formatter, ", line {line}, column {column}"),
            Self::Byte(offset) => write!(formatter, ", byte {offset}"),
        }
    }
}

/// A trace that cannot be read.
#[derive(Debug, Error)]
#[error("{}{place}: {kind}", path.display())]
pub struct TraceError {
    /// The file.
    pub path: PathBuf,
    /// Where in it.
    pub place: Place,
    /// What is wrong.
    pub kind: TraceErrorKind,
}

impl TraceError {
    pub(super) fn new(path: &Path, place: Place, kind: TraceErrorKind) -> Self {
        Self {
            path: path.to_owned(),
            place,
            kind,
        }
    }
}

/// What is wrong with a trace.
#[derive(Debug, Error)]
pub enum TraceErrorKind {
    /// It cannot be read at all.
    #[error("cannot be read: {0}")]
    Io(#[source] io::Error),
    /// Nothing in it.
    #[error(
        "holds no record: the trace is empty. Was blktrace stopped before the reads, or does the text come from blkparse's standard error?"
    )]
    Empty,
    /// Files that are no one recording.
    #[error(
        "this is a text of blkparse, and so is, or is not, another of the given files: give one text, or the files NAME.blktrace.0, NAME.blktrace.1, … of one recording"
    )]
    NotOneRecording,
    /// A line that is none of blkparse's default format.
    #[error(
        "expected {expected}. Each line must be in blkparse's default format, `MAJOR,MINOR CPU SEQUENCE SECONDS.NANOSECONDS PID ACTION RWBS SECTOR + SECTORS [PROCESS]`; a custom format (blkparse -f, -F) cannot be read: run blkparse again without it, or give the binary files"
    )]
    Line {
        /// What should stand there.
        expected: &'static str,
    },
    /// A line without end.
    #[error("the line is longer than {0} bytes: this is no text of blkparse")]
    LongLine(usize),
    /// Records after blkparse's summary.
    #[error(
        "a record after blkparse's summary: these are two recordings in one file, whose times do not belong together; split the file here"
    )]
    AfterSummary,
    /// The magic number is missing.
    #[error(
        "no record of blktrace begins here: expected the magic number 0x65617407, found {0:#010x}. The file is damaged from here on, or its records were cut by hand"
    )]
    Magic(u32),
    /// Another version of the records.
    #[error(
        "version {0} of blktrace's records is not known, only 7; give the text of blkparse instead"
    )]
    Version(u8),
    /// No disk has such a sector.
    #[error("sector {0} lies beyond any disk: the file is damaged")]
    BeyondDisk(u64),
    /// The data behind a record is too short for what it should be.
    #[error("the record's data has {length} bytes, expected {expected}")]
    ShortData {
        /// What is there.
        length: usize,
        /// What should be.
        expected: usize,
    },
}
