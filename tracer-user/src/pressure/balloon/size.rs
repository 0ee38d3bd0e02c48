//! How large a balloon may be.

use std::io;

use nix::sys::resource::{Resource, getrlimit};
use procfs::process::Process;

use crate::pressure::{cgroup::own_memory_headroom_bytes, memory::SystemMemory};

use super::{
    capacity::{BalloonCapacity, page_bytes},
    error::BalloonError,
};

/// `CAP_IPC_LOCK` (include/uapi/linux/capability.h): lock without RLIMIT_MEMLOCK.
const CAP_IPC_LOCK: u32 = 14;

/// How large a balloon shall be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BalloonSize {
    /// So many bytes locked.
    Lock(u64),
    /// All locked but so many bytes of `MemAvailable`.
    LeaveFree(u64),
}

impl BalloonSize {
    /// Bytes to lock now.
    ///
    /// # Errors
    /// There is not that much, or there is nothing to lock.
    pub fn bytes(self, capacity: BalloonCapacity) -> Result<u64, BalloonError> {
        match self {
            Self::Lock(0) => Err(BalloonError::Empty),
            Self::Lock(asked_bytes) if asked_bytes > capacity.fits_bytes => {
                Err(BalloonError::TooLarge {
                    asked_bytes,
                    capacity,
                })
            }
            Self::Lock(bytes) => Ok(bytes),
            Self::LeaveFree(leave_bytes) => {
                // The same allowance for page tables as in `BalloonCapacity::of`.
                let bytes = capacity.available_bytes.saturating_sub(leave_bytes) / 513 * 512;
                let bytes = bytes / page_bytes() * page_bytes();
                if bytes == 0 {
                    Err(BalloonError::NothingToLock {
                        leave_bytes,
                        capacity,
                    })
                } else if bytes > capacity.fits_bytes {
                    Err(BalloonError::LeavesTooLittle {
                        leave_bytes,
                        capacity,
                    })
                } else {
                    Ok(bytes)
                }
            }
        }
    }

    /// Says what would be refused, before anything is touched.
    ///
    /// # Errors
    /// As [`Self::bytes`]; also where RLIMIT_MEMLOCK does not allow it.
    pub fn check(self) -> Result<(), BalloonError> {
        refuse_beyond_lock_limit(self.bytes(largest_balloon()?)?)
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

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GIB: u64 = 1 << 30;

    #[test]
    fn a_size_that_does_not_fit_is_refused_with_what_would() {
        let capacity = BalloonCapacity::of(32 * GIB, 30 * GIB, None);
        assert_eq!(BalloonSize::Lock(4 * GIB).bytes(capacity).unwrap(), 4 * GIB);
        let fits = capacity.fits_bytes;
        assert_eq!(BalloonSize::Lock(fits).bytes(capacity).unwrap(), fits);
        assert!(matches!(
            BalloonSize::Lock(fits + 1).bytes(capacity),
            Err(BalloonError::TooLarge { .. })
        ));
        assert!(matches!(
            BalloonSize::Lock(0).bytes(capacity),
            Err(BalloonError::Empty)
        ));
        for all in [30 * GIB, 31 * GIB] {
            assert!(matches!(
                BalloonSize::LeaveFree(all).bytes(capacity),
                Err(BalloonError::NothingToLock { .. })
            ));
        }
        let error = BalloonSize::LeaveFree(GIB / 8).bytes(capacity).unwrap_err();
        assert!(matches!(error, BalloonError::LeavesTooLittle { .. }));
        assert!(error.to_string().contains("512 MiB"), "{error}");
    }

    proptest! {
        /// What is left beside the locked memory and its page tables is what was asked for, to 513 pages.
        #[test]
        fn what_is_left_is_what_was_asked_for(available in GIB..64 * GIB, leave in 0..64 * GIB) {
            let capacity = BalloonCapacity::of(64 * GIB, available, None);
            if let Ok(bytes) = BalloonSize::LeaveFree(leave).bytes(capacity) {
                let left = available - bytes - bytes / 512;
                prop_assert!(left >= leave && left - leave < 513 * 2 * page_bytes(), "{left} {leave}");
                prop_assert!(left >= capacity.reserve_bytes);
            }
        }
    }
}
