//! A search for the settings with which an engine is fastest: what it is to reach, and what it found.

use serde::{Deserialize, Serialize};

use super::Standing;

/// Version of the layout of `tune.json`. 1: the first one.
pub const TUNE_SCHEMA_VERSION: u32 = 1;

/// What leaves a setting as it is.
pub const AS_IS: &str = "as-is";

/// Words that are added to the engine's command, as plans write them: with blanks between them, or `as-is` for none.
pub fn added_arguments(text: &str) -> impl Iterator<Item = &str> {
    let text = if text == AS_IS { "" } else { text };
    text.split_whitespace()
}

/// What is to become faster.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TuneGoal {
    /// Tokens per second.
    #[default]
    Generation,
    /// The time until the model is loaded.
    Load,
    /// Tokens of the prompt per second.
    Prompt,
}

impl TuneGoal {
    pub const ALL: [Self; 3] = [Self::Generation, Self::Load, Self::Prompt];

    /// As plans, records and the command line write it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Generation => "generation",
            Self::Load => "load",
            Self::Prompt => "prompt",
        }
    }
}

/// What a search was to reach.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TunePlanRecord {
    pub goal: TuneGoal,
    /// Longest that it was to take, seconds.
    pub budget_s: f64,
    /// Read-ahead of the model's disk when it began, KiB.
    pub read_ahead_now_kb: Option<u64>,
    /// What tensors that are kept in memory may take, bytes. Null: none are kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pin_budget_bytes: Option<u64>,
}

/// What a search has found: `tune.json`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TuneRecord {
    /// [`TUNE_SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    pub goal: TuneGoal,
    /// Whether something was clearly faster than the settings as they are.
    pub helps: bool,
    /// The best: the settings as they are where nothing helps. Null where no run gave a figure.
    pub best: Option<TuneSetting>,
    /// How many times as fast the best is as the settings as they are, by the medians. 1 where nothing helps.
    pub factor: Option<f64>,
    /// All that was tried, the fastest first.
    pub tried: Vec<TriedSetting>,
}

/// Settings of one try.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TuneSetting {
    /// Read-ahead that was set, KiB. Null: as it is.
    pub read_ahead_kb: Option<u64>,
    /// What was added to the engine's command.
    pub added_arguments: Vec<String>,
    /// Scheduler of the model's disk that was set. Null: as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scheduler: Option<String>,
    /// Requests that its queue was set to take. Null: as it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub nr_requests: Option<u64>,
    /// `memory.high` of the engine's cgroup that was set, bytes: where throttling begins. Null: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_high_bytes: Option<u64>,
    /// Tensors that were kept in memory: `shared` or `hot`. Null: none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pinned: Option<String>,
}

/// A setting and how it did.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct TriedSetting {
    #[serde(flatten)]
    pub setting: TuneSetting,
    /// What is to become faster, of each finished run: tokens per second, of a load 1 / seconds.
    pub speeds: Vec<f64>,
    /// Median of these.
    pub median: Option<f64>,
    /// Runs that failed or gave no figure.
    pub failed: u64,
    pub standing: Standing,
}
