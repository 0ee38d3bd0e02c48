//! The kernel's own account of eBPF programs: how often each ran, and for how long.

mod call;
mod empty;
mod run_time;

pub use empty::EmptyPrograms;
pub use run_time::{ProgramTime, RunTimeStatistics, held_by, run_times};
