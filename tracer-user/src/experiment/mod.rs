//! Many runs: a plan's matrix with repetitions, made one after the other, each kept whole or not at all.
//!
//! [`begin`] and [`resume`] are a session, [`load`] reads what there is. A run is a `tracer launch` of its own
//! (`attempt`).

mod attempt;
mod cells;
mod disk;
mod dry_run;
mod estimate;
mod invocation;
mod machine_check;
mod one_run;
pub mod plan;
mod progress;
mod search;
mod server;
mod session;
mod summary;
mod verdict;
mod work;

pub use disk::folder::is_experiment;
pub use disk::full::DiskFull;
pub use disk::listing::list;
pub use dry_run::dry_run;
pub use plan::{Adapter, Plan, PlanError, PlanErrors};
pub use search::{
    TuneRequest, adapter_of, command_as_text, flags,
    threshold::{
        Grid, LEAST_REPETITIONS, ThresholdPressure, ThresholdRequest, plan_text, tells_nothing,
    },
    tune_plan_text,
};
pub use session::{SessionEnd, SessionOptions, begin, resume};
pub use summary::load;
