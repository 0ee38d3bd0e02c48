//! What a model is and where it lies.

use serde::{Deserialize, Serialize};

/// What a model is and where it lies.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ModelIdentity {
    /// Path of the model, or of the first of its files.
    pub path: String,
    pub files: Vec<ModelFileRecord>,
    /// Size of all files together, bytes.
    pub size_bytes: u64,
    /// Bytes that are on a device: the size without holes and unwritten parts. Null where that is not known.
    pub data_bytes: Option<u64>,
    /// Extents of all files together. Null where they are not known.
    pub extents: Option<u64>,
    /// Why the model's sectors are not known, where that is so.
    pub without_sectors: Option<String>,
    /// Format: `gguf` or `safetensors`. Null where the header could not be read.
    pub format: Option<String>,
    pub architecture: Option<String>,
    pub layers: Option<u64>,
    /// Routed experts in a layer, and how many of them a token uses.
    pub experts: Option<ExpertsRecord>,
    pub filesystem: String,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ExpertsRecord {
    pub count: u64,
    /// That a token uses.
    pub used: u64,
}

/// One file of a model.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ModelFileRecord {
    pub path: String,
    /// Size, bytes.
    pub size_bytes: u64,
    /// Inode number, as the page-cache tracepoints report it. 0, which no file has, where an old trace's model is known
    /// by its saved extents only.
    pub inode: u64,
    /// Extents. Null where they are not known.
    pub extents: Option<u64>,
}
