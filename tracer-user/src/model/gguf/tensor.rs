//! Tensor infos: name, dimensions, type, and where the data lies.

use std::fmt;

/// A tensor's element type by its number in the file; numbers that are not known here are kept as they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GgmlType(pub u32);

/// Number, name, elements in a block, bytes of a block. Source: `enum ggml_type` and the block structs of llama.cpp
/// (`ggml/include/ggml.h`, `ggml/src/ggml-common.h`), the same as `GGML_QUANT_SIZES` of its Python package gguf 0.19.
/// Numbers that are missing (4, 5, 31 – 33, 36 – 38) were removed from the format.
const KNOWN_TYPES: &[(u32, &str, u64, u64)] = &[
    (0, "F32", 1, 4),
    (1, "F16", 1, 2),
    (2, "Q4_0", 32, 18),
    (3, "Q4_1", 32, 20),
    (6, "Q5_0", 32, 22),
    (7, "Q5_1", 32, 24),
    (8, "Q8_0", 32, 34),
    // 9, Q8_1, is left out: its block has 36 bytes in C and 40 in the Python package, and no file has it.
    (10, "Q2_K", 256, 84),
    (11, "Q3_K", 256, 110),
    (12, "Q4_K", 256, 144),
    (13, "Q5_K", 256, 176),
    (14, "Q6_K", 256, 210),
    (15, "Q8_K", 256, 292),
    (16, "IQ2_XXS", 256, 66),
    (17, "IQ2_XS", 256, 74),
    (18, "IQ3_XXS", 256, 98),
    (19, "IQ1_S", 256, 50),
    (20, "IQ4_NL", 32, 18),
    (21, "IQ3_S", 256, 110),
    (22, "IQ2_S", 256, 82),
    (23, "IQ4_XS", 256, 136),
    (24, "I8", 1, 1),
    (25, "I16", 1, 2),
    (26, "I32", 1, 4),
    (27, "I64", 1, 8),
    (28, "F64", 1, 8),
    (29, "IQ1_M", 256, 56),
    (30, "BF16", 1, 2),
    (34, "TQ1_0", 256, 54),
    (35, "TQ2_0", 256, 66),
    (39, "MXFP4", 32, 17),
    (40, "NVFP4", 64, 36),
    (41, "Q1_0", 128, 18),
];

impl GgmlType {
    /// 32-bit floating point.
    pub const F32: Self = Self(0);
    /// 16-bit (half precision) floating point.
    pub const F16: Self = Self(1);

    /// Elements in one block and bytes of one block; `None` for a type that is not known here.
    pub fn block(self) -> Option<(u64, u64)> {
        self.known()
            .map(|&(_, _, elements, bytes)| (elements, bytes))
    }

    /// ggml's name of the type; `None` for a type that is not known here.
    pub fn name(self) -> Option<&'static str> {
        self.known().map(|&(_, name, _, _)| name)
    }

    fn known(self) -> Option<&'static (u32, &'static str, u64, u64)> {
        KNOWN_TYPES.iter().find(|entry| entry.0 == self.0)
    }
}

impl fmt::Display for GgmlType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => formatter.write_str(name),
            None => write!(formatter, "type {}", self.0),
        }
    }
}

/// How a tensor's length is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TensorLength {
    /// Computed from dimensions and type.
    Exact,
    /// The type is not known here: the tensor is taken to reach to the next tensor's offset, or to the end of the file
    /// for the last one, padding included.
    UpToNext,
}

/// One tensor of the file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorInfo {
    /// Its name, such as `blk.0.attn_q.weight`.
    pub name: String,
    /// Elements in each dimension, innermost (contiguous) first; at most four.
    pub dimensions: Vec<u64>,
    pub element_type: GgmlType,
    /// Where its data starts, counted from the start of the file (not from the data start).
    pub file_offset_bytes: u64,
    /// Bytes of its data.
    pub length_bytes: u64,
    /// Whether `length_bytes` is exact.
    pub length: TensorLength,
}

impl TensorInfo {
    /// Where its data ends, counted from the start of the file; never beyond the file's end.
    pub fn end_bytes(&self) -> u64 {
        self.file_offset_bytes + self.length_bytes
    }
}
