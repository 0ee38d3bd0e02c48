//! Options and files that the engine refuses, each with its reason.

use std::fs;
use std::path::Path;

use super::{Model, SHAPE};
use crate::engine::{EngineError, EngineOptions};
use crate::model::GgufErrorKind;

#[test]
fn options_that_are_0_are_refused() {
    let model = Model::new();
    for options in [
        EngineOptions {
            tokens: 0,
            ..model.options()
        },
        EngineOptions {
            prompt_tokens: 0,
            ..model.options()
        },
        EngineOptions {
            threads: 0,
            ..model.options()
        },
    ] {
        assert!(matches!(model.error(&options), EngineError::Option { .. }));
    }
}

#[test]
fn files_that_are_no_model_are_refused() {
    let model = Model::new();
    let beside = |name: &str| model.directory.path().join(name);
    let error = |path: &Path| model.error(&EngineOptions::new(path));
    assert!(matches!(
        error(model.directory.path()),
        EngineError::NotARegularFile { .. }
    ));
    assert!(matches!(
        error(&beside("missing")),
        EngineError::Open { .. }
    ));
    let bytes = fs::read(&model.path).unwrap();
    for content in [
        &[][..],
        b"no model",
        &bytes[..1000],
        &bytes[..bytes.len() - 100],
    ] {
        fs::write(beside("broken"), content).unwrap();
        let EngineError::Header { source, .. } = error(&beside("broken")) else {
            panic!("{}", content.len())
        };
        assert!(!matches!(source.kind, GgufErrorKind::Io(_)), "{source}");
    }
    let log_over_model = EngineOptions {
        expert_log: Some(model.path.clone()),
        ..model.options()
    };
    assert!(matches!(
        model.error(&log_over_model),
        EngineError::ExpertLogIsModel { .. }
    ));
    assert!(
        SHAPE.matches(&model.path).unwrap(),
        "the model was overwritten"
    );
    let log = EngineOptions {
        expert_log: Some(beside("missing/log")),
        ..model.options()
    };
    assert!(matches!(model.error(&log), EngineError::ExpertLog { .. }));
}

/// Replaces the first occurrence of `from` in the model's header, of the same length.
fn patched(from: &[u8], to: &[u8]) -> (Model, EngineError) {
    assert_eq!(from.len(), to.len());
    let model = Model::new();
    let mut bytes = fs::read(&model.path).unwrap();
    let place = bytes
        .windows(from.len())
        .position(|window| window == from)
        .unwrap();
    bytes[place..place + to.len()].copy_from_slice(to);
    fs::write(&model.path, bytes).unwrap();
    let error = model.error(&model.options());
    (model, error)
}

fn count_key(key: &str, value: u32) -> Vec<u8> {
    [key.as_bytes(), &4u32.to_le_bytes(), &value.to_le_bytes()].concat()
}

#[test]
fn models_that_it_cannot_run_are_refused_with_the_reason() {
    let (_, error) = patched(b"\x05\0\0\0\0\0\0\0olmoe", b"\x05\0\0\0\0\0\0\0llama");
    assert!(
        matches!(&error, EngineError::Architecture { found: Some(name), .. } if name == "llama"),
        "{error}"
    );
    let (_, error) = patched(b"general.architecture", b"general.archiTecture");
    assert!(
        matches!(&error, EngineError::Architecture { found: None, .. }),
        "{error}"
    );
    let (_, error) = patched(b"blk.1.attn_q.weight", b"blk.1.attn_Q.weight");
    assert!(
        matches!(&error, EngineError::MissingTensor { name, .. } if name == "blk.1.attn_q.weight"),
        "{error}"
    );
    let (_, error) = patched(b"olmoe.expert_count", b"olmoe.expert_Count");
    assert!(
        matches!(&error, EngineError::Key { key, .. } if key == "olmoe.expert_count"),
        "{error}"
    );
    let dimensions =
        |element_type: u32| [&128u64.to_le_bytes()[..], &element_type.to_le_bytes()].concat();
    // The query's two dimensions; type 24 is I8, type 777 is not known to the parser.
    for element_type in [24, 777] {
        let (_, error) = patched(&dimensions(1), &dimensions(element_type));
        assert!(
            matches!(&error, EngineError::TensorType { found, .. } if found.0 == element_type),
            "{error}"
        );
    }
    for (key, right, wrong) in [
        ("olmoe.embedding_length", 128, 64),
        ("olmoe.feed_forward_length", 64, 128),
        ("olmoe.expert_count", 32, 16),
    ] {
        let (_, error) = patched(&count_key(key, right), &count_key(key, wrong));
        assert!(matches!(error, EngineError::TensorShape { .. }), "{error}");
    }
    for (key, right, wrong) in [
        ("olmoe.attention.head_count", 2, 3),
        ("olmoe.attention.head_count", 2, 0),
        ("olmoe.attention.head_count_kv", 2, 5),
        ("olmoe.expert_used_count", 2, 33),
        ("olmoe.block_count", 3, u32::MAX),
    ] {
        let (_, error) = patched(&count_key(key, right), &count_key(key, wrong));
        assert!(
            matches!(&error, EngineError::Key { key: named, .. } if named == key),
            "{error}"
        );
    }
    let (_, error) = patched(
        &count_key("olmoe.block_count", 3),
        &count_key("olmoe.block_count", 4),
    );
    assert!(
        matches!(error, EngineError::MissingTensor { .. }),
        "{error}"
    );
}
