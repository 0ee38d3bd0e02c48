//! The traced process: who asked for it, how it is started, what it is and what it says.
//!
//! This room knows processes and an engine's output, no eBPF, no storage and no report. A process is either started
//! here as the calling user ([`launch`]) or found by its pid ([`ObservedProcess`]); in both cases its memory and its
//! model files are read from `/proc`, and its own words about time from its output ([`EngineLogParser`]).

mod caller;
mod child_setup;
mod command_model;
mod engine_output;
mod exit;
mod family;
mod help_text;
mod in_use;
mod launch;
mod libraries;
mod mappings;
mod memory;
mod observed;
mod own_child;
mod program;
mod signals;

pub use caller::{
    CALLER_PID_VARIABLE, Caller, CallerError, Environment, EnvironmentSource, OwnIds,
};
pub use child_setup::SetupStep;
pub use command_model::{CommandModelError, models_of_command};
pub use engine_output::buffer_lines::{BufferLine, BufferPurpose, BufferSize, BufferSizes};
pub use engine_output::engine_mark::{Certainty, EngineMark, MarkKind};
pub use engine_output::engine_timings::{
    EngineTimings, IntervalMeans, RateDisagreement, RequestTimings, TimingSource, WorkKind,
};
pub use engine_output::follow::Followed;
pub use engine_output::output::{
    LONGEST_PIECE_BYTES, OutputLine, OutputReport, OutputStream, monotonic_nanos,
};
pub use engine_output::request_line::{ActiveRequests, RequestMark, RequestSlot};
pub use engine_output::timings::EngineLogParser;
pub use engine_output::user_lines::{PhaseLine, RateLine, UserLines};
pub use exit::{EngineExit, ExitKind};
pub use family::{Family, ProcessStarts};
pub use help_text::help_text;
pub use in_use::Listeners;
pub use in_use::{
    FileInUse, LargeFiles, ModelHolder, OpenModel, OpenModelFile, OpenModels, RefusedFile,
    RefusedReason, all_processes, files_in_use, holders_among, processes_named,
    processes_of_container, with_descendants,
};
pub use launch::{LINGER, LaunchError, LaunchRequest, LaunchedProcess, OnLine, launch};
pub use libraries::{
    ExecutableFile, MappedFile, SymbolError, executable_mappings, exported_symbols, mapped_pages,
};

pub use mappings::{Mapping, MappingName, MappingRow, MappingTable, MemoryUse, NameRow};
pub use memory::{MemorySample, PeakMemory, memory_rollup};
pub use observed::{
    FaultCounts, ObservedProcess, ProcessError, ProcessIdentity, parents, pidfd_open,
    storage_read_bytes,
};
pub use own_child::{OwnChild, describe_status};
pub use program::{ProgramError, resolve as resolve_program};
pub use signals::{EngineSignals, ReceivedSignal, SignalWatch};
