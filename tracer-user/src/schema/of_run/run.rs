//! One finished run.

use serde::{Deserialize, Serialize};

use crate::schema::{
    Check, DeviceRecord, DeviceShareRecord, EngineMetricsRecord, EngineRecord, GivenMarkRecord,
    MachineRecord, MemoryPointRecord, ModelRecord, ProcessRecord, ReadListRecord, RecordingRecord,
    ResidencyPointRecord, TimeRecord,
};

/// Version of the layout of `run.json`. 1: the first one. 2: phases, steps, tensors, shares of devices and courses over
/// time; what comes from requests may be null.
pub const SCHEMA_VERSION: u32 = 2;

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct RunRecord {
    /// [`SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// Version of the tracer.
    pub tracer_version: String,
    /// Start of the window, RFC 3339 in UTC.
    pub started_at: String,
    /// Release of the running kernel.
    pub kernel: String,
    /// How the process came to be traced: `launch` or `attach`.
    pub mode: String,
    /// How much was recorded: `counts`, `events` or `audit`. Null in a record from before there were levels: `events`, or
    /// `audit` where there are accountings.
    #[serde(default)]
    pub detail: Option<String>,
    /// The engine's command and arguments.
    pub command: Vec<String>,
    /// How the engine ended.
    pub exit: ExitRecord,
    /// The window is shorter than was asked for: it was interrupted, or the process ended before its time.
    pub partial: bool,
    /// Why, where `partial` is set.
    pub partial_reason: Option<String>,
    /// No event was lost and every check holds.
    pub complete: bool,
    /// Time of the window.
    pub time: TimeRecord,
    /// What the engine said of itself.
    pub engine: EngineRecord,
    /// What the engine's own metrics say of the window. Null where it was not asked.
    #[serde(default)]
    pub engine_metrics: Option<EngineMetricsRecord>,
    /// Phases that were given from outside; null where none was.
    #[serde(default)]
    pub given_marks: Option<Vec<GivenMarkRecord>>,
    /// The model's figures, where one model was traced.
    #[serde(flatten)]
    pub single: Option<ModelRecord>,
    /// The models' figures, where several were traced; else empty.
    pub models: Vec<ModelRecord>,
    #[serde(default)]
    pub machine: MachineRecord,
    /// What was done to the memory.
    pub pressure: PressureRecord,
    /// The machine's memory around the run.
    pub memory: MemoryRecord,
    /// The engine's memory and faults.
    pub process: ProcessRecord,
    pub devices: Vec<DeviceRecord>,
    /// How each device's bytes divide.
    pub device_share: Vec<DeviceShareRecord>,
    /// Memory of the engine, the machine and the engine's cgroup over time.
    pub memory_course: Vec<MemoryPointRecord>,
    /// Residency of the models over time.
    pub residency_course: Vec<ResidencyPointRecord>,
    /// The list of reads beside this record. Null where none was asked for.
    #[serde(default)]
    pub read_list: Option<ReadListRecord>,
    /// The recording beside this record. Null where none was asked for.
    #[serde(default)]
    pub recording: Option<RecordingRecord>,
    /// Events that were lost.
    pub loss: LossRecord,
    /// The self-checks of this run.
    pub checks: Vec<Check>,
    /// What the tracer itself cost.
    pub overhead: OverheadRecord,
    /// What a reader should know: a fall-back, a figure that could not be taken and why.
    pub notes: Vec<String>,
}

impl RunRecord {
    /// All models, one or several.
    pub fn all_models(&self) -> impl Iterator<Item = &ModelRecord> {
        self.single.iter().chain(&self.models)
    }

    /// Checks that do not hold.
    pub fn violations(&self) -> impl Iterator<Item = &Check> {
        self.checks
            .iter()
            .filter(|check| check.holds == Some(false))
    }
}

/// How the engine ended.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ExitRecord {
    /// Exit code, where it exited by itself.
    pub code: Option<i32>,
    /// Signal, where one ended it.
    pub signal: Option<i32>,
    pub description: String,
}

/// What was done to the memory.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PressureRecord {
    /// Bytes locked away by the balloon, from its own `VmLck`.
    pub locked_bytes: u64,
    /// Bytes of `MemAvailable` that the balloon was asked to leave, where it was sized so.
    #[serde(default)]
    pub leave_free_bytes: Option<u64>,
    /// The memory cgroup of the engine.
    pub cgroup: Option<CgroupRecord>,
    /// `drop_caches` was written before the start.
    pub dropped_caches: bool,
    /// The model's files were evicted before the start.
    pub evicted_model: bool,
    /// Read-ahead that was set for this run, and put back after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read_ahead: Vec<SetReadAheadRecord>,
    /// Settings of the devices' queues that were set for this run, and put back after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub queues: Vec<SetQueueRecord>,
    /// Parts of the model that were kept in memory for this run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<PinnedRecord>,
    /// Experts that the tracer itself threw out of memory again and again, so that their use shows.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shown_experts: Option<ShownExpertsRecord>,
}

/// What the tracer threw out of memory so that the use of experts shows: what was read of them again is its own doing.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownExpertsRecord {
    /// What was to be thrown out at a time, bytes; at least the experts of one layer.
    pub at_a_time_bytes: u64,
    /// How often that was done.
    pub rounds: u64,
    /// Bytes of experts that were in memory when their turn came, over all rounds.
    pub found_bytes: u64,
    /// Those of them that were in memory right afterwards: in use, locked, or mapped by another process.
    pub stayed_bytes: u64,
}

/// A setting of a device's queue that was set for a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetQueueRecord {
    /// Name of the device.
    pub device: String,
    /// `scheduler` or `nr_requests`.
    pub setting: String,
    pub set: String,
    /// What it was before.
    pub before: String,
}

/// What was locked in memory by a process in the engine's cgroup.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PinnedRecord {
    /// Which tensors: `shared` or `hot`.
    pub what: String,
    /// What they might take at most, bytes.
    pub budget_bytes: u64,
    /// What they took, bytes.
    pub bytes: u64,
    /// Pieces of the files that this is.
    pub ranges: u64,
    /// Whether it was held to the end of the run.
    pub held: bool,
}

/// Read-ahead that was set for a run.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SetReadAheadRecord {
    /// Name of the device.
    pub device: String,
    /// What was set, KiB.
    pub set_kb: u64,
    /// What it was before, KiB.
    pub before_kb: u64,
}

/// The memory cgroup of the engine.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CgroupRecord {
    /// 1 or 2.
    pub version: u32,
    /// Limit, bytes.
    pub limit_bytes: u64,
    /// `memory.high`, bytes: where throttling begins.
    #[serde(default)]
    pub high_bytes: Option<u64>,
    /// Highest use, bytes.
    pub peak_bytes: Option<u64>,
    /// Processes that the kernel killed for it.
    pub oom_kills: Option<u64>,
    /// `workingset_refault_file` of the cgroup: pages that reclaim had evicted and that came back.
    pub workingset_refault_file: Option<u64>,
}

/// The machine's memory around the run, bytes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct MemoryRecord {
    /// `MemTotal`.
    pub total_bytes: Option<u64>,
    /// `MemAvailable` after pressure was applied and before the engine started.
    pub available_before_bytes: Option<u64>,
    /// `Cached` at that moment.
    pub cached_before_bytes: Option<u64>,
    /// `Cached` after the engine's end.
    pub cached_after_bytes: Option<u64>,
    /// Change of the system's `workingset_refault_file`, pages.
    pub workingset_refault_file_pages: Option<u64>,
    /// Swapped-in pages during the run (`pswpin`).
    pub swap_in_pages: Option<u64>,
    /// Swapped-out pages during the run (`pswpout`).
    pub swap_out_pages: Option<u64>,
    /// Processes of the whole machine that the kernel killed for lack of memory during the run (`oom_kill`).
    #[serde(default)]
    pub oom_kills: Option<u64>,
}

/// Events that were lost. Any of them marks the run.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LossRecord {
    /// Records that found no room in the ring buffer.
    pub ring_buffer_records: u64,
    /// Of them: issues and re-issues.
    pub ring_buffer_issues: u64,
    /// Of them: completions, and ends that no program saw.
    pub ring_buffer_completions: u64,
    pub ring_buffer_requeues: u64,
    /// Of them: page-cache events.
    pub ring_buffer_pages: u64,
    pub ring_buffer_waits: u64,
    /// Of them: calls of the engine's functions.
    pub ring_buffer_marks: u64,
    /// Of them: stages before the issue, for the audit.
    #[serde(default)]
    pub ring_buffer_stages: u64,
    /// Events for which the kernel skipped a program. Null where this kernel does not count them.
    pub recursion_misses: Option<u64>,
    /// Reads of the traced devices whose completion no program saw: some kernels hide events from programs
    /// (`docs/KERNELS.md`), and count it nowhere. They are noticed when their tag is used again, or when the device is
    /// idle at the end, so that counts, bytes and unique bytes stay exact; they have no latency and are in no bandwidth.
    pub unseen_completions: u64,
    /// Of them: noticed at the end only, since the device was idle. The others gave a record of their own.
    pub unseen_at_end: u64,
    /// Reads whose tag lies outside the table, so that their completions cannot be matched.
    pub untimed_reads: u64,
    /// Reads of the traced devices whose issue no program saw: they were taken in when they completed, so that counts,
    /// bytes and unique bytes stay exact; they have no latency, and their place in the order, their phase and their queue
    /// depth are those of their end.
    #[serde(default)]
    pub late_issues: u64,
}

/// What the tracer itself cost.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct OverheadRecord {
    /// CPU time of the tracer's own process during the window, seconds.
    pub tracer_cpu_s: f64,
    /// Records that went through the ring buffer.
    pub ring_buffer_records: u64,
    /// Run time of the programs, where it was measured.
    pub programs: Vec<ProgramOverhead>,
    /// What tracing cost against what it might cost, where `--budget` was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub budget: Option<BudgetRecord>,
}

/// What tracing cost against its budget.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BudgetRecord {
    /// What it might cost: percent of the CPU time of all CPUs.
    pub percent: f64,
    /// How often the cost was measured.
    pub measurements: u64,
    /// The most that it was.
    pub highest: Option<BudgetMeasurement>,
    /// What it was at last.
    pub last: Option<BudgetMeasurement>,
    /// The measurement that exceeded the budget, and made the run one of `counts`.
    pub stepped_down: Option<BudgetMeasurement>,
}

/// What tracing cost for a while.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BudgetMeasurement {
    /// When, seconds since the window opened.
    pub at_s: f64,
    /// Time of the eBPF programs, percent of the CPU time of all CPUs.
    pub programs_percent: f64,
    /// CPU time of the tracer's process since the measurement before, the same.
    pub tracer_percent: f64,
    /// The programs were not timed: their time is events times what one usually costs.
    pub estimated: bool,
}

impl BudgetMeasurement {
    /// Programs and tracer together, percent of the CPU time of all CPUs.
    #[must_use]
    pub fn percent(&self) -> f64 {
        self.programs_percent + self.tracer_percent
    }
}

/// Run time of one eBPF program.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ProgramOverhead {
    pub program: String,
    pub calls: u64,
    /// Nanoseconds, all calls together.
    pub total_ns: u64,
}
