//! What the reads were for: phases, steps, tensors, and how a device's bytes divide.

use serde::{Deserialize, Serialize};

use crate::schema::{LatencyFigures, PhaseGaps};

/// A phase of the run. Not the figures of its segments in `stats`: what comes from requests is null here where the sectors
/// are not known, what comes from faults where these were not observed.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct PhaseRecord {
    /// `load`, `idle`, `warm_up`, `prompt`, `generation`, `mixed`, `inference` (prompt and generation, which no mark
    /// tells apart), `unended_step` (the last step and what came after it, where nothing says when that step ended), `end`,
    /// or `unmarked`.
    pub phase: String,
    /// Begin of its first part, seconds after the opening of the gate.
    pub start_s: f64,
    /// End of its last part.
    pub end_s: f64,
    /// Time of its parts.
    pub duration_s: f64,
    /// Decode steps in it.
    pub steps: u64,
    /// Reads first issued in it. Null, like all that comes from requests, where the sectors are not known.
    pub reads: Option<u64>,
    /// Bytes of the model in them.
    pub read_bytes: Option<u64>,
    /// Distinct bytes among those that arrived.
    pub unique_bytes: Option<u64>,
    /// Those of them that arrived three times or more. Null also in records of before this was counted.
    #[serde(default)]
    pub three_times_bytes: Option<u64>,
    /// Unique bytes / data bytes of the model.
    pub coverage: Option<f64>,
    /// Read bytes / unique bytes.
    pub amplification: Option<f64>,
    /// Bytes of reads that the kernel marked as read-ahead.
    pub readahead_bytes: Option<u64>,
    /// Bytes that arrived / duration.
    pub average_bytes_per_s: Option<f64>,
    /// Gaps; a gap belongs to the later read.
    pub gaps: Option<PhaseGaps>,
    /// Latency of its reads, microseconds.
    pub latency_us: Option<LatencyFigures>,
    /// Page faults on the model.
    pub faults: Option<u64>,
    /// Page faults that brought their page in.
    pub major_faults: Option<u64>,
    /// Bytes that entered the page cache.
    pub inserted_bytes: Option<u64>,
    /// Bytes that left it.
    pub evicted_bytes: Option<u64>,
    /// Bytes that entered it after an eviction seen in this run.
    pub refaulted_bytes: Option<u64>,
    pub waits: WaitRecord,
    /// Bytes read by kind of tensor, the largest first.
    pub kinds: Option<Vec<KindBytes>>,
    /// Bytes read by layer, ascending. Null at the level `counts`, and in a phase of more steps than are kept by tensor.
    #[serde(default)]
    pub layers: Option<Vec<LayerBytes>>,
    /// Bytes read of experts, ascending, without those of which nothing was read. Null as `layers`; empty for a model without.
    #[serde(default)]
    pub experts: Option<Vec<ExpertBytes>>,
}

/// Waits, seconds. Null where they were not observed: by the programs that were there, which the figures of `stats`, in
/// nanoseconds, do not know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct WaitRecord {
    /// Time in which at least one thread waited for a folio of the model.
    pub stall_s: Option<f64>,
    /// Time in which at least one thread was in direct reclaim, and none waited for the model.
    #[serde(default)]
    pub reclaim_s: Option<f64>,
    /// Time in which at least one thread waited for a lock in a fault on the model, and none in one of the ways above.
    #[serde(default)]
    pub lock_s: Option<f64>,
    /// Time in which at least one thread waited for other I/O, and none in one of the ways above.
    #[serde(default)]
    pub other_io_s: Option<f64>,
    /// Waits for a folio of the model, summed over threads.
    pub stall_threads_s: Option<f64>,
    /// Other I/O of the engine's threads, direct reads among it, summed over threads.
    pub other_io_threads_s: Option<f64>,
    /// Direct reclaim by the engine's threads, summed over threads.
    pub reclaim_threads_s: Option<f64>,
    /// Locks in page faults on the model, summed over threads.
    pub lock_threads_s: Option<f64>,
}

/// Bytes read of a layer's tensors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerBytes {
    /// Counted from 0.
    pub layer: u32,
    pub bytes: u64,
    /// Bytes read.
    pub read_bytes: u64,
}

/// Bytes read of one expert's slices.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpertBytes {
    pub layer: u32,
    /// Number in its layer, counted from 0.
    pub expert: u32,
    pub bytes: u64,
    /// Bytes read.
    pub read_bytes: u64,
}

/// Bytes read of a kind of tensor.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct KindBytes {
    /// Kind of tensor, or `header`, `padding`, `file`.
    pub kind: String,
    pub bytes: u64,
    /// Bytes read.
    pub read_bytes: u64,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TokenRecord {
    /// Number of the step, over all decode calls of the run from 0.
    pub step: u64,
    pub phase: String,
    /// Tokens in its batch. Null where they cannot be seen.
    pub tokens: Option<u64>,
    /// Entry of the decode call, seconds after the opening of the gate.
    pub start_s: f64,
    /// To the entry of the next one, or to the return of the last of a request. Null, like all that was counted in the
    /// step, where its end is not known.
    pub duration_s: Option<f64>,
    /// Why the step's end is not known, where that is so: only of the last one. What was counted from its entry on is in
    /// its phase.
    #[serde(default)]
    pub unended: Option<String>,
    /// Reads first issued in it.
    pub reads: Option<u64>,
    /// Bytes of the model in them.
    pub read_bytes: Option<u64>,
    /// Page faults on the model that brought their page in.
    pub major_faults: Option<u64>,
    /// Page faults on the model.
    pub faults: Option<u64>,
    /// Bytes that entered the page cache after an eviction seen in this run.
    pub refaulted_bytes: Option<u64>,
    pub waits: WaitRecord,
    /// Bytes of the tensors and experts that a step with so many tokens uses, where that is one number.
    pub need_bytes: Option<u64>,
    /// Bytes read / bytes needed.
    pub need_factor: Option<f64>,
}

/// A tensor, one expert's slice of one, or a part of a file that is no tensor. Not the figures of its piece in `stats`:
/// those of reads are null here where the sectors are not known, and a group of tensors has no count of reads.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct TensorRecord {
    /// Name of the tensor; `(header)`, `(padding)` or `(file)` for what is none.
    pub name: String,
    pub kind: String,
    pub layer: Option<u32>,
    pub expert: Option<u32>,
    /// Place of the file among the model's files.
    pub file: u64,
    /// First byte in its file.
    pub offset_bytes: u64,
    pub bytes: u64,
    /// Bytes read.
    pub read_bytes: Option<u64>,
    /// Reads that touch it.
    pub reads: Option<u64>,
    /// Those of `read_bytes` that reads marked as read-ahead brought.
    pub readahead_bytes: Option<u64>,
    /// Bytes read / size.
    pub reread: Option<f64>,
    /// Bytes that entered the page cache.
    pub inserted_bytes: Option<u64>,
    /// Bytes that left it.
    pub evictions_bytes: Option<u64>,
    /// Bytes that entered it after an eviction seen in this run.
    pub refaults_bytes: Option<u64>,
    /// Bytes inserted and evicted that were certainly not used in between.
    pub unused_at_least_bytes: Option<u64>,
    /// Bytes inserted and evicted of which no use was seen: no more were unused.
    pub unused_at_most_bytes: Option<u64>,
    /// Bytes resident at the end, by the events.
    pub resident_bytes: Option<u64>,
}

/// Where the phases were taken from.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct MarksRecord {
    /// `uprobes`, `log`, `page cache`, `given` or `none`.
    pub source: String,
    /// What ended the load: `uprobes`, `log` or `page cache` (all of the model had entered it once). Null: nothing did.
    pub load_end: Option<String>,
    /// In words: which functions, which line.
    pub description: String,
    /// Calls of each probed function.
    pub calls: Vec<CallCount>,
}

/// Calls of a probed function.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CallCount {
    pub symbol: String,
    /// Times it was entered (for one whose return is probed: returned from).
    pub calls: u64,
}

/// How the bytes that a device read divide.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct DeviceShareRecord {
    /// Kernel name of the whole disk.
    pub device: String,
    /// The classes; they sum to `read_bytes`.
    pub classes: Vec<ShareClass>,
    /// Bytes of all reads of the device, by first issue.
    pub read_bytes: u64,
    /// Bytes by the device's own counter.
    pub statistics_bytes: Option<u64>,
}

/// A class of reads.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ShareClass {
    pub class: String,
    /// Their bytes.
    pub bytes: u64,
    /// Share of the device's bytes.
    pub share: Option<f64>,
}
