//! What was sampled over time. What was not observed is null.

use serde::{Deserialize, Serialize};

/// Memory at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MemoryPointRecord {
    /// Seconds after the opening of the gate.
    pub at_s: f64,
    pub process: Option<ProcessPointRecord>,
    pub system: Option<SystemPointRecord>,
    /// The memory cgroup that the engine is in.
    pub cgroup: Option<CgroupPointRecord>,
}

/// The engine's process, bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessPointRecord {
    /// `RssAnon`.
    pub anonymous_bytes: Option<u64>,
    /// `RssFile`: mapped pages of files.
    pub file_bytes: Option<u64>,
    /// `RssShmem`.
    pub shared_memory_bytes: Option<u64>,
    /// `VmSwap`.
    pub swap_bytes: Option<u64>,
    /// `VmPTE`.
    pub page_table_bytes: Option<u64>,
}

/// The machine. Counters are changes since the first point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemPointRecord {
    /// `MemAvailable`.
    pub available_bytes: Option<u64>,
    /// `Cached`.
    pub cached_bytes: Option<u64>,
    /// `Dirty`.
    pub dirty_bytes: Option<u64>,
    /// `workingset_refault_file` of /proc/vmstat.
    pub workingset_refault_file_pages: Option<u64>,
    /// PSI of memory: at least one task waited, microseconds.
    pub psi_memory_some_us: Option<u64>,
    /// PSI of memory: all tasks waited, microseconds.
    pub psi_memory_full_us: Option<u64>,
    /// PSI of I/O: at least one task waited, microseconds.
    pub psi_io_some_us: Option<u64>,
    /// PSI of I/O: all tasks waited, microseconds.
    pub psi_io_full_us: Option<u64>,
}

/// A memory cgroup. Counters are changes since the first point.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupPointRecord {
    pub usage_bytes: Option<u64>,
    pub anonymous_bytes: Option<u64>,
    /// Page cache.
    pub file_bytes: Option<u64>,
    pub file_mapped_bytes: Option<u64>,
    /// `workingset_refault_file`.
    pub workingset_refault_file_pages: Option<u64>,
    /// `pgmajfault`.
    pub major_faults: Option<u64>,
}

/// Residency of the models at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ResidencyPointRecord {
    /// Seconds after the opening of the gate.
    pub at_s: f64,
    /// By model: bytes resident by the page-cache events, which is at the start + inserts − evictions.
    pub by_events_bytes: Vec<Option<u64>>,
    /// By model: bytes resident by cachestat(2), at the points at which it was asked.
    pub by_cachestat_bytes: Option<Vec<Option<u64>>>,
    /// By model: changed and not yet written, at those points.
    pub dirty_bytes: Option<Vec<Option<u64>>>,
    /// By model: evicted so recently that a read of them would count as a refault, at those points.
    pub recently_evicted_bytes: Option<Vec<Option<u64>>>,
}

/// A buffer of the engine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BufferRecord {
    /// As the engine names its memory: `CPU`, `CPU_Mapped`, `CPU_REPACK`, …
    pub device: Option<String>,
    /// `model`, `mapped`, `repack`, `kv_cache`, `compute`, …
    pub purpose: String,
    /// Bytes, as exact as the log.
    pub bytes: u64,
}

/// A phase that a person, a script or a line of the log said had begun.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GivenMarkRecord {
    /// Name of the phase, or `step`.
    pub phase: String,
    /// Who said so: `phase_line` (a line of the log), `pipe` (somebody who wrote into the run's pipe), `command` (`tracer mark`), `screen` (a key of the live
    /// screen).
    pub by: String,
    /// When the tracer had it, seconds after the opening of the gate. This time counts.
    pub at_s: f64,
    /// It was given at most this much before `at_s`, seconds. What an engine keeps back before it writes its log is not
    /// in it.
    pub uncertainty_s: f64,
}
