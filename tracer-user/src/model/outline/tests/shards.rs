//! All shards of one model, and sets of files that are not.

use super::*;
use crate::model::file_names::SplitName;

fn shard(number: u16, count: u16) -> GgufFile {
    GgufFile::new()
        .figure16("split.no", number)
        .figure16("split.count", count)
        .figure("split.tensors.count", 3)
        .f32(&format!("blk.{number}.attn_q.weight"), &[8])
}

fn name(number: u16, count: u16) -> String {
    format!("m-{:05}-of-{count:05}.gguf", number + 1)
}

fn read(shards: &[(u16, u16)]) -> Result<ModelOutline, OutlineError> {
    let names: Vec<String> = shards
        .iter()
        .map(|&(number, count)| name(number, count))
        .collect();
    let files: Vec<_> = names
        .iter()
        .zip(shards)
        .map(|(name, &(number, count))| (name.as_str(), shard(number, count).bytes()))
        .collect();
    outline_of(&files)
}

#[test]
fn all_shards_in_order_make_one_model() {
    let outline = read(&[(0, 3), (1, 3), (2, 3)]).unwrap();
    let found: Vec<_> = outline
        .tensors
        .iter()
        .map(|tensor| (tensor.file, tensor.layer))
        .collect();
    assert_eq!(found, [(0, Some(0)), (1, Some(1)), (2, Some(2))]);
    assert_eq!(outline.files.len(), 3);
    for file in 0..3 {
        let tensors = outline
            .pieces(file)
            .into_iter()
            .filter_map(|piece| match piece.what {
                PieceKind::Tensor { tensor, .. } => Some(tensor),
                _ => None,
            });
        assert_eq!(tensors.collect::<Vec<_>>(), [u32::from(file)]);
    }
}

#[test]
fn a_missing_shard_is_named() {
    for (given, expected) in [
        (&[(0, 3), (2, 3)][..], &["m-00002-of-00003.gguf"][..]),
        (
            &[(1, 3)],
            &["m-00001-of-00003.gguf", "m-00003-of-00003.gguf"],
        ),
    ] {
        match read(given).unwrap_err() {
            OutlineError::MissingShards {
                count: 3, missing, ..
            } => assert_eq!(missing, expected),
            other => panic!("{other:?}"),
        }
    }
    let unnamed = outline_of(&[("x.gguf", shard(0, 3).bytes())]).unwrap_err();
    assert!(
        unnamed
            .to_string()
            .contains("missing: shard 2 of 3, shard 3 of 3"),
        "{unnamed}"
    );
    let huge = GgufFile::new()
        .figure("split.count", u32::MAX)
        .figure("split.no", 7);
    let error = outline_of(&[("x.gguf", huge.bytes())])
        .unwrap_err()
        .to_string();
    assert!(
        error.contains("shard 17 of 4294967295, and 4294967278 more"),
        "{error}"
    );
}

#[test]
fn files_that_are_no_set_of_shards_are_refused() {
    let out_of_order = read(&[(1, 2), (0, 2)]);
    assert!(
        matches!(
            out_of_order,
            Err(OutlineError::ShardOrder {
                found: 2,
                place: 1,
                ..
            })
        ),
        "{out_of_order:?}"
    );
    for given in [
        &[(0, 2), (1, 3)][..],
        &[(0, 1), (1, 1)],
        &[(0, 2), (1, 2), (1, 2)],
        &[(5, 2), (1, 2)],
    ] {
        let refused = read(given);
        assert!(
            matches!(refused, Err(OutlineError::NotOfThisSplit { .. })),
            "{refused:?}"
        );
    }
    let no_keys = GgufFile::new().f32("a", &[1]).bytes();
    for other in [shard(1, 2).bytes(), GgufFile::new().f32("b", &[1]).bytes()] {
        let refused = outline_of(&[("a.gguf", no_keys.clone()), ("b.gguf", other)]);
        assert!(
            matches!(refused, Err(OutlineError::NotOfThisSplit { .. })),
            "{refused:?}"
        );
    }
    let count = read(&[(0, 2), (1, 2)]);
    assert!(
        matches!(
            count,
            Err(OutlineError::TensorCount {
                expected: 3,
                found: 2,
                ..
            })
        ),
        "{count:?}"
    );
    let twice = |number: u16| {
        let file = GgufFile::new()
            .figure16("split.no", number)
            .figure16("split.count", 2);
        file.f32("same", &[1]).bytes()
    };
    let duplicate = outline_of(&[("a.gguf", twice(0)), ("b.gguf", twice(1))]);
    assert!(
        matches!(&duplicate, Err(OutlineError::DuplicateTensor { name, .. }) if name == "same"),
        "{duplicate:?}"
    );
    let mixed = outline_of(&[
        ("a.gguf", shard(0, 2).bytes()),
        ("b.safetensors", SafetensorsFile::new().bytes()),
    ]);
    assert!(
        matches!(mixed, Err(OutlineError::MixedFormats { .. })),
        "{mixed:?}"
    );
}

const ONE: &str = "model-00001-of-00002.safetensors";
const TWO: &str = "model-00002-of-00002.safetensors";

fn part(tensors: &[&str]) -> Vec<u8> {
    let file = tensors
        .iter()
        .fold(SafetensorsFile::new(), |file, name| file.bf16(name, &[2]));
    file.bytes()
}

fn open_with_index(index: &str) -> Result<ModelOutline, OutlineError> {
    let (_directory, paths) = directory_with(&[
        (ONE, part(&["a", "b"])),
        (TWO, part(&["c"])),
        ("model.safetensors.index.json", index.as_bytes().to_vec()),
        ("config.json", b"{}".to_vec()),
    ]);
    ModelOutline::open(&paths[..2])
}

#[test]
fn an_index_that_agrees_says_nothing() {
    let index = format!(
        r#"{{"metadata":{{"total_size":12}},"weight_map":{{"a":"{ONE}","b":"{ONE}","c":"{TWO}"}}}}"#
    );
    let outline = open_with_index(&index).unwrap();
    assert!(outline.notes.is_empty(), "{:?}", outline.notes);
    assert_eq!(outline.tensors.len(), 3);
}

#[test]
fn an_index_that_disagrees_is_noted() {
    let index = format!(r#"{{"weight_map":{{"a":"{TWO}","c":"{TWO}","d":"{ONE}"}}}}"#);
    let notes = open_with_index(&index).unwrap().notes;
    let expected = [
        format!("the shard index has tensor \"a\" in \"{TWO}\", but it is in another file"),
        format!("the shard index has tensor \"d\" in \"{ONE}\", but no file has it"),
        "tensor \"b\" is not in the shard index".to_owned(),
    ];
    assert_eq!(notes, expected);

    let missing = open_with_index(&format!(
        r#"{{"weight_map":{{"a":"{ONE}","x":"third.safetensors"}}}}"#
    ));
    match missing.unwrap_err() {
        OutlineError::MissingShards { missing, .. } => assert_eq!(missing, ["third.safetensors"]),
        other => panic!("{other:?}"),
    }
    let trailing = format!(r#"{{"weight_map":{{"a":"{ONE}","b":"{ONE}","c":"{TWO}"}}}} x"#);
    for unusable in [
        trailing.as_str(),
        "{",
        "[]",
        r#"{"weight_map":[1]}"#,
        r#"{"weight_map":{"a":1}}"#,
        "{} x",
        r#"{"weight_map":{"a":"elsewhere"}}"#,
        "{}",
    ] {
        let notes = open_with_index(unusable).unwrap().notes;
        assert_eq!(notes.len(), 1, "{unusable}: {notes:?}");
        assert!(notes[0].contains("it was not used"), "{notes:?}");
    }
}

#[test]
fn a_missing_safetensors_shard_is_named() {
    let error = outline_of(&[(TWO, part(&["c"]))]).unwrap_err();
    assert!(
        matches!(&error, OutlineError::MissingShards { missing, .. } if missing == &[ONE]),
        "{error:?}"
    );
    let other = outline_of(&[
        (ONE, part(&["a"])),
        ("other-00002-of-00002.safetensors", part(&["b"])),
    ]);
    assert!(
        matches!(other, Err(OutlineError::NotOfThisSplit { .. })),
        "{other:?}"
    );
    let unnumbered = outline_of(&[
        ("x.safetensors", part(&["a"])),
        ("y.safetensors", part(&["b"])),
    ])
    .unwrap();
    assert!(
        unnumbered.notes[0].contains("no shard numbers"),
        "{:?}",
        unnumbered.notes
    );
    let duplicate = outline_of(&[(ONE, part(&["a"])), (TWO, part(&["a"]))]);
    assert!(
        matches!(duplicate, Err(OutlineError::DuplicateTensor { .. })),
        "{duplicate:?}"
    );
}

/// A number beyond the last is no other kind of name: taken as one, the file would pass for a whole model.
#[test]
fn a_part_beyond_the_last_is_refused_by_its_number() {
    let refused = outline_of(&[("model-00004-of-00003.safetensors", part(&["a"]))]).unwrap_err();
    let said = refused.to_string();
    assert!(
        said.contains("its number 3 is not below the 3 of all"),
        "{said}"
    );
    // Only the last numbers of a name are the part's; a name that is no UTF-8 is one all the same.
    let name = "a-00001-of-00002-b-00002-of-00003.bin";
    let split = SplitName::of_any_format(name.as_ref()).unwrap();
    assert_eq!((split.number, split.count), (2, 3));
    assert_eq!(split.name_of(1), *"a-00001-of-00002-b-00001-of-00003.bin");
    assert_eq!(split.model(), "a-00001-of-00002-b");
}
