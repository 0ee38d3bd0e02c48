//! Searches: experiments of which what is run next depends on what was run.

mod engine_flags;
pub mod threshold;
pub mod tuning;
mod tuning_plan;

pub use engine_flags::flags;
pub use tuning_plan::{TuneRequest, adapter_of, command_as_text, tune_plan_text};
