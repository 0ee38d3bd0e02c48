//! What the figures are made of: pure accumulators.
//!
//! A live run, a recorded run and an old trace go through the same accumulators, so that a figure means
//! the same wherever it is shown. Nothing here knows a clock, a file or a kernel: events come in as plain
//! values ([`event`]), figures go out as plain values ([`ModelFigures`]). Definitions, formulas and units
//! are those of `docs/METRICS.md`.
//!
//! [`ModelAccumulator`] composes the rest for one model. What a figure cannot say, because nothing was
//! observed, is `None`; a zero is a zero that was counted.

pub mod accounting;
pub mod accounting_match;
pub mod attribution;
pub mod bandwidth;
pub mod distances;
pub mod event;
pub mod exchange_check;
pub mod exchange_order;
pub mod experiment;
pub mod file_order;
pub mod gaps;
pub mod latency;
pub mod miss_stream;
pub mod model_accumulator;
pub mod model_figures;
pub mod overlap;
pub mod page_cache;
pub mod page_events;
pub mod page_figures;
pub mod page_history;
mod page_state;
pub mod phase;
pub mod phase_reads;
pub mod piece_reads;
pub mod pieces;
pub mod process_share;
pub mod queue_depth;
pub(crate) mod random_numbers;
pub mod ratio;
pub mod requests;
pub mod segments;
pub mod sizes;
pub mod spans;
pub mod stall;
mod step_pieces;
pub mod steps;
pub mod streams;
pub mod unique;

#[cfg(test)]
mod recorded_traces;
#[cfg(test)]
mod simulated_device;

pub use event::{
    FilePosition, FileRange, Nanos, ReadCompleted, ReadIssued, ReadRequeued, RequestId,
};
pub use model_accumulator::{FileData, ModelAccumulator};
pub use model_figures::ModelFigures;
