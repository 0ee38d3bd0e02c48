//! The same reads under every way of counting the records of a trace.

pub mod accounting;
pub mod matching;
