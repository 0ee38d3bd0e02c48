//! Fixtures of the tests that drive the tracer on a real kernel: disks, model files, readers whose reads
//! are known, and references that count the same requests by another road.
//!
//! Nothing here uses the tracer's own crates, except for the names of members in `run.json`: an
//! expectation computed with the code under test would agree with its mistakes.

pub mod bench;
pub mod browser;
pub mod case_result;
pub mod disk;
pub mod environment;
pub mod model_file;
pub mod plan;
pub mod reader;
pub mod reference;
pub mod run_record;
pub mod surroundings;
pub mod terminal;
pub mod tracer;
