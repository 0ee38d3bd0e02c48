//! Arguments → calls. No logic.

mod arguments;
mod blktrace;
mod commands;
mod doctor;
mod experiment;
mod size;

pub use arguments::Arguments;
pub use commands::execute;
