//! Which blocks of the files are used by every token, and which make up each expert.

use std::{collections::BTreeMap, ops::Range};

use crate::{schema::ModelRecord, stats::reuse::Blocks};

/// A place of a file, bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    pub file: usize,
    pub offset_bytes: u64,
    pub bytes: u64,
}

/// A layer and the number of an expert in it.
pub type Expert = (u32, u32);

/// What a model's weights are used for.
#[derive(Clone, Debug)]
pub struct Weights {
    pub blocks: Blocks,
    /// What every token uses, by layer; what comes after the last layer is in a layer of its own.
    pub every_token: BTreeMap<u32, Vec<Part>>,
    /// The slices of each expert.
    pub experts: BTreeMap<Expert, Vec<Part>>,
}

/// What no step uses but for a row: see `need_of_tokens`.
const NOT_USED: [&str; 4] = ["header", "padding", "embedding", "file"];
/// Where tensors stand that belong to no layer: after all.
const AFTER_LAYERS: u32 = u32::MAX;

impl Weights {
    /// Of the tensors of a record, in blocks of at least a page.
    #[must_use]
    pub fn of(model: &ModelRecord, page_bytes: u64) -> Self {
        let sizes: Vec<u64> = model
            .model
            .files
            .iter()
            .map(|file| file.size_bytes)
            .collect();
        let mut weights = Self {
            blocks: Blocks::of_files(&sizes, page_bytes),
            every_token: BTreeMap::new(),
            experts: BTreeMap::new(),
        };
        let tensors = model.tensors.as_deref().unwrap_or_default();
        // An embedding that is the output matrix, too, is used whole.
        let has_output = tensors.iter().any(|tensor| tensor.kind == "output");
        let experts = model.model.experts;
        let all_experts = experts.is_some_and(|experts| experts.used >= experts.count);
        for tensor in tensors {
            let part = Part {
                file: usize::try_from(tensor.file).unwrap_or(usize::MAX),
                offset_bytes: tensor.offset_bytes,
                bytes: tensor.bytes,
            };
            let is_tied = tensor.kind == "embedding" && !has_output;
            match (tensor.layer, tensor.expert) {
                (Some(layer), Some(expert)) if !all_experts => {
                    weights
                        .experts
                        .entry((layer, expert))
                        .or_default()
                        .push(part);
                }
                _ if NOT_USED.contains(&tensor.kind.as_str()) && !is_tied => {}
                (layer, _) => weights
                    .every_token
                    .entry(layer.unwrap_or(AFTER_LAYERS))
                    .or_default()
                    .push(part),
            }
        }
        weights
    }

    /// Bytes that every token uses.
    #[must_use]
    pub fn every_token_bytes(&self) -> u64 {
        self.every_token
            .values()
            .flatten()
            .map(|part| part.bytes)
            .sum()
    }

    /// Bytes of all experts.
    #[must_use]
    pub fn expert_bytes(&self) -> u64 {
        self.experts.values().flatten().map(|part| part.bytes).sum()
    }

    /// Bytes of these experts.
    #[must_use]
    pub fn bytes_of(&self, experts: &[Expert]) -> u64 {
        let parts = experts.iter().filter_map(|expert| self.experts.get(expert));
        parts.flatten().map(|part| part.bytes).sum()
    }

    fn ranges(&self, parts: &[Part]) -> impl Iterator<Item = Range<u32>> {
        parts
            .iter()
            .map(|part| self.blocks.of(part.file, part.offset_bytes, part.bytes))
    }

    /// The blocks of a token that uses these experts, in the order of the layers.
    #[must_use]
    pub fn step(&self, experts: &[Expert]) -> Vec<Range<u32>> {
        let mut order = Vec::new();
        let mut experts = experts.to_vec();
        experts.sort_unstable();
        let layers = self
            .every_token
            .keys()
            .chain(self.experts.keys().map(|(layer, _)| layer));
        let mut layers: Vec<u32> = layers.copied().collect();
        layers.sort_unstable();
        layers.dedup();
        for layer in layers {
            if let Some(parts) = self.every_token.get(&layer) {
                order.extend(self.ranges(parts));
            }
            for expert in experts.iter().filter(|(of, _)| *of == layer) {
                if let Some(parts) = self.experts.get(expert) {
                    order.extend(self.ranges(parts));
                }
            }
        }
        order.retain(|range| !range.is_empty());
        order
    }
}
