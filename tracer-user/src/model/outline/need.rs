//! How many bytes of the weights a decode step needs.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::{ModelFormat, ModelOutline, TensorPlace};
use crate::model::names::{Role, TensorKind, of_gguf, of_hugging_face, without_expert};

/// The need is told while at most one in so many bytes is not understood.
const MOST_UNKNOWN_PART: u128 = 100;

/// The bytes of the weights that a step needs. How many they are depends on its tokens: on which rows of the embedding
/// they are, and which experts the router picks for them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NeedBytes {
    /// All tokens are the same one, or at least pick the same experts.
    pub least_bytes: u64,
    /// All tokens differ, and pick different experts as far as there are any.
    pub most_bytes: u64,
}

impl NeedBytes {
    fn add(&mut self, least_bytes: u64, most_bytes: u64) -> Option<()> {
        self.least_bytes = self.least_bytes.checked_add(least_bytes)?;
        self.most_bytes = self.most_bytes.checked_add(most_bytes)?;
        Some(())
    }
}

impl ModelOutline {
    /// Bytes that a decode step with one token needs: the sum over all tensors that
    /// [a decode step uses](TensorPlace::used_by_decode_step) of
    ///
    /// * for an embedding, one row; but the whole token embedding where it is also the output matrix;
    /// * for expert weights, `expert_used_count / expert_count` of a layer's;
    /// * for all others, all of it.
    ///
    /// `None` where something needed for that is not known: the exact length of a tensor, the bytes of an embedding's
    /// row, how expert weights divide into experts, how many a token uses; where no tensor is used; or where too much is
    /// [not understood](Self::not_understood).
    pub fn step_need_bytes(&self) -> Option<u64> {
        // With one token least and most are the same.
        Some(self.need_of_tokens(1)?.least_bytes)
    }

    /// Bytes that a step with so many tokens needs; the sum is that of [`ModelOutline::step_need_bytes`], but
    ///
    /// * of an embedding at least one row, at most as many as there are tokens (and rows);
    /// * of expert weights at least what one token uses, at most `min(tokens * expert_used_count, expert_count)` of
    ///   `expert_count`.
    ///
    /// A step without tokens needs nothing.
    pub fn need_of_tokens(&self, tokens: u32) -> Option<NeedBytes> {
        let mut need = NeedBytes {
            least_bytes: 0,
            most_bytes: 0,
        };
        if tokens == 0 {
            return Some(need);
        }
        if self.not_understood().is_some() {
            return None;
        }
        let mut experts_apart = ExpertsApart::default();
        let mut is_used = false;
        for tensor in self
            .tensors
            .iter()
            .filter(|tensor| tensor.used_by_decode_step)
        {
            is_used = true;
            let whole = tensor.length_is_exact.then_some(tensor.length_bytes)?;
            match tensor.kind {
                TensorKind::Embedding if !self.is_output(tensor) && whole > 0 => {
                    let row_bytes = tensor.row_bytes?;
                    let rows = whole.checked_div(row_bytes)?.min(u64::from(tokens));
                    need.add(row_bytes, rows.checked_mul(row_bytes)?)?;
                }
                TensorKind::ExpertFfn => match tensor.slice_bytes() {
                    Some((count, slice_bytes)) => {
                        self.add_experts(&mut need, tokens, count, slice_bytes)?;
                    }
                    None => experts_apart.add(tensor)?,
                },
                _ => need.add(whole, whole)?,
            }
        }
        for (count, expert_bytes) in experts_apart.layers(self.expert_count)? {
            self.add_experts(&mut need, tokens, count, expert_bytes)?;
        }
        is_used.then_some(need)
    }

    /// Why the need of a step is not known, where more than 1 % of the bytes that may be used are of tensors whose names
    /// say nothing: an embedding or experts among them would be needed by row or in part, not whole.
    pub fn not_understood(&self) -> Option<String> {
        let (mut used, mut unknown) = (0u128, 0u128);
        let mut largest: Option<&TensorPlace> = None;
        for tensor in self
            .tensors
            .iter()
            .filter(|tensor| tensor.used_by_decode_step)
        {
            used += u128::from(tensor.length_bytes);
            if tensor.kind == TensorKind::Other {
                unknown += u128::from(tensor.length_bytes);
                if largest.is_none_or(|largest| tensor.length_bytes > largest.length_bytes) {
                    largest = Some(tensor);
                }
            }
        }
        let largest = largest.filter(|_| unknown * MOST_UNKNOWN_PART > used)?;
        Some(format!(
            "what a step needs is not known: {:.1} % of the weights have names that are not understood, {:?} the largest of them",
            100.0 * unknown as f64 / used as f64,
            largest.name
        ))
    }

    /// Adds what `tokens` tokens need of `count` experts of `expert_bytes` each.
    fn add_experts(
        &self,
        need: &mut NeedBytes,
        tokens: u32,
        count: u32,
        expert_bytes: u64,
    ) -> Option<()> {
        let count = u64::from(count);
        let used = u64::from(self.expert_used_count?);
        if used > count {
            return None;
        }
        let most = used.saturating_mul(u64::from(tokens)).min(count);
        need.add(
            used.checked_mul(expert_bytes)?,
            most.checked_mul(expert_bytes)?,
        )
    }

    /// Whether the tensor is the embedding that is used as output matrix.
    fn is_output(&self, tensor: &TensorPlace) -> bool {
        let meaning = match self.format {
            ModelFormat::Gguf => of_gguf(&tensor.name),
            ModelFormat::Safetensors => of_hugging_face(&tensor.name, false),
        };
        self.tied_output && meaning.role == Role::TokenEmbedding
    }
}

/// Experts that have tensors of their own, by the name without the expert.
#[derive(Default)]
struct ExpertsApart(HashMap<String, Experts>);

struct Experts {
    found: u32,
    highest: u32,
    each_bytes: u64,
}

impl ExpertsApart {
    /// `None` where the experts of a layer are not alike, or the tensor is not of one expert.
    fn add(&mut self, tensor: &TensorPlace) -> Option<()> {
        let expert = tensor.expert?;
        let experts = self
            .0
            .entry(without_expert(&tensor.name))
            .or_insert(Experts {
                found: 0,
                highest: 0,
                each_bytes: tensor.length_bytes,
            });
        experts.found = experts.found.checked_add(1)?;
        experts.highest = experts.highest.max(expert);
        (experts.each_bytes == tensor.length_bytes).then_some(())
    }

    /// Number and size of the experts of each layer and weight; `None` where one lacks.
    fn layers(&self, expert_count: Option<u32>) -> Option<Vec<(u32, u64)>> {
        let layers = self.0.values().map(|experts| {
            let count = expert_count?;
            let is_complete = experts.found == count && experts.highest < count;
            is_complete.then_some((count, experts.each_bytes))
        });
        layers.collect()
    }
}
