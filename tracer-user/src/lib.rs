//! Traces how an LLM inference process reads its weights from storage.
//!
//! One idea holds it together: one stream of reads, many sources, one set of accumulators, many views.
//! `docs/ARCHITECTURE.md` has the rooms and the arrows between them.
pub mod blktrace;
pub mod cli;
pub mod device;
pub mod engine;
pub mod experiment;
pub mod kernel;
pub mod model;
pub mod pressure;
pub mod record;
pub mod recording;
pub mod report;
pub mod run;
pub mod stats;
pub mod storage;
pub mod target;
