//! What a run shows while it goes on: plain values, by the formulas of the record.

use std::{path::PathBuf, sync::Arc, time::Duration};

use tracer_common::gap::GAP_CLASSES;

use crate::{
    pressure::MemoryPoint,
    probe::Detail,
    run::assemble::WaitsTold,
    stats::{
        Nanos,
        formulas::{amplification, reread_factor, seconds},
        phases::so_far::PhasesSoFar,
        waits::stall::WaitsSoFar,
    },
};

/// What is known of a run when its window opens.
#[derive(Clone, Debug)]
pub struct RunBegun {
    /// `launch` or `attach`.
    pub directory: PathBuf,
    pub detail: Detail,
    /// By slot.
    pub models: Vec<ModelBegun>,
    /// How long the run was, seconds, where it is over and its recording is played.
    pub recorded_s: Option<f64>,
}

#[derive(Clone, Debug)]
pub struct ModelBegun {
    pub name: String,
    pub size_bytes: u64,
    pub page_bytes: u64,
    /// Its sectors are known.
    pub has_sectors: bool,
}

/// A run up to now.
#[derive(Clone, Debug)]
pub struct RunSoFar {
    /// Seconds since the gate was opened.
    pub at_s: f64,
    /// By slot.
    pub models: Vec<ModelFiguresSoFar>,
    /// CPU time of the tracer's process since then; None where it was not recorded.
    pub tracer_cpu_s: Option<f64>,
    /// None where nobody knows.
    pub losses: Option<LossesSoFar>,
    /// What it took to read the counts: the rest is done more rarely where it takes longer.
    pub took: Duration,
}

/// What was lost by now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LossesSoFar {
    /// Records that found no room in the ring buffer.
    pub records: u64,
    /// Slices of time that could not begin; 0 where events are recorded.
    pub undivided_slices: u64,
    /// Calls of programs that the kernel skipped; None where it does not count them.
    pub recursion_misses: Option<u64>,
}

impl LossesSoFar {
    /// All that were lost, of what is counted.
    #[must_use]
    pub fn sum(&self) -> u64 {
        self.records + self.undivided_slices + self.recursion_misses.unwrap_or(0)
    }
}

#[derive(Clone, Debug, Default)]
pub struct ModelFiguresSoFar {
    /// None where its sectors are not known.
    pub reads: Option<ReadsSoFar>,
    pub pages: PagesSoFar,
    /// Bytes resident by the events or counts; None where the start is not known.
    pub resident_bytes: Option<u64>,
    /// None where waits are not observed.
    pub waits: Option<WaitSeconds>,
    /// Reads by latency bucket (`tracer_common::latency`), up to a second ago; None where the kernel side does not count them.
    pub latencies: Option<Arc<Vec<u64>>>,
    /// What takes a while to add up, and may be some frames old.
    pub parts: Arc<PartsSoFar>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct ReadsSoFar {
    /// Reads, by first issue.
    pub count: u64,
    /// Bytes of the model in them: issued − requeued.
    pub total_bytes: u64,
    /// Bytes that came back without error.
    pub completed_bytes: u64,
    /// Distinct bytes among them; None while only counts are kept.
    pub unique_bytes: Option<u64>,
    /// Total / unique bytes.
    pub amplification: Option<f64>,
    /// Total bytes / size of the model.
    pub reread_factor: Option<f64>,
    /// Gaps by [`tracer_common::gap::GapClass::slot`].
    pub gaps: [u64; GAP_CLASSES],
}

impl ReadsSoFar {
    /// With the ratios of a model of that size.
    #[must_use]
    pub fn with_ratios(self, size_bytes: u64) -> Self {
        Self {
            amplification: self
                .unique_bytes
                .and_then(|unique| amplification(self.total_bytes, unique)),
            reread_factor: reread_factor(self.total_bytes, size_bytes),
            ..self
        }
    }
}

/// What the page cache did with the model's pages. None where that is not observed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PagesSoFar {
    pub inserts: Option<u64>,
    pub evictions: Option<u64>,
    /// Pages inserted after an eviction that was seen.
    pub refaults: Option<u64>,
    pub faults: Option<u64>,
}

/// The run in parts, and the model in parts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct PartsSoFar {
    /// Phases up to the last moment of which all reads are known: where they are counted, some seconds ago.
    pub phases: PhasesSoFar,
    /// By kind of tensor, in the order of the file.
    pub kinds: Vec<PartBytes>,
    /// By layer.
    pub layers: Vec<PartBytes>,
    /// Experts, those first of which most was read.
    pub experts: Vec<PartBytes>,
    /// How many experts there are, of all layers together.
    pub expert_count: usize,
}

/// Waits of the engine for the model, as in the record. None where that is not observed.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct WaitSeconds {
    /// From when on these are, seconds since the gate was opened: 0, or later where a wait became known too late.
    pub since_s: f64,
    /// Up to when: two seconds ago.
    pub until_s: f64,
    /// Time in which at least one thread waited for the model.
    pub stall_s: Option<f64>,
    /// Time in which none did, and at least one freed memory.
    pub reclaim_s: Option<f64>,
}

impl WaitSeconds {
    /// Of a window that began at `started`.
    #[must_use]
    pub fn of(waits: &WaitsSoFar, told: &WaitsTold, started: Nanos) -> Self {
        let record = told.record(&waits.waits);
        Self {
            since_s: seconds(waits.since.since(started).unwrap_or(0)),
            until_s: seconds(waits.until.since(started).unwrap_or(0)),
            stall_s: record.stall_s,
            reclaim_s: record.reclaim_s,
        }
    }
}

/// What was read of a part of the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PartBytes {
    pub name: Arc<str>,
    pub size_bytes: u64,
    pub read_bytes: u64,
}

/// The engine and the machine now.
#[derive(Clone, Debug, Default)]
pub struct EngineNow {
    pub process_id: u32,
    /// Memory, and pressure since the first look.
    pub memory: Option<MemoryPoint>,
    /// Limit of its memory cgroup, where it has one.
    pub memory_limit_bytes: Option<u64>,
    /// Tokens per second that the engine's log has stated.
    pub tokens_per_s: Option<f64>,
}
