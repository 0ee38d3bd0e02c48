//! Finished records → a [`document`] → terminal and Markdown. Reads records only, never a live object.

mod audit;
mod block_trace;
mod comparison;
mod device;
pub mod document;
mod experiment;
mod explanation;
mod figure_table;
mod inspection;
mod model_tables;
mod page;
mod run;
mod sizing;
mod verdict;

pub use audit::{audit_markdown, audit_terminal};
pub use block_trace::{block_trace_markdown, block_trace_terminal};
pub use comparison::{
    COMPARISON_SCHEMA_VERSION, Certainty, Change, ColumnValues, Compared, ComparedColumn,
    ComparedFigure, ComparedTable, Comparison, Condition, Judgement, Setting, Side,
    UnknownCondition, compare, comparison_markdown, comparison_page, comparison_terminal,
};
pub use device::device_test;
pub use experiment::{
    TEMPLATES, answer, experiment_charts, experiment_markdown, experiment_page,
    experiment_terminal, template, threshold_refinement,
};
pub use explanation::{explanation_markdown, explanation_terminal};
pub use inspection::inspection;
pub use run::{
    ChartSources, TimeWindow, Verdict, markdown, run_charts, run_page, terminal, verdict,
};
pub use sizing::{sizing_page, sizing_terminal};
