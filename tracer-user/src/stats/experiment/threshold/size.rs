//! The runs of one size, and whether every one of them is clean or has collapsed.

use thiserror::Error;

use super::run::{RunFigures, Unjudged};

/// Fewest judged runs at a size of which it can be said that **every** run is clean, or has collapsed.
pub const FEWEST_RUNS: usize = 5;

/// Whether every run of a size has a property. One run that has not decides it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Every run has it, and there are at least [`FEWEST_RUNS`].
    All,
    /// At least one has not.
    NotAll,
    /// It cannot be said.
    Undecided(UndecidedSize),
}

/// Why it cannot be said what the runs of a size do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UndecidedSize {
    #[error("it has {} that can be judged, and {FEWEST_RUNS} are needed", runs(*.0))]
    TooFewRuns(usize),
    /// A run that did not fail says nothing.
    #[error("run {run} cannot be judged: {why}")]
    Unjudged { run: u64, why: Unjudged },
    /// The engine does not run there.
    #[error("all of its {0} runs failed")]
    AllFailed(usize),
}

/// The runs of one size.
#[derive(Clone, Debug, PartialEq)]
pub struct SizeFigures {
    /// The memory, bytes.
    pub size_bytes: u64,
    pub runs: Vec<RunFigures>,
    /// The others, by number. Failed runs among them are left out of the verdict.
    pub unjudged: Vec<(u64, Unjudged)>,
    /// Whether every run is clean.
    pub clean: Standing,
    /// Whether every run has collapsed.
    pub collapsed: Standing,
}

fn runs(count: usize) -> String {
    let word = if count == 1 { "run" } else { "runs" };
    format!("{count} {word}")
}
