//! The figures of one model over one window, as plain values: what a report is made of.

use serde::{Deserialize, Serialize};

use crate::stats::{
    check::Check,
    event::Nanos,
    formulas::{amplification, coverage, reread_factor},
    order::{
        distances::DistanceBucket,
        exchange_check::ExchangeCheck,
        gaps::{ByGapClass, GapFigure},
        overlap::BackwardOverlap,
    },
    reads::{
        bandwidth::{ArrivalSeries, BandwidthFigures},
        latency::LatencyFigures,
        process_share::ProcessShares,
        queue_depth::QueueDepthFigures,
        requests::RequestCounts,
        sizes::SizeCount,
    },
};

/// Everything that the stream of one model's reads says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ModelFigures {
    pub window: Window,
    /// How much was read.
    pub reads: ReadFigures,
    /// What became of the requests.
    pub requests: RequestCounts,
    /// Gaps in device sectors, in the order of the kernel's exchange.
    pub gaps: ByGapClass<GapFigure>,
    /// The backward ones among them, by overlap with the predecessor.
    pub backward_overlap: BackwardOverlap,
    /// Gaps where a read may continue any of the last 32 ends of its device.
    pub gaps_stream_aware: ByGapClass<GapFigure>,
    /// Gaps in file offsets.
    pub gaps_file_order: ByGapClass<GapFigure>,
    /// Reads that have no place in `gaps_file_order`: their part of the model is no contiguous piece of a
    /// file.
    pub reads_without_file_position: u64,
    /// Signed distances in device sectors.
    pub distances: Vec<DistanceBucket>,
    /// Queue depth at first issue.
    pub queue_depth: QueueDepthFigures,
    pub bandwidth: BandwidthFigures,
    /// Bytes that arrived, over time.
    pub arrivals: ArrivalSeries,
    /// Latency in microseconds.
    pub latency_us: LatencyFigures,
    /// Request sizes at first issue.
    pub request_sizes: Vec<SizeCount>,
    /// Reads and bytes by the process that was current at first issue.
    pub processes: ProcessShares,
    /// The devices that its reads went to.
    pub devices: Vec<DeviceFigures>,
    /// The laws that these figures obey if nothing was missed.
    pub laws: Vec<Check>,
    /// Further ones, which fail also where only completions were missed.
    pub laws_of_completions: Vec<Check>,
}

impl ModelFigures {
    /// Those of completions first.
    pub fn all_laws(&self) -> impl Iterator<Item = &Check> {
        self.laws_of_completions.iter().chain(&self.laws)
    }

    #[must_use]
    pub fn all_laws_hold(&self) -> bool {
        self.all_laws().all(|law| law.holds == Some(true))
    }
}

/// The time that the figures cover.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Window {
    /// Begin, nanoseconds of `CLOCK_MONOTONIC`.
    pub start_ns: Nanos,
    /// End, nanoseconds of `CLOCK_MONOTONIC`.
    pub end_ns: Nanos,
    /// Length in seconds; `None` where the end lies before the begin.
    pub wall_s: Option<f64>,
}

/// What there is to read of a file, or of all of a model.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileData {
    pub size_bytes: u64,
    /// Bytes of its size that no extent holds, and that no device is asked for.
    pub hole_bytes: u64,
}

impl FileData {
    /// What a device can be asked for.
    #[must_use]
    pub const fn data_bytes(&self) -> u64 {
        self.size_bytes.saturating_sub(self.hole_bytes)
    }

    /// All of several files.
    #[must_use]
    pub fn sum(files: impl IntoIterator<Item = Self>) -> Self {
        files.into_iter().fold(Self::default(), |sum, file| Self {
            size_bytes: sum.size_bytes.saturating_add(file.size_bytes),
            hole_bytes: sum.hole_bytes.saturating_add(file.hole_bytes),
        })
    }
}

/// How much of the model was read, and how often: by the stream of reads, or as the kernel side counted it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ReadFigures {
    /// Reads, each counted at its first issue.
    pub count: u64,
    /// Bytes of the model in them: issued − requeued.
    pub total_bytes: u64,
    /// Distinct bytes that arrived without error.
    pub unique_bytes: u64,
    /// Unique / (size − holes), 0 – 1. Null where there is no data, and where more arrived than there is.
    pub coverage: Option<f64>,
    /// Total / unique bytes. Null where nothing arrived.
    pub amplification: Option<f64>,
    /// Total bytes / size of the model. Null for an empty model.
    pub reread_factor: Option<f64>,
}

impl ReadFigures {
    /// The same counts with their ratios, of a model of this size.
    #[must_use]
    pub fn of_model(self, model: FileData) -> Self {
        Self {
            coverage: coverage(self.unique_bytes, model.data_bytes()),
            amplification: amplification(self.total_bytes, self.unique_bytes),
            reread_factor: reread_factor(self.total_bytes, model.size_bytes),
            ..self
        }
    }
}

/// One device that the model's reads went to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct DeviceFigures {
    /// Slot of the device.
    pub device: u8,
    /// Whether each end was a predecessor exactly once.
    pub exchange: ExchangeCheck,
    /// Times a predecessor was missing when the order was restored.
    pub order_breaks: u64,
    /// Times that equal ends were taken for each other when the order was restored.
    pub order_detours: u64,
}
