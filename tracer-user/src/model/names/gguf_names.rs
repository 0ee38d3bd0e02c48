//! GGUF names: `blk.N.WHAT.weight`, and a few without a block.

use super::{NameMeaning, Role, TensorKind, number};

/// What the GGUF tensor `name` is.
pub(in crate::model) fn of_gguf(name: &str) -> NameMeaning {
    let parts: Vec<&str> = name.split('.').collect();
    match parts.as_slice() {
        // Encoders of images and sound (their files are separate ones), and what fits them to the text model.
        ["v" | "a" | "mm" | "resampler", ..] => {
            NameMeaning::with_role(TensorKind::Other, Role::Aside)
        }
        ["enc", "blk", block, rest @ ..] if number(block).is_some() => NameMeaning {
            // No layer: its number would be taken for the decoder's.
            layer: None,
            role: Role::Aside,
            ..of_block(rest)
        },
        ["enc", rest @ ..] => NameMeaning::with_role(of_top(rest).kind, Role::Aside),
        ["dec", "blk", block, rest @ ..] | ["blk", block, rest @ ..] => match number(block) {
            Some(layer) => NameMeaning {
                layer: Some(layer),
                ..of_block(rest)
            },
            None => NameMeaning::plain(TensorKind::Other),
        },
        ["dec", rest @ ..] => of_top(rest),
        ["token_embd", "weight"] => {
            NameMeaning::with_role(TensorKind::Embedding, Role::TokenEmbedding)
        }
        ["output", "weight"] => NameMeaning::with_role(TensorKind::Output, Role::OutputMatrix),
        all => of_top(all),
    }
}

/// A tensor that belongs to no block.
fn of_top(parts: &[&str]) -> NameMeaning {
    let is_norm = parts.iter().any(|part| part.contains("norm"));
    NameMeaning::plain(match parts.first().copied() {
        _ if is_norm => TensorKind::Norm,
        Some("token_embd" | "position_embd" | "token_types" | "per_layer_token_embd") => {
            TensorKind::Embedding
        }
        Some("output" | "cls") => TensorKind::Output,
        _ => TensorKind::Other,
    })
}

/// What follows `blk.N.`.
fn of_block(rest: &[&str]) -> NameMeaning {
    let plain = NameMeaning::plain;
    match rest {
        // Multi-token prediction: not used by a plain decode step.
        ["nextn", what, ..] => NameMeaning::with_role(
            match *what {
                "embed_tokens" => TensorKind::Embedding,
                "shared_head_head" => TensorKind::Output,
                "enorm" | "hnorm" | "shared_head_norm" => TensorKind::Norm,
                _ => TensorKind::Other,
            },
            Role::Aside,
        ),
        ["indexer", what, ..] if what.contains("norm") => plain(TensorKind::Norm),
        ["indexer", ..] => plain(TensorKind::Attention),
        ["shortconv", ..] => plain(TensorKind::StateSpace),
        // Before experts had a dimension of their own (Mixtral, until April 2024).
        ["ffn_gate" | "ffn_up" | "ffn_down", expert, ..] if number(expert).is_some() => {
            NameMeaning {
                expert: number(expert),
                ..plain(TensorKind::ExpertFfn)
            }
        }
        [what, ..] => match what.strip_prefix("vis_") {
            // Used for the tokens of images in place of the text weights.
            Some(what) => NameMeaning::with_role(
                match what {
                    "gate" | "up" | "down" => TensorKind::DenseFfn,
                    _ => kind_in_block(what),
                },
                Role::Aside,
            ),
            None => plain(kind_in_block(what)),
        },
        [] => plain(TensorKind::Other),
    }
}

fn kind_in_block(what: &str) -> TensorKind {
    // The order matters: attn_q_norm and ffn_norm_exps are norms, ffn_gate_inp_shexp belongs to the shared expert.
    if what.contains("norm") || what == "time_mix_ln" {
        TensorKind::Norm
    } else if what.ends_with("_shexp") {
        TensorKind::SharedExpertFfn
    } else if matches!(what, "ffn_gate_inp" | "exp_probs_b" | "ffn_exp_probs_b") {
        TensorKind::Router
    } else if what.ends_with("_exps") || what.ends_with("_chexps") {
        TensorKind::ExpertFfn
    } else if what == "ffn" || what.starts_with("ffn_") || what.starts_with("channel_mix_") {
        TensorKind::DenseFfn
    } else if what.starts_with("attn_") || what.starts_with("cross_attn_") {
        TensorKind::Attention
    } else if what.starts_with("ssm_") || what.starts_with("time_mix_") {
        TensorKind::StateSpace
    } else {
        TensorKind::Other
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use TensorKind::*;

    #[test]
    fn names_of_blocks() {
        let expected: &[(TensorKind, &str)] = &[
            (
                Attention,
                "attn_q attn_k attn_v attn_output attn_qkv attn_sinks attn_q_a attn_q_b attn_kv_a_mqa attn_kv_b \
                 attn_k_b attn_v_b attn_gate attn_rot_embd attn_rel_b cross_attn_q indexer.proj indexer.attn_k",
            ),
            (
                Norm,
                "attn_norm attn_norm_2 attn_q_norm attn_k_norm attn_output_norm attn_sub_norm attn_kv_a_norm ffn_norm \
                 ffn_norm_exps ffn_sub_norm post_attention_norm post_ffw_norm post_norm layer_output_norm ssm_norm \
                 ssm_dt_norm ssm_b_norm time_mix_ln laurel_post_norm altup_router_norm indexer.k_norm nextn.enorm",
            ),
            (Router, "ffn_gate_inp exp_probs_b"),
            (
                DenseFfn,
                "ffn_gate ffn_up ffn_down ffn ffn_latent_up channel_mix_key channel_mix_receptance vis_gate",
            ),
            (
                ExpertFfn,
                "ffn_gate_exps ffn_up_exps ffn_down_exps ffn_gate_up_exps ffn_down_chexps",
            ),
            (
                SharedExpertFfn,
                "ffn_gate_shexp ffn_up_shexp ffn_down_shexp ffn_gate_inp_shexp",
            ),
            (
                StateSpace,
                "ssm_in ssm_conv1d ssm_a ssm_out ssm_conv1d_q time_mix_w1 time_mix_key time_mix_lerp_fused \
                 shortconv.conv shortconv.in_proj",
            ),
            (
                Other,
                "altup_router inp_gate proj laurel_l layer_output_scale something_new",
            ),
            (Embedding, "nextn.embed_tokens"),
            (Output, "nextn.shared_head_head"),
        ];
        for (kind, names) in expected {
            for what in names.split_whitespace() {
                for suffix in ["", ".weight", ".bias", ".scale"] {
                    let name = format!("blk.31.{what}{suffix}");
                    let meaning = of_gguf(&name);
                    assert_eq!((meaning.kind, meaning.layer), (*kind, Some(31)), "{name}");
                    assert_eq!(meaning.expert, None, "{name}");
                    let aside = what.starts_with("nextn") || what.starts_with("vis_");
                    assert_eq!(meaning.role == Role::Aside, aside, "{name}");
                }
            }
        }
    }

    #[test]
    fn an_expert_may_have_a_tensor_of_its_own() {
        for what in ["ffn_gate", "ffn_up", "ffn_down"] {
            let meaning = of_gguf(&format!("blk.3.{what}.7.weight"));
            assert_eq!(
                (meaning.kind, meaning.layer, meaning.expert),
                (ExpertFfn, Some(3), Some(7))
            );
        }
    }

    #[test]
    fn names_outside_blocks() {
        let role = |name: &str| (of_gguf(name).kind, of_gguf(name).role);
        assert_eq!(role("token_embd.weight"), (Embedding, Role::TokenEmbedding));
        assert_eq!(role("output.weight"), (Output, Role::OutputMatrix));
        assert_eq!(role("output.bias"), (Output, Role::Plain));
        assert_eq!(role("output_norm.weight"), (Norm, Role::Plain));
        assert_eq!(role("token_embd_norm.weight"), (Norm, Role::Plain));
        assert_eq!(
            role("per_layer_token_embd.weight"),
            (Embedding, Role::Plain)
        );
        assert_eq!(role("cls.norm.weight"), (Norm, Role::Plain));
        assert_eq!(role("cls.output.weight"), (Output, Role::Plain));
        assert_eq!(role("per_layer_proj_norm.weight"), (Norm, Role::Plain));
        assert_eq!(role("per_layer_model_proj.weight"), (Other, Role::Plain));
        assert_eq!(role("position_embd.weight"), (Embedding, Role::Plain));
        assert_eq!(role("rope_freqs.weight"), (Other, Role::Plain));
        assert_eq!(role("v.blk.0.attn_q.weight"), (Other, Role::Aside));
        assert_eq!(of_gguf("v.blk.0.attn_q.weight").layer, None);
        assert_eq!(role("enc.blk.0.attn_q.weight"), (Attention, Role::Aside));
        assert_eq!(of_gguf("enc.blk.0.attn_q.weight").layer, None);
        assert_eq!(of_gguf("dec.blk.2.attn_q.weight").layer, Some(2));
        for name in [
            "",
            ".",
            "blk",
            "blk.",
            "blk.x.attn_q",
            "blk.99999999999.attn_q",
            "blk.+1.attn_q",
            "\0",
        ] {
            assert_eq!(of_gguf(name), NameMeaning::plain(Other), "{name:?}");
        }
        assert_eq!(
            of_gguf("blk.5"),
            NameMeaning {
                layer: Some(5),
                ..NameMeaning::plain(Other)
            }
        );
    }
}
