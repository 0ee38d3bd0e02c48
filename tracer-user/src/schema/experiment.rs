//! The record of an experiment: every planned run, what became of it, and the record of each that finished.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{RunRecord, TunePlanRecord};

/// Version of the layout of an experiment's files. 1: the first one.
pub const EXPERIMENT_SCHEMA_VERSION: u32 = 1;

/// An experiment: what was planned, and what became of it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ExperimentRecord {
    /// [`EXPERIMENT_SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// Name, by the plan.
    pub name: String,
    /// `matrix`, `threshold` or `tune`.
    pub kind: String,
    /// SHA-256 of the plan's canonical form, in hexadecimal digits: runs of different plans never mix.
    pub plan_digest: String,
    /// Seed of the order.
    pub seed: u64,
    /// `blocks` (randomised complete blocks) or `plan` (as written).
    pub order: String,
    /// What was varied, in the order of the plan.
    pub axes: Vec<AxisRecord>,
    /// The planned runs, in the order of their execution.
    pub runs: Vec<ExperimentRunRecord>,
    /// What a reader should know: another kernel or another tracer since some run.
    #[serde(default)]
    pub notes: Vec<String>,
    /// What a search for the fastest settings is to reach. Null where this is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tune: Option<TunePlanRecord>,
}

/// One axis of an experiment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AxisRecord {
    /// Name: `model`, `pressure`, `tokens`, `threads`, `load_mode`, `prompt`, `extents`, `read_ahead`, `added_arguments`,
    /// or one of the plan's own.
    pub name: String,
    /// Its values, as the plan writes them.
    pub values: Vec<String>,
}

#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ExperimentRunRecord {
    /// Its number in the order of execution, from 0.
    pub number: u64,
    /// Folder below the experiment's, with `run.json`.
    pub directory: String,
    /// Block of the order: each block holds every cell of the matrix once.
    pub block: u64,
    /// The value of every axis.
    pub cell: BTreeMap<String, String>,
    /// What was done to the memory.
    pub pressure: PlannedPressure,
    /// What became of it.
    pub outcome: RunOutcome,
    /// Why it failed, where it did.
    pub failure: Option<String>,
    /// What work the engine did.
    pub work: Option<WorkRecord>,
    /// The record of the run, where it has one.
    pub record: Option<RunRecord>,
}

/// The pressure that a run was planned with. The kinds are different experiments, and are never pooled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PlannedPressure {
    #[default]
    None,
    /// So many bytes locked away from the whole machine.
    Lock(u64),
    /// All but so many bytes of `MemAvailable` locked away.
    LeaveFree(u64),
    /// A memory cgroup of the engine with this limit, bytes.
    MemoryMax(u64),
}

/// What became of a planned run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    /// It has not been made.
    #[default]
    Missing,
    /// It ended as planned.
    Finished,
    /// It could not start, the engine failed, or it took too long.
    Failed,
}

/// What work the engine did. Runs are pooled only where it is the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkRecord {
    /// Version line of the engine.
    pub engine_version: Option<String>,
    /// SHA-256 of the generated token ids in decimal digits, each with a line feed after it (or of the generated text,
    /// where the engine gives no ids), hexadecimal.
    pub output_digest: Option<String>,
    /// Whether the digest is over `token ids`, `text` or `standard output`.
    pub output_kind: Option<String>,
    pub generated_tokens: Option<u64>,
    /// Temperature 0 and a fixed seed, as far as the plan tells.
    pub deterministic_sampling: bool,
}
