//! Shapes, sizes, and what is really in the file.

use std::fs;

use super::{RandomModelError, RandomModelShape};
use crate::model::{GgmlType, GgufHeader, TensorLength};

fn small() -> RandomModelShape {
    RandomModelShape {
        layers: 2,
        experts: 4,
        experts_used: 2,
        embedding_length: 128,
        expert_feed_forward_length: 64,
        vocabulary_size: 300,
        seed: 7,
    }
}

#[test]
fn the_default_is_what_for_size_gives_for_547_mebibytes() {
    let shape = RandomModelShape::for_size(547 << 20).unwrap();
    assert_eq!(shape, RandomModelShape::default());
    assert_eq!(shape.file_size_bytes(), 573_199_776);
}

#[test]
fn for_size_gives_the_nearest_that_can_be_and_refuses_what_cannot() {
    let sizes = (115..2000)
        .step_by(13)
        .chain([160, 250, 5000, 20_001, 49_000]);
    for mebibytes in sizes {
        let asked_bytes: u64 = mebibytes << 20;
        let shape = RandomModelShape::for_size(asked_bytes).unwrap();
        shape.validate().unwrap();
        let off = |length: u32| {
            RandomModelShape {
                expert_feed_forward_length: length,
                ..shape
            }
            .file_size_bytes()
            .abs_diff(asked_bytes)
        };
        let length = shape.expert_feed_forward_length;
        assert!(off(length) * 100 < asked_bytes, "{mebibytes}");
        assert!(off(length) <= off(length - 2), "{mebibytes}");
        assert!(off(length) <= off(length + 2), "{mebibytes}");
    }
    for size_bytes in [0, 1 << 20, 114 << 20, 60 << 30, u64::MAX] {
        let error = RandomModelShape::for_size(size_bytes).unwrap_err();
        assert!(matches!(error, RandomModelError::Size { .. }), "{error}");
    }
}

/// Whatever its size, the model stays what it is: a mixture of the same experts in the same layers.
#[test]
fn only_the_width_of_the_experts_follows_the_size() {
    for mebibytes in [115, 160, 250, 547, 3000] {
        let shape = RandomModelShape::for_size(mebibytes << 20).unwrap();
        let expected = RandomModelShape {
            expert_feed_forward_length: shape.expert_feed_forward_length,
            ..RandomModelShape::default()
        };
        assert_eq!(shape, expected);
    }
}

#[test]
fn each_member_has_a_range() {
    let wrong = [
        RandomModelShape {
            layers: 0,
            ..small()
        },
        RandomModelShape {
            experts: 513,
            ..small()
        },
        RandomModelShape {
            experts_used: 5,
            ..small()
        },
        RandomModelShape {
            embedding_length: 100,
            ..small()
        },
        RandomModelShape {
            expert_feed_forward_length: 0,
            ..small()
        },
        RandomModelShape {
            expert_feed_forward_length: 65,
            ..small()
        },
        RandomModelShape {
            vocabulary_size: 258,
            ..small()
        },
    ];
    for shape in wrong {
        assert!(
            matches!(shape.validate(), Err(RandomModelError::Shape { .. })),
            "{shape:?}"
        );
    }
    small().validate().unwrap();
}

#[test]
fn what_is_written_is_what_the_parser_reads() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("m.gguf");
    let mut told = Vec::new();
    small().write(&path, |bytes| told.push(bytes)).unwrap();
    assert!(told.is_sorted());
    assert_eq!(told.last(), Some(&small().file_size_bytes()));
    assert_eq!(
        fs::metadata(&path).unwrap().len(),
        small().file_size_bytes()
    );

    let header = GgufHeader::open(&path).unwrap();
    assert_eq!(
        (header.architecture(), header.data_start_bytes),
        (Some("olmoe"), small().header().len() as u64)
    );
    assert_eq!(
        header.value("olmoe.expert_count").unwrap().as_u64(),
        Some(4)
    );
    assert_eq!(header.tensors.len(), 3 + 2 * 12);
    for (written, read) in small().tensors().iter().zip(&header.tensors) {
        assert_eq!(
            (&written.name, &written.dimensions),
            (&read.name, &read.dimensions)
        );
        assert_eq!(
            (written.element_type, written.length_bytes()),
            (read.element_type, read.length_bytes)
        );
        assert_eq!(read.length, TensorLength::Exact);
    }
    let bytes = fs::read(&path).unwrap();
    let data = |name: &str| {
        let tensor = header.tensor(name).unwrap();
        &bytes[tensor.file_offset_bytes as usize..tensor.end_bytes() as usize]
    };
    assert!(
        data("blk.1.attn_q_norm.weight")
            .chunks(4)
            .all(|value| value == 1.0f32.to_le_bytes())
    );
    let router: Vec<_> = data("blk.0.ffn_gate_inp.weight").chunks(128 * 4).collect();
    assert_eq!(router.len(), 4);
    assert!(
        router.windows(2).all(|pair| pair[0] != pair[1]),
        "experts have the same router row"
    );
    let mut rows: Vec<_> = data("token_embd.weight").chunks(128 * 2).collect();
    rows.sort_unstable();
    rows.dedup();
    assert_eq!(rows.len(), 300, "two tokens have the same embedding");
    assert_eq!(
        header.tensor("token_embd.weight").unwrap().element_type,
        GgmlType::F16
    );
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_one_others() {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: &str, seed| {
        let path = directory.path().join(name);
        RandomModelShape { seed, ..small() }
            .write(&path, |_| {})
            .unwrap();
        fs::read(path).unwrap()
    };
    let (first, again, other) = (write("a", 1), write("b", 1), write("c", 2));
    assert!(first == again);
    let header = GgufHeader::open(&directory.path().join("a")).unwrap();
    for tensor in header
        .tensors
        .iter()
        .filter(|tensor| tensor.dimensions.len() > 1)
    {
        let place = tensor.file_offset_bytes as usize..tensor.end_bytes() as usize;
        assert!(
            first[place.clone()] != other[place],
            "{} does not depend on the seed",
            tensor.name
        );
    }
}

#[test]
fn matches_only_the_very_same_model() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("m.gguf");
    assert!(!small().matches(&path).unwrap());
    small().write(&path, |_| {}).unwrap();
    assert!(small().matches(&path).unwrap());
    assert!(
        !RandomModelShape { seed: 8, ..small() }
            .matches(&path)
            .unwrap()
    );
    assert!(
        !RandomModelShape {
            experts_used: 1,
            ..small()
        }
        .matches(&path)
        .unwrap()
    );
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    assert!(!small().matches(&path).unwrap());
    assert!(small().matches(directory.path()).is_err());
}

#[test]
fn replaces_its_own_file_and_no_other() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("m.gguf");
    small().write(&path, |_| {}).unwrap();
    RandomModelShape { seed: 8, ..small() }
        .write(&path, |_| {})
        .unwrap();
    fs::write(&path, "precious").unwrap();
    let error = small().write(&path, |_| {}).unwrap_err();
    assert!(matches!(error, RandomModelError::NotOurs { .. }), "{error}");
    assert_eq!(fs::read(&path).unwrap(), b"precious");
    assert!(small().write(directory.path(), |_| {}).is_err());
    assert!(
        small()
            .write(&directory.path().join("missing/m.gguf"), |_| {})
            .is_err()
    );
}
