//! Finished records → terminal table and Markdown. Reads records only, never a live object.

mod attribution;
mod experiment;
mod figures;
mod inspection;
mod markdown;
mod terminal;
mod units;

pub use experiment::{
    TEMPLATES, answer, experiment_markdown, experiment_terminal, template, threshold_refinement,
};
pub use inspection::inspection;
pub use markdown::markdown;
pub use terminal::terminal;
pub use units::{bytes, rate};
