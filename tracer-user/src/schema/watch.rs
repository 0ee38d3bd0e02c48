//! What `tracer watch` knows of a window beyond its run: `watch.json`, beside `run.json`.

use serde::{Deserialize, Serialize};

/// Version of the layout of `watch.json`.
pub const WATCH_SCHEMA_VERSION: u32 = 1;

/// One window, or one recording.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WatchedWindowRecord {
    /// [`WATCH_SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// Name of the machine.
    pub host: String,
    pub engine: WatchedEngineRecord,
    /// Names of the models that it counts.
    pub models: Vec<String>,
    /// Number of the window among those of this engine, from 1. Null of a recording.
    pub window: Option<u64>,
    /// The condition that began the recording, and the figure that met it; null of a window.
    pub recorded_since: Option<String>,
    /// When it was begun, RFC 3339 in UTC. Counting began a moment later: `started_at` of `run.json`.
    pub begun_at: String,
    /// Seconds before it in which nobody counted this engine: since its start, or since its window before. Null where that is not
    /// known, and while the window is open.
    pub uncounted_before_s: Option<f64>,
    /// When counting ended, RFC 3339 in UTC. Null while it is open.
    pub ended_at: Option<String>,
    /// Why it ended. Null while it is open.
    pub ended: Option<String>,
}

/// Which engine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WatchedEngineRecord {
    /// What it is called in the metrics' label `engine`.
    pub name: String,
    pub pid: i32,
    /// Its start after boot, clock ticks: with the boot and the process id it means one process for all time.
    pub start_time_ticks: u64,
    /// The kernel's id of this boot.
    pub boot_id: String,
    pub command_line: Vec<String>,
}
