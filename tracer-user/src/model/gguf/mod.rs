//! A bounded parser for GGUF version 2 and 3 headers.
//!
//! Any bytes give a [`GgufHeader`] or a [`GgufError`] that names the byte offset; nothing panics, nothing is read beyond
//! the given file size, and what is kept in memory is bounded whatever counts and lengths the file claims (the limits
//! are in `cursor.rs`). Arrays are not kept (a vocabulary can have 250,000 strings), only where they are.
//!
//! Reading a header puts its pages into the page cache and makes the kernel read ahead into the first tensors: a run
//! that measures a cold start parses first and drops the cache afterwards.
//!
//! # Why not a crate
//!
//! Looked at (source read, 2026): the tracer must not be stopped by a tensor type that is newer than its parser, must
//! survive any file and must say where a file is wrong. None of these does all three:
//!
//! * `gguf` 0.1.2: a nom parser over the whole header in one slice; an unknown tensor type is an error, string arrays
//!   are kept in full, no data start, no tensor lengths, no offset in errors.
//! * `gguf-rs` 0.1.8: takes any `Read`, but an unknown tensor type is an error, its block sizes are derived from the
//!   type's number (0 – 9: 32 elements, else 256), which gives IQ4_NL, MXFP4, BF16 and the integer types wrong lengths,
//!   and errors have no offset.
//! * `ggus` 0.5.1: version 3 only, needs the file in memory, reads the type straight into a Rust enum (an unknown number is
//!   undefined behaviour), and allocates by the counts in the file.
//! * `gguf-rs-lib` 0.3.3: bounded throughout, but version 3 only, an unknown tensor type is an error, and its
//!   errors carry no offset.
//! * `candle-core` 0.11.1 (`quantized::gguf_file`): checks lengths against the file, but an unknown tensor type is an error,
//!   arrays are kept in full, errors have no offset, and it brings a machine-learning framework along.
//!
//! Format: `docs/gguf.md` in the ggml repository; `ggml/src/gguf.cpp` in llama.cpp for what a loader accepts.

mod cursor;
mod error;
mod header;
mod metadata;
mod tensor;
#[cfg(test)]
mod tests;

pub use error::{GgufError, GgufErrorKind};
pub use header::GgufHeader;
pub use metadata::{Array, MetadataValue, ValueType};
pub use tensor::{GgmlType, TensorInfo, TensorLength};
