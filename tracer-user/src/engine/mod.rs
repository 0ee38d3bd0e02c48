//! The built-in inference engine, and the writer of the random-weight model that it runs.
//!
//! A newcomer has no inference engine and no model at hand, and a test needs both to be the same everywhere. So this
//! room makes a GGUF file of a mixture-of-experts model with random weights ([`RandomModelShape`], a file that real
//! llama.cpp loads), and generates tokens from it ([`run()`]) with the arithmetic of llama.cpp's OLMoE graph, reading the
//! weights through a memory mapping as llama.cpp does.
//!
//! It is an **access-pattern generator**: which bytes of the file are touched, in which order, and that the router's
//! choice depends on the token are real; the tokens mean nothing and the speed is not to be compared with an engine.

mod arithmetic;
mod error;
mod forward;
mod gguf_encoding;
mod mapping;
mod options;
mod probe_points;
mod random_content;
mod random_model;
mod row_threads;
mod run;
mod staged_file;
mod timings;
mod weights;

pub use error::EngineError;
pub use options::{EngineOptions, LoadMode};
pub use probe_points::offsets_in;
pub use random_model::{RandomModelError, RandomModelShape};
pub use run::run;
pub use timings::EngineReport;
