//! The cache of Hugging Face's hub: `blobs/SHA` has the bytes, `snapshots/REVISION/model.safetensors` is a link to them.
//!
//! A process that has such a file mapped shows the blob's name, which says nothing. The link's name says which file of
//! a model it is, and beside the link lie the other files of the same revision.

use std::ffi::OsStr;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// How deep below a revision's folder a file may lie: repositories with a folder for each quantisation have one level.
const DEPTH: usize = 3;

/// The names that snapshots give a blob, the best first: those of the revision that a branch names (`refs/main` before
/// others), then those of the snapshot that was made last. Empty for a file that is no blob of such a cache.
pub(crate) fn names_of_blob(path: &Path) -> Vec<PathBuf> {
    let Some(repository) = repository_of_blob(path) else {
        return Vec::new();
    };
    let Ok(blob) = path.metadata() else {
        return Vec::new();
    };
    snapshots(repository)
        .iter()
        .filter_map(|snapshot| link_to(snapshot, &blob, DEPTH))
        .collect()
}

/// The snapshots of a repository's folder in the cache, the best first, as for [`names_of_blob`].
pub(crate) fn snapshots(repository: &Path) -> Vec<PathBuf> {
    let named_by = |branch: &str| {
        let revision = fs::read_to_string(repository.join("refs").join(branch)).ok()?;
        Some(repository.join("snapshots").join(revision.trim()))
    };
    let main = named_by("main");
    let mut snapshots: Vec<(bool, SystemTime, PathBuf)> =
        fs::read_dir(repository.join("snapshots"))
            .into_iter()
            .flatten()
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter_map(|path| {
                let metadata = path.metadata().ok().filter(Metadata::is_dir)?;
                let made = metadata.modified().unwrap_or(SystemTime::UNIX_EPOCH);
                Some((main.as_ref() == Some(&path), made, path))
            })
            .collect();
    snapshots.sort_by(|one, other| other.cmp(one));
    snapshots.into_iter().map(|(_, _, path)| path).collect()
}

/// The folder of the repository whose blob this is.
fn repository_of_blob(path: &Path) -> Option<&Path> {
    let blobs = path.parent()?;
    (blobs.file_name() == Some(OsStr::new("blobs"))).then(|| blobs.parent())?
}

/// The file of a folder that is this one.
fn link_to(folder: &Path, blob: &Metadata, depth: usize) -> Option<PathBuf> {
    let mut entries: Vec<PathBuf> = fs::read_dir(folder)
        .ok()?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    entries.sort();
    entries.into_iter().find_map(|path| {
        let metadata = path.metadata().ok()?;
        if metadata.is_dir() {
            return depth
                .checked_sub(1)
                .and_then(|depth| link_to(&path, blob, depth));
        }
        ((metadata.dev(), metadata.ino()) == (blob.dev(), blob.ino())).then_some(path)
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    /// Puts a file into a cache as the hub's library does; returns the blob.
    pub(crate) fn put(repository: &Path, revision: &str, name: &str, content: &[u8]) -> PathBuf {
        let digest = content.iter().fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3)
        });
        let blob = repository.join("blobs").join(format!("{digest:064x}"));
        let link = repository.join("snapshots").join(revision).join(name);
        for path in [&blob, &link] {
            fs::create_dir_all(path.parent().expect("a folder")).expect("folder");
        }
        fs::write(&blob, content).expect("blob");
        let up = "../".repeat(name.split('/').count() + 1);
        symlink(
            format!("{up}blobs/{}", blob.file_name().expect("name").display()),
            link,
        )
        .expect("link");
        blob
    }

    #[test]
    fn a_blob_has_the_names_of_its_snapshots() {
        let directory = tempfile::tempdir().expect("directory");
        let repository = directory.path().join("models--a--b");
        let old = put(&repository, "1111", "model.safetensors", b"old");
        let new = put(&repository, "2222", "model.safetensors", b"new");
        put(&repository, "1111", "q4/m.gguf", b"both");
        let both = put(&repository, "2222", "q4/m.gguf", b"both");
        let link = |name: &str| repository.join("snapshots").join(name);
        assert_eq!(names_of_blob(&old), [link("1111/model.safetensors")]);
        assert_eq!(names_of_blob(&new), [link("2222/model.safetensors")]);
        fs::create_dir(repository.join("refs")).expect("refs");
        for (main, other) in [("1111", "2222"), ("2222", "1111")] {
            fs::write(repository.join("refs/main"), format!("{main}\n")).expect("ref");
            assert_eq!(
                names_of_blob(&both),
                [main, other].map(|revision| link(&format!("{revision}/q4/m.gguf")))
            );
        }
        assert!(names_of_blob(&link("1111/model.safetensors")).is_empty());
        // ollama's blobs have no snapshots.
        let ollama = directory.path().join("blobs/sha256-00");
        fs::create_dir(directory.path().join("blobs")).expect("folder");
        fs::write(&ollama, "GGUF").expect("blob");
        assert!(names_of_blob(&ollama).is_empty());
    }
}
