//! How much memory a model needs before its steps stop reading.
//!
//! Near the threshold an engine is bistable: at one size some runs read nothing a step and others everything, one run
//! can switch, and more memory can read more. So there is no point to bisect for, but two bounds with a band between
//! them, each found from a whole grid of sizes:
//!
//! * **onset** ([`Onset`]): the smallest tested size at which, and at every larger tested size, every run is clean;
//! * **collapse** ([`Collapse`]): the largest tested size at which, and at every smaller tested size, every run has
//!   collapsed;
//! * **unstable band** ([`Band`]): the tested sizes in between.
//!
//! Both are told by bytes read. What the runs cannot decide is an error value that says what is missing.

mod band;
mod plan;
mod prediction;
mod run;
#[cfg(test)]
mod simulated_engine;
mod size;
mod verdict;

pub use band::{Band, Dwells};
pub use plan::{NextRuns, next_runs};
pub use prediction::Prediction;
pub use run::{
    CLEAN_SHARE, COLLAPSED_SHARE, FEWEST_STEPS, RunFigures, StepBytes, ThresholdRun, Unjudged,
};
pub use size::{FEWEST_RUNS, SizeFigures, Standing, UndecidedSize};
pub use verdict::{Collapse, CollapseError, Onset, OnsetError, Verdict, verdict};
