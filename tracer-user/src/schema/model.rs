//! The figures of one model.

use serde::{Deserialize, Serialize};

use super::{
    AccountingRecord, MarksRecord, PageCacheRecord, PhaseRecord, TensorRecord, TokenRecord,
};

/// One model's figures.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ModelRecord {
    /// What it is and where it lies.
    pub model: ModelIdentity,
    /// Reads that reached the device. Null, with `gaps`, `bandwidth` and `latency_us`, where the model's sectors are
    /// not known ([`ModelIdentity::without_sectors`]).
    pub reads: Option<ReadsRecord>,
    /// Gaps between consecutive reads.
    pub gaps: Option<GapsRecord>,
    /// Bytes per second.
    pub bandwidth: Option<BandwidthRecord>,
    /// Latency, microseconds.
    pub latency_us: Option<LatencyRecord>,
    /// What the page cache did, in pages unless the name says bytes.
    pub cache: CacheRecord,
    /// Where the phases were taken from. Null, with all that follows, where page-cache events were only counted.
    pub marks: Option<MarksRecord>,
    /// Figures by phase, in the order of a run.
    pub phases: Option<Vec<PhaseRecord>>,
    /// Decode steps. Null where no decode call was seen.
    pub tokens: Option<Vec<TokenRecord>>,
    /// Tensors, experts' slices of them, and the rest of the files, in the order of the files. `read_bytes` sum to the
    /// bytes of [`ReadsRecord::total_bytes`].
    pub tensors: Option<Vec<TensorRecord>>,
    /// The page cache, event by event.
    pub page_cache: Option<PageCacheRecord>,
    /// The same reads under every way of counting their records, where the run was asked for the audit.
    #[serde(default)]
    pub accountings: Option<Vec<AccountingRecord>>,
}

/// What a model is and where it lies.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ModelIdentity {
    /// Path of the model, or of the first of its files.
    pub path: String,
    /// Its files.
    pub files: Vec<ModelFileRecord>,
    /// Size of all files together, bytes.
    pub size_bytes: u64,
    /// Bytes that are on a device: the size without holes and unwritten parts. Null where that is not known.
    pub data_bytes: Option<u64>,
    /// Extents of all files together. Null where they are not known.
    pub extents: Option<u64>,
    /// Why the model's sectors are not known, where that is so.
    pub without_sectors: Option<String>,
    /// Format: `gguf` or `safetensors`. Null where the header could not be read.
    pub format: Option<String>,
    /// Architecture.
    pub architecture: Option<String>,
    /// Layers.
    pub layers: Option<u64>,
    /// Routed experts in a layer, and how many of them a token uses.
    pub experts: Option<ExpertsRecord>,
    /// File system.
    pub filesystem: String,
}

/// Routed experts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpertsRecord {
    /// In a layer.
    pub count: u64,
    /// That a token uses.
    pub used: u64,
}

/// One file of a model.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ModelFileRecord {
    /// Path.
    pub path: String,
    /// Size, bytes.
    pub size_bytes: u64,
    /// Inode number, as the page-cache tracepoints report it. 0, which no file has, where an old trace's model is known
    /// by its saved extents only.
    pub inode: u64,
    /// Extents. Null where they are not known.
    pub extents: Option<u64>,
}

/// Reads that reached the device.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ReadsRecord {
    /// Reads, each counted at its first issue.
    pub count: u64,
    /// Bytes of the model in them.
    pub total_bytes: u64,
    /// Distinct bytes that arrived without error.
    pub unique_bytes: u64,
    /// Unique bytes / data bytes. Null where there are no data bytes.
    pub coverage: Option<f64>,
    /// Total / unique bytes. Null where nothing was read.
    pub amplification: Option<f64>,
    /// Total bytes / size of the model.
    pub reread_factor: Option<f64>,
    /// Bytes that arrived without error.
    pub completed_bytes: u64,
    /// Reads that failed.
    pub failed: u64,
    /// Bytes that failed.
    pub failed_bytes: u64,
    /// Reads whose completion no program saw ([`super::LossRecord::unseen_completions`]).
    pub unseen: u64,
    /// Bytes of them; they arrived, or the device would not have used their tag again, and are not part of
    /// `completed_bytes`.
    pub unseen_bytes: u64,
    /// Reads in flight at the end of the window.
    pub in_flight: u64,
    /// Bytes of them that had not arrived.
    pub in_flight_bytes: u64,
    /// Times that the driver gave a read back.
    pub requeues: u64,
    /// Issues of reads that had been issued before. They are the same reads and in none of the counts.
    pub reissues: u64,
    /// Reads that the kernel marked as read-ahead.
    pub readahead: u64,
    /// Write requests to the model's extents. Null where the kernel side cannot tell whom a write is to.
    pub writes: Option<u64>,
    /// Bytes of them.
    pub write_bytes: Option<u64>,
    /// Request sizes, ascending.
    pub sizes: Vec<SizeCount>,
    /// The part that the engine's own threads issued.
    pub process_share: ProcessShareRecord,
}

/// How many requests had a size.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SizeCount {
    /// Size of the request, bytes.
    pub bytes: u64,
    /// Reads of that size.
    pub count: u64,
}

/// Reads by the process that was current at their issue: a diagnostic, since kernel threads issue reads
/// for others.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct ProcessShareRecord {
    /// Reads issued while the engine or one of its descendants was current.
    pub count: u64,
    /// Bytes of them.
    pub bytes: u64,
    /// Their share of the model's bytes.
    pub share: Option<f64>,
}

/// Gaps between consecutive reads on a device.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct GapsRecord {
    /// Gap 0.
    pub sequential: GapClassRecord,
    /// 0 < gap < 128 KiB.
    pub small: GapClassRecord,
    /// 128 KiB ≤ gap ≤ 1 MiB.
    pub medium: GapClassRecord,
    /// Gap > 1 MiB.
    pub large: GapClassRecord,
    /// Gap < 0.
    pub backward: GapClassRecord,
    /// Gaps: reads − devices.
    pub count: u64,
    /// Backward reads that overlap the read before them.
    pub backward_overlapping: u64,
    /// The same classes over offsets in the files.
    pub file_order: OrderRecord,
    /// Share of gaps whose read continues one of the last 32 reads.
    pub stream_sequential_share: Option<f64>,
    /// Signed distances, in powers of two.
    pub distances: Vec<DistanceBucket>,
    /// Mean number of the model's reads already in flight at an issue.
    pub mean_queue_depth: Option<f64>,
    /// Largest number of the model's reads in flight.
    pub largest_queue_depth: Option<u64>,
}

/// One gap class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GapClassRecord {
    /// Gaps in the class.
    pub count: u64,
    /// Share of all gaps. Null where there are none.
    pub share: Option<f64>,
    /// Share of the bytes of the reads that have a gap.
    pub share_of_bytes: Option<f64>,
}

/// The classes over another order.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct OrderRecord {
    /// Gap 0.
    pub sequential: u64,
    /// 0 < gap < 128 KiB.
    pub small: u64,
    /// 128 KiB ≤ gap ≤ 1 MiB.
    pub medium: u64,
    /// Gap > 1 MiB.
    pub large: u64,
    /// Gap < 0.
    pub backward: u64,
}

/// Gaps of about one distance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct DistanceBucket {
    /// Smallest distance of the bucket, bytes; negative is backward.
    pub from_bytes: i64,
    /// Largest distance of the bucket, bytes.
    pub to_bytes: i64,
    /// Gaps.
    pub count: u64,
    /// Share of gaps up to and including this bucket.
    pub cumulative_share: Option<f64>,
    /// Mean number of the model's reads with the driver when these were issued, themselves included.
    pub mean_queue_depth: Option<f64>,
}

/// Bytes per second, counted at completion. Null where there is no time to divide by, or where it is not
/// known.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct BandwidthRecord {
    /// Over the whole window.
    pub average_bytes_per_s: Option<f64>,
    /// Over the time in which at least one of the model's reads was in flight.
    pub busy_bytes_per_s: Option<f64>,
    /// In the best aligned 100 ms.
    pub peak_bytes_per_s: Option<f64>,
    /// Time in which at least one of the model's reads was in flight, seconds.
    pub busy_s: Option<f64>,
}

/// Latency from first issue to last completion, microseconds. Null where nothing completed.
#[derive(Clone, Copy, Debug, Default, Serialize, Deserialize)]
pub struct LatencyRecord {
    /// Half of the reads were faster.
    pub p50: Option<f64>,
    /// 90 % were faster.
    pub p90: Option<f64>,
    /// 99 % were faster.
    pub p99: Option<f64>,
    /// The slowest.
    pub max: Option<f64>,
    /// Reads timed.
    pub count: u64,
    /// Completions without an observed issue, which are not timed. Null where several models were traced.
    pub untimed: Option<u64>,
}

/// What the page cache did with the model's files.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CacheRecord {
    /// Bytes resident after the run − before it.
    pub delta_bytes: Option<i64>,
    /// Bytes resident before the start.
    pub before_bytes: Option<u64>,
    /// Bytes resident when the engine's log said that loading had ended.
    pub load_end_bytes: Option<u64>,
    /// Bytes resident when the engine reported its timings, after its last token.
    pub last_token_bytes: Option<u64>,
    /// Bytes resident after the engine's end.
    pub after_bytes: Option<u64>,
    /// How residency was observed, or why not.
    pub residency_method: String,
    /// Pages inserted.
    pub inserts: Option<u64>,
    /// Pages evicted.
    pub evictions: Option<u64>,
    /// Pages evicted, by agent.
    pub evictions_by_agent: Option<EvictionsByAgent>,
    /// Pages inserted after an eviction that was seen in this run.
    pub refaults: Option<u64>,
    /// Page faults that reached the file's fault handler.
    pub faults: Option<u64>,
    /// Look-ups by `read()` and the like.
    pub lookups: Option<u64>,
    /// `map_pages` events without a fault of the same thread in their window: a lower bound of the first
    /// touches that found their page cached.
    pub first_touch_hits: Option<u64>,
}

/// Evicted pages by who removed them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EvictionsByAgent {
    /// Background reclaim.
    pub kswapd: u64,
    /// A task that wanted memory itself.
    pub direct_reclaim: u64,
    /// Other kernel threads, such as kdamond.
    pub kernel_thread: u64,
    /// Truncation, invalidation, `POSIX_FADV_DONTNEED`, `drop_caches`.
    pub invalidation: u64,
}
