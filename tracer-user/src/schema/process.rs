//! The engine's memory and faults. What the kernel did not say is null.

use serde::{Deserialize, Serialize};

/// The traced process.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ProcessRecord {
    /// Process id.
    pub pid: u32,
    /// Page faults that needed I/O.
    pub major_faults: Option<u64>,
    /// Page faults that did not.
    pub minor_faults: Option<u64>,
    /// Largest resident set that was sampled, and what it was made of then.
    pub peak: Option<PeakMemoryRecord>,
    /// The kernel's own high-water mark (`VmHWM`), bytes.
    pub peak_rss_bytes: Option<u64>,
    /// `smaps_rollup` at the moment of [`ProcessRecord::mappings`].
    pub rollup: Option<RollupRecord>,
    /// The largest mappings.
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
    /// Resident.
    pub rss_bytes: Option<u64>,
    /// Resident, shared pages divided among their users.
    pub pss_bytes: Option<u64>,
    /// Anonymous.
    pub anonymous_bytes: Option<u64>,
    /// Locked.
    pub locked_bytes: Option<u64>,
}

/// The largest mappings at one moment.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct MappingsRecord {
    /// The moment, in words.
    pub taken_at: String,
    /// Largest first.
    pub largest: Vec<MappingRecord>,
}

/// One mapping, or all mappings of one file, bytes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct MappingRecord {
    /// First address, hexadecimal.
    pub address: String,
    /// Permissions as in `/proc/PID/maps`.
    pub permissions: String,
    /// Size.
    pub size_bytes: u64,
    /// Resident.
    pub rss_bytes: Option<u64>,
    /// Anonymous.
    pub anonymous_bytes: Option<u64>,
    /// Locked.
    pub locked_bytes: Option<u64>,
    /// What is mapped.
    pub path: String,
}
