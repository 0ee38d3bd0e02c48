//! Names of the transformers library: `model.layers.N.self_attn.q_proj.weight` and its many relatives.

use super::{NameMeaning, Role, TensorKind, number, numbered_expert};

/// Components that stand before a layer's number.
const LAYER_LISTS: &[&str] = &["layers", "layer", "h", "blocks", "block"];
/// Components of encoders of images and sound, and of what fits them to the text model.
const ENCODERS: &[&str] = &[
    "vision_tower",
    "vision_model",
    "vision_encoder",
    "visual",
    "vision",
    "image_newline",
    "audio_tower",
    "audio_model",
    "audio_encoder",
    "speech_encoder",
    "embed_vision",
    "embed_audio",
    "multi_modal_projector",
    "mm_projector",
];
const ATTENTION: &[&str] = &[
    "self_attn",
    "attn",
    "attention",
    "self_attention",
    "cross_attn",
    "encoder_attn",
    "SelfAttention",
    "EncDecAttention",
    "norm_attn_norm",
];
const FEED_FORWARD: &[&str] = &[
    "mlp",
    "feed_forward",
    "ffn",
    "fc1",
    "fc2",
    "DenseReluDense",
    "intermediate",
    "block_sparse_moe",
    // Arctic's, beside its experts.
    "residual_mlp",
];
const STATE_SPACE: &[&str] = &[
    "mamba",
    "mamba2",
    "ssm",
    "linear_attn",
    "conv",
    "temporal_block",
    "time_mix",
];
const EMBEDDINGS: &[&str] = &[
    "embed_positions",
    "position_embeddings",
    "token_type_embeddings",
    "wpe",
    "embed_tokens_per_layer",
];
const TOKEN_EMBEDDINGS: &[&str] = &[
    "embed_tokens",
    "wte",
    "word_embeddings",
    "tok_embeddings",
    "embed_in",
    "embeddings",
];

/// What the tensor `name` is. `encoder_decoder` says that the model has both an `encoder` and a `decoder`: only then is
/// the `encoder` aside (other models name their decoder so).
pub(in crate::model) fn of_hugging_face(name: &str, encoder_decoder: bool) -> NameMeaning {
    let parts: Vec<&str> = name.split('.').collect();
    let layer_at = parts.windows(2).position(|pair| {
        matches!(pair, [list, layer] if LAYER_LISTS.contains(list) && number(layer).is_some())
    });
    let (before, rest) = match layer_at {
        Some(at) => (
            parts.get(..at).unwrap_or_default(),
            parts.get(at + 2..).unwrap_or_default(),
        ),
        None => (parts.as_slice(), [].as_slice()),
    };
    let meaning = match layer_at {
        Some(at) => NameMeaning {
            layer: parts.get(at + 1).and_then(|layer| number(layer)),
            ..in_layer(rest)
        },
        None => outside_layers(&parts),
    };
    let is_of = |lists: &[&str]| before.iter().any(|part| lists.contains(part));
    let kind = if is_of(ENCODERS) {
        // What is attention in an image encoder is not what the text model's attention is.
        TensorKind::Other
    } else if is_of(&["mtp"]) || (encoder_decoder && is_of(&["encoder"])) {
        meaning.kind
    } else {
        return meaning;
    };
    // No layer: its number would be taken for the text decoder's.
    NameMeaning::with_role(kind, Role::Aside)
}

/// Whether `name` has the component `wanted`.
pub(in crate::model) fn has_component(name: &str, wanted: &str) -> bool {
    name.split('.').any(|part| part == wanted)
}

fn in_layer(rest: &[&str]) -> NameMeaning {
    let has = |names: &[&str]| rest.iter().any(|part| names.contains(part));
    let plain = NameMeaning::plain;
    if rest.iter().any(|part| is_norm(part)) {
        return plain(TensorKind::Norm);
    }
    if rest.iter().any(|part| part.starts_with("shared_expert")) || has(&["shared_mlp"]) {
        return plain(TensorKind::SharedExpertFfn);
    }
    // DeepSeek V4 looks up the experts of a token in its first layers.
    if has(&["tid2eid"]) {
        return plain(TensorKind::Embedding);
    }
    // `gate_proj` is the feed-forward network's own gate, and attention may have one too.
    let has_router_gate = rest
        .windows(2)
        .any(|pair| matches!(pair, [of, "gate"] if FEED_FORWARD.contains(of) || *of == "mixer"));
    if has_router_gate || has(&["router", "e_score_correction_bias"]) {
        return plain(TensorKind::Router);
    }
    // `experts.expert_5` (Switch Transformers), or without the list.
    if let Some(expert) = rest.iter().find_map(|part| numbered_expert(part)) {
        return NameMeaning {
            expert: Some(expert),
            ..plain(TensorKind::ExpertFfn)
        };
    }
    if let Some(at) = rest.iter().position(|part| *part == "experts") {
        return NameMeaning {
            expert: rest.get(at + 1).and_then(|part| number(part)),
            ..plain(TensorKind::ExpertFfn)
        };
    }
    // Granite keeps all experts of a layer in these.
    if has(&["block_sparse_moe"]) && has(&["input_linear", "output_linear"]) {
        return plain(TensorKind::ExpertFfn);
    }
    if has(STATE_SPACE) {
        return plain(TensorKind::StateSpace);
    }
    if has(ATTENTION) {
        return plain(TensorKind::Attention);
    }
    if has(&["mixer"]) {
        // Nemotron-H calls whatever a layer holds its mixer.
        return plain(if has(&["q_proj", "k_proj", "v_proj", "o_proj"]) {
            TensorKind::Attention
        } else if has(&["up_proj", "down_proj"]) {
            TensorKind::DenseFfn
        } else {
            TensorKind::StateSpace
        });
    }
    // BERT's feed-forward network ends in `output.dense`.
    if has(FEED_FORWARD) || matches!(rest, ["output", "dense", ..]) {
        return plain(TensorKind::DenseFfn);
    }
    plain(TensorKind::Other)
}

fn outside_layers(parts: &[&str]) -> NameMeaning {
    let has = |names: &[&str]| parts.iter().any(|part| names.contains(part));
    let is_weight = parts.last() == Some(&"weight");
    if parts.iter().any(|part| is_norm(part)) {
        return NameMeaning::plain(TensorKind::Norm);
    }
    // DeepSeek's own files call it `head`.
    let is_head = matches!(parts, ["output" | "head", ..] | ["model", "head", ..]);
    if is_head || has(&["lm_head", "embed_out", "output_layer", "unembed"]) {
        return match is_weight {
            true => NameMeaning::with_role(TensorKind::Output, Role::OutputMatrix),
            false => NameMeaning::plain(TensorKind::Output),
        };
    }
    if has(EMBEDDINGS) {
        return NameMeaning::plain(TensorKind::Embedding);
    }
    let is_embedding = matches!(
        parts,
        ["shared" | "embed" | "embedding" | "tok_embed", ..]
            | ["model" | "transformer", "embed" | "embedding", ..]
    );
    if is_embedding || has(TOKEN_EMBEDDINGS) {
        return match is_weight {
            true => NameMeaning::with_role(TensorKind::Embedding, Role::TokenEmbedding),
            false => NameMeaning::plain(TensorKind::Embedding),
        };
    }
    NameMeaning::plain(TensorKind::Other)
}

/// `input_layernorm`, `q_norm`, `norm`, `LayerNorm`, `ln_1`, `layer_norm`; but not DBRX's `norm_attn_norm`, which holds
/// its attention.
fn is_norm(part: &str) -> bool {
    let is_numbered = |rest: &str| rest.starts_with('_') || number(rest).is_some();
    part != "norm_attn_norm"
        && (part.to_ascii_lowercase().contains("norm")
            || part.strip_prefix("ln").is_some_and(is_numbered))
}

#[cfg(test)]
mod tests {
    use super::*;
    use TensorKind::*;

    #[test]
    fn families_that_have_names_of_their_own() {
        let of = |name: &str| of_hugging_face(name, false);
        for (name, kind, role) in [
            ("embed.weight", Embedding, Role::TokenEmbedding),
            ("model.embed.weight", Embedding, Role::TokenEmbedding),
            ("head.weight", Output, Role::OutputMatrix),
            ("layers.0.ffn.gate.tid2eid", Embedding, Role::Plain),
            (
                "layers.0.attn.compressor.wkv.weight",
                Attention,
                Role::Plain,
            ),
            (
                "layers.0.ffn.shared_experts.w1.weight",
                SharedExpertFfn,
                Role::Plain,
            ),
            ("layers.0.ffn.gate.weight", Router, Role::Plain),
            ("mtp.0.attn.wq_a.weight", Other, Role::Aside),
            (
                "model.layers.3.residual_mlp.w1.weight",
                DenseFfn,
                Role::Plain,
            ),
            (
                "model.layers.3.residual_layernorm.weight",
                Norm,
                Role::Plain,
            ),
        ] {
            assert_eq!((of(name).kind, of(name).role), (kind, role), "{name}");
        }
        for name in [
            "layers.1.ffn.experts.5.w1.weight",
            "layers.1.mlp.experts.expert_5.wi.weight",
            "layers.1.mlp.expert_5.up_proj.weight",
        ] {
            let meaning = of(name);
            assert_eq!(
                (meaning.kind, meaning.expert),
                (ExpertFfn, Some(5)),
                "{name}"
            );
        }
    }

    #[test]
    fn names_in_layers() {
        let expected: &[(TensorKind, &str)] = &[
            (
                Attention,
                "self_attn.q_proj.weight self_attn.o_proj.bias self_attn.qkv_proj.weight self_attn.sinks \
                 self_attn.kv_a_proj_with_mqa.weight attn.c_attn.weight attention.wq.weight \
                 self_attention.query_key_value.weight attention.output.dense.weight mixer.q_proj.weight \
                 norm_attn_norm.attn.Wqkv.weight self_attn.q_proj.qweight",
            ),
            (
                Norm,
                "input_layernorm.weight post_attention_layernorm.weight self_attn.q_norm.weight ln_1.weight ln_2.bias \
                 attention_norm.weight attention.output.LayerNorm.weight norm.weight linear_attn.norm.weight \
                 norm_attn_norm.norm_1.weight pre_feedforward_layernorm.weight",
            ),
            (
                Router,
                "mlp.gate.weight block_sparse_moe.gate.weight mlp.router.weight mlp.router.bias \
                 feed_forward.router.weight mlp.gate.e_score_correction_bias mlp.gate.wg.weight \
                 ffn.router.layer.weight block_sparse_moe.router.layer.weight",
            ),
            (
                DenseFfn,
                "mlp.gate_proj.weight mlp.up_proj.weight mlp.down_proj.weight mlp.c_fc.weight feed_forward.w1.weight \
                 mlp.dense_h_to_4h.weight intermediate.dense.weight output.dense.weight fc1.weight mlp.gate_up_proj.weight",
            ),
            (
                ExpertFfn,
                "mlp.experts.gate_up_proj mlp.experts.down_proj_bias mlp.experts.gate_up_proj_blocks \
                 block_sparse_moe.input_linear.weight ffn.experts.mlp.w1",
            ),
            (
                SharedExpertFfn,
                "mlp.shared_expert.up_proj.weight mlp.shared_experts.down_proj.weight mlp.shared_expert_gate.weight \
                 feed_forward.shared_expert.gate_proj.weight",
            ),
            (
                StateSpace,
                "mixer.in_proj.weight mixer.A_log mamba.conv1d.weight linear_attn.in_proj_qkvz.weight conv.in_proj.weight",
            ),
            (Other, "something.new per_layer_input_gate.weight"),
        ];
        for (kind, names) in expected {
            for what in names.split_whitespace() {
                for prefix in [
                    "model.layers",
                    "transformer.h",
                    "model.language_model.layers",
                ] {
                    let name = format!("{prefix}.17.{what}");
                    let meaning = of_hugging_face(&name, false);
                    let expected = NameMeaning {
                        layer: Some(17),
                        ..NameMeaning::plain(*kind)
                    };
                    assert_eq!(meaning, expected, "{name}");
                }
            }
        }
    }

    #[test]
    fn an_expert_may_have_a_tensor_of_its_own() {
        for name in [
            "model.layers.3.mlp.experts.7.up_proj.weight",
            "model.layers.3.block_sparse_moe.experts.7.w1.weight",
            "model.layers.3.mlp.experts.7.gate_proj.qweight",
        ] {
            let meaning = of_hugging_face(name, false);
            assert_eq!(
                (meaning.kind, meaning.layer, meaning.expert),
                (ExpertFfn, Some(3), Some(7)),
                "{name}"
            );
        }
    }

    #[test]
    fn names_outside_layers() {
        let role = |name: &str| {
            let meaning = of_hugging_face(name, false);
            (meaning.kind, meaning.role)
        };
        for name in [
            "model.embed_tokens.weight",
            "transformer.wte.weight",
            "language_model.model.embed_tokens.weight",
        ] {
            assert_eq!(role(name), (Embedding, Role::TokenEmbedding), "{name}");
        }
        for name in [
            "lm_head.weight",
            "embed_out.weight",
            "language_model.lm_head.weight",
            "output.weight",
        ] {
            assert_eq!(role(name), (Output, Role::OutputMatrix), "{name}");
        }
        assert_eq!(role("lm_head.bias"), (Output, Role::Plain));
        assert_eq!(role("transformer.wpe.weight"), (Embedding, Role::Plain));
        assert_eq!(role("model.norm.weight"), (Norm, Role::Plain));
        assert_eq!(role("transformer.ln_f.weight"), (Norm, Role::Plain));
        assert_eq!(role("model.rotary_emb.inv_freq"), (Other, Role::Plain));
        assert_eq!(role(""), (Other, Role::Plain));
        assert_eq!(role("layers.."), (Other, Role::Plain));
    }

    #[test]
    fn encoders_are_aside_and_have_no_layer() {
        let vision = of_hugging_face(
            "vision_tower.encoder.layers.4.self_attn.q_proj.weight",
            false,
        );
        assert_eq!(vision, NameMeaning::with_role(Other, Role::Aside));
        let speech = "model.encoder.layers.4.self_attn.q_proj.weight";
        assert_eq!(
            of_hugging_face(speech, true),
            NameMeaning::with_role(Attention, Role::Aside)
        );
        // ChatGLM calls its decoder an encoder.
        assert_eq!(of_hugging_face(speech, false).layer, Some(4));
    }
}
