//! The text format of Prometheus, read: what engines say of themselves, and what the tracer's own windows serve.

mod parsed;

pub use parsed::{ParsedFamily, ParsedSample, parse};
