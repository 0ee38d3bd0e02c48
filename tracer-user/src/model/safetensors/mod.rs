//! Safetensors headers within bounds, and what may lie beside such a file.
//!
//! # What of the crate `safetensors` is used
//!
//! Its [`Dtype`](::safetensors::Dtype) says how many bits an element has, and the tests hold every header that the crate accepts against
//! ours. Its reader is not used (0.8.0, source read, 2026): `SafeTensors::read_metadata` wants the whole file in one
//! slice, weights included; `Metadata`, which can be had from the header alone, buffers each value before it looks at it
//! (`#[serde(flatten)]`: some 32 bytes for each number, 1.6 GB for a hostile header of 100 MB) and refuses a header with
//! one element type that is newer than the crate; neither says where a header is wrong.
//!
//! Format: u64 little-endian header length, a JSON object `{name: {dtype, shape, data_offsets}}`, data. Offsets count
//! from the end of the header.

mod error;
mod header;
mod info;
#[cfg(test)]
mod tests;

pub use error::{SafetensorsError, SafetensorsErrorKind};
pub use header::{SafetensorsHeader, SafetensorsTensor};
