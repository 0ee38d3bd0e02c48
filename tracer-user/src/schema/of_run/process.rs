//! The engine's memory and faults. What the kernel did not say is null.

use serde::{Deserialize, Serialize};

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ProcessRecord {
    pub pid: u32,
    /// Page faults that needed I/O.
    pub major_faults: Option<u64>,
    /// Page faults that did not.
    pub minor_faults: Option<u64>,
    /// Largest resident set that was sampled, and what it was made of then.
    pub peak: Option<PeakMemoryRecord>,
    /// The kernel's own high-water mark (`VmHWM`), bytes.
    pub peak_rss_bytes: Option<u64>,
    /// The smallest limit of the memory cgroup that it is in and of those above it, bytes, whoever set it. Null where none is
    /// seen.
    #[serde(default)]
    pub memory_limit_bytes: Option<u64>,
    /// `smaps_rollup` at the moment of [`ProcessRecord::mappings`].
    pub rollup: Option<RollupRecord>,
    pub mappings: Option<MappingsRecord>,
}

/// The resident set at its largest sample, bytes.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct PeakMemoryRecord {
    /// `VmRSS`.
    pub rss_bytes: Option<u64>,
    /// `RssAnon`.
    pub anonymous_bytes: Option<u64>,
    /// `RssFile`.
    pub file_bytes: Option<u64>,
    /// `RssShmem`.
    pub shared_memory_bytes: Option<u64>,
    /// `VmPTE`: page tables, which are not part of the resident set.
    pub page_table_bytes: Option<u64>,
}

/// `smaps_rollup`, bytes.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct RollupRecord {
    pub rss_bytes: Option<u64>,
    /// Resident, shared pages divided among their users.
    pub pss_bytes: Option<u64>,
    pub anonymous_bytes: Option<u64>,
    pub locked_bytes: Option<u64>,
}

/// The largest mappings at one moment.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct MappingsRecord {
    /// The moment, in words.
    pub taken_at: String,
    pub largest: Vec<MappingRecord>,
}

/// One mapping, or all mappings of one file, bytes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct MappingRecord {
    /// First address, hexadecimal.
    pub address: String,
    /// Permissions as in `/proc/PID/maps`.
    pub permissions: String,
    pub size_bytes: u64,
    pub rss_bytes: Option<u64>,
    pub anonymous_bytes: Option<u64>,
    pub locked_bytes: Option<u64>,
    pub path: String,
}
