//! Why the built-in engine cannot run.

use std::io;
use std::path::PathBuf;

use crate::model::{GgmlType, GgufError};

/// The built-in engine cannot run, or could not go on.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// An option is out of its range.
    #[error("the built-in engine's {option} must be at least 1")]
    Option { option: &'static str },
    /// The model file cannot be opened or its attributes not be read.
    #[error("cannot open the model {}", path.display())]
    Open {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// The model is a directory, a device or a pipe.
    #[error("the model {} is not a regular file; name a GGUF file", path.display())]
    NotARegularFile { path: PathBuf },
    /// The model's header cannot be read.
    #[error("cannot use the model {}", path.display())]
    Header {
        path: PathBuf,
        /// What is wrong with it, and where.
        #[source]
        source: GgufError,
    },
    /// The model is of another architecture.
    #[error(
        "the built-in engine runs the architecture olmoe only, and the model {} is of {}; use a real engine for it",
        path.display(), found.as_deref().map_or("no stated architecture".into(), |name| format!("architecture {name}"))
    )]
    Architecture {
        path: PathBuf,
        /// What its header says.
        found: Option<String>,
    },
    /// A metadata key is missing or has no usable value.
    #[error("the model {} has no usable {key} in its metadata: {expected} is needed", path.display())]
    Key {
        path: PathBuf,
        key: String,
        /// What it must be.
        expected: &'static str,
    },
    /// A tensor is missing.
    #[error("the model {} has no tensor {name}", path.display())]
    MissingTensor { path: PathBuf, name: String },
    /// A tensor's elements are not F16 or F32.
    #[error(
        "the built-in engine multiplies F16 and F32 tensors only, and {name} of the model {} is {found}; use a real engine for it",
        path.display()
    )]
    TensorType {
        path: PathBuf,
        name: String,
        found: GgmlType,
    },
    /// A tensor has other dimensions than the metadata says, or an offset at which its elements are not aligned.
    #[error("tensor {name} of the model {} is {found}, but {expected} is needed", path.display())]
    TensorShape {
        path: PathBuf,
        name: String,
        found: String,
        /// What the metadata demands.
        expected: String,
    },
    /// The file's size changed between reading its header and mapping it.
    #[error("the model {} changed its size while it was opened", path.display())]
    Changed { path: PathBuf },
    /// Mapping the file or advising the kernel failed.
    #[error("cannot {action} the model {}", path.display())]
    Mapping {
        /// What was being done.
        action: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// A thread could not be started.
    #[error("cannot start thread {number} of the built-in engine; use fewer threads")]
    Thread {
        number: usize,
        #[source]
        source: io::Error,
    },
    /// A thread ended before its work was done.
    #[error("a thread of the built-in engine ended unexpectedly")]
    ThreadLost,
    /// The expert log would overwrite the model.
    #[error("the expert log {} is the model itself; name another file", path.display())]
    ExpertLogIsModel { path: PathBuf },
    /// The expert log cannot be written.
    #[error("cannot write the expert log {}", path.display())]
    ExpertLog {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
}
