//! All figures of one model together.

pub mod accumulator;
pub mod figures;
