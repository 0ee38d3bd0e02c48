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
        /// The file.
        path: PathBuf,
        /// Why.
        reason: UnmappableReason,
    },
    /// The device tells nothing of itself.
    #[error(transparent)]
    Sysfs(#[from] SysfsError),
    /// The extents of the file cannot be told.
    #[error("cannot tell the extents of {path}: {source}")]
    Extents {
        /// The file.
        path: PathBuf,
        /// Why.
        source: ExtentsError,
    },
    /// There is nothing to read.
    #[error("{path} has {data_bytes} bytes on its device, too few to measure anything")]
    TooSmall {
        /// The file.
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
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A read failed.
    #[error("cannot read {length_bytes} bytes at {offset_bytes} of {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Where.
        offset_bytes: u64,
        /// How much.
        length_bytes: u64,
        /// The system's answer.
        source: io::Error,
    },
    /// No threads, no memory for the reads.
    #[error("cannot prepare {what}: {source}")]
    Resources {
        /// For what.
        what: &'static str,
        /// The system's answer.
        source: io::Error,
    },
    /// A run's record cannot be read.
    #[error("cannot read the record of a run, {path}: {why}")]
    Run {
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The run did not read this file.
    #[error(
        "{path} is none of the files of the run in {directory}: those are {files}; name one of them, or the copy of one that has its size"
    )]
    OtherFile {
        /// The file.
        path: PathBuf,
        /// The run.
        directory: PathBuf,
        /// Its files.
        files: String,
    },
    /// The run has no reads.
    #[error("the run in {directory} has no figures of reads of {path}: {why}")]
    NoReads {
        /// The run.
        directory: PathBuf,
        /// The file.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The list of reads is not one.
    #[error("{path}: {source}")]
    ReadList {
        /// The list.
        path: PathBuf,
        /// What is wrong.
        source: ReadListError,
    },
}
