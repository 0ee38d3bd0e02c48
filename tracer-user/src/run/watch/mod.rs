//! The engine while it runs: what it does, what it says, and what of the model is in memory meanwhile.

pub mod budget;
pub mod cached_files;
pub mod engine;
pub mod files;
pub mod log;
pub mod mark_pipe;
pub mod marks;
pub mod probe_finder;
pub mod residency_moments;
pub mod residency_samples;
pub mod samples;
pub mod shown_experts;
pub mod weights;
