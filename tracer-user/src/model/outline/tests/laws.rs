//! What holds for any model.

use proptest::prelude::*;
use safetensors::tensor::Metadata;

use crate::model::outline::test_laws::{check_need, check_partition};

use super::*;

fn any_name() -> impl Strategy<Value = String> {
    prop_oneof![
        Just("token_embd.weight".to_owned()),
        Just("output.weight".to_owned()),
        (
            0u32..3,
            prop::sample::select(vec![
                "attn_q",
                "ffn_up_exps",
                "ffn_up.0",
                "ffn_up.1",
                "nextn.enorm",
                "ffn_up_shexp"
            ])
        )
            .prop_map(|(layer, what)| format!("blk.{layer}.{what}.weight")),
        (
            0u32..3,
            prop::sample::select(vec![
                "self_attn.q_proj",
                "mlp.experts.up_proj",
                "mlp.experts.1.up_proj"
            ])
        )
            .prop_map(|(layer, what)| format!("model.layers.{layer}.{what}.weight")),
        "[a-z.0-9]{0,12}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn pieces_of_any_gguf_are_a_partition(
        tensors in prop::collection::btree_map(any_name(), (prop::collection::vec(0u64..5, 0..4), prop::sample::select(vec![0u32, 1, 24, 999])), 0..12),
        experts in 0u32..5, used in 0u32..4, rest in 0u64..100,
    ) {
        let mut file = GgufFile::new().text("general.architecture", "x")
            .figure("x.expert_count", experts).figure("x.expert_used_count", used);
        for (name, (dimensions, element_type)) in tensors {
            let size = match element_type { 0 => 4, 1 => 2, _ => 1 };
            file = file.tensor(&name, &dimensions, element_type, size * dimensions.iter().product::<u64>());
        }
        file = file.tensor("last", &[0], 0, rest);
        let outline = outline(&file);
        check_partition(&outline);
        check_need(&outline);
    }

    /// Ours and the format's own reader agree on every header that both know.
    #[test]
    fn pieces_of_any_safetensors_are_a_partition_and_places_are_those_of_the_crate(
        tensors in prop::collection::btree_map(any_name(), (prop::collection::vec(0u64..5, 0..4), prop::sample::select(vec![("F32", 4), ("BF16", 2), ("U8", 1)])), 0..12),
        rest in 0usize..100,
    ) {
        let mut file = SafetensorsFile::new();
        for (name, (shape, (dtype, size))) in tensors {
            file = file.tensor(&name, &shape, dtype, size * shape.iter().product::<u64>());
        }
        let mut bytes = file.bytes();
        let json_end = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let metadata: Metadata = serde_json::from_slice(&bytes[8..json_end]).unwrap();
        bytes.resize(bytes.len() + rest, 0);
        let outline = outline_of(&[("model.safetensors", bytes)]).unwrap();
        check_partition(&outline);
        check_need(&outline);
        let theirs = metadata.tensors();
        prop_assert_eq!(outline.tensors.len(), theirs.len());
        for tensor in &outline.tensors {
            let (begin, end) = theirs[&tensor.name].data_offsets;
            let ours = (tensor.offset_bytes, tensor.end_bytes());
            prop_assert_eq!(ours, ((json_end + begin) as u64, (json_end + end) as u64));
        }
    }
}
