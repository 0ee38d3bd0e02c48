//! Where a model lies, from what was saved of it.

use std::{fs, path::Path};

use crate::storage::Sector;

use super::{FoundModel, find_model};

fn found(text: &str) -> anyhow::Result<FoundModel> {
    let scratch = tempfile::NamedTempFile::new().unwrap();
    fs::write(scratch.path(), text).unwrap();
    Ok(find_model(Some(Path::new("gone.gguf")), Some(scratch.path()))?.expect("a model"))
}

fn refused(text: &str) -> String {
    format!("{:#}", found(text).expect_err(text))
}

#[test]
fn extents_of_a_file_system_move_with_their_partition() {
    let text = "File size of m is 8000 (2 blocks of 4096 bytes)\n 0: 0..0: 10..10: 1: :\n 1: 1..1: 30..30: 1: 11: last,eof\n";
    let FoundModel::InFileSystem(model) = found(text).unwrap() else {
        panic!("no extents of a file system");
    };
    let place = model.at(Sector(2048)).unwrap();
    assert_eq!(place.identity.path, "gone.gguf");
    assert_eq!(place.sector_range(), Some((2048 + 80, 2048 + 248)));
    // The end of the last block is not the model's.
    let parts = place.locator.parts(0, 2048 + 240, 4096);
    assert_eq!((parts[0].bytes, parts.len()), (8000 - 4096, 1));
    assert!(place.locator.parts(0, 80, 4096).is_empty());
}

#[test]
fn of_several_files_the_named_one_is_taken() {
    let file = |path: &str, physical: u64| {
        format!(
            "File size of {path} is 8192 (2 blocks of 4096 bytes)\n 0: 0..1: {physical}..{}: 2: last,eof\n{path}: 1 extent found\n",
            physical + 1
        )
    };
    let text = format!(
        "{}{}",
        file("/srv/other.bin", 900),
        file("/srv/gone.gguf", 10)
    );
    let FoundModel::InFileSystem(model) = found(&text).unwrap() else {
        panic!("no extents of a file system");
    };
    let place = model.at(Sector(0)).unwrap();
    assert_eq!(place.sector_range(), Some((80, 96)));
    assert_eq!(place.identity.size_bytes, 8192);
    let none = format!("{}{}", file("/srv/a", 900), file("/srv/b", 10));
    assert!(refused(&none).contains("(/srv/a, /srv/b), and none of them is named gone.gguf"));
    let twice = format!("{}{}", file("/a/gone.gguf", 900), file("/b/gone.gguf", 10));
    assert!(refused(&twice).contains("give the whole path"));
    let scratch = tempfile::NamedTempFile::new().unwrap();
    fs::write(scratch.path(), &none).unwrap();
    let error = find_model(None, Some(scratch.path())).expect_err("which?");
    assert!(format!("{error:#}").contains("--model"), "{error:#}");
}

#[test]
fn sectors_of_the_disk_stay_where_they_are() {
    let text = r#"{"path": "m", "files": [{"path": "m", "size_bytes": 8000, "filesystem": "ext4", "device": "sda",
        "without_sectors": null, "extents": [{"file_offset_bytes": 0, "disk_sector": 2128, "length_bytes": 8192}]}]}"#;
    for text in [text.to_owned(), format!("{{\"model\": {text}}}")] {
        let FoundModel::OnDisk(place) = found(&text).unwrap() else {
            panic!("no sectors of a disk");
        };
        assert_eq!(place.sector_range(), Some((2128, 2144)));
        assert_eq!(place.identity.data_bytes, Some(8000));
        assert_eq!(place.file_data()[0].hole_bytes, 0);
    }
}

#[test]
fn what_has_no_extents_is_refused() {
    // A run.json counts them only.
    let run = r#"{"model": {"files": [{"path": "m", "size_bytes": 1, "inode": 3, "extents": 1}]}}"#;
    for text in [run, "{}", r#"{"model": {}}"#] {
        assert!(refused(text).contains("tracer model --json"), "{text}");
    }
    let cached = r#"{"files": [{"path": "m", "size_bytes": 1, "filesystem": "btrfs", "device": null, "without_sectors": "on btrfs", "extents": null}]}"#;
    assert!(refused(cached).contains("on btrfs"));
    assert!(refused("hello").contains("filefrag -v"));
    let overlapping = "File size of m is 8192 (2 blocks of 4096 bytes)\n 0: 0..0: 10..10: 1: :\n 1: 1..1: 10..10: 1: 11: last\n";
    let FoundModel::InFileSystem(model) = found(overlapping).unwrap() else {
        panic!("no extents of a file system");
    };
    assert!(model.at(Sector(0)).is_err());
    let error = find_model(Some(Path::new("gone.gguf")), None).expect_err("gone");
    assert!(error.to_string().contains("--extents-from"), "{error}");
    assert!(find_model(None, None).unwrap().is_none());
}

#[test]
fn a_file_that_is_there_lies_where_it_lies() {
    let mut file = tempfile::NamedTempFile::new_in(env!("CARGO_MANIFEST_DIR")).unwrap();
    std::io::Write::write_all(&mut file, &[7; 100_000]).unwrap();
    match find_model(Some(file.path()), None) {
        Ok(Some(FoundModel::OnDisk(place))) => {
            let (first, end) = place.sector_range().unwrap();
            assert!((end - first) * 512 >= 100_000);
            assert_eq!(place.identity.size_bytes, 100_000);
        }
        // Where the project lies on a file system without sectors, it is said.
        Err(error) => assert!(!error.to_string().is_empty()),
        other => panic!("{other:?}"),
    }
}
