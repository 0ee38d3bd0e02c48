//! What the figures are made of: pure accumulators.
//!
//! A live run, a recorded run and an old trace go through the same accumulators, so that a figure means
//! the same wherever it is shown. Nothing here knows a clock, a file or a kernel: events come in as plain
//! values ([`event`]), figures go out as plain values ([`ModelFigures`]). Definitions, formulas and units
//! are those of `docs/METRICS.md`.
//!
//! [`ModelAccumulator`] composes the rest for one model. What a figure cannot say, because nothing was
//! observed, is `None`; a zero is a zero that was counted.

pub mod audit;
pub mod check;
pub mod event;
pub mod experiment;
pub mod formulas;
pub mod model;
pub mod order;
pub mod pages;
pub mod phases;
pub mod pieces;
pub(crate) mod random_numbers;
pub mod reuse;

pub mod reads;
pub mod waits;

#[cfg(test)]
mod followed_model;
#[cfg(test)]
mod recorded_traces;
#[cfg(test)]
pub(crate) mod simulated_device;

pub use event::{
    FilePosition, FileRange, FileRanges, Nanos, Part, Parts, ReadCompleted, ReadIssued,
    ReadRequeued, RequestId,
};
pub use model::accumulator::ModelAccumulator;
pub use model::figures::{FileData, ModelFigures};
