//! How much memory there is for a balloon.

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

pub(super) fn page_bytes() -> u64 {
    procfs::page_size()
}
