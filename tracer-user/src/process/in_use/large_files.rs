//! Large files that processes have open or mapped and that are neither code nor a model that is known: what may be the
//! weights all the same.

use std::collections::BTreeMap;
use std::fs::Metadata;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::{process::observed::ObservedProcess, units::bytes};

use super::files::{FileInUse, files_in_use};

/// Smaller ones are no weights.
const LARGE_BYTES: u64 = 1 << 20;
/// So many are named.
const NAMED: usize = 5;

#[derive(Debug, Clone, PartialEq, Eq)]
struct LargeFile {
    path: PathBuf,
    size_bytes: u64,
    mapped: bool,
}

/// Such files, each once, over many looks.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LargeFiles {
    /// By device and inode.
    files: BTreeMap<(u64, u64), LargeFile>,
}

impl LargeFiles {
    /// Those that these processes have open or mapped now.
    pub fn in_use_by<'a>(processes: impl IntoIterator<Item = &'a ObservedProcess>) -> Self {
        let mut files = Self::default();
        for process in processes {
            // One that has ended has nothing open.
            for file in files_in_use(process).unwrap_or_default() {
                if let Ok(metadata) = file.link.metadata() {
                    files.add(&file, &metadata);
                }
            }
        }
        files
    }

    /// Takes a file in, if it is one.
    pub fn add(&mut self, file: &FileInUse, metadata: &Metadata) {
        if file.is_code || !metadata.is_file() || metadata.len() < LARGE_BYTES {
            return;
        }
        let known = self
            .files
            .entry((metadata.dev(), metadata.ino()))
            .or_insert_with(|| LargeFile {
                path: file.path.clone(),
                size_bytes: metadata.len(),
                mapped: false,
            });
        known.mapped |= file.mapped;
    }

    /// The path under which a file was seen, by `st_dev` and inode.
    #[must_use]
    pub fn path_of(&self, device: u64, inode: u64) -> Option<&Path> {
        let file = self.files.get(&(device, inode))?;
        Some(&file.path)
    }

    /// Path and size of the largest, the largest first, and how many more there are. None where there are none.
    #[must_use]
    pub fn in_words(&self) -> Option<String> {
        let mut files: Vec<&LargeFile> = self.files.values().collect();
        files.sort_by(|one, other| {
            (other.size_bytes, &one.path).cmp(&(one.size_bytes, &other.path))
        });
        let named: Vec<String> = files
            .iter()
            .take(NAMED)
            .map(|file| {
                format!(
                    "{} ({}, {})",
                    file.path.display(),
                    bytes(file.size_bytes),
                    if file.mapped { "mapped" } else { "open" }
                )
            })
            .collect();
        match (named.is_empty(), files.len().saturating_sub(NAMED)) {
            (true, _) => None,
            (false, 0) => Some(named.join(", ")),
            (false, more) => Some(format!("{} and {more} more", named.join(", "))),
        }
    }

    /// Files by path, MiB, and whether they are mapped.
    #[cfg(test)]
    pub(crate) fn of(files: &[(&str, u64, bool)]) -> Self {
        let files = (1..).zip(files).map(|(inode, (path, mebibytes, mapped))| {
            let file = LargeFile {
                path: path.into(),
                size_bytes: mebibytes << 20,
                mapped: *mapped,
            };
            ((1, inode), file)
        });
        Self {
            files: files.collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_largest_are_named() {
        let names: Vec<String> = (1..=7).map(|n| format!("/f{n}")).collect();
        let files: Vec<(&str, u64, bool)> = names
            .iter()
            .zip(1..)
            .map(|(name, n)| (name.as_str(), n, false))
            .collect();
        let named = LargeFiles::of(&files).in_words().expect("some");
        assert!(named.starts_with("/f7 (7.00 MiB, open), /f6"), "{named}");
        assert!(
            named.ends_with("/f3 (3.00 MiB, open) and 2 more"),
            "{named}"
        );
        assert_eq!(LargeFiles::default().in_words(), None);
    }
}
