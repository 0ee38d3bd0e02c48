//! The kinds of tensors that tables are made of.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a tensor is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TensorKind {
    /// Looked up by row: token, position and token-type embeddings.
    Embedding,
    /// Query, key, value and output projections, their biases, attention sinks.
    Attention,
    /// Normalisation weights, wherever they stand.
    Norm,
    Router,
    /// The feed-forward network of a layer without experts.
    DenseFfn,
    /// Feed-forward weights of one routed expert, or of all of a layer's.
    ExpertFfn,
    /// The expert that every token uses, and its gate.
    SharedExpertFfn,
    /// State-space, recurrent and short-convolution weights.
    StateSpace,
    /// Turns the last vector into logits.
    Output,
    /// Everything else: rotary factors, encoders of images and sound, and names that are not known here.
    Other,
}

impl TensorKind {
    /// Every kind, in the order in which tables show them.
    pub const ALL: [Self; 10] = [
        Self::Embedding,
        Self::Attention,
        Self::Norm,
        Self::Router,
        Self::DenseFfn,
        Self::ExpertFfn,
        Self::SharedExpertFfn,
        Self::StateSpace,
        Self::Output,
        Self::Other,
    ];

    /// The kind's name in records, such as `expert_ffn`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Embedding => "embedding",
            Self::Attention => "attention",
            Self::Norm => "norm",
            Self::Router => "router",
            Self::DenseFfn => "dense_ffn",
            Self::ExpertFfn => "expert_ffn",
            Self::SharedExpertFfn => "shared_expert_ffn",
            Self::StateSpace => "state_space",
            Self::Output => "output",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for TensorKind {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_kind_is_written_in_records_as_it_is_shown() {
        for kind in TensorKind::ALL {
            let json = serde_json::to_string(&kind).unwrap();
            assert_eq!(json, format!("\"{}\"", kind.as_str()));
            assert_eq!(serde_json::from_str::<TensorKind>(&json).unwrap(), kind);
        }
    }
}
