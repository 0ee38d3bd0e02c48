//! Why a device cannot be tested.

use std::{io, path::PathBuf};

use thiserror::Error;

use crate::{
    read_list::ReadListError,
    storage::{ExtentsError, MappingError, SysfsError, UnmappableReason},
};

/// Why a device cannot be tested. Nothing has been changed then; nothing ever is.
#[derive(Debug, Error)]
pub enum DeviceTestError {
    /// It could not be found out where the file lies.
    #[error(transparent)]
    Mapping(#[from] MappingError),
    /// The file is on no device of this machine.
    #[error("{path} is on no device that could be measured: {reason}")]
    NoDevice {
        path: PathBuf,
        reason: UnmappableReason,
    },
    /// The device tells nothing of itself.
    #[error(transparent)]
    Sysfs(#[from] SysfsError),
    /// The extents of the file cannot be told.
    #[error("cannot tell the extents of {path}: {source}")]
    Extents { path: PathBuf, source: ExtentsError },
    /// There is nothing to read.
    #[error("{path} has {data_bytes} bytes on its device, too few to measure anything")]
    TooSmall {
        path: PathBuf,
        /// What there is, bytes.
        data_bytes: u64,
    },
    /// The file system takes no direct reads.
    #[error(
        "{file_system} refuses direct reads (O_DIRECT) of {path}, and others would measure the page cache: {source}"
    )]
    NoDirectReads {
        /// Type of the file system.
        file_system: String,
        path: PathBuf,
        source: io::Error,
    },
    #[error("cannot read {length_bytes} bytes at {offset_bytes} of {path}: {source}")]
    Read {
        path: PathBuf,
        offset_bytes: u64,
        length_bytes: u64,
        source: io::Error,
    },
    /// No threads, no memory for the reads.
    #[error("cannot prepare {what}: {source}")]
    Resources {
        what: &'static str,
        source: io::Error,
    },
    /// A run's record cannot be read.
    #[error("cannot read the record of a run, {path}: {why}")]
    Run { path: PathBuf, why: String },
    /// The run did not read this file.
    #[error(
        "{path} is none of the files of the run in {directory}: those are {files}; name one of them, or the copy of one that has its size"
    )]
    OtherFile {
        path: PathBuf,
        directory: PathBuf,
        files: String,
    },
    /// The run has no reads.
    #[error("the run in {directory} has no figures of reads of {path}: {why}")]
    NoReads {
        directory: PathBuf,
        path: PathBuf,
        why: String,
    },
    /// The list of reads is not one.
    #[error("{path}: {source}")]
    ReadList {
        path: PathBuf,
        source: ReadListError,
    },
}
