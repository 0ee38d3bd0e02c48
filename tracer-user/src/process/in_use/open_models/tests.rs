//! Real processes that have model files mapped and open.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use super::*;

/// Starts python3 with `m` the files mapped and `o` those open, and lets it say "ready".
struct Holder(Child);

impl Holder {
    fn start(wrapper: &[&str], map: &[PathBuf], open: &[PathBuf], then: &str) -> Self {
        let script = format!(
            "import mmap, os, sys
n = int(sys.argv[1])
def mapped(p):
    with open(os.fsencode(p), 'rb') as f: return mmap.mmap(f.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ)
m = [mapped(p) for p in sys.argv[2:2 + n]]
o = [open(os.fsencode(p), 'rb') for p in sys.argv[2 + n:]]
{then}
print('ready', flush=True); sys.stdin.read()"
        );
        let (program, arguments) = wrapper.split_first().unwrap_or((&"python3", &[]));
        let mut command = Command::new(program);
        command.args(arguments);
        if !wrapper.is_empty() {
            command.arg("python3");
        }
        let mut child = command
            .args(["-c", &script, &map.len().to_string()])
            .args(map)
            .args(open)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("stdout"))
            .read_line(&mut line)
            .expect("line");
        assert_eq!(line, "ready\n");
        Self(child)
    }

    fn find(&self) -> OpenModels {
        let process = ObservedProcess::open(self.0.id() as i32).expect("open");
        OpenModels::find(&process).expect("find")
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn write(path: &Path, content: &[u8]) -> PathBuf {
    std::fs::write(path, content).expect("file");
    path.to_owned()
}

#[test]
fn mapped_open_split_and_oddly_named_models() {
    let directory = tempfile::tempdir().expect("directory");
    // The kernel shows resolved paths.
    let base = directory.path().canonicalize().expect("base");
    let odd_names: [&[u8]; 4] = [
        b"with space .gguf",
        "größe 模型.SafeTensors".as_bytes(),
        b"new\nline.gguf",
        b"back\\012slash\xff.gguf",
    ];
    let odd: Vec<PathBuf> = odd_names
        .iter()
        .map(|name| write(&base.join(OsString::from_vec(name.to_vec())), b"x"))
        .collect();
    let blob = write(&base.join("sha256-0123"), b"GGUF\x03\0\0\0");
    let other = write(&base.join("notes.txt"), b"GGU");
    let empty = write(&base.join("empty.gguf"), b"");
    let target = write(&base.join("blob-without-extension"), b"data");
    std::os::unix::fs::symlink(&target, base.join("link.gguf")).expect("link");
    let parts: Vec<PathBuf> = (1..=3)
        .map(|n| write(&base.join(format!("big-{n:05}-of-00003.gguf")), b"GGUF"))
        .collect();
    let lonely = write(&base.join("lonely-00002-of-00002.safetensors"), b"x");
    let deleted = write(&base.join("gone.gguf"), b"GGUF");
    let not_deleted = write(&base.join("named (deleted)"), b"GGUF");

    let mut mapped = odd.clone();
    mapped.extend([
        parts[1].clone(),
        other.clone(),
        deleted.clone(),
        base.join("link.gguf"),
        not_deleted.clone(),
    ]);
    let open = [
        blob.clone(),
        empty,
        parts[0].clone(),
        odd[0].clone(),
        lonely.clone(),
    ];
    let holder = Holder::start(
        &[],
        &mapped,
        &open,
        &format!("os.unlink({:?})", deleted.to_str().expect("utf-8")),
    );
    let found = holder.find();

    let mut names: Vec<&Path> = found
        .models
        .iter()
        .flat_map(|model| &model.files)
        .map(|file| file.path_in_process.as_path())
        .collect();
    names.sort();
    let mut expected: Vec<&Path> = odd
        .iter()
        .chain(&parts)
        .chain([&blob, &not_deleted])
        .map(PathBuf::as_path)
        .collect();
    // Its name is gone, and the process still has it: it is reached through what the process holds.
    let gone = base.join("gone.gguf (deleted)");
    expected.push(&gone);
    expected.sort();
    assert_eq!(names, expected, "{:?}", found.refused);
    let files = || found.models.iter().flat_map(|model| &model.files);
    let held = files()
        .find(|file| file.path_in_process == gone)
        .expect("the deleted one");
    assert!(held.openable_path.starts_with("/proc"), "{held:?}");
    assert_eq!(
        std::fs::read(&held.openable_path).expect("readable"),
        b"GGUF"
    );
    for file in files().filter(|file| file.path_in_process != gone) {
        assert_eq!(
            file.openable_path, file.path_in_process,
            "the plain path outlives the process"
        );
        let metadata = file.openable_path.metadata().expect("metadata");
        assert_eq!(
            (file.device, file.inode, file.size_bytes),
            (metadata.dev(), metadata.ino(), metadata.len())
        );
    }
    let big = found
        .models
        .iter()
        .find(|model| model.display_name == "big.gguf")
        .expect("split");
    let held: Vec<_> = big
        .files
        .iter()
        .map(|file| (file.mapped, file.open))
        .collect();
    // python's mmap keeps a duplicate of the descriptor, so what is mapped is open too.
    assert_eq!(held, [(false, true), (true, true), (false, false)]);
    let refused: Vec<_> = found.refused.iter().map(|file| &file.reason).collect();
    assert_eq!(
        refused,
        [&RefusedReason::MissingParts(vec![
            "lonely-00001-of-00002.safetensors".to_owned()
        ])]
    );
    let text: String = found
        .refused
        .iter()
        .map(|file| format!("{file}\n"))
        .collect();
    assert!(text.contains("lonely-00001-of-00002"), "{text}");
}

#[test]
fn a_process_in_another_root() {
    if !nix::unistd::Uid::effective().is_root() {
        eprintln!("skipped: a mount namespace of one's own needs root");
        return;
    }
    let directory = tempfile::tempdir().expect("directory");
    let base = directory.path().canonicalize().expect("base");
    let inside = base.join("inside");
    std::fs::create_dir(&inside).expect("directory");
    let base_text = inside.to_str().expect("utf-8");
    // The same path is another file for us: in the process's namespace a tmpfs lies over the directory.
    let model = write(&inside.join("m-00001-of-00002.gguf"), b"ours");
    let ours = model.metadata().expect("metadata");
    let fill = format!(
        "mount -t tmpfs none '{base_text}' && for n in 1 2; do printf theirs > '{base_text}'/m-0000$n-of-00002.gguf; done && exec \"$@\""
    );
    let probe = Command::new("unshare").args(["-m", "true"]).status();
    if !probe.is_ok_and(|status| status.success()) {
        eprintln!("skipped: unshare -m is not possible here");
        return;
    }
    let holder = Holder::start(
        &["unshare", "-m", "sh", "-c", &fill, "sh"],
        std::slice::from_ref(&model),
        &[],
        "",
    );
    let found = holder.find();
    let [theirs] = found.models.as_slice() else {
        panic!("{found:?}")
    };
    assert_eq!(
        (theirs.display_name.as_str(), theirs.files.len()),
        ("m.gguf", 2)
    );
    for file in &theirs.files {
        assert!(
            file.openable_path
                .starts_with(format!("/proc/{}/root", holder.0.id())),
            "{file:?}"
        );
        assert_eq!(
            std::fs::read(&file.openable_path).expect("readable"),
            b"theirs"
        );
        assert_ne!((file.device, file.inode), (ours.dev(), ours.ino()));
    }
    assert_eq!(
        theirs.files.first().map(|file| &file.path_in_process),
        Some(&model)
    );
}

#[test]
fn a_process_without_models_and_one_that_has_ended() {
    let holder = Holder::start(&[], &[], &[], "");
    assert_eq!(holder.find(), OpenModels::default());
    let process = ObservedProcess::open(holder.0.id() as i32).expect("open");
    drop(holder);
    assert!(matches!(
        OpenModels::find(&process),
        Err(ProcessError::Gone(_))
    ));
}

fn safetensors(tensor: &str) -> Vec<u8> {
    let header = format!(r#"{{"{tensor}":{{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}}}"#);
    let length = (header.len() as u64).to_le_bytes();
    [&length[..], header.as_bytes(), b"data"].concat()
}

/// Models of a Hugging Face cache, where the process has blobs mapped whose names say nothing.
#[test]
fn blobs_of_a_cache_are_one_model_by_their_snapshot() {
    let directory = tempfile::tempdir().expect("directory");
    let base = directory.path().canonicalize().expect("base");
    let sharded = base.join("models--a--sharded");
    let index = r#"{"weight_map": {"x": "model-00001-of-00003.safetensors", "y": "other.safetensors", "z": "model-00003-of-00003.safetensors"}}"#;
    let put = |revision: &str, name: &str, content: &[u8]| {
        crate::model::hub_cache::tests::put(&sharded, revision, name, content)
    };
    // The newer revision has a shard of its own; the process has those of the older one.
    let mut shards = Vec::new();
    for (revision, own) in [("old", "y"), ("new", "new_y")] {
        put(revision, "model.safetensors.index.json", index.as_bytes());
        shards.push([
            put(
                revision,
                "model-00001-of-00003.safetensors",
                &safetensors("x"),
            ),
            put(revision, "other.safetensors", &safetensors(own)),
            put(
                revision,
                "model-00003-of-00003.safetensors",
                &safetensors("z"),
            ),
        ]);
    }
    std::fs::create_dir(sharded.join("refs")).expect("refs");
    write(&sharded.join("refs/main"), b"new");
    let [old, _] = shards.as_slice() else {
        panic!("two revisions")
    };
    let split = base.join("models--b--split");
    let parts: Vec<PathBuf> = (1..=2)
        .map(|n| {
            let name = format!("Q4/big-{n:05}-of-00002.gguf");
            crate::model::hub_cache::tests::put(
                &split,
                "main",
                &name,
                format!("GGUF{n}").as_bytes(),
            )
        })
        .collect();
    let holder = Holder::start(
        &[],
        &[old[0].clone(), parts[1].clone()],
        &[old[1].clone()],
        "",
    );
    let found = holder.find();
    assert_eq!(found.refused, []);
    let files: Vec<(&str, Vec<(PathBuf, bool)>)> = found
        .models
        .iter()
        .map(|model| {
            let files = model.files.iter();
            let files = files.map(|file| (file.path_in_process.clone(), file.mapped || file.open));
            (model.display_name.as_str(), files.collect())
        })
        .collect();
    let snapshot = |repository: &Path, name: &str| repository.join("snapshots").join(name);
    assert_eq!(
        files,
        [
            (
                "big.gguf",
                vec![
                    (snapshot(&split, "main/Q4/big-00001-of-00002.gguf"), false),
                    (snapshot(&split, "main/Q4/big-00002-of-00002.gguf"), true),
                ]
            ),
            (
                "model.safetensors",
                vec![
                    (
                        snapshot(&sharded, "old/model-00001-of-00003.safetensors"),
                        true
                    ),
                    (
                        snapshot(&sharded, "old/model-00003-of-00003.safetensors"),
                        false
                    ),
                    (snapshot(&sharded, "old/other.safetensors"), true),
                ]
            ),
        ]
    );
    // Named by hand, a blob is the model of the branch's own revision.
    let named = ModelFiles::from_path(&old[0]).expect("a model");
    assert_eq!(named.files.len(), 3);
    assert!(
        named
            .files
            .iter()
            .all(|file| file.starts_with(sharded.join("snapshots/new"))),
        "{named:?}"
    );
}

/// Shards in an ordinary folder, tied together by their index, of which the process has one mapped.
#[test]
fn an_index_ties_mapped_shards_together() {
    let directory = tempfile::tempdir().expect("directory");
    let base = directory.path().canonicalize().expect("base");
    let one = write(&base.join("one.safetensors"), &safetensors("x"));
    let two = write(&base.join("two.safetensors"), &safetensors("y"));
    write(
        &base.join("model.safetensors.index.json"),
        br#"{"weight_map": {"x": "one.safetensors", "y": "two.safetensors"}}"#,
    );
    let found = Holder::start(&[], std::slice::from_ref(&two), &[], "").find();
    let [model] = found.models.as_slice() else {
        panic!("{found:?}")
    };
    let paths: Vec<&Path> = model
        .files
        .iter()
        .map(|file| file.path_in_process.as_path())
        .collect();
    assert_eq!(paths, [one, two]);
}
