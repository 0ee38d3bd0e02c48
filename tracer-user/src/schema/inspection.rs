//! What a model is made of, without a run: what `tracer model --json` prints.

use serde::{Deserialize, Serialize};

use super::ExpertsRecord;

/// A model on disk and in the page cache.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ModelInspection {
    /// Path of the model, or of the first of its files.
    pub path: String,
    /// `gguf` or `safetensors`. Null where the header could not be read.
    pub format: Option<String>,
    /// Architecture.
    pub architecture: Option<String>,
    /// The name that the model gives itself.
    pub name: Option<String>,
    /// Layers.
    pub layers: Option<u64>,
    /// Routed experts.
    pub experts: Option<ExpertsRecord>,
    /// The token embedding is the output matrix, too.
    pub tied_output: Option<bool>,
    /// Bytes that a decode step with one token uses.
    pub step_need_bytes: Option<u64>,
    /// Size of all files.
    pub size_bytes: u64,
    /// Bytes of it in the page cache, whole pages. Null where that was not observed.
    pub resident_bytes: Option<u64>,
    /// Files.
    pub files: Vec<InspectedFile>,
    /// Sizes by kind of tensor, the largest first; header and padding are kinds here.
    pub kinds: Vec<InspectedGroup>,
    /// Sizes by layer.
    pub layer_sizes: Vec<InspectedGroup>,
    /// Tensors and what is between them, in the order of the files.
    pub order: Vec<InspectedPiece>,
    /// What is odd.
    pub notes: Vec<String>,
}

/// A file.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct InspectedFile {
    /// Path.
    pub path: String,
    /// Size.
    pub size_bytes: u64,
    /// File system.
    pub filesystem: String,
    /// Disk that its requests go to.
    pub device: Option<String>,
    /// Why its sectors are not known, where that is so.
    pub without_sectors: Option<String>,
    /// Extents, in the order of the file. Null where they are not known.
    pub extents: Option<Vec<InspectedExtent>>,
}

/// An extent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct InspectedExtent {
    /// First byte in the file.
    pub file_offset_bytes: u64,
    /// First sector (512 bytes) on the whole disk.
    pub disk_sector: u64,
    /// Length.
    pub length_bytes: u64,
}

/// Tensors that have something in common.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InspectedGroup {
    /// What they have in common: the kind, or the layer's number.
    pub name: String,
    /// Tensors.
    pub tensors: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Bytes of them in the page cache.
    pub resident_bytes: Option<u64>,
}

/// A tensor, or what is between tensors.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct InspectedPiece {
    /// Its name; `(header)` or `(padding)` for what is none.
    pub name: String,
    /// Kind.
    pub kind: String,
    /// Layer.
    pub layer: Option<u32>,
    /// Experts whose slices it holds.
    pub expert_slices: Option<u32>,
    /// The one expert that it belongs to.
    pub expert: Option<u32>,
    /// Element type.
    pub element_type: Option<String>,
    /// Dimensions, innermost first.
    pub dimensions: Vec<u64>,
    /// File, counted from 0.
    pub file: u64,
    /// First byte in it.
    pub offset_bytes: u64,
    /// Bytes.
    pub bytes: u64,
    /// Bytes of it in the page cache.
    pub resident_bytes: Option<u64>,
}
