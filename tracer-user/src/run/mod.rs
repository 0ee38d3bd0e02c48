//! One traced run, start to finish, and its record on disk.

mod assemble;
mod attach;
mod attribution;
mod attribution_checks;
mod checks;
mod conditions;
mod demo;
mod directory;
mod doctor;
mod engine_watch;
mod inspect;
mod launch;
mod locate;
mod machine;
mod marks;
mod model_record;
mod moments;
mod pieces;
mod probe_finder;
mod read_list;
mod residency_samples;
mod stream;
mod subject;
mod subject_tables;
mod tracing;
mod window;

pub use attach::{AttachOptions, run_attach};
pub use conditions::{ConditionsRequest, bytes_progress};
pub use demo::{DemoOptions, run_demo};
pub use doctor::examine;
pub use inspect::inspect;
pub use launch::{LaunchOptions, run_launch};
pub use marks::NamedSymbol;
pub use subject::{RequestedModel, Subject};
pub use tracing::{FinishedRun, TraceOptions, describe, require_machine};
