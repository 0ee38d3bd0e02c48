//! Figures of a run, whatever its models.

pub mod engine;
pub mod losses;
pub mod memory;
pub mod process;
