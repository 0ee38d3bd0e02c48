//! Why there is no outline of a model.

use std::io;
use std::path::PathBuf;

use crate::model::gguf::GgufError;
use crate::model::safetensors::SafetensorsError;

/// Why a model's files give no outline.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutlineError {
    /// No file was given.
    #[error("no model file was given")]
    NoFiles,
    /// More files than one model can have.
    #[error("{0} files were given for one model; at most 65,535 are accepted")]
    TooManyFiles(usize),
    /// A file cannot be opened or asked for its size.
    #[error("model {}: cannot be opened: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
    /// A directory, a device or a pipe.
    #[error("model {}: is not a regular file", path.display())]
    NotARegularFile { path: PathBuf },
    /// Neither GGUF nor safetensors.
    #[error(
        "model {}: is neither a GGUF nor a safetensors file: it starts with \"{start}\"{hint}", path.display()
    )]
    UnknownFormat {
        path: PathBuf,
        /// Its first bytes, escaped.
        start: String,
        /// What it is instead and what to do, or nothing.
        hint: &'static str,
    },
    /// The files have different formats.
    #[error("model {}: has another format than the model's first file", path.display())]
    MixedFormats {
        /// The first file that differs.
        path: PathBuf,
    },
    /// A GGUF header is wrong.
    #[error("model {}: {error}", path.display())]
    Gguf {
        path: PathBuf,
        /// What is wrong, and where. It is part of the message, and therefore no `source`.
        error: Box<GgufError>,
    },
    /// A safetensors header is wrong.
    #[error("model {}: {error}", path.display())]
    Safetensors {
        path: PathBuf,
        /// What is wrong, and where. It is part of the message, and therefore no `source`.
        error: Box<SafetensorsError>,
    },
    /// Shards of a split model were not given.
    #[error(
        "model {}: is split into {count} shards, of which these are missing: {}; put all of them into one directory, under the names NAME-00001-of-{count:05} and so on (or with their index), and name one of them", path.display(), missing.join(", ")
    )]
    MissingShards {
        /// The first file that was given.
        path: PathBuf,
        /// How many shards there should be.
        count: u64,
        /// Their names, where the shards have numbered names, else their numbers; at most 16, then how many more.
        missing: Vec<String>,
    },
    /// Several files, and one is no shard or a shard of something else.
    #[error("model {}: was given as one of {given} shards, but {reason}", path.display())]
    NotOfThisSplit {
        path: PathBuf,
        /// How many files were given.
        given: usize,
        reason: String,
    },
    /// Shards in the wrong order.
    #[error(
        "model {}: is shard {found} but stands at place {place} (both counted from 1); give the shards in order", path.display()
    )]
    ShardOrder {
        path: PathBuf,
        /// Its number, counted from 1.
        found: u64,
        /// Where it stands among the files given, counted from 1.
        place: u64,
    },
    /// A tensor in two files.
    #[error(
        "tensor {name:?} is in {} and in {}: these are not shards of one model", first.display(), second.display()
    )]
    DuplicateTensor {
        name: String,
        /// One of the files.
        first: PathBuf,
        second: PathBuf,
    },
    /// `split.tensors.count` is not the number of tensors.
    #[error(
        "model {}: split.tensors.count says {expected} tensors, but its shards have {found}", path.display()
    )]
    TensorCount {
        path: PathBuf,
        /// What the file says.
        expected: u64,
        found: u64,
    },
    /// The names and figures of all files together take too much memory.
    #[error(
        "the tensors of all files take more than {limit_bytes} bytes of memory: they are damaged"
    )]
    TooMuch { limit_bytes: u64 },
}
