//! An experiment's record → report, summary on the terminal, and answers to the study's open questions.
//!
//! Figures of single runs come from the records; what is computed over runs comes from [`crate::stats::experiment`],
//! which is pure. Runs are pooled only within a [`groups::Group`]: one cell, one kind of pressure, the same work.

mod answers;
mod cells;
mod charts;
mod document;
pub(in crate::report) mod groups;
#[cfg(test)]
pub(in crate::report) mod sample;
mod says;
mod setup;
pub(in crate::report) mod tables;
mod templates;
mod threshold_words;
mod thresholds;
mod trust;
mod tuning;

pub use answers::answer;
pub use document::{experiment_charts, experiment_markdown, experiment_page, experiment_terminal};
pub use templates::{TEMPLATES, template};
pub use thresholds::threshold_refinement;
