//! The machine around a run: its kernel, and its memory before and after.

use crate::{pressure::SystemMemory, record::MemoryRecord};

/// The machine's memory at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryState {
    memory: Option<SystemMemory>,
    swapped_in_pages: Option<u64>,
    swapped_out_pages: Option<u64>,
}

impl MemoryState {
    /// As it is now.
    #[must_use]
    pub fn now() -> Self {
        let statistics = procfs::vmstat().ok();
        let value = |name: &str| {
            statistics
                .as_ref()
                .and_then(|statistics| statistics.get(name))
                .and_then(|value| u64::try_from(*value).ok())
        };
        Self {
            memory: SystemMemory::read().ok(),
            swapped_in_pages: value("pswpin"),
            swapped_out_pages: value("pswpout"),
        }
    }

    fn refaulted_pages(&self) -> Option<u64> {
        self.memory?.workingset_refault_file_pages
    }

    /// What changed until `after`.
    #[must_use]
    pub fn until(&self, after: &Self) -> MemoryRecord {
        let change = |pick: fn(&Self) -> Option<u64>| pick(after)?.checked_sub(pick(self)?);
        MemoryRecord {
            total_bytes: self.memory.map(|memory| memory.total_bytes),
            available_before_bytes: self.memory.and_then(|memory| memory.available_bytes),
            cached_before_bytes: self.memory.map(|memory| memory.cached_bytes),
            cached_after_bytes: after.memory.map(|memory| memory.cached_bytes),
            workingset_refault_file_pages: change(Self::refaulted_pages),
            swap_in_pages: change(|state| state.swapped_in_pages),
            swap_out_pages: change(|state| state.swapped_out_pages),
        }
    }
}

/// Release of the running kernel.
#[must_use]
pub fn kernel_release() -> String {
    nix::sys::utsname::uname().map_or_else(
        |error| format!("unknown ({error})"),
        |name| name.release().to_string_lossy().into_owned(),
    )
}
