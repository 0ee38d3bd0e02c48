//! The text format of Prometheus, read: what engines say of themselves, and what the tracer's own windows serve.

mod histograms;
mod parsed;

pub use histograms::ParsedHistogram;
pub use parsed::{ParsedFamily, parse};
