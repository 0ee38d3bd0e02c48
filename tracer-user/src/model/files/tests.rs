//! Names of parts, indexes, and what is no model.

use std::ffi::{OsStr, OsString};
use std::os::unix::{ffi::OsStringExt as _, fs::symlink};

use super::*;

fn part(name: &str) -> Option<(String, u32, u32)> {
    SplitName::parse(OsStr::new(name)).map(|part| (part.display_name(), part.number, part.count))
}

#[test]
fn names_of_parts() {
    assert_eq!(
        part("a b-00002-of-00010.gguf"),
        Some(("a b.gguf".to_owned(), 2, 10))
    );
    assert_eq!(
        part("model-00001-of-00001.safetensors"),
        Some(("model.safetensors".to_owned(), 1, 1))
    );
    assert_eq!(
        part("M-00003-of-00003.GGUF"),
        Some(("M.GGUF".to_owned(), 3, 3))
    );
    for name in [
        "a.gguf",
        "a-00001-of-00003.bin",
        "a-00000-of-00003.gguf",
        "a-00004-of-00003.gguf",
        "a-1-of-3.gguf",
        "a-001-of-0000003.gguf",
        "a-+0001-of-00003.gguf",
        "-00001-of-00003.gguf",
        "00001-of-00003.gguf",
        ".gguf",
        "a-00001-of-00003",
        "é-0001-of-00003.gguf",
    ] {
        assert_eq!(part(name), None, "{name}");
    }
    let odd = OsString::from_vec(b"\xff-00001-of-00002.gguf".to_vec());
    let next = SplitName::parse(&odd).map(|part| part.name_of(2));
    assert_eq!(
        next,
        Some(OsString::from_vec(b"\xff-00002-of-00002.gguf".to_vec()))
    );
}

fn given(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/model/testdata")
        .join(name)
}

#[test]
fn an_index_stands_for_its_files() {
    let directory = tempfile::tempdir().expect("directory");
    let path = |name: &str| directory.path().join(name);
    let numbered = [
        "model-00001-of-00002.safetensors",
        "model-00002-of-00002.safetensors",
    ];
    let name = "model.safetensors.index.json";
    std::fs::copy(given(name), path(name)).expect("the given one");
    let error = ModelFiles::from_path(&path(name)).expect_err("no shard");
    assert!(error.to_string().contains(&numbered.join(", ")), "{error}");
    for shard in numbered {
        std::fs::write(path(shard), "1").expect("file");
    }
    let model = ModelFiles::from_path(&path(name)).expect("both");
    assert_eq!(model.files, numbered.map(path));
    let write = |name: &str, content: &str| std::fs::write(path(name), content).expect("file");
    let index = |files: [&str; 3]| {
        let [a, b, c] = files;
        format!(r#"{{"metadata": {{}}, "weight_map": {{"x": "{b}", "y": "{a}", "z": "{c}"}}}}"#)
    };
    write("one.safetensors", "1");
    write("two.safetensors", "2");
    write(
        name,
        &index(["one.safetensors", "two.safetensors", "two.safetensors"]),
    );
    for named in [name, "one.safetensors", "two.safetensors"] {
        let model = ModelFiles::from_path(&path(named)).expect(named);
        assert_eq!(model.display_name, "model.safetensors");
        assert_eq!(
            model.files,
            ["one.safetensors", "two.safetensors"].map(path),
            "{named}"
        );
    }
    // A file that it does not name is a model of its own.
    write("other.safetensors", "3");
    let other = ModelFiles::from_path(&path("other.safetensors")).expect("alone");
    assert_eq!(other.files.len(), 1);
    write(
        name,
        &index(["one.safetensors", "two.safetensors", "gone.safetensors"]),
    );
    for named in [name, "one.safetensors"] {
        let error = ModelFiles::from_path(&path(named)).expect_err("one lacks");
        let text = error.to_string();
        assert!(
            text.contains(
                "of the 3 files that model.safetensors.index.json names, these are missing: gone"
            ),
            "{text}"
        );
    }
    for content in [
        "{}",
        "[1]",
        &index(["../a", "b", "c"]),
        r#"{"weight_map": {}}"#,
    ] {
        write(name, content);
        let error = ModelFiles::from_path(&path(name)).expect_err(content);
        assert!(matches!(error, ModelFileError::BadIndex { .. }), "{error}");
    }
    write(
        "pytorch_model.bin.index.json",
        &index(["a.bin", "b.bin", "a.bin"]),
    );
    write("a.bin", "1");
    write("b.bin", "1");
    let pickled = ModelFiles::from_path(&path("pytorch_model.bin.index.json")).expect("bin");
    assert_eq!(pickled.files, ["a.bin", "b.bin"].map(path));
}

#[test]
fn a_pointer_is_no_model() {
    let directory = tempfile::tempdir().expect("directory");
    for name in ["m.gguf", "m-00001-of-00001.safetensors", "m.bin"] {
        let path = directory.path().join(name);
        let text = "version https://git-lfs.github.com/spec/v1\noid sha256:4d\nsize 4368439584\n";
        std::fs::write(&path, text).expect("file");
        let error = ModelFiles::from_path(&path).expect_err("a pointer");
        assert!(error.to_string().contains("git lfs pull"), "{error}");
    }
    for name in ["lfs-pointer.gguf", "lfs-pointer.safetensors"] {
        let error = ModelFiles::from_path(&given(name)).expect_err("a pointer");
        assert!(
            matches!(error, ModelFileError::LfsPointer { .. }),
            "{error}"
        );
    }
}

#[test]
fn files_and_their_siblings() {
    let directory = tempfile::tempdir().expect("directory");
    let path = |name: &str| directory.path().join(name);
    for name in [
        "plain.bin",
        "s-00001-of-00003.gguf",
        "s-00002-of-00003.gguf",
        "s-00003-of-00003.gguf",
        "t-00002-of-00004.gguf",
    ] {
        std::fs::write(path(name), name).expect("file");
    }
    let single = ModelFiles::from_path(&path("plain.bin")).expect("any regular file");
    assert_eq!(
        single,
        ModelFiles {
            display_name: "plain.bin".to_owned(),
            files: vec![path("plain.bin")]
        }
    );
    let split = ModelFiles::from_path(&path("s-00002-of-00003.gguf")).expect("split");
    assert_eq!(split.display_name, "s.gguf");
    assert_eq!(
        split.files,
        [
            "s-00001-of-00003.gguf",
            "s-00002-of-00003.gguf",
            "s-00003-of-00003.gguf"
        ]
        .map(path)
    );
    match ModelFiles::from_path(&path("t-00002-of-00004.gguf")) {
        Err(ModelFileError::MissingParts {
            count: 4, missing, ..
        }) => {
            assert_eq!(
                missing,
                [
                    "t-00001-of-00004.gguf",
                    "t-00003-of-00004.gguf",
                    "t-00004-of-00004.gguf"
                ]
            );
        }
        other => panic!("{other:?}"),
    }
    symlink(path("plain.bin"), path("link.gguf")).expect("link");
    assert_eq!(
        ModelFiles::from_path(&path("link.gguf"))
            .expect("link")
            .files,
        [path("link.gguf")]
    );
    std::fs::write(path("s-00003-of-00003.gguf"), "").expect("empty");
    assert!(
        matches!(ModelFiles::from_path(&path("s-00001-of-00003.gguf")), Err(ModelFileError::Empty { path: which }) if which == path("s-00003-of-00003.gguf"))
    );
}

#[test]
fn what_is_no_model_is_said() {
    let directory = tempfile::tempdir().expect("directory");
    let path = |name: &str| directory.path().join(name);
    assert!(matches!(
        ModelFiles::from_path(&path("none")),
        Err(ModelFileError::Missing { .. })
    ));
    symlink(path("none"), path("dangling.gguf")).expect("link");
    assert!(matches!(
        ModelFiles::from_path(&path("dangling.gguf")),
        Err(ModelFileError::Missing { .. })
    ));
    std::fs::write(path("m.GGUF"), "x").expect("file");
    let error = ModelFiles::from_path(directory.path())
        .expect_err("directory")
        .to_string();
    assert!(
        error.contains("is a directory") && error.contains("m.GGUF"),
        "{error}"
    );
    assert!(matches!(
        ModelFiles::from_path(&path("m.GGUF/x")),
        Err(ModelFileError::Missing { .. })
    ));
    std::fs::write(path("empty"), "").expect("file");
    assert!(matches!(
        ModelFiles::from_path(&path("empty")),
        Err(ModelFileError::Empty { .. })
    ));
    nix::unistd::mkfifo(&path("fifo.gguf"), nix::sys::stat::Mode::S_IRUSR).expect("fifo");
    assert!(matches!(
        ModelFiles::from_path(&path("fifo.gguf")),
        Err(ModelFileError::NotRegular { kind: "a FIFO", .. })
    ));
    assert!(matches!(
        ModelFiles::from_path(Path::new("/dev/null")),
        Err(ModelFileError::NotRegular {
            kind: "a character device",
            ..
        })
    ));
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(path(""), PermissionsExt::from_mode(0o755)).expect("mode");
    std::fs::set_permissions(path("m.GGUF"), PermissionsExt::from_mode(0o000)).expect("mode");
    // root may read anything; the identity for file access belongs to a thread and goes with it.
    let refused = std::thread::spawn({
        let file = path("m.GGUF");
        move || {
            nix::unistd::setfsuid(nix::unistd::Uid::from_raw(65534));
            ModelFiles::from_path(&file)
        }
    })
    .join()
    .expect("no panic");
    assert!(matches!(
        refused,
        Err(ModelFileError::PermissionDenied { .. })
    ));
}
