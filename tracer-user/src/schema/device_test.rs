//! What a device can do on a model's file, beside what a run got from it.

use serde::{Deserialize, Serialize};

/// Version of the layout of `device.json`.
pub const DEVICE_TEST_SCHEMA_VERSION: u32 = 1;

/// One test of a device.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct DeviceTestRecord {
    /// [`DEVICE_TEST_SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// Version of the tracer.
    pub tracer_version: String,
    /// Start, RFC 3339 in UTC.
    pub started_at: String,
    /// Release of the kernel.
    pub kernel: String,
    /// The file that was read.
    pub file: TestedFile,
    /// The device that it lies on.
    pub device: TestedDevice,
    /// The run that the patterns come from. Null without one.
    pub run: Option<TestedRun>,
    /// How reads were made.
    pub method: String,
    /// Time that was asked for, seconds.
    pub asked_s: f64,
    /// Time that it took, seconds.
    pub measured_s: f64,
    /// Rounds in which every pattern was measured once. Figures need 5.
    pub rounds: u64,
    /// Fewer rounds than were to be.
    pub partial: bool,
    /// Why.
    pub partial_reason: Option<String>,
    /// Why the figures are not the device's, where that is so: it was busy with others, or memory answered.
    pub doubts: Vec<String>,
    /// By pattern.
    pub patterns: Vec<PatternRecord>,
    /// What the order of the reads costs. Null without a list of reads.
    pub order: Option<OrderCostRecord>,
    /// How much of the device the run used. Null without a run, or where it has no such figures.
    pub used: Option<UsedRecord>,
    /// What others did to the device meanwhile. Null where the device does not count.
    pub others: Option<OtherLoadRecord>,
    /// What a reader should know.
    pub notes: Vec<String>,
}

/// The file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TestedFile {
    /// Path.
    pub path: String,
    /// Size, bytes.
    pub size_bytes: u64,
    /// Extents.
    pub extents: u64,
    /// Type of its file system.
    pub filesystem: String,
}

/// The device.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TestedDevice {
    /// Kernel name of the whole disk.
    pub name: String,
    /// What the device calls itself.
    pub device_model: Option<String>,
    /// I/O scheduler.
    pub scheduler: Option<String>,
    /// Largest request, KiB.
    pub max_sectors_kb: Option<u64>,
    /// Whether it says it has moving parts.
    pub rotational: Option<bool>,
}

/// What is taken from a run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TestedRun {
    /// Its folder.
    pub directory: String,
    /// Its start.
    pub started_at: String,
    /// Half of its requests were of this size or smaller, bytes.
    pub median_request_bytes: u64,
    /// Mean number of its reads with the driver at an issue, itself included.
    pub mean_queue_depth: Option<f64>,
    /// `bandwidth.busy_bytes_per_s`.
    pub busy_bytes_per_s: Option<f64>,
    /// `bandwidth.average_bytes_per_s`.
    pub average_bytes_per_s: Option<f64>,
    /// Reads of its list that lie in this file and can be made again. Null without a list.
    pub listed_reads: Option<u64>,
    /// Reads of the model in its list that cannot: of another file, or no contiguous piece of one.
    pub left_out_reads: Option<u64>,
}

/// A pattern of reads, and what it got.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PatternRecord {
    /// `sequential`, `random`, `recorded`, `sorted` or `shuffled`.
    pub order: String,
    /// Size of each read, bytes. Null where sizes are those of the run.
    pub request_bytes: Option<u64>,
    /// Reads in flight.
    pub queue_depth: u64,
    /// Bytes a second, over the rounds.
    pub bytes_per_s: Option<SpreadRecord>,
    /// Reads a second, over the rounds.
    pub reads_per_s: Option<SpreadRecord>,
    /// Time of half of the reads, microseconds, over the rounds.
    pub median_latency_us: Option<SpreadRecord>,
    /// Each round.
    pub rounds: Vec<RoundRecord>,
}

/// One round of a pattern.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RoundRecord {
    /// Reads that came back.
    pub reads: u64,
    /// Their bytes.
    pub bytes: u64,
    /// From the first read's start to the last one's end, seconds.
    pub seconds: f64,
    /// Time of half of the reads, microseconds.
    pub median_latency_us: f64,
    /// The round's time was up, or it was interrupted, before all reads of its window were made.
    pub cut_short: bool,
}

/// A figure over rounds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SpreadRecord {
    /// The middle one, or the mean of the two in the middle.
    pub median: f64,
    /// Smallest.
    pub least: f64,
    /// Largest.
    pub largest: f64,
}

/// What the order costs: times of the same reads in two orders, divided round by round.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct OrderCostRecord {
    /// Time in the recorded order / time in the order of the device.
    pub recorded_to_sorted: Option<SpreadRecord>,
    /// Time in a random order / time in the order of the device.
    pub shuffled_to_sorted: Option<SpreadRecord>,
    /// Reads of all windows: of each round some consecutive ones of the list.
    pub window_reads: u64,
    /// Bytes of all windows.
    pub window_bytes: u64,
}

/// How much of what the device can do a run used.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct UsedRecord {
    /// The best median of all sequential patterns, bytes a second.
    pub best_bytes_per_s: f64,
    /// The run's bandwidth while it had reads in flight / that.
    pub busy_share: Option<f64>,
    /// The run's bandwidth over its whole time / that.
    pub average_share: Option<f64>,
    /// The run's bandwidth while it had reads in flight / what its own reads got here.
    pub busy_share_of_recorded: Option<f64>,
}

/// What the device's own counters have beyond our reads.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OtherLoadRecord {
    /// Our reads, bytes.
    pub own_bytes: u64,
    /// Bytes read by others.
    pub read_bytes: u64,
    /// Bytes written by others: the test writes nothing.
    pub written_bytes: u64,
    /// Bytes of ours that the device has not counted: something else has answered.
    pub missing_bytes: u64,
}
