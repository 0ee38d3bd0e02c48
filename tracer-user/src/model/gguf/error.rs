//! Why a file is not a readable GGUF file, and where.

use std::io;

/// A GGUF header could not be read. `offset_bytes` is where in the file the offending value starts.
#[derive(Debug, thiserror::Error)]
#[error("not a readable GGUF file: at byte {offset_bytes}: {kind}")]
pub struct GgufError {
    /// Offset from the start of the file, in bytes.
    pub offset_bytes: u64,
    /// What was wrong there. It is part of the message, and therefore no `source`.
    pub kind: GgufErrorKind,
}

/// What was wrong in a GGUF header.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GgufErrorKind {
    /// The file has no bytes at all.
    #[error("the file is empty")]
    Empty,
    /// The path names something that is no regular file.
    #[error("it is not a regular file (a directory, a device or a pipe)")]
    NotARegularFile,
    /// The first four bytes are not `GGUF`.
    #[error("the file does not start with \"GGUF\" but with \"{0}\"; is it a GGUF model?")]
    Magic(String),
    /// A version that this parser does not know.
    #[error("GGUF version {0} is not known here (2 and 3 are)")]
    Version(u32),
    /// The version field is byte-swapped.
    #[error("the file is big-endian; only little-endian GGUF files are read")]
    BigEndian,
    /// A value reaches beyond the end of the file.
    #[error(
        "{what} needs {needed_bytes} bytes, but the file ends at byte {file_size_bytes}: it is cut off or damaged"
    )]
    BeyondFile {
        /// What was being read.
        what: &'static str,
        /// How many bytes it takes.
        needed_bytes: u64,
        /// The size of the file.
        file_size_bytes: u64,
    },
    /// More of something than any real model has; the file is taken to be damaged.
    #[error("{what} is {found}, more than the {limit} that are accepted: the file is damaged")]
    Limit {
        /// What there is too much of.
        what: &'static str,
        /// The figure in the file.
        found: u64,
        /// The most that is accepted.
        limit: u64,
    },
    /// A metadata value type that the format does not have; what follows cannot be found.
    #[error("metadata value type {0} does not exist (0 to 12 do)")]
    ValueType(u32),
    /// The same metadata key twice.
    #[error("metadata key \"{0}\" occurs a second time")]
    DuplicateKey(String),
    /// The same tensor name twice.
    #[error("tensor name \"{0}\" occurs a second time")]
    DuplicateTensor(String),
    /// `general.alignment` is unusable.
    #[error("general.alignment must be a power of two given as an unsigned integer, but is {0}")]
    Alignment(String),
    /// The dimensions of a tensor multiply to more than can be.
    #[error(
        "the dimensions {dimensions:?} of tensor \"{name}\" multiply to more bytes than a file can have"
    )]
    TensorTooLarge {
        name: String,
        /// Its dimensions, innermost first.
        dimensions: Vec<u64>,
    },
    /// A row of a quantised tensor is no whole number of blocks.
    #[error(
        "the rows of tensor \"{name}\" have {row_elements} elements, no multiple of the {block_elements} of a block of its type"
    )]
    PartialBlock {
        name: String,
        row_elements: u64,
        /// Elements in one block of its type.
        block_elements: u64,
    },
    /// A tensor's data reaches beyond the end of the file.
    #[error(
        "the data of tensor \"{name}\" ends at byte {end_bytes}, but the file ends at byte {file_size_bytes}: it is cut off or damaged"
    )]
    TensorBeyondFile {
        name: String,
        /// Where its data would end (saturated at 2^64 - 1).
        end_bytes: u64,
        /// The size of the file.
        file_size_bytes: u64,
    },
    /// Two tensors claim the same bytes.
    #[error("the data of tensor \"{first}\" reaches into that of tensor \"{second}\"")]
    Overlap {
        /// The tensor that starts first.
        first: String,
        /// The tensor that it reaches into.
        second: String,
    },
    #[error("reading failed: {0}")]
    Io(io::Error),
}

impl GgufErrorKind {
    /// This error, at a place in the file.
    pub(super) fn at(self, offset_bytes: u64) -> GgufError {
        GgufError {
            offset_bytes,
            kind: self,
        }
    }
}
