//! What can go wrong with a balloon.

use std::io;
use std::path::PathBuf;

use thiserror::Error;

use super::capacity::BalloonCapacity;
use crate::pressure::memory::MemoryError;

/// Why there is no balloon, or none any more.
#[derive(Debug, Error)]
pub enum BalloonError {
    /// Refused before anything was touched: there is not that much.
    #[error("cannot lock {asked_bytes} bytes: {} ({}) would fit, {} bytes being available in {} and {} kept for everything else", capacity.fits_bytes, mebibytes(capacity.fits_bytes), capacity.available_bytes, capacity.limited_by, capacity.reserve_bytes)]
    TooLarge {
        /// Bytes asked for.
        asked_bytes: u64,
        capacity: BalloonCapacity,
    },
    /// Refused before anything was touched: less is available than shall be left.
    #[error("{leave_bytes} bytes shall be left free, and only {} ({}) are available in {}: there is nothing to lock", capacity.available_bytes, mebibytes(capacity.available_bytes), capacity.limited_by)]
    NothingToLock {
        /// Bytes to leave.
        leave_bytes: u64,
        capacity: BalloonCapacity,
    },
    /// Refused before anything was touched: the machine would be left with too little to go on.
    #[error("leaving {leave_bytes} bytes free is too little for the machine to go on; leave at least {} ({})", capacity.reserve_bytes, mebibytes(capacity.reserve_bytes))]
    LeavesTooLittle {
        /// Bytes to leave.
        leave_bytes: u64,
        capacity: BalloonCapacity,
    },
    /// Refused before anything was touched: not allowed to lock that much.
    #[error("cannot lock {asked_bytes} bytes: RLIMIT_MEMLOCK allows {limit_bytes} ({}); run as root, or raise it (ulimit -l)", mebibytes(*limit_bytes))]
    LockLimit {
        /// Bytes asked for.
        asked_bytes: u64,
        /// The hard limit, in bytes.
        limit_bytes: u64,
    },
    /// 0 bytes.
    #[error("a balloon of 0 bytes is none; leave it out")]
    Empty,
    /// The machine's memory or the limits could not be read.
    #[error(transparent)]
    Memory(#[from] MemoryError),
    /// A file of /proc, a limit or a cgroup could not be read.
    #[error("cannot {action}: {source}")]
    Io {
        action: &'static str,
        source: io::Error,
    },
    /// The helper could not be started.
    #[error("cannot start {} as a balloon: {source}", exe.display())]
    Start { exe: PathBuf, source: io::Error },
    /// The helper ended or gave up before it had locked everything.
    #[error("the balloon's helper stopped after {locked_bytes} bytes: {reason}")]
    HelperFailed {
        /// Bytes that it had locked.
        locked_bytes: u64,
        /// What it or its exit status said.
        reason: String,
    },
    /// The helper says that it has locked everything, and the kernel says otherwise.
    #[error(
        "the balloon's helper has {locked_bytes} bytes locked and {resident_bytes} resident instead of {asked_bytes}"
    )]
    NotVerified {
        /// Bytes asked for, rounded up to pages.
        asked_bytes: u64,
        /// `VmLck` of the helper, in bytes.
        locked_bytes: u64,
        /// `RssAnon` of the helper, in bytes.
        resident_bytes: u64,
    },
    /// The helper is gone: something killed it, most likely the OOM killer.
    #[error(
        "the balloon's helper (process {0}) is gone, most likely killed by the OOM killer: the memory is free again and the run's pressure was not what it says"
    )]
    Gone(u32),
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}
