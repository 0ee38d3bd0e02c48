//! The tables of an experiment: each from its records alone.

pub mod devices;
pub mod differences;
pub mod disagreement;
pub mod memory;
pub mod phases;
pub mod raw;
pub mod results;
pub mod spread;
