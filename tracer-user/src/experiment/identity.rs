//! What tells that a model is still the same: size, time of its last change, and what its first and last bytes are.

use std::{
    fs::File,
    io,
    os::{
        fd::AsRawFd as _,
        unix::fs::{FileExt as _, MetadataExt as _},
    },
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{process::ModelFiles, storage::residency_of_range};

use super::plan::hexadecimal;

/// So many bytes of each end go into the hash: the whole header of most models, and the end that an unfinished download
/// lacks. Hashing whole models would take longer than many runs.
const END_BYTES: u64 = 1 << 20;

/// A file of a model as it was when the experiment began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileIdentity {
    /// Its absolute path.
    pub path: PathBuf,
    /// Its size.
    pub size_bytes: u64,
    /// Its last change, nanoseconds since 1970.
    pub modified_ns: i64,
    /// SHA-256 of its first and last MiB, in hexadecimal digits.
    pub ends_digest: String,
}

/// A model as it was when the experiment began.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelIdentity {
    /// As the plan writes it.
    pub name: String,
    /// In so many pieces, where the experiment made the copy.
    pub extents: Option<u64>,
    /// The file to name to the engine: the only one, or the one that the plan names of a split model.
    pub path: PathBuf,
    /// All its files.
    pub files: Vec<FileIdentity>,
}

impl ModelIdentity {
    /// Looks at a model.
    ///
    /// # Errors
    /// A file that is not there or cannot be read.
    pub fn of(name: &str, path: &Path) -> anyhow::Result<Self> {
        let files = ModelFiles::from_path(path)?
            .files
            .iter()
            .map(|file| FileIdentity::of(file))
            .collect::<anyhow::Result<_>>()?;
        Ok(Self {
            name: name.to_owned(),
            extents: None,
            path: path.to_owned(),
            files,
        })
    }

    /// Size of all its files.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }

    /// Says what has changed, by size and time alone where not `thorough`.
    ///
    /// # Errors
    /// The model is another one now, or gone.
    pub fn verify(&self, thorough: bool) -> anyhow::Result<()> {
        for file in &self.files {
            let metadata = file
                .path
                .metadata()
                .with_context(|| format!("cannot find the model file {}", file.path.display()))?;
            let now = (metadata.len(), modified_ns(&metadata));
            if now != (file.size_bytes, file.modified_ns)
                || (thorough && FileIdentity::of(&file.path)? != *file)
            {
                bail!(
                    "the model file {} has changed since the experiment began: its runs would not be comparable. Put the old file back (with its time: cp --preserve), or begin a new experiment",
                    file.path.display()
                );
            }
        }
        Ok(())
    }
}

impl FileIdentity {
    fn of(path: &Path) -> anyhow::Result<Self> {
        let failed = || format!("cannot read the model file {}", path.display());
        let path = path.canonicalize().with_context(failed)?;
        let file = File::open(&path).with_context(failed)?;
        let metadata = file.metadata().with_context(failed)?;
        let size_bytes = metadata.len();
        let mut hash = Sha256::new();
        for start in [0, size_bytes.saturating_sub(END_BYTES)] {
            let length = END_BYTES.min(size_bytes - start);
            hash.update(read_range(&file, start, length).with_context(failed)?);
        }
        Ok(Self {
            path,
            size_bytes,
            modified_ns: modified_ns(&metadata),
            ends_digest: hexadecimal(&hash.finalize()),
        })
    }
}

fn modified_ns(metadata: &std::fs::Metadata) -> i64 {
    metadata
        .mtime()
        .saturating_mul(1_000_000_000)
        .saturating_add(metadata.mtime_nsec())
}

/// Reads, and leaves what was cold cold.
fn read_range(file: &File, start: u64, length: u64) -> io::Result<Vec<u8>> {
    let was_cold = residency_of_range(file, start..start + length).is_ok_and(|residency| {
        residency
            .observed()
            .is_some_and(|pages| pages.resident_pages == 0)
    });
    let mut bytes = vec![0; usize::try_from(length).map_err(io::Error::other)?];
    file.read_exact_at(&mut bytes, start)?;
    if was_cold && let (Ok(start), Ok(length)) = (start.try_into(), length.try_into()) {
        // SAFETY: a descriptor and numbers.
        unsafe { libc::posix_fadvise(file.as_raw_fd(), start, length, libc::POSIX_FADV_DONTNEED) };
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::{
        fs::{self, File},
        time::{Duration, SystemTime},
    };

    use super::ModelIdentity;

    #[test]
    fn a_change_is_seen() {
        let scratch = tempfile::tempdir().expect("scratch");
        let path = scratch.path().join("a ü.gguf");
        let time = SystemTime::UNIX_EPOCH + Duration::from_nanos(1_700_000_000_123_456_789);
        let write = |content: &[u8]| {
            fs::write(&path, content).expect("written");
            File::options()
                .write(true)
                .open(&path)
                .and_then(|file| file.set_modified(time))
                .expect("time");
        };
        let content = vec![7; (3 << 20) + 5];
        write(&content);
        let identity = ModelIdentity::of("m", &path).expect("a model");
        assert_eq!(identity.size_bytes(), content.len() as u64);
        identity.verify(true).expect("the same");

        let mut changed = content.clone();
        if let Some(last) = changed.last_mut() {
            *last = 8;
        }
        write(&changed);
        identity.verify(false).expect("size and time are the same");
        let error = identity.verify(true).expect_err("another content");
        assert!(error.to_string().contains("has changed"), "{error:#}");

        write(&content[1..]);
        assert!(identity.verify(false).is_err(), "another size");
        fs::write(&path, &content).expect("written");
        assert!(identity.verify(false).is_err(), "another time");
        fs::remove_file(&path).expect("removed");
        assert!(identity.verify(false).is_err(), "gone");
    }
}
