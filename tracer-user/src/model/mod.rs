//! What a model's files are made of: which bytes are which tensor, layer and expert.
//!
//! The tracer sees reads of file offsets; this room says what lies there. It reads headers only, never weights, and it
//! takes every byte of a header as possibly wrong.
//!
//! * [`ModelOutline`] is one model from all of its files: tensors with place, kind, layer and expert; a partition of
//!   each file into [`Piece`]s; the bytes that a decode step needs.
//! * [`GgufHeader`] and [`SafetensorsHeader`] are the two formats' headers, read within bounds.

#[cfg(test)]
pub(crate) mod corpus_tests;
mod file_names;
pub(crate) mod files;
mod gguf;
pub(crate) mod hub_cache;
mod names;
mod outline;
mod safetensors;
mod shard_index;
mod start_of_file;

pub(crate) use file_names::{SplitName, has_model_extension};
pub use files::{ModelFileError, ModelFiles, names_a_model};
pub use gguf::{
    Array, GgmlType, GgufError, GgufErrorKind, GgufHeader, MetadataValue, TensorInfo, TensorLength,
    ValueType,
};
pub use names::TensorKind;
pub use outline::{
    ModelFormat, ModelOutline, NeedBytes, OutlineError, OutlineFile, Piece, PieceKind, TensorPlace,
};
pub use start_of_file::starts_as_model;

pub use safetensors::{
    SafetensorsError, SafetensorsErrorKind, SafetensorsHeader, SafetensorsTensor,
};
