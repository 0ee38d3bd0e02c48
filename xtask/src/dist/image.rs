//! The image for containers: the program alone, in the layout that the Open Container Initiative describes
//! (image-layout.md, manifest.md and config.md of opencontainers/image-spec, version 1.1). One file has it for all
//! processors; nothing in it says when it was made.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{
    documents::Documents,
    tree::{make_readable, put, run},
};
use crate::packages::Architecture;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Where the image has the program.
const PROGRAM: &str = "usr/bin/tracer";

/// Writes the image of these programs; its path.
///
/// # Errors
/// A file cannot be written; tar is missing or fails.
pub fn pack(
    folder: &Path,
    programs: &[(Architecture, PathBuf)],
    documents: &Documents,
) -> Result<PathBuf> {
    let layout = tempfile::tempdir_in(folder).context("cannot make a folder")?;
    let blobs = Blobs(layout.path().join("blobs/sha256"));
    fs::create_dir_all(&blobs.0).context("cannot make a folder")?;
    let mut manifests = Vec::new();
    for (architecture, program) in programs {
        let layer = layer(layout.path(), program, documents)?;
        let layer = blobs.put("application/vnd.oci.image.layer.v1.tar", &layer)?;
        let platform = json!({ "architecture": architecture.debian(), "os": "linux" });
        let config = blobs.put_json(
            "application/vnd.oci.image.config.v1+json",
            &config(&platform, &layer),
        )?;
        let manifest = json!({
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": config,
            "layers": [layer],
        });
        let mut manifest = blobs.put_json(MANIFEST, &manifest)?;
        manifest["platform"] = platform;
        manifests.push(manifest);
    }
    let index = blobs.put_json(INDEX, &index(&manifests))?;
    let mut named = index;
    named["annotations"] = json!({ "org.opencontainers.image.ref.name": VERSION });
    write_json(&layout.path().join("index.json"), &self::index(&[named]))?;
    write_json(
        &layout.path().join("oci-layout"),
        &json!({ "imageLayoutVersion": "1.0.0" }),
    )?;
    let image = folder.join(format!("tracer-{VERSION}.oci.tar"));
    tar(
        layout.path(),
        &["oci-layout", "index.json", "blobs"],
        &image,
    )?;
    Ok(image)
}

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

fn index(manifests: &[Value]) -> Value {
    json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests })
}

fn config(platform: &Value, layer: &Value) -> Value {
    json!({
        "architecture": platform["architecture"],
        "os": platform["os"],
        "config": {
            "Entrypoint": [format!("/{PROGRAM}")],
            "WorkingDir": "/",
            "Labels": {
                "org.opencontainers.image.title": "tracer",
                "org.opencontainers.image.description": "shows how an LLM engine reads its weights from storage",
                "org.opencontainers.image.version": VERSION,
                "org.opencontainers.image.licenses": "(MIT OR Apache-2.0) AND (MIT OR GPL-2.0-only)",
            },
        },
        // The layer is not compressed, so that its digest is that of its content too.
        "rootfs": { "type": "layers", "diff_ids": [layer["digest"]] },
    })
}

/// The files of the image, as one archive.
fn layer(folder: &Path, program: &Path, documents: &Documents) -> Result<Vec<u8>> {
    let root = tempfile::tempdir_in(folder).context("cannot make a folder")?;
    put(program, &root.path().join(PROGRAM), 0o755)?;
    for licence in &documents.licences {
        let name = licence.file_name().unwrap_or_default();
        put(
            licence,
            &root.path().join("usr/share/doc/tracer").join(name),
            0o644,
        )?;
    }
    // A place for what it writes, where nothing else is mounted.
    fs::create_dir_all(root.path().join("tmp")).context("cannot make a folder")?;
    make_readable(root.path())?;
    let archive = folder.join("layer.tar");
    tar(root.path(), &["usr", "tmp"], &archive)?;
    let bytes = fs::read(&archive).context("cannot read the layer")?;
    fs::remove_file(&archive).context("cannot remove the layer")?;
    Ok(bytes)
}

/// The same bytes for the same files: in the order of their names, of user 0, without time.
fn tar(folder: &Path, names: &[&str], archive: &Path) -> Result<()> {
    run(Command::new("tar")
        .args(["--create", "--format=ustar", "--sort=name", "--mtime=@0"])
        .args(["--owner=0", "--group=0", "--numeric-owner", "--file"])
        .arg(archive)
        .arg("--directory")
        .arg(folder)
        .args(names))
}

fn write_json(path: &Path, value: &Value) -> Result<()> {
    fs::write(path, value.to_string()).with_context(|| format!("cannot write {}", path.display()))
}

/// The folder of what is named by its own sum.
struct Blobs(PathBuf);

impl Blobs {
    /// Puts something there; how others name it.
    fn put(&self, media_type: &str, bytes: &[u8]) -> Result<Value> {
        let sum: String = Sha256::digest(bytes)
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let path = self.0.join(&sum);
        fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))?;
        Ok(
            json!({ "mediaType": media_type, "digest": format!("sha256:{sum}"), "size": bytes.len() }),
        )
    }

    fn put_json(&self, media_type: &str, value: &Value) -> Result<Value> {
        self.put(media_type, value.to_string().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sum_of(folder: &Path, blob: &Value) -> String {
        let digest = blob["digest"].as_str().expect("a digest");
        let sum = digest.strip_prefix("sha256:").expect("of this kind");
        let path = folder.join("blobs/sha256").join(sum);
        let output = Command::new("sha256sum").arg(&path).output().expect("runs");
        let found = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(found.starts_with(sum), "{found} is not {sum}");
        assert_eq!(
            path.metadata().expect("there").len(),
            blob["size"].as_u64().expect("a size")
        );
        path.to_string_lossy().into_owned()
    }

    fn json_of(path: &str) -> Value {
        serde_json::from_slice(&fs::read(path).expect("read")).expect("JSON")
    }

    /// What others make of the image, where they are here: skopeo hands it to Docker, umoci unpacks it as a container's root.
    fn load_with_others(image: &Path) {
        let folder = tempfile::tempdir().expect("a folder");
        let is_here = |program| crate::executable::find(program).is_some();
        if !is_here("skopeo") {
            eprintln!("skipped: this machine has no skopeo");
            return;
        }
        let layout = folder.path().join("layout");
        for to in [
            format!(
                "docker-archive:{}:tracer:{VERSION}",
                folder.path().join("docker.tar").display()
            ),
            format!("oci:{}:{VERSION}", layout.display()),
        ] {
            run(Command::new("skopeo")
                .args(["--insecure-policy", "copy"])
                .arg(format!("oci-archive:{}:{VERSION}", image.display()))
                .arg(to))
            .expect("skopeo takes it");
        }
        if !is_here("umoci") {
            eprintln!("skipped: this machine has no umoci");
            return;
        }
        let bundle = folder.path().join("bundle");
        run(Command::new("umoci")
            .args(["unpack", "--rootless", "--image"])
            .arg(format!("{}:{VERSION}", layout.display()))
            .arg(&bundle))
        .expect("umoci takes it");
        let program = bundle.join("rootfs").join(PROGRAM);
        assert_eq!(fs::read_to_string(program).expect("there"), "the program");
        let config = json_of(&bundle.join("config.json").to_string_lossy());
        assert_eq!(config["process"]["args"][0], format!("/{PROGRAM}"));
    }

    /// From the index down to the program, by sums that another program made; and twice the same bytes.
    #[test]
    fn an_image_leads_to_the_program_and_is_made_the_same_again() {
        if ["tar", "sha256sum"]
            .iter()
            .any(|program| crate::executable::find(program).is_none())
        {
            eprintln!("skipped: this machine has no tar");
            return;
        }
        let folder = tempfile::tempdir().expect("a folder");
        let program = folder.path().join("program");
        fs::write(&program, "the program").expect("written");
        let licence = folder.path().join("LICENSE-MIT");
        fs::write(&licence, "MIT").expect("written");
        let documents = Documents {
            manual: folder.path().join("man"),
            completions: folder.path().join("completions"),
            licences: vec![licence],
            unit: folder.path().join("tracer-watch.service"),
        };
        let programs = [
            (Architecture::Amd64, program.clone()),
            (Architecture::Arm64, program),
        ];
        let image = pack(folder.path(), &programs, &documents).expect("an image");
        let first = fs::read(&image).expect("read");
        pack(folder.path(), &programs, &documents).expect("again");
        assert!(
            first == fs::read(&image).expect("read"),
            "not the same bytes"
        );

        load_with_others(&image);
        let opened = tempfile::tempdir().expect("a folder");
        let untar = |archive: &Path, to: &Path| {
            run(Command::new("tar")
                .arg("-xf")
                .arg(archive)
                .arg("-C")
                .arg(to))
            .expect("unpacked");
        };
        untar(&image, opened.path());
        let top = json_of(&opened.path().join("index.json").to_string_lossy());
        let index = json_of(&sum_of(opened.path(), &top["manifests"][0]));
        let manifests = index["manifests"].as_array().expect("manifests");
        assert_eq!(manifests.len(), 2);
        for manifest in manifests {
            let architecture = &manifest["platform"]["architecture"];
            let manifest = json_of(&sum_of(opened.path(), manifest));
            let config = json_of(&sum_of(opened.path(), &manifest["config"]));
            assert_eq!(&config["architecture"], architecture);
            assert_eq!(config["config"]["Entrypoint"][0], "/usr/bin/tracer");
            assert_eq!(
                config["rootfs"]["diff_ids"][0],
                manifest["layers"][0]["digest"]
            );
            let root = tempfile::tempdir().expect("a folder");
            let layer = sum_of(opened.path(), &manifest["layers"][0]);
            untar(Path::new(&layer), root.path());
            let found = fs::read_to_string(root.path().join(PROGRAM)).expect("the program");
            assert_eq!(found, "the program");
        }
    }
}
