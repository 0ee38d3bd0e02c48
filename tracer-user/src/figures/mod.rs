//! The catalogue: every figure of a run once, with its name, unit, meaning, when it is null, by which road it is taken,
//! and how to get it from a record.
//!
//! What shows figures (terminal, Markdown, the tables of `docs/METRICS.md`, comparisons of runs) takes labels, units and
//! sentences from here, so that a figure is called and formatted the same wherever it stands. A new figure is an
//! accumulator, a member of the record, an entry here, and tests: [`selections`] says in which tables it is shown.

mod across_runs;
mod definition;
mod document;
#[cfg(test)]
mod laws;
mod of_model;
mod of_run;
mod unit;

pub mod device;
pub mod phase;
pub mod selections;
pub mod step;
pub mod tensor;

pub use across_runs::AcrossRuns;
pub use definition::{Figure, InRun, Road, Scope};
pub use document::{GROUPS, Group, filled_in};
pub use of_model::{gaps, model, pages, reads, speed};
pub use of_run::{engine, losses, memory, process};
pub use unit::Unit;
