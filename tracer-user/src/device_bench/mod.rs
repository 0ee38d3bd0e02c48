//! What a device can do on a model's own file, and what the order of a run's reads costs on it.
//!
//! The file is read with `O_DIRECT`, so that neither the page cache answers nor is it changed, by as many threads as reads
//! are to be in flight, each in `pread(2)`. Patterns take turns, round by round, so that a device that gets warm or slow
//! does so for all; a figure is the median of the rounds, shown with the smallest and the largest.

mod command;
mod direct_file;
mod error;
mod measurement;
mod orders;
mod other_load;
mod patterns;
mod rounds;
mod run_facts;
mod spread;
mod suspects;
mod workers;

pub use command::{DeviceTestRequest, run_device_test};
pub use error::DeviceTestError;
pub use measurement::{DeviceTestOptions, measure};

#[cfg(test)]
mod tests;
