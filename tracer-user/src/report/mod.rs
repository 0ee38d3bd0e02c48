//! Finished records → terminal table and Markdown. Reads records only, never a live object.

mod attribution;
mod audit;
mod block_trace;
mod device;
mod experiment;
mod figures;
mod inspection;
mod markdown;
mod terminal;

pub use audit::{accounting_table, audit_markdown, audit_terminal};
pub use block_trace::{block_trace_markdown, block_trace_terminal};
pub use device::device_test;
pub use experiment::{
    TEMPLATES, answer, experiment_markdown, experiment_terminal, template, threshold_refinement,
};
pub use inspection::inspection;
pub use markdown::markdown;
pub use terminal::terminal;
