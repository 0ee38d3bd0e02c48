//! What a tensor is, told from its name.
//!
//! Names are all that a file says about a tensor's purpose. A name that is not known is [`TensorKind::Other`], never
//! an error: new architectures bring new names, and their bytes count all the same.
//!
//! GGUF names: `TENSOR_NAMES` of the Python package gguf 0.19 (`gguf/constants.py`) and `LLM_TENSOR_NAMES` of llama.cpp
//! (`src/llama-arch.cpp`). Hugging Face names: the `modeling_*.py` of the transformers library.

mod gguf_names;
mod hugging_face_names;
mod kind;

pub(super) use gguf_names::of_gguf;
pub(super) use hugging_face_names::{has_component, of_hugging_face};
pub use kind::TensorKind;

/// What a name tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct NameMeaning {
    /// What the tensor is for.
    pub(super) kind: TensorKind,
    /// The layer (block) of the text decoder.
    pub(super) layer: Option<u32>,
    /// The expert, where the tensor is of one expert alone.
    pub(super) expert: Option<u32>,
    /// What part the tensor plays where the kind alone does not say it.
    pub(super) role: Role,
}

/// What the sum of needed bytes must know beyond the kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    Plain,
    /// The matrix that turns token ids into vectors, and, in a model with tied weights, vectors into logits.
    TokenEmbedding,
    /// The matrix that turns vectors into logits.
    OutputMatrix,
    /// Not part of a decode step of a text token: an encoder (vision, audio, or that of an encoder-decoder model), or a
    /// layer that only predicts further tokens.
    Aside,
}

impl NameMeaning {
    fn plain(kind: TensorKind) -> Self {
        Self {
            kind,
            layer: None,
            expert: None,
            role: Role::Plain,
        }
    }

    fn with_role(kind: TensorKind, role: Role) -> Self {
        Self {
            role,
            ..Self::plain(kind)
        }
    }
}

/// A component that is a number, such as the 12 in `blk.12.attn_q`.
fn number(component: &str) -> Option<u32> {
    if component.is_empty() || !component.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    component.parse().ok()
}

/// The 5 in `expert_5`.
fn numbered_expert(component: &str) -> Option<u32> {
    number(component.strip_prefix("expert_")?)
}

/// The name of a tensor that is of one expert alone, with `*` for the expert: the same for all experts of its layer.
pub(super) fn without_expert(name: &str) -> String {
    let parts: Vec<&str> = name.split('.').collect();
    let at = parts.windows(2).position(|pair| {
        matches!(pair, ["experts" | "ffn_gate" | "ffn_up" | "ffn_down", expert] if number(expert).is_some())
    });
    let replaced = parts.iter().enumerate().map(|(index, part)| match at {
        Some(at) if index == at + 1 => "*",
        _ if numbered_expert(part).is_some() => "*",
        _ => part,
    });
    replaced.collect::<Vec<_>>().join(".")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_expert_is_taken_out_of_a_name() {
        assert_eq!(
            without_expert("blk.3.ffn_gate.7.weight"),
            "blk.3.ffn_gate.*.weight"
        );
        assert_eq!(
            without_expert("model.layers.3.mlp.experts.12.up_proj.weight"),
            "model.layers.3.mlp.experts.*.up_proj.weight"
        );
        assert_eq!(
            without_expert("blk.3.ffn_gate.weight"),
            "blk.3.ffn_gate.weight"
        );
        assert_eq!(
            without_expert("decoder.block.1.layer.2.mlp.experts.expert_5.wi.weight"),
            "decoder.block.1.layer.2.mlp.experts.*.wi.weight"
        );
    }
}
