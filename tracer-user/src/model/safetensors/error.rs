//! Why a file is not a readable safetensors file, and where.

use std::io;

/// A safetensors header could not be read. `offset_bytes` is where in the file the offending value stands.
#[derive(Debug, thiserror::Error)]
#[error("not a readable safetensors file: at byte {offset_bytes}: {kind}")]
pub struct SafetensorsError {
    /// Offset from the start of the file, in bytes. For a fault in the JSON it is where reading it stopped.
    pub offset_bytes: u64,
    /// What was wrong there. It is part of the message, and therefore no `source`.
    pub kind: SafetensorsErrorKind,
}

/// What was wrong in a safetensors header.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SafetensorsErrorKind {
    /// The file has no bytes at all.
    #[error("the file is empty")]
    Empty,
    /// The file ends before the header does.
    #[error(
        "the header ends at byte {header_end_bytes}, but the file ends at byte {file_size_bytes}: it is cut off, damaged, or no safetensors file"
    )]
    HeaderBeyondFile {
        /// Where the header would end (saturated at 2^64 - 1).
        header_end_bytes: u64,
        /// The size of the file.
        file_size_bytes: u64,
    },
    /// The header is longer than the format allows.
    #[error(
        "the header's length is {found} bytes, more than the {limit} that the format allows: the file is damaged, or no safetensors file"
    )]
    HeaderTooLong {
        /// The length in the file.
        found: u64,
        /// The most that is accepted.
        limit: u64,
    },
    /// The header is not the JSON that it must be.
    #[error("the header is not as the format wants it: {0}")]
    Json(String),
    /// The same tensor name twice.
    #[error("tensor name {0:?} occurs a second time")]
    DuplicateTensor(String),
    /// Offsets that run backwards or beyond what can be.
    #[error("the data_offsets [{begin}, {end}] of tensor {name:?} are no range")]
    Offsets {
        name: String,
        begin: u64,
        /// Its second offset.
        end: u64,
    },
    /// Shape and element type do not give the length.
    #[error("tensor {name:?} has {length_bytes} bytes between its data_offsets, but {expected}")]
    Length {
        name: String,
        /// Bytes between its data offsets.
        length_bytes: u64,
        /// What its shape and element type take, as text.
        expected: String,
    },
    /// A tensor's data reaches beyond the end of the file.
    #[error(
        "the data of tensor {name:?} ends at byte {end_bytes}, but the file ends at byte {file_size_bytes}: it is cut off or damaged"
    )]
    TensorBeyondFile {
        name: String,
        /// Where its data would end (saturated at 2^64 - 1).
        end_bytes: u64,
        /// The size of the file.
        file_size_bytes: u64,
    },
    /// Two tensors claim the same bytes.
    #[error("the data of tensor {first:?} reaches into that of tensor {second:?}")]
    Overlap {
        /// The tensor that starts first.
        first: String,
        /// The tensor that it reaches into.
        second: String,
    },
    #[error("reading failed: {0}")]
    Io(io::Error),
}

impl SafetensorsErrorKind {
    /// This error, at a place in the file.
    pub(super) fn at(self, offset_bytes: u64) -> SafetensorsError {
        SafetensorsError {
            offset_bytes,
            kind: self,
        }
    }
}
