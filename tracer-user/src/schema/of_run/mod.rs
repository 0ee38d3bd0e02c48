//! Members of the run as a whole: engine, devices, memory, checks.

pub mod course;
pub mod device;
pub mod engine;
pub mod engine_metrics;
pub mod machine;
pub mod process;
pub mod read_list;
pub mod recording;
pub mod run;
