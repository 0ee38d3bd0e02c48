//! What tracing costs: the same work with and without a tracer, in turns.
//!
//! The program `bench` measures, on any machine from its one file; `cargo xtask bench` builds and runs it.

pub mod bpf;
pub mod cost;
mod ground;
mod interval;
mod others;
mod processor_time;
mod random_reads;
pub mod record;
mod running;
mod table;
mod variant;

pub use ground::BenchGround;
pub use interval::Interval;
pub use others::Other;
pub use random_reads::ReadLoad;
pub use variant::{TracerVariant, Variant, Variants};
