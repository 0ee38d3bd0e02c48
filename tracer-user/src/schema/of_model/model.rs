//! The figures of one model.

use serde::{Deserialize, Serialize};

use crate::schema::{
    AccountingFigures, ArrivalSeries, BandwidthFigures, EvictionsByAgent, GapsRecord,
    LatencyFigures, MarksRecord, ModelIdentity, PageCacheFigures, PageCourseFigures, PhaseRecord,
    ReadsRecord, TensorRecord, TokenRecord,
};

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
    pub bandwidth: Option<BandwidthFigures>,
    /// Bytes that arrived, over time.
    #[serde(default)]
    pub arrivals: Option<ArrivalSeries>,
    /// Latency, microseconds.
    pub latency_us: Option<LatencyFigures>,
    /// What the page cache did, in pages unless the name says bytes.
    pub cache: CacheRecord,
    /// Where the phases were taken from. Null, with all that follows, where page-cache events were only counted.
    pub marks: Option<MarksRecord>,
    /// Figures by phase, in the order of a run.
    pub phases: Option<Vec<PhaseRecord>>,
    /// Decode steps. Null where no decode call was seen.
    pub tokens: Option<Vec<TokenRecord>>,
    /// Tensors, experts' slices of them, and the rest of the files, in the order of the files. `read_bytes` sum to the
    /// bytes of [`ReadFigures::total_bytes`](crate::schema::ReadFigures::total_bytes).
    pub tensors: Option<Vec<TensorRecord>>,
    /// The page cache, event by event.
    pub page_cache: Option<PageCacheFigures>,
    /// The same by time and place.
    #[serde(default)]
    pub page_course: Option<PageCourseFigures>,
    /// The same reads under every way of counting their records, where the run was asked for the audit.
    #[serde(default)]
    pub accountings: Option<Vec<AccountingFigures>>,
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
    /// Of `load_end_bytes`, what the engine has copied by then and does not need in the page cache any more: at least.
    #[serde(default)]
    pub load_end_dead_bytes: Option<u64>,
    /// The same of `after_bytes`.
    #[serde(default)]
    pub after_dead_bytes: Option<u64>,
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
