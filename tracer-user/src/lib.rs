//! Traces how an LLM inference process reads its weights from storage.
//!
//! One idea holds it together: one stream of reads, many sources, one set of accumulators, many views.
//! `docs/ARCHITECTURE.md` has the rooms and the arrows between them.
pub mod advice;
pub mod assemble;
pub mod chart;
pub mod cli;
pub mod device_bench;
pub mod engine;
pub mod experiment;
pub mod export;
mod exposition;
pub mod figures;
pub mod finished_run;
pub mod live;
pub mod markup;
pub mod metrics;
pub mod model;
pub mod old_trace;
pub mod output;
pub mod outward;
mod parquet_columns;
pub mod place;
pub mod pressure;
pub mod probe;
pub mod process;
pub mod read_list;
pub mod recording;
pub mod report;
pub mod rights;
pub mod run;
pub mod schema;
pub mod setting;
pub mod sizing;
pub mod stats;
pub mod storage;
pub mod units;
pub mod watch;
