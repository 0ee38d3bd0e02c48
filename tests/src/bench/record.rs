//! What was measured, as it is kept.

use serde::{Deserialize, Serialize};

use super::interval::Interval;

/// One measurement of one kind of work.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CostRecord {
    /// The work.
    pub work: WorkRecord,
    /// Variants, in their order.
    pub variants: Vec<VariantRecord>,
}

/// Work that is done again and again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkRecord {
    /// Threads that read.
    pub threads: usize,
    /// Bytes a read.
    pub read_bytes: usize,
    /// Extents of the model's file.
    pub extents: usize,
    /// Size of the model's file.
    pub model_bytes: u64,
    /// CPUs that readers and device may use.
    pub processors: usize,
}

/// What a variant cost.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VariantRecord {
    /// Its name.
    pub name: String,
    /// Every round, the first one first.
    pub rounds: Vec<RoundRecord>,
    /// Of the rounds: programs' time for one read above that of programs that do nothing; waits and the page cache apart, ns.
    pub block_ns_a_read: Option<Interval>,
    /// The same for programs on switches between threads and on reclaim, ns a read.
    pub wait_ns_a_read: Option<Interval>,
    /// All programs, what measuring itself costs included, ns a read.
    pub raw_ns_a_read: Option<Interval>,
    /// Reads per second.
    pub reads_per_second: Option<Interval>,
    /// The same against the round's slot without a tracer.
    pub reads_ratio: Option<Interval>,
    /// CPU time of the whole machine for a read, ns.
    pub processor_ns_a_read: Option<Interval>,
    /// The same against the round's slot without a tracer.
    pub processor_ratio: Option<Interval>,
    /// Records lost in all rounds; none where it does not say.
    pub lost_records: Option<u64>,
}

/// What a variant did in one round.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RoundRecord {
    /// Reads per second, without run-time statistics.
    pub reads_per_second: f64,
    /// CPU time of the whole machine for a read, ns, without run-time statistics.
    pub processor_ns_a_read: f64,
    /// Programs, while run-time statistics were on.
    pub programs: Vec<ProgramRecord>,
    /// Requests that the device completed meanwhile.
    pub requests: u64,
    /// Records lost.
    pub lost_records: Option<u64>,
}

/// What a program did in one round.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProgramRecord {
    /// Its name, as far as the kernel keeps it.
    pub name: String,
    /// Runs.
    pub runs: u64,
    /// Their time, ns.
    pub time_ns: u64,
    /// Runs that were skipped, since a program ran on that CPU already.
    pub skipped: u64,
}
