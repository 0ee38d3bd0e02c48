//! A traced device, and the time that it was traced for.

use serde::{Deserialize, Serialize};

/// A device and all of its requests in the window.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct DeviceRecord {
    /// Kernel name of the whole disk.
    pub name: String,
    /// `major:minor` of the whole disk.
    pub number: String,
    /// What the device calls itself.
    pub device_model: Option<String>,
    pub scheduler: Option<String>,
    /// Read-ahead, KiB.
    pub read_ahead_kb: Option<u64>,
    /// Largest request, KiB.
    pub max_sectors_kb: Option<u64>,
    /// Whether it says it has moving parts.
    pub rotational: Option<bool>,
    /// Of a loop device: whether it reads its file past the page cache. Where it does not, what is read from it is cached twice.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub loop_direct_io: Option<bool>,
    /// Read requests, the models' and all others, by first issue.
    pub reads: u64,
    /// Bytes of them.
    pub read_bytes: u64,
    /// Reads that touch no model.
    pub other_reads: u64,
    /// Bytes of reads that belong to no model.
    pub other_read_bytes: u64,
    /// Reads with the file system's metadata flag.
    pub metadata_reads: u64,
    pub writes: u64,
    /// Bytes of them.
    pub write_bytes: u64,
    pub flushes: u64,
    pub discards: u64,
    /// Passthrough and the rest.
    pub other_requests: u64,
    /// Sectors read by the device's own counter between the same two moments.
    pub statistics_sectors_read: Option<u64>,
}

/// Times of the window, in seconds.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TimeRecord {
    /// From the opening of the gate to its closing, which follows the engine's end within milliseconds.
    pub wall_s: f64,
    /// CPU time of the engine in user mode, where it was launched.
    pub engine_user_s: Option<f64>,
    /// CPU time of the engine in the kernel, where it was launched.
    pub engine_system_s: Option<f64>,
}
