//! One traced run, start to finish, and its record.

mod assemble;
mod attach;
mod checks;
mod conditions;
mod demo;
mod engine_metrics;
mod file_keys;
mod give_mark;
mod kernel_tables;
mod launch;
mod machine;
pub mod onlooker;
mod recorded;
mod redaction;
mod stream;
mod survivors;
mod target;
mod tracing;
mod waiting;
mod watch;
mod window;

pub use attach::{AttachOptions, run_attach};
pub use conditions::{Conditions, ConditionsRequest, bytes_progress};
pub use demo::{DemoOptions, run_demo};
pub use give_mark::{GiveMarkError, give_mark, only_run};
pub use launch::{LaunchOptions, run_launch};
pub use recorded::{
    PhasePart, PlayEnd, PlayHandle, PlayedMoment, Player, RecordedSetup, ReopenError, Reopened,
    Selection, Speed, SpeedError, TimeSpan, Validated, load_setup, reads_again, reopen, validate,
};
pub use target::{AttachTarget, ListedProcess, processes_with_models};
pub use tracing::{FinishedRun, TraceOptions, describe, require_machine};
pub use watch::marks::NamedSymbol;
