//! Parts of a model that stay in memory for a run.
//!
//! A process of its own maps and locks them ([`keeper_main`]), in the engine's cgroup, so that their pages count there. They go
//! when it ends: when the tracer says so, and when the tracer is gone, also by SIGKILL; and when it is killed itself.

mod keeper;
mod tracer_side;

pub use keeper::keeper_main;
pub use tracer_side::{PinError, PinRange, PinRequest, Pinned};

/// Name of the hidden subcommand, and of its process (at most 15 bytes).
pub const PIN_SUBCOMMAND: &str = "weights-keeper";
