//! Outlines of small models, shard by shard, and what a step of theirs needs.

mod laws;
mod shards;

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use super::test_files::{GgufFile, SafetensorsFile, mixture};
use super::test_laws::check_partition;
use super::{ModelFormat, ModelOutline, NeedBytes, OutlineError, PieceKind, TensorPlace};
use crate::model::TensorKind;

fn outline_of(files: &[(&str, Vec<u8>)]) -> Result<ModelOutline, OutlineError> {
    let sources = files
        .iter()
        .map(|(path, bytes)| (PathBuf::from(path), bytes.as_slice(), bytes.len() as u64));
    ModelOutline::read(sources.collect())
}

fn outline(file: &GgufFile) -> ModelOutline {
    outline_of(&[("model.gguf", file.bytes())]).unwrap()
}

fn tensor<'a>(outline: &'a ModelOutline, name: &str) -> &'a TensorPlace {
    let mut tensors = outline.tensors.iter();
    tensors.find(|tensor| tensor.name == name).unwrap()
}

/// Writes files into a fresh directory.
fn directory_with(files: &[(&str, Vec<u8>)]) -> (tempfile::TempDir, Vec<PathBuf>) {
    let directory = tempfile::tempdir().unwrap();
    let write = |(name, bytes): &(&str, Vec<u8>)| {
        let path = directory.path().join(name);
        fs::write(&path, bytes).unwrap();
        path
    };
    let paths = files.iter().map(write).collect();
    (directory, paths)
}

#[test]
fn a_mixture_of_experts_is_outlined() {
    let outline = outline(&mixture());
    assert_eq!(outline.format, ModelFormat::Gguf);
    assert_eq!(outline.architecture.as_deref(), Some("olmoe"));
    assert_eq!(outline.name.as_deref(), Some("a mixture"));
    let figures = (
        outline.layer_count,
        outline.expert_count,
        outline.expert_used_count,
    );
    assert_eq!(figures, (Some(2), Some(4), Some(2)));
    assert!(!outline.tied_output);
    assert!(outline.notes.is_empty());

    let gate = tensor(&outline, "blk.1.ffn_gate_exps.weight");
    assert_eq!((gate.kind, gate.layer), (TensorKind::ExpertFfn, Some(1)));
    assert_eq!((gate.expert_slices, gate.expert), (Some(4), None));
    assert_eq!(
        (gate.row_bytes, gate.length_bytes),
        (Some(32), 4 * 8 * 3 * 4)
    );
    let down = tensor(&outline, "blk.0.ffn_down_exps.weight");
    assert_eq!(
        (down.element_type.as_str(), down.row_bytes),
        ("Q4_0", Some(18))
    );
    assert_eq!(
        tensor(&outline, "blk.0.ffn_gate_inp.weight").kind,
        TensorKind::Router
    );

    // Each expert's slice, one after the other.
    let pieces = outline.pieces(0);
    let index = outline
        .tensors
        .iter()
        .position(|tensor| tensor == gate)
        .unwrap() as u32;
    let experts: Vec<_> = pieces
        .iter()
        .filter_map(|piece| match piece.what {
            PieceKind::Tensor { tensor, expert } if tensor == index => Some((
                expert.unwrap(),
                piece.start_bytes - gate.offset_bytes,
                piece.end_bytes - gate.offset_bytes,
            )),
            _ => None,
        })
        .collect();
    assert_eq!(
        experts,
        [(0, 0, 96), (1, 96, 192), (2, 192, 288), (3, 288, 384)]
    );
    assert_eq!(pieces[0].what, PieceKind::Header);
    assert_eq!(pieces[0].end_bytes, outline.files[0].header_bytes);
    assert!(outline.pieces(1).is_empty());
}

#[test]
fn a_step_needs_one_row_the_experts_used_and_everything_else() {
    let outline = outline(&mixture());
    // output_norm, output, and per layer attn_q, router; the shared expert.
    let whole = 32 + 340 + 2 * (256 + 128) + 96;
    let expert = 2 * (96 + 54);
    assert_eq!(outline.step_need_bytes(), Some(32 + whole + 2 * expert));
    let need = |tokens| outline.need_of_tokens(tokens).unwrap();
    assert_eq!(
        need(0),
        NeedBytes {
            least_bytes: 0,
            most_bytes: 0
        }
    );
    let least_bytes = 32 + whole + 2 * expert;
    assert_eq!(
        need(1),
        NeedBytes {
            least_bytes,
            most_bytes: least_bytes
        }
    );
    // Two tokens use up to all four experts, a hundred no more than these, and no more rows than there are.
    assert_eq!(
        need(2),
        NeedBytes {
            least_bytes,
            most_bytes: 64 + whole + 4 * expert
        }
    );
    assert_eq!(
        need(u32::MAX),
        NeedBytes {
            least_bytes,
            most_bytes: 320 + whole + 4 * expert
        }
    );
}

#[test]
fn the_embedding_is_needed_whole_where_it_is_the_output() {
    let base = || {
        GgufFile::new()
            .text("general.architecture", "llama")
            .f32("token_embd.weight", &[8, 10])
    };
    let tied = outline(&base());
    assert!(tied.tied_output);
    assert_eq!(
        tied.need_of_tokens(3),
        Some(NeedBytes {
            least_bytes: 320,
            most_bytes: 320
        })
    );
    let apart = outline(&base().f32("output.weight", &[8, 10]));
    assert!(!apart.tied_output);
    assert_eq!(apart.step_need_bytes(), Some(32 + 320));
    // A bias is no output matrix; a row of another embedding is still a row.
    let tied = outline(
        &base()
            .f32("output.bias", &[10])
            .f32("per_layer_token_embd.weight", &[4, 10]),
    );
    assert!(tied.tied_output);
    assert_eq!(tied.step_need_bytes(), Some(320 + 40 + 16));
    let encoder = GgufFile::new()
        .text("general.architecture", "bert")
        .f32("token_embd.weight", &[8, 10]);
    assert!(!outline(&encoder).tied_output);
}

#[test]
fn what_is_not_known_gives_no_need() {
    let base = |used: u32| {
        GgufFile::new()
            .text("general.architecture", "llama")
            .figure("llama.expert_count", 4)
            .figure("llama.expert_used_count", used)
    };
    let exps = "blk.0.ffn_up_exps.weight";
    assert_eq!(
        outline(&base(1).f32(exps, &[8, 3, 4])).step_need_bytes(),
        Some(96)
    );
    let unknown = [
        // More experts used than there are, or it is not said how many.
        base(5).f32(exps, &[8, 3, 4]),
        base(0).f32(exps, &[8, 3, 4]),
        // The outermost dimension is not the number of experts, or there is none.
        base(1).f32(exps, &[4, 3, 8]),
        base(1).f32(exps, &[4]),
        // A type that is not known: the length is not exact.
        base(1).tensor(exps, &[8, 3, 4], 999, 384),
        base(1).tensor("blk.0.attn_q.weight", &[8, 8], 999, 256),
        base(1).tensor("token_embd.weight", &[8, 8], 999, 256),
        // One expert of four lacks.
        base(1)
            .f32("blk.0.ffn_up.0.weight", &[8])
            .f32("blk.0.ffn_up.1.weight", &[8])
            .f32("blk.0.ffn_up.2.weight", &[8]),
        // Nothing that a decode step uses.
        base(1).f32("v.blk.0.attn_q.weight", &[8]),
        base(1),
    ];
    for file in unknown {
        let outline = outline(&file);
        assert_eq!(outline.step_need_bytes(), None, "{:?}", outline.tensors);
    }
}

#[test]
fn experts_with_tensors_of_their_own_count_like_slices() {
    let mut file = GgufFile::new()
        .text("general.architecture", "llama")
        .figure("llama.block_count", 1)
        .figure("llama.expert_count", 8)
        .figure("llama.expert_used_count", 2);
    for expert in 0..8 {
        for what in ["gate", "up", "down"] {
            file = file.f32(&format!("blk.0.ffn_{what}.{expert}.weight"), &[8, 4]);
        }
    }
    let apart = outline(&file);
    assert_eq!(tensor(&apart, "blk.0.ffn_up.5.weight").expert, Some(5));
    assert_eq!(
        apart.need_of_tokens(2),
        Some(NeedBytes {
            least_bytes: 3 * 2 * 128,
            most_bytes: 3 * 4 * 128
        })
    );
    let expert_of = |what| match what {
        PieceKind::Tensor { expert, .. } => expert,
        _ => None,
    };
    assert_eq!(
        apart
            .pieces(0)
            .iter()
            .filter_map(|piece| expert_of(piece.what))
            .count(),
        24
    );
    // Experts that differ in size: which ones are picked matters.
    assert_eq!(
        outline(&file.f32("blk.0.ffn_x.9.weight", &[1])).step_need_bytes(),
        Some(3 * 2 * 128 + 4)
    );
    let uneven = GgufFile::new()
        .text("general.architecture", "llama")
        .figure("llama.expert_count", 2)
        .figure("llama.expert_used_count", 1)
        .f32("blk.0.ffn_up.0.weight", &[8])
        .f32("blk.0.ffn_up.1.weight", &[16]);
    assert_eq!(outline(&uneven).step_need_bytes(), None);
}

#[test]
fn layers_that_only_predict_are_not_needed() {
    let base = || {
        GgufFile::new()
            .text("general.architecture", "glm4moe")
            .figure("glm4moe.block_count", 2)
            .f32("blk.0.attn_q.weight", &[8])
            .f32("blk.1.attn_q.weight", &[8])
    };
    assert_eq!(outline(&base()).step_need_bytes(), Some(64));
    let by_key = outline(&base().figure("glm4moe.nextn_predict_layers", 1));
    assert_eq!(by_key.step_need_bytes(), Some(32));
    assert!(!tensor(&by_key, "blk.1.attn_q.weight").used_by_decode_step);
    let by_name = outline(&base().f32("blk.1.nextn.eh_proj.weight", &[8]));
    assert_eq!(by_name.step_need_bytes(), Some(32));
}

#[test]
fn of_a_type_that_is_not_known_no_rows_or_slices_are_told() {
    let file = GgufFile::new()
        .text("general.architecture", "x")
        .figure("x.expert_count", 4)
        .tensor("blk.0.ffn_up_exps.weight", &[8, 3, 4], 999, 384);
    let outline = outline(&file);
    let experts = &outline.tensors[0];
    assert_eq!((experts.row_bytes, experts.expert_slices), (None, None));
    assert_eq!(
        (experts.length_bytes, experts.length_is_exact),
        (384, false)
    );
}

#[test]
fn tensors_stand_in_the_order_of_their_data() {
    let file = GgufFile::new()
        .tensor_at("late", &[8], 0, 32)
        .f32("early", &[8])
        .tensor("empty", &[0], 0, 32);
    let outline = outline(&file);
    let names: Vec<_> = outline.tensors.iter().map(|tensor| &tensor.name).collect();
    assert_eq!(names, ["early", "empty", "late"]);
    check_partition(&outline);
}

#[test]
fn a_dense_model_that_counts_no_experts_has_none() {
    let file = GgufFile::new()
        .text("general.architecture", "llama")
        .figure("llama.expert_count", 0)
        .figure("llama.expert_used_count", 0)
        .f32("blk.0.ffn_up.weight", &[8]);
    let outline = outline(&file);
    assert_eq!(
        (outline.expert_count, outline.expert_used_count),
        (None, None)
    );
    assert_eq!(outline.step_need_bytes(), Some(32));
}

#[test]
fn a_hostile_expert_count_does_not_make_millions_of_pieces() {
    let mut file = GgufFile::new()
        .text("general.architecture", "x")
        .figure("x.expert_count", 400_000);
    for layer in 0..4 {
        file = file.tensor(
            &format!("blk.{layer}.ffn_up_exps.weight"),
            &[1, 400_000],
            24,
            400_000,
        );
    }
    let outline = outline(&file);
    let sliced = outline
        .tensors
        .iter()
        .filter(|tensor| tensor.expert_slices.is_some());
    assert_eq!(sliced.count(), 2);
    assert_eq!(outline.notes.len(), 2);
    assert_eq!(outline.pieces(0).len(), 1 + 800_000 + 2);
}

#[test]
fn safetensors_with_a_config_are_outlined() {
    let file = SafetensorsFile::new()
        .bf16("model.embed_tokens.weight", &[10, 8])
        .bf16("model.layers.0.mlp.gate.weight", &[4, 8])
        .bf16("model.layers.0.mlp.experts.gate_up_proj", &[4, 8, 6])
        .tensor(
            "model.layers.0.mlp.experts.down_proj_blocks",
            &[4, 3, 5],
            "F8_NEW",
            60,
        )
        .bf16("model.layers.1.self_attn.q_proj.weight", &[8, 8])
        .bf16(
            "vision_tower.encoder.layers.0.self_attn.q_proj.weight",
            &[8, 8],
        )
        .bf16("model.layers.0.self_attn.q_proj.weight", &[8, 8]);
    let config = br#"{"architectures":["XForCausalLM"],"model_type":"x","num_hidden_layers":1,
        "text_config":{"num_experts":4,"num_experts_per_tok":1,"tie_word_embeddings":true},"_name_or_path":"x/y"}"#;
    let (_directory, paths) = directory_with(&[
        ("model.safetensors", file.bytes()),
        ("config.json", config.to_vec()),
    ]);
    let outline = ModelOutline::open(&paths[..1]).unwrap();
    assert_eq!(outline.format, ModelFormat::Safetensors);
    assert_eq!(outline.architecture.as_deref(), Some("XForCausalLM"));
    assert_eq!(outline.name.as_deref(), Some("x/y"));
    let figures = (
        outline.layer_count,
        outline.expert_count,
        outline.expert_used_count,
    );
    assert_eq!(figures, (Some(1), Some(4), Some(1)));
    assert!(outline.notes.is_empty(), "{:?}", outline.notes);
    assert!(outline.tied_output);
    let experts = tensor(&outline, "model.layers.0.mlp.experts.gate_up_proj");
    assert_eq!(experts.dimensions, [6, 8, 4]);
    assert_eq!(
        (experts.expert_slices, experts.row_bytes),
        (Some(4), Some(12))
    );
    let new = tensor(&outline, "model.layers.0.mlp.experts.down_proj_blocks");
    assert_eq!((new.expert_slices, new.row_bytes), (Some(4), Some(5)));
    // The tied embedding, the router, one expert of four, layer 0's attention; not the image encoder, not layer 1.
    assert_eq!(outline.step_need_bytes(), Some(160 + 64 + 96 + 15 + 128));

    // Without the figures, what depends on them is not known.
    let alone = outline_of(&[("model.safetensors", file.bytes())]).unwrap();
    assert_eq!((alone.expert_count, alone.step_need_bytes()), (None, None));
    assert_eq!(alone.notes.len(), 1, "{:?}", alone.notes);
}

#[test]
fn a_config_that_cannot_be_used_is_noted() {
    let file = SafetensorsFile::new()
        .bf16("model.norm.weight", &[8])
        .bytes();
    for config in [
        &b"{"[..],
        b"[]",
        b"\xff",
        b"{\"num_experts\":[1],\"architectures\":{},\"num_hidden_layers\":-1}",
    ] {
        let (directory, paths) = directory_with(&[
            ("model.safetensors", file.clone()),
            ("config.json", config.to_vec()),
        ]);
        let outline = ModelOutline::open(&paths[..1]).unwrap();
        let figures = (
            outline.layer_count,
            outline.expert_count,
            &outline.architecture,
        );
        assert_eq!(figures, (None, None, &None));
        assert_eq!(
            outline.notes.is_empty(),
            config.len() > 1 && config != b"\xff",
            "{:?}",
            outline.notes
        );
        drop(directory);
    }
    let (_directory, paths) = directory_with(&[
        ("model.safetensors", file.clone()),
        ("config.json", vec![b' '; (1 << 20) + 1]),
    ]);
    assert!(ModelOutline::open(&paths[..1]).unwrap().notes[0].contains("1048576"));
    let (_directory, paths) = directory_with(&[("model.safetensors", file)]);
    assert!(ModelOutline::open(&paths).unwrap().notes[0].contains("config.json"));
}

#[test]
fn the_position_of_an_open_file_is_not_moved() {
    let (_directory, paths) = directory_with(&[("model.gguf", mixture().bytes())]);
    let mut file = File::open(&paths[0]).unwrap();
    file.seek(SeekFrom::Start(77)).unwrap();
    let of_handle = ModelOutline::of_open_files(vec![(paths[0].clone(), &file)]).unwrap();
    assert_eq!(file.stream_position().unwrap(), 77);
    assert_eq!(of_handle, ModelOutline::open(&paths).unwrap());
    let mut rest = Vec::new();
    file.read_to_end(&mut rest).unwrap();
    assert_eq!(rest, &fs::read(&paths[0]).unwrap()[77..]);
}

#[test]
fn what_lies_beside_another_file_of_that_path_is_not_used() {
    let config = br#"{"architectures":["Wrong"]}"#.to_vec();
    let file = SafetensorsFile::new().bf16("model.norm.weight", &[8]);
    let (_one, paths) = directory_with(&[("model.safetensors", file.bytes())]);
    let (_other, others) = directory_with(&[
        ("model.safetensors", file.bf16("a", &[1]).bytes()),
        ("config.json", config),
    ]);
    let handle = File::open(&paths[0]).unwrap();
    let outline = ModelOutline::of_open_files(vec![(others[0].clone(), &handle)]).unwrap();
    assert_eq!(outline.architecture, None);
    assert!(
        outline.notes[0].contains("not looked at"),
        "{:?}",
        outline.notes
    );
}

#[test]
fn what_is_no_model_is_refused() {
    let unknown = outline_of(&[("model.bin", b"\x7FELF\0\0\0\0\0\0".to_vec())]).unwrap_err();
    assert!(
        matches!(&unknown, OutlineError::UnknownFormat { start, .. } if start == r"\x7fELF\x00\x00\x00\x00\x00")
    );
    assert!(matches!(outline_of(&[]), Err(OutlineError::NoFiles)));
    assert!(matches!(
        outline_of(&[("x.gguf", b"abc".to_vec())]),
        Err(OutlineError::Gguf { .. })
    ));
    assert!(matches!(
        outline_of(&[("x.safetensors", vec![])]),
        Err(OutlineError::Safetensors { .. })
    ));
    assert!(matches!(
        outline_of(&[("", vec![])]),
        Err(OutlineError::UnknownFormat { .. })
    ));
    // The content decides, not the name.
    let renamed = outline_of(&[("model.safetensors", mixture().bytes())]).unwrap();
    assert_eq!(renamed.format, ModelFormat::Gguf);
    let directory = tempfile::tempdir().unwrap();
    let open = |path: &Path| ModelOutline::open(&[path.to_owned()]).unwrap_err();
    assert!(matches!(
        open(directory.path()),
        OutlineError::NotARegularFile { .. }
    ));
    assert!(matches!(
        open(&directory.path().join("none")),
        OutlineError::Unreadable { .. }
    ));
    let handle = File::open(directory.path()).unwrap();
    let of_directory = ModelOutline::of_open_files(vec![(PathBuf::new(), &handle)]);
    assert!(matches!(
        of_directory,
        Err(OutlineError::NotARegularFile { .. })
    ));
    let error =
        outline_of(&[("a.gguf", GgufFile::new().tensor_at("t", &[8], 0, 0).bytes())]).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("model a.gguf: not a readable GGUF file: at byte 24"),
        "{error}"
    );
}

#[test]
fn need_is_not_told_of_what_is_not_understood() {
    let given = |name: &str| {
        let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/model/testdata");
        ModelOutline::open(&[folder.join(name)]).unwrap()
    };
    // One row of the embedding, the head, the norm, and the layers.
    let known = given("unknown-embedding.safetensors");
    assert_eq!(known.step_need_bytes(), Some(128 + 128_000 + 128 + 32_768));
    assert_eq!(known.not_understood(), None);
    let scratch = tempfile::tempdir().unwrap();
    let bytes = std::fs::read(&known.files[0].path).unwrap();
    let renamed = |from: &str, to: &str| {
        assert_eq!(from.len(), to.len());
        let mut bytes = bytes.clone();
        let at = bytes
            .windows(from.len())
            .position(|window| window == from.as_bytes())
            .unwrap();
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        let path = scratch.path().join("m.safetensors");
        std::fs::write(&path, bytes).unwrap();
        ModelOutline::open(&[path]).unwrap()
    };
    let unknown = renamed("embed.weight", "table.matrix");
    assert_eq!(
        (unknown.step_need_bytes(), unknown.need_of_tokens(3)),
        (None, None)
    );
    let reason =
        "44.3 % of the weights have names that are not understood, \"table.matrix\" the largest";
    let said = unknown.not_understood().unwrap();
    assert!(said.contains(reason), "{said}");
    // Less than a hundredth is taken as needed.
    let small = renamed("norm.weight", "gain.weight");
    assert_eq!(small.step_need_bytes(), Some(161_024));
}
