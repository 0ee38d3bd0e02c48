//! How large a balloon may be.

use std::io;

use nix::sys::resource::{Resource, getrlimit};
use procfs::process::Process;

use super::error::BalloonError;
use crate::pressure::cgroup::own_memory_headroom_bytes;
use crate::pressure::memory::SystemMemory;

/// `CAP_IPC_LOCK` (include/uapi/linux/capability.h): lock without RLIMIT_MEMLOCK.
const CAP_IPC_LOCK: u32 = 14;

/// How much memory a balloon can take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BalloonCapacity {
    /// Bytes that the machine, or this process's cgroup if that has less, could give.
    pub available_bytes: u64,
    /// Bytes of these that stay for everything else: a 64th of the machine, between 64 and 512 MiB.
    pub reserve_bytes: u64,
    /// The largest balloon, in bytes, page tables allowed for.
    pub fits_bytes: u64,
    /// What limits it: `MemAvailable` or this process's memory cgroup.
    pub limited_by: &'static str,
}

impl BalloonCapacity {
    pub(super) fn of(
        total_bytes: u64,
        machine_available_bytes: u64,
        cgroup_headroom_bytes: Option<u64>,
    ) -> Self {
        let (available_bytes, limited_by) = match cgroup_headroom_bytes {
            Some(headroom) if headroom < machine_available_bytes => {
                (headroom, "this process's memory cgroup")
            }
            _ => (machine_available_bytes, "MemAvailable"),
        };
        let reserve_bytes = (total_bytes / 64).clamp(64 << 20, 512 << 20);
        // One page-table entry of 8 bytes for each 4 KiB: a 512th.
        let fits_bytes = available_bytes.saturating_sub(reserve_bytes) / 513 * 512;
        Self {
            available_bytes,
            reserve_bytes,
            fits_bytes: fits_bytes / page_bytes() * page_bytes(),
            limited_by,
        }
    }
}

/// The largest balloon that would be accepted now.
pub fn largest_balloon() -> Result<BalloonCapacity, BalloonError> {
    let memory = SystemMemory::read()?;
    let headroom = own_memory_headroom_bytes().map_err(|source| BalloonError::Io {
        action: "read this process's memory cgroup",
        source,
    })?;
    // Before 3.14 there is no MemAvailable; what is free outright is then the safe answer.
    Ok(BalloonCapacity::of(
        memory.total_bytes,
        memory.available_bytes.unwrap_or(memory.free_bytes),
        headroom,
    ))
}

pub(super) fn page_bytes() -> u64 {
    procfs::page_size()
}

/// Refuses what RLIMIT_MEMLOCK does not allow this process.
pub(super) fn refuse_beyond_lock_limit(asked_bytes: u64) -> Result<(), BalloonError> {
    let io = |action| move |source| BalloonError::Io { action, source };
    let status = Process::myself()
        .and_then(|process| process.status())
        .map_err(io::Error::other)
        .map_err(io("read /proc/self/status"))?;
    if status.capeff & (1 << CAP_IPC_LOCK) != 0 {
        return Ok(());
    }
    let (_, limit_bytes) = getrlimit(Resource::RLIMIT_MEMLOCK)
        .map_err(io::Error::from)
        .map_err(io("read RLIMIT_MEMLOCK"))?;
    if asked_bytes > limit_bytes {
        Err(BalloonError::LockLimit {
            asked_bytes,
            limit_bytes,
        })
    } else {
        Ok(())
    }
}
