//! Arguments → calls. No logic.

mod arguments;
mod blktrace;
mod built_in;
mod choose_process;
mod commands;
mod console;
mod doctor;
mod examples;
mod experiment;
mod explain;
mod finished;
mod mark;
mod network;
mod plot;
mod size;
mod tune;
mod watch;

pub use arguments::Arguments;
pub use commands::execute;
