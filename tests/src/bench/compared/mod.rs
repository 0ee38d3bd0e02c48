//! What is compared: which tracers there are, each put in force, and the rounds in which they take turns.

mod others;
mod programs;
mod rounds;
mod running;
mod variant;

pub use others::Other;
pub use rounds::Rounds;
pub use rounds::Turn;
pub use running::Traced;
pub use running::{RunFolder, Running, tracer_program};
pub use variant::{TracerVariant, Variant, Variants};
