//! Where each weight lies in the file: checked against the metadata before anything is mapped.

use std::path::Path;

use half::f16;
use half::slice::HalfBitsSliceExt;

use super::arithmetic::{Matrix, Values};
use super::error::EngineError;
use crate::model::{GgmlType, GgufHeader};

/// The model's dimensions, all at least 1.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dimensions {
    pub(super) embedding: usize,
    /// Even, and a divisor of `embedding`.
    pub(super) head_length: usize,
    pub(super) experts_used: usize,
    pub(super) vocabulary: usize,
    pub(super) norm_epsilon: f32,
    pub(super) rotation_base: f32,
}

/// One tensor's place: `slices` matrices of `rows` rows of `columns` elements.
#[derive(Debug, Clone)]
pub(super) struct Weight {
    start: usize,
    half_precision: bool,
    columns: usize,
    rows: usize,
    slices: usize,
}

/// The weights of one layer.
#[derive(Debug)]
pub(super) struct Layer {
    pub(super) attention_norm: Weight,
    pub(super) query: Weight,
    pub(super) key: Weight,
    pub(super) value: Weight,
    pub(super) attention_output: Weight,
    pub(super) query_norm: Weight,
    pub(super) key_norm: Weight,
    pub(super) feed_forward_norm: Weight,
    pub(super) router: Weight,
    pub(super) expert_gates: Weight,
    pub(super) expert_ups: Weight,
    pub(super) expert_downs: Weight,
}

/// All weights of the model.
#[derive(Debug)]
pub(super) struct Weights {
    pub(super) dimensions: Dimensions,
    pub(super) token_embedding: Weight,
    pub(super) output_norm: Weight,
    pub(super) output: Weight,
    pub(super) layers: Vec<Layer>,
}

impl Weight {
    /// Matrix number `slice` (0 where there is only one) in the mapped file. Touches nothing.
    ///
    /// # Panics
    /// If `file` is not the whole file that this place was checked for, or there is no such slice.
    pub(super) fn matrix<'m>(&self, file: &'m [u8], slice: usize) -> Matrix<'m> {
        assert!(slice < self.slices, "slice {slice} of {}", self.slices);
        let (columns, rows) = (self.columns, self.rows);
        let length = columns * rows * self.element_bytes();
        let start = self.start + slice * length;
        let bytes = &file[start..start + length];
        let values = if self.half_precision {
            // SAFETY: any two bytes are a u16. The middle part is aligned and lies within `bytes`.
            let (before, values, after) = unsafe { bytes.align_to::<u16>() };
            assert!(
                before.is_empty() && after.is_empty(),
                "the mapping is aligned to less than an element"
            );
            Values::F16(values.reinterpret_cast::<f16>())
        } else {
            // SAFETY: any four bytes are an f32. The middle part is aligned and lies within `bytes`.
            let (before, values, after) = unsafe { bytes.align_to::<f32>() };
            assert!(
                before.is_empty() && after.is_empty(),
                "the mapping is aligned to less than an element"
            );
            Values::F32(values)
        };
        Matrix {
            values,
            columns,
            rows,
        }
    }

    /// The values of a one-dimensional weight.
    pub(super) fn vector(&self, file: &[u8]) -> Vec<f32> {
        self.matrix(file, 0).row_vector(0)
    }

    fn element_bytes(&self) -> usize {
        if self.half_precision { 2 } else { 4 }
    }
}

/// Looks things up in a header, and says what is wrong with them.
struct Lookup<'a> {
    header: &'a GgufHeader,
    path: &'a Path,
}

impl Weights {
    /// Finds the weights of the model at `path`, whose header is given.
    ///
    /// # Errors
    /// [`EngineError`]: another architecture, keys or tensors missing, other types than F16 and F32, dimensions that do
    /// not fit each other.
    pub(super) fn find(header: &GgufHeader, path: &Path) -> Result<Self, EngineError> {
        if header.architecture() != Some("olmoe") {
            let found = header.architecture().map(String::from);
            return Err(EngineError::Architecture {
                path: path.into(),
                found,
            });
        }
        let lookup = Lookup { header, path };
        let embedding = lookup.count("olmoe.embedding_length")?;
        let feed_forward = lookup.count("olmoe.feed_forward_length")?;
        let heads = lookup.count("olmoe.attention.head_count")?;
        let key_heads = lookup.count("olmoe.attention.head_count_kv")?;
        let experts = lookup.count("olmoe.expert_count")?;
        let experts_used = lookup.count("olmoe.expert_used_count")?;
        let layer_count = lookup.count("olmoe.block_count")?;
        let norm_epsilon = lookup
            .number("olmoe.attention.layer_norm_rms_epsilon")?
            .ok_or_else(|| {
                lookup.unusable(
                    "olmoe.attention.layer_norm_rms_epsilon",
                    "a floating-point number",
                )
            })?;
        // llama.cpp's default where the key is missing.
        let rotation_base = lookup.number("olmoe.rope.freq_base")?.unwrap_or(10_000.0);

        if !embedding.is_multiple_of(heads) || !(embedding / heads).is_multiple_of(2) {
            return Err(lookup.unusable(
                "olmoe.attention.head_count",
                "an even fraction of the embedding length",
            ));
        }
        if key_heads != heads {
            // llama.cpp's tensors for this architecture allow nothing else (its key norm has the embedding's length).
            return Err(lookup.unusable(
                "olmoe.attention.head_count_kv",
                "the same as the number of heads",
            ));
        }
        if experts_used > experts {
            return Err(lookup.unusable("olmoe.expert_used_count", "at most the number of experts"));
        }
        let head_length = embedding / heads;

        let vocabulary = lookup.vocabulary()?;
        // Not reserved: a damaged count ends at the first layer that the file does not have.
        let mut layers = Vec::new();
        for number in 0..layer_count {
            let weight = |part: &str, dimensions: &[usize]| {
                lookup.weight(&format!("blk.{number}.{part}.weight"), dimensions)
            };
            layers.push(Layer {
                attention_norm: weight("attn_norm", &[embedding])?,
                query: weight("attn_q", &[embedding, embedding])?,
                key: weight("attn_k", &[embedding, embedding])?,
                value: weight("attn_v", &[embedding, embedding])?,
                attention_output: weight("attn_output", &[embedding, embedding])?,
                query_norm: weight("attn_q_norm", &[embedding])?,
                key_norm: weight("attn_k_norm", &[embedding])?,
                feed_forward_norm: weight("ffn_norm", &[embedding])?,
                router: weight("ffn_gate_inp", &[embedding, experts])?,
                expert_gates: weight("ffn_gate_exps", &[embedding, feed_forward, experts])?,
                expert_ups: weight("ffn_up_exps", &[embedding, feed_forward, experts])?,
                expert_downs: weight("ffn_down_exps", &[feed_forward, embedding, experts])?,
            });
        }
        let dimensions = Dimensions {
            embedding,
            head_length,
            experts_used,
            vocabulary,
            norm_epsilon,
            rotation_base,
        };
        Ok(Self {
            dimensions,
            token_embedding: lookup.weight("token_embd.weight", &[embedding, vocabulary])?,
            output_norm: lookup.weight("output_norm.weight", &[embedding])?,
            output: lookup.weight("output.weight", &[embedding, vocabulary])?,
            layers,
        })
    }
}

impl Lookup<'_> {
    fn unusable(&self, key: &str, expected: &'static str) -> EngineError {
        EngineError::Key {
            path: self.path.into(),
            key: key.into(),
            expected,
        }
    }

    /// A whole number of 1 ..= 2^20: no real model's figure is larger, and products of three of them do not overflow.
    fn count(&self, key: &str) -> Result<usize, EngineError> {
        let value = self.header.value(key).and_then(|value| value.as_u64());
        value
            .filter(|value| (1..=1 << 20).contains(value))
            .and_then(|value| usize::try_from(value).ok())
            .ok_or_else(|| self.unusable(key, "a whole number of 1 to 1048576"))
    }

    fn number(&self, key: &str) -> Result<Option<f32>, EngineError> {
        let Some(value) = self.header.value(key) else {
            return Ok(None);
        };
        match value.as_f64() {
            Some(value) if value.is_finite() && value > 0.0 => Ok(Some(value as f32)),
            _ => Err(self.unusable(key, "a positive floating-point number")),
        }
    }

    fn vocabulary(&self) -> Result<usize, EngineError> {
        let name = "token_embd.weight";
        let missing = || EngineError::MissingTensor {
            path: self.path.into(),
            name: name.into(),
        };
        let dimensions = &self.header.tensor(name).ok_or_else(missing)?.dimensions;
        let rows = dimensions
            .get(1)
            .copied()
            .filter(|rows| (1..=u64::from(u32::MAX)).contains(rows));
        rows.and_then(|rows| usize::try_from(rows).ok())
            .ok_or_else(|| EngineError::TensorShape {
                path: self.path.into(),
                name: name.into(),
                found: format!("{dimensions:?}"),
                expected: "a row for each token".into(),
            })
    }

    fn weight(&self, name: &str, dimensions: &[usize]) -> Result<Weight, EngineError> {
        let path = || self.path.to_path_buf();
        let tensor = self
            .header
            .tensor(name)
            .ok_or_else(|| EngineError::MissingTensor {
                path: path(),
                name: name.into(),
            })?;
        let half_precision = match tensor.element_type {
            GgmlType::F16 => true,
            GgmlType::F32 => false,
            found => {
                return Err(EngineError::TensorType {
                    path: path(),
                    name: name.into(),
                    found,
                });
            }
        };
        let wrong = |found: String, expected: String| {
            Err(EngineError::TensorShape {
                path: path(),
                name: name.into(),
                found,
                expected,
            })
        };
        if !tensor
            .dimensions
            .iter()
            .copied()
            .eq(dimensions.iter().map(|&size| size as u64))
        {
            return wrong(
                format!("{:?}", tensor.dimensions),
                format!("{dimensions:?}"),
            );
        }
        let element_bytes = if half_precision { 2 } else { 4 };
        let Some(start) = usize::try_from(tensor.file_offset_bytes)
            .ok()
            .filter(|at| at.is_multiple_of(element_bytes))
        else {
            let expected = format!("an offset that is a multiple of {element_bytes}");
            return wrong(format!("at offset {}", tensor.file_offset_bytes), expected);
        };
        let size = |index: usize| dimensions.get(index).copied().unwrap_or(1);
        Ok(Weight {
            start,
            half_precision,
            columns: size(0),
            rows: size(1),
            slices: size(2),
        })
    }
}
