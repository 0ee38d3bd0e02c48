//! An experiment's record → Markdown, a terminal summary, and answers to the study's open questions.
//!
//! Figures of single runs come from the records; what is computed over runs comes from [`crate::stats::experiment`],
//! which is pure. Runs are pooled only within a [`groups::Group`]: one cell, one kind of pressure, the same work.

mod amounts;
mod answers;
mod cells;
mod consistency;
mod device_tables;
mod document;
mod figures;
mod gap_tables;
mod groups;
mod memory_tables;
mod raw;
mod read_tables;
#[cfg(test)]
mod sample;
mod setup;
mod templates;
mod terminal;
mod thresholds;

pub use answers::answer;
pub use document::experiment_markdown;
pub use templates::{TEMPLATES, template};
pub use terminal::experiment_terminal;
pub use thresholds::threshold_refinement;
