//! Arguments → calls. No logic.

mod arguments;
mod commands;
mod experiment;
mod size;

pub use arguments::Arguments;
pub use commands::execute;
