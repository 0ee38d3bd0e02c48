//! What can go wrong with a cgroup.

use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::storage::MountTableError;

/// Why there is no memory cgroup, or why it does not do what it should.
#[derive(Debug, Error)]
pub enum CgroupError {
    /// The kernel was built or booted without.
    #[error(
        "this kernel has no memory controller ({0}); boot with cgroup_enable=memory, or use --lock instead of a limit"
    )]
    NoController(&'static str),
    /// The hierarchy that has the memory controller is not mounted here.
    #[error(
        "the memory controller is in cgroup {0}, which is not mounted here; mount it, or use --lock instead of a limit"
    )]
    NotMounted(&'static str),
    /// No place was found where a cgroup with the memory controller can be made.
    #[error(
        "cannot make a cgroup with the memory controller anywhere (needs root or a delegated subtree): {0}"
    )]
    NoPlace(String),
    /// `memory.high` exists in cgroup v2 only.
    #[error("memory.high needs cgroup v2; the memory controller of this machine is in v1")]
    HighUnsupported,
    /// The kernel took another limit than was asked for.
    #[error("{path} holds {taken_bytes} after {asked_bytes} was written to it")]
    LimitNotTaken {
        path: PathBuf,
        /// Bytes asked for, rounded down to pages.
        asked_bytes: u64,
        /// Bytes that the kernel says.
        taken_bytes: u64,
    },
    /// A file holds something else than the kernel's documentation says.
    #[error("cannot make sense of {path}: {content:?}")]
    Malformed { path: PathBuf, content: String },
    /// The cgroup could not be removed.
    #[error("cannot remove the cgroup {path}: {source}; processes still in it: {processes:?}")]
    NotRemoved {
        path: PathBuf,
        /// The system's last answer.
        source: io::Error,
        /// Processes that are in it.
        processes: Vec<i32>,
    },
    /// The mount table cannot be read.
    #[error(transparent)]
    MountTable(#[from] MountTableError),
    /// A file operation failed.
    #[error("cannot {action} {path}: {source}")]
    Io {
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        source: io::Error,
    },
}

impl CgroupError {
    pub(super) fn io(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::Io {
            action,
            path,
            source,
        }
    }
}
