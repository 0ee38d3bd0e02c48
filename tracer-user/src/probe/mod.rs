//! The running kernel: what it offers, its types, the programs in it and what they report.
//!
//! The only room that names aya. It hands out plain values of `tracer-common` and never interprets them.

mod aggregates;
mod apart;
mod attach;
mod cost;
mod engine_probes;
mod file_keys;
mod inspection;
mod losses;
mod object;
mod options;
mod preflight;
mod probes;
mod programs;
mod release;
mod rings;
mod session;
mod slices;
mod tables;
mod tracepoint_format;
mod types;

pub use aggregates::{Aggregates, CountsSoFar, FileAggregates, ModelAggregates, ReadCounts};
pub use apart::{Apart, Prober};
pub use cost::ProgramTiming;
pub use inspection::programs as inspect_programs;
pub use losses::{ProgramRun, RunTimeStatistics};
pub use options::{Detail, SessionOptions};
pub use preflight::{
    Requirement, RequirementState, in_first_pid_namespace, measuring_run_time, requirements,
};
pub use probes::ProbePoint;
pub use programs::{Argument, DeviceKind, StandIn, TracedEvent, traced_events};
pub use release::kernel_release;
pub use session::{Session, WAKE_INTERVAL};
pub use slices::{Slice, SliceCutter, SpanCounts};
pub use tables::{FilterTables, FilteredFile, SpanTables, page_bits};
pub use tracepoint_format::{FormatError, FormatFault, FormatField, TracepointFormat};
pub use types::{KernelTypes, TypesError, Value};
