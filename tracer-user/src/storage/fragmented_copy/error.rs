//! Why a copy in so many extents cannot be made.

use std::{io, path::PathBuf};

use thiserror::Error;

use crate::storage::{ExtentsError, MappingError, UnmappableReason};

/// Why a copy in so many extents cannot be made. Nothing is left of it then.
#[derive(Debug, Error)]
pub enum FragmentedCopyError {
    /// A path cannot be used.
    #[error("cannot {action} {path}: {source}")]
    Io {
        action: &'static str,
        path: PathBuf,
        source: io::Error,
    },
    /// There is something at the target already.
    #[error("{0} exists already: remove it, or choose another name")]
    TargetExists(PathBuf),
    /// An empty source, a folder, a device.
    #[error("{0} is no file with content")]
    NoContent(PathBuf),
    /// 0, or more than the file has blocks.
    #[error(
        "{asked} extents are not possible: a file of {blocks} blocks of {block_bytes} bytes has from 1 to {blocks}"
    )]
    ExtentCount {
        /// What was asked for.
        asked: u64,
        /// Blocks of the file.
        blocks: u64,
        /// Size of a block.
        block_bytes: u64,
    },
    /// The file system of the target has no extents on a disk.
    #[error("a copy at {target} has no extents that could be told: {reason}")]
    NoExtents {
        target: PathBuf,
        reason: UnmappableReason,
    },
    /// It could not be found out where the target lies.
    #[error(transparent)]
    Mapping(#[from] MappingError),
    /// The file system cannot do what the copy is made by.
    #[error(
        "{file_system} cannot {action} ({source}); copies in many extents can be made on ext4 and xfs"
    )]
    Unsupported {
        file_system: String,
        /// What it cannot do.
        action: &'static str,
        source: io::Error,
    },
    /// The file system has too little room: while the copy is made, it takes up twice its size.
    #[error(
        "the file system of {target} has {available_bytes} bytes left, and {needed_bytes} are needed while the copy is made"
    )]
    NoSpace {
        target: PathBuf,
        needed_bytes: u64,
        available_bytes: u64,
    },
    /// The extents of the copy cannot be told.
    #[error("cannot tell the extents of the copy: {0}")]
    Extents(#[from] ExtentsError),
    /// The source was written to meanwhile.
    #[error("{0} changed while it was copied: wait until it is complete")]
    SourceChanged(PathBuf),
    /// The copy, read again, is not what was written.
    #[error(
        "{0}, read again, is not what was written to it: its disk or its memory cannot be trusted"
    )]
    ContentDiffers(PathBuf),
    /// The progress said to stop.
    #[error("stopped before the copy was whole")]
    Stopped,
}
