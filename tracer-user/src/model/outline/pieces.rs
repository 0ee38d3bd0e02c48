//! A file cut into pieces that leave nothing out.

use serde::Serialize;

use super::{ModelOutline, TensorPlace};

/// A range of a file that is one thing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Piece {
    /// Offset of its first byte in the file.
    pub start_bytes: u64,
    /// Offset of the first byte after it; more than `start_bytes`.
    pub end_bytes: u64,
    pub what: PieceKind,
}

/// What a piece of a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PieceKind {
    /// Everything before the data start.
    Header,
    /// A tensor, or one expert's slice of it.
    Tensor {
        /// Index in [`ModelOutline::tensors`].
        tensor: u32,
        /// The expert whose bytes these are, where they are of one alone.
        expert: Option<u32>,
    },
    /// Bytes that belong to no tensor: alignment, holes, what follows the last tensor.
    Padding,
}

impl ModelOutline {
    /// The whole file in pieces: sorted, none empty, no two overlap, no gap, from 0 to the file's size. A tensor of no
    /// bytes has no piece. Empty for a `file` that the model does not have.
    pub fn pieces(&self, file: u16) -> Vec<Piece> {
        let Some(place) = self.files.get(usize::from(file)) else {
            return Vec::new();
        };
        let mut pieces = Pieces::default();
        pieces.up_to(place.header_bytes, PieceKind::Header);
        for (index, tensor) in (0u32..).zip(&self.tensors) {
            if tensor.file != file {
                continue;
            }
            pieces.up_to(tensor.offset_bytes, PieceKind::Padding);
            match tensor.slice_bytes() {
                Some((slices, slice_bytes)) => {
                    for expert in 0..slices {
                        let end = tensor.offset_bytes + (u64::from(expert) + 1) * slice_bytes;
                        let expert = Some(expert);
                        let tensor = index;
                        pieces.up_to(end, PieceKind::Tensor { tensor, expert });
                    }
                }
                None => {
                    let what = PieceKind::Tensor {
                        tensor: index,
                        expert: tensor.expert,
                    };
                    pieces.up_to(tensor.end_bytes(), what);
                }
            }
        }
        pieces.up_to(place.size_bytes, PieceKind::Padding);
        pieces.list
    }
}

impl TensorPlace {
    /// Number of expert slices, and bytes of each.
    pub(super) fn slice_bytes(&self) -> Option<(u32, u64)> {
        let slices = self.expert_slices?;
        Some((slices, self.length_bytes.checked_div(u64::from(slices))?))
    }
}

#[derive(Default)]
struct Pieces {
    list: Vec<Piece>,
    end_bytes: u64,
}

impl Pieces {
    /// The next piece reaches to `end_bytes`; nothing where that is already reached.
    fn up_to(&mut self, end_bytes: u64, what: PieceKind) {
        if end_bytes > self.end_bytes {
            self.list.push(Piece {
                start_bytes: self.end_bytes,
                end_bytes,
                what,
            });
            self.end_bytes = end_bytes;
        }
    }
}
