//! One model from all of its files: which bytes are which tensor, layer and expert, and what a decode step needs.

mod companions;
mod error;
mod need;
mod notes;
mod open;
mod pieces;
mod places;
mod positioned_reader;
mod shards;
#[cfg(test)]
pub(super) mod test_files;
#[cfg(test)]
pub(super) mod test_laws;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::names::TensorKind;

pub use error::OutlineError;
pub use need::NeedBytes;
pub use pieces::{Piece, PieceKind};

/// What one model is made of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ModelOutline {
    /// Format of its files; all have the same.
    pub format: ModelFormat,
    /// `general.architecture` of GGUF, `architectures` or `model_type` of `config.json`.
    pub architecture: Option<String>,
    /// `general.name` of GGUF, `_name_or_path` of `config.json`.
    pub name: Option<String>,
    /// Layers, those that only predict further tokens included where the model's own figure has them.
    pub layer_count: Option<u32>,
    /// Routed experts in a layer; `None` where the model has none or does not say.
    pub expert_count: Option<u32>,
    /// Routed experts that one token uses; `None` where the model has none or does not say.
    pub expert_used_count: Option<u32>,
    /// Its files, in the order given.
    pub files: Vec<OutlineFile>,
    /// All tensors, by file, in the order of their data; names are unique.
    pub tensors: Vec<TensorPlace>,
    /// There is no output matrix of its own: the token embedding is used as one.
    pub tied_output: bool,
    /// What is odd without making the outline wrong; at most 32 lines, the last of which says how many more there were.
    pub notes: Vec<String>,
}

/// The formats of model files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelFormat {
    Gguf,
    Safetensors,
}

impl ModelFormat {
    /// Its name in records: `gguf`, `safetensors`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Gguf => "gguf",
            Self::Safetensors => "safetensors",
        }
    }
}

/// One file of a model.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutlineFile {
    /// The path, to show.
    pub path: PathBuf,
    pub size_bytes: u64,
    /// Bytes before the data start, alignment included; never more than the file has.
    pub header_bytes: u64,
}

/// One tensor, and where it lies.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TensorPlace {
    /// Its name in the file.
    pub name: String,
    /// Index of its file in [`ModelOutline::files`].
    pub file: u16,
    /// Where its data starts, counted from the start of the file.
    pub offset_bytes: u64,
    /// Bytes of its data; it ends within the file.
    pub length_bytes: u64,
    /// Whether `length_bytes` is exact. It is not for a GGUF element type that is not known here: the tensor is then
    /// taken to reach to the next one.
    pub length_is_exact: bool,
    /// What it is for.
    pub kind: TensorKind,
    /// Its layer, counted from 0; `None` for what belongs to none, and for encoders.
    pub layer: Option<u32>,
    /// For a tensor that holds all of a layer's experts: their number. Expert e has the bytes
    /// `offset + e * (length / n)` to `offset + (e + 1) * (length / n)`. Only where the outermost dimension is the
    /// expert count and the length is exact and divides by it.
    pub expert_slices: Option<u32>,
    /// For a tensor that is of one expert alone: which one.
    pub expert: Option<u32>,
    /// Elements in each dimension, innermost (contiguous) first, for both formats.
    pub dimensions: Vec<u64>,
    /// Its element type by the format's own name; `type N` for a GGUF number that is not known here.
    pub element_type: String,
    /// Whether a decode step of a text token uses it. Encoders (of images, of sound, of an encoder-decoder model) and
    /// layers that only predict further tokens (multi-token prediction) are not used.
    pub used_by_decode_step: bool,
    /// Bytes of one row (the innermost dimension), where rows are whole numbers of bytes.
    pub row_bytes: Option<u64>,
}

impl TensorPlace {
    /// Where its data ends, counted from the start of the file.
    pub fn end_bytes(&self) -> u64 {
        self.offset_bytes + self.length_bytes
    }
}
