//! A plan: what is varied, how often, in which order, and with which engine.
//!
//! A plan is a TOML file; [`Plan::parse`] takes its text and says everything that is wrong with it, each with its line. What
//! only the machine can tell (files, programs, memory) is asked in `machine_check`.

mod check;
mod sampling;
mod scalars;
mod settings;
mod source;
mod template;
mod tune;

use std::{fmt, time::Duration};

use serde::Serialize;
use sha2::{Digest as _, Sha256};

pub use settings::{PlannedReadAhead, parse_read_ahead};
pub use source::{PlanError, PlanErrors};
pub use template::{Template, TemplateError};
pub use tune::TunePlan;

use crate::{
    schema::{AxisRecord, PlannedPressure},
    units::parse_bytes,
};

/// What is done with a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PlanKind {
    /// Every cell of the matrix.
    #[default]
    Matrix,
    /// Where an engine begins to thrash.
    Threshold,
    /// With which settings an engine is fastest.
    Tune,
}

impl PlanKind {
    /// As plans and records write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Matrix => "matrix",
            Self::Threshold => "threshold",
            Self::Tune => "tune",
        }
    }
}

/// In which order the cells are run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// Randomised complete blocks: each repetition holds every cell once, in an order of its own. What drifts over hours
    /// (temperature, a filling disk) then falls on all cells alike.
    #[default]
    Blocks,
    /// As the plan writes it: the last axis varies fastest.
    Plan,
}

impl Order {
    /// As plans and records write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Blocks => "blocks",
            Self::Plan => "plan",
        }
    }
}

/// What is in the page cache of the model when the engine starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ColdStart {
    /// Nothing: the model's files are evicted, which is verified.
    #[default]
    Evict,
    /// Nothing: the whole machine's page cache is dropped, then the model's files are evicted, which is verified.
    DropCaches,
    /// All of the model that fits: it is read before the conditions are brought about.
    Warm,
}

/// How an engine is driven, and where its figures are found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Adapter {
    /// llama.cpp's `llama-cli`.
    LlamaCli,
    /// llama.cpp's `llama-completion`.
    LlamaCompletion,
    /// llama.cpp's `llama-bench`, with `-o json` or `-o jsonl`.
    LlamaBench,
    /// llama.cpp's `llama-server`, spoken to over HTTP while it is traced.
    LlamaServer,
    /// The tracer's own engine.
    BuiltIn,
    /// Any command; tokens per second come from the engine's output by a regular expression.
    Command,
}

impl Adapter {
    /// All, by their names in plans.
    pub const ALL: [(&'static str, Self); 6] = [
        ("llama-cli", Self::LlamaCli),
        ("llama-completion", Self::LlamaCompletion),
        ("llama-bench", Self::LlamaBench),
        ("llama-server", Self::LlamaServer),
        ("built-in", Self::BuiltIn),
        ("command", Self::Command),
    ];
}

impl fmt::Display for Adapter {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(_, adapter)| adapter == self);
        formatter.write_str(name.map_or("", |(name, _)| name))
    }
}

/// The engine of a plan.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EnginePlan {
    /// How it is driven.
    pub adapter: Adapter,
    /// Program and arguments, with placeholders.
    pub command: Vec<Template>,
    /// Regular expression with one group: tokens per second in the engine's output.
    pub tokens_per_s: Option<String>,
    /// Temperature of the sampling, where the plan or the command says.
    pub temperature: Option<f64>,
    /// Seed of the sampling, where the plan or the command says.
    pub seed: Option<u64>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Axis {
    /// Name, and that of its placeholder.
    pub name: String,
    /// Values as written, each once.
    pub values: Vec<String>,
}

/// A plan without mistakes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Plan {
    pub name: String,
    /// What is done with it.
    pub kind: PlanKind,
    /// Seed of the order.
    pub seed: u64,
    /// How often each cell is run.
    pub repetitions: u64,
    pub order: Order,
    /// Rest before each run but the first.
    pub cool_down: Duration,
    /// Longest that a run may take, conditions included.
    pub time_limit: Duration,
    /// Page cache at the start.
    pub cold_start: ColdStart,
    /// Stop at the first failed run.
    pub fail_fast: bool,
    pub engine: EnginePlan,
    /// What is varied, in the order of the plan.
    pub axes: Vec<Axis>,
    /// What a search for the fastest settings is to reach.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tune: Option<TunePlan>,
}

impl Plan {
    /// SHA-256 of the plan's canonical form (its members as JSON, in a fixed order), in hexadecimal digits. Comments,
    /// blanks and the order of the keys do not count, the order of the axes and of their values does.
    #[must_use]
    pub fn digest(&self) -> String {
        // Serialising plain members and strings cannot fail.
        let canonical = serde_json::to_vec(self).unwrap_or_default();
        hexadecimal(&Sha256::digest(&canonical))
    }

    /// An axis by its name.
    #[must_use]
    pub fn axis(&self, name: &str) -> Option<&Axis> {
        self.axes.iter().find(|axis| axis.name == name)
    }

    /// What the records say of the axes.
    #[must_use]
    pub fn axis_records(&self) -> Vec<AxisRecord> {
        self.axes
            .iter()
            .map(|axis| AxisRecord {
                name: axis.name.clone(),
                values: axis.values.clone(),
            })
            .collect()
    }
}

/// Bytes as hexadecimal digits.
pub(super) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Pressure as plans write it: `none`, `lock=8G`, `leave-free=4G`, `memory-max=600M`.
///
/// # Errors
/// What is wrong with the text.
pub fn parse_pressure(text: &str) -> Result<PlannedPressure, String> {
    let text = text.trim();
    if text == "none" {
        return Ok(PlannedPressure::None);
    }
    let unknown = || {
        format!(
            "{text:?} is no pressure: write none, lock=SIZE, leave-free=SIZE or memory-max=SIZE, such as lock=8G"
        )
    };
    let (kind, size) = text.split_once('=').ok_or_else(unknown)?;
    let kind = match kind.trim() {
        "lock" => PlannedPressure::Lock,
        "leave-free" => PlannedPressure::LeaveFree,
        "memory-max" => PlannedPressure::MemoryMax,
        _ => return Err(unknown()),
    };
    parse_bytes(size).map(kind)
}

#[cfg(test)]
mod tests;
