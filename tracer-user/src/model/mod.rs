//! What a model file is made of: which bytes of the file belong to which tensor.
//!
//! The tracer sees reads of file offsets; this room says what lies there. It reads headers only, never weights, and it
//! takes every byte of a header as possibly wrong.

mod gguf;

pub use gguf::{
    Array, GgmlType, GgufError, GgufErrorKind, GgufHeader, MetadataValue, TensorInfo, TensorLength,
    ValueType,
};
