//! What a run says of other amounts of memory: the JSON of `tracer size`.

use serde::{Deserialize, Serialize};

/// Version of the layout. 1: the first one.
pub const SIZING_SCHEMA_VERSION: u32 = 1;

/// What to expect of a model with another amount of memory, from one run.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SizingRecord {
    /// [`SIZING_SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    pub tracer_version: String,
    /// Path of the model.
    pub model: String,
    pub model_bytes: u64,
    /// Bytes of the weights that one token uses.
    pub need_bytes: u64,
    /// Of them: those of tensors that every token uses.
    pub every_token_bytes: u64,
    /// Different bytes that any token may use, all experts among them.
    pub used_bytes: u64,
    /// What the engine's group needs beside the weights in the page cache: memory of its own, page tables, the kernel's.
    pub beside_bytes: u64,
    /// Where `beside_bytes` comes from: `cgroup` or `process`.
    pub beside_source: String,
    /// Memory that the run had, and what its tokens read then. Null where the run had no limit.
    pub run: Option<MeasuredSize>,
    /// By which the band was stretched so that it holds what the run itself read: its lower end, its upper end. Null where the
    /// run had no limit, or read nothing.
    pub stretched: Option<[f64; 2]>,
    /// How the order of use is known: `every token uses the same` or `seen in the run`.
    pub order: String,
    /// Steps that the simulation goes over.
    pub steps: u64,
    /// Experts of which a use was seen, and how many there are, over all layers.
    pub experts_seen: Option<[u64; 2]>,
    /// Share of the experts' uses that were seen or could be no others; the rest was filled in. Null for a dense model.
    pub uses_certain: Option<f64>,
    /// Read-ahead that was simulated, bytes: twice the disk's setting.
    pub read_ahead_bytes: u64,
    /// Whether that is a what-if, and not the run's.
    #[serde(default)]
    pub read_ahead_is_asked: bool,
    /// Bytes of a block of the simulation.
    pub block_bytes: u64,
    /// Time of a token without waits for the model and for reclaim, seconds.
    pub computing_s: Option<f64>,
    /// Bytes read for each second of waits.
    pub bytes_per_s: Option<f64>,
    /// Where `bytes_per_s` comes from.
    pub rate_source: Option<String>,
    /// Smallest memory with which tokens read nothing.
    pub enough_bytes: Option<u64>,
    /// Largest memory of the curve with which, and with less of which, tokens read at least half of what they need.
    pub collapsed_bytes: Option<u64>,
    /// By how much more memory the curve is read off: 1 GiB, or less for a small model.
    pub step_bytes: u64,
    /// Ascending.
    pub points: Vec<SizePointRecord>,
    /// What other runs of the same model read, that were named to be shown beside it.
    pub measured: Vec<MeasuredSize>,
    /// Experts that are kept in memory in this what-if: layer and number, the most used first. Empty: none.
    pub pinned_experts: Vec<[u32; 2]>,
    /// Their bytes.
    pub pinned_bytes: u64,
    /// Share of their bytes that the weights have in this what-if: 1 as they are.
    pub weights_scale: f64,
    /// What a reader should know.
    pub notes: Vec<String>,
}

/// What tokens read with some amount of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct MeasuredSize {
    pub memory_bytes: u64,
    /// Bytes that a token read, mean of the second half of generation.
    pub read_bytes: f64,
    /// Generated tokens per second, by the engine.
    pub tokens_per_s: Option<f64>,
}

/// How it goes with some amount of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SizeRegion {
    /// Less than the engine needs for itself.
    #[default]
    TooSmall,
    /// Each token reads at least half of what it needs.
    Collapsed,
    /// Small differences decide: the ends of the band are more than a factor of two apart, and it is not little.
    Unstable,
    /// A part is read for each token.
    Partly,
    /// At most a tenth of what a token needs is read for it.
    Little,
    /// Nothing is read.
    Enough,
    /// Experts that the run did not use would have to be read, or what is read ahead at a time leaves too little room.
    NotKnown,
}

impl SizeRegion {
    /// As records and the command line write it.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::TooSmall => "too small",
            Self::Collapsed => "collapsed",
            Self::Unstable => "unstable",
            Self::Partly => "reads a part",
            Self::Little => "reads little",
            Self::Enough => "enough",
            Self::NotKnown => "not known",
        }
    }
}

/// The least and the most to be expected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct BandRecord {
    pub least: f64,
    pub most: f64,
}

/// What to expect with some amount of memory.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SizePointRecord {
    /// Memory of the engine's group: its own and the page cache.
    pub memory_bytes: u64,
    pub region: SizeRegion,
    /// Bytes read for a token.
    pub read_bytes: Option<BandRecord>,
    /// What the best possible policy would read, without read-ahead.
    pub best_bytes: Option<f64>,
    /// What it would read if the weights that were used longest ago left, without read-ahead.
    pub oldest_leave_bytes: Option<f64>,
    /// Time that a token waits, seconds.
    pub stall_s: Option<BandRecord>,
    pub tokens_per_s: Option<BandRecord>,
}
