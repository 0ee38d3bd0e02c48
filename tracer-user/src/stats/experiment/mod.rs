//! Statistics of an experiment of many runs: plain values in, plain values out.
//!
//! The unit is the run: steps and reads of one run are no independent observations, so every interval and every
//! median is over runs. Definitions and formulas are those of `docs/METRICS.md`, "An experiment".

pub mod bootstrap;
pub mod disagreement;
pub mod modes;
pub mod pairs;
pub mod pooling;
pub mod racing;
pub mod summary;
pub mod threshold;
