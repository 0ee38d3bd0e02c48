//! The machine around a run: its memory, before and after.

use procfs::{Current as _, Meminfo};

use crate::record::MemoryRecord;

/// The machine's memory at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryState {
    total_bytes: Option<u64>,
    available_bytes: Option<u64>,
    cached_bytes: Option<u64>,
    workingset_refault_file: Option<u64>,
    swapped_in_pages: Option<u64>,
    swapped_out_pages: Option<u64>,
}

impl MemoryState {
    /// As it is now.
    #[must_use]
    pub fn now() -> Self {
        let information = Meminfo::current().ok();
        let statistics = procfs::vmstat().ok();
        let value = |name: &str| {
            statistics
                .as_ref()
                .and_then(|statistics| statistics.get(name))
                .and_then(|value| u64::try_from(*value).ok())
        };
        Self {
            total_bytes: information.as_ref().map(|memory| memory.mem_total),
            available_bytes: information.as_ref().and_then(|memory| memory.mem_available),
            cached_bytes: information.as_ref().map(|memory| memory.cached),
            workingset_refault_file: value("workingset_refault_file"),
            swapped_in_pages: value("pswpin"),
            swapped_out_pages: value("pswpout"),
        }
    }

    /// What changed until `after`.
    #[must_use]
    pub fn until(&self, after: &Self) -> MemoryRecord {
        let change = |pick: fn(&Self) -> Option<u64>| pick(after)?.checked_sub(pick(self)?);
        MemoryRecord {
            total_bytes: self.total_bytes,
            available_before_bytes: self.available_bytes,
            cached_before_bytes: self.cached_bytes,
            cached_after_bytes: after.cached_bytes,
            workingset_refault_file_pages: change(|state| state.workingset_refault_file),
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
