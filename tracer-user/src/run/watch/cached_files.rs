//! What the engine's processes brought into the page cache of files that are no model's: by the pages' own inodes, so also
//! of a file that was opened and closed between two looks, and of one that took the model's path.

use std::path::Path;

use tracer_common::page::FileKey;

use crate::{
    place::{FileIdentity, SubjectFile},
    process::LargeFiles,
    storage::{KernelDevice, MountTable},
    units::bytes,
};

/// Less of a file is not named.
const LEAST_BYTES: u64 = 1 << 20;
/// So many are named.
const NAMED: usize = 5;

/// A file that is no model's.
#[derive(Clone, Debug, PartialEq, Eq)]
struct CachedFile {
    key: FileKey,
    /// Its path, or its inode and where its file system is mounted.
    name: String,
    /// Bytes of it that were put into the page cache.
    bytes: u64,
}

/// Such files, those of which most was read first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CachedFiles(Vec<CachedFile>);

impl CachedFiles {
    /// Names files by the pages that the kernel side counted. `seen` are files that processes had open.
    #[must_use]
    pub fn new(
        counted: &[(FileKey, u64)],
        page_bytes: u64,
        models: &[SubjectFile],
        seen: &LargeFiles,
    ) -> Self {
        let mounts = MountTable::read().map_or_else(|_| Vec::new(), |table| table.mounts);
        let name = |key: FileKey| {
            let is_path = |path: &Path| {
                path.metadata()
                    .is_ok_and(|metadata| is(key, FileIdentity::from(&metadata)))
            };
            let at_models_path = models.iter().find(|file| is_path(&file.opened_as));
            if let Some(file) = at_models_path {
                return file.path.display().to_string();
            }
            if let Some(path) = seen.path_of(key.device, key.inode) {
                return path.display().to_string();
            }
            let mount = mounts
                .iter()
                .find(|mount| u64::from(mount.device.0) == key.device);
            let place = mount.map_or_else(
                || format!("device {}:{}", key.device >> 20, key.device & 0xf_ffff),
                |mount| format!("the file system at {}", mount.mount_point.display()),
            );
            format!("inode {} of {place}", key.inode)
        };
        let mut files: Vec<CachedFile> = counted
            .iter()
            .map(|(key, pages)| (*key, pages.saturating_mul(page_bytes)))
            .filter(|(_, bytes)| *bytes >= LEAST_BYTES)
            .map(|(key, bytes)| CachedFile {
                key,
                name: name(key),
                bytes,
            })
            .collect();
        files.sort_by(|one, other| (other.bytes, &one.name).cmp(&(one.bytes, &other.name)));
        Self(files)
    }

    /// Each file with its bytes. None where there are none.
    #[must_use]
    pub fn in_words(&self) -> Option<String> {
        let named: Vec<String> = self
            .0
            .iter()
            .take(NAMED)
            .map(|file| format!("{} ({})", file.name, bytes(file.bytes)))
            .collect();
        match (named.is_empty(), self.0.len().saturating_sub(NAMED)) {
            (true, _) => None,
            (false, 0) => Some(named.join(", ")),
            (false, more) => Some(format!("{} and {more} more", named.join(", "))),
        }
    }

    /// What was read of a file, where it is among them.
    #[must_use]
    pub fn bytes_of(&self, identity: FileIdentity) -> Option<u64> {
        let file = self.0.iter().find(|file| is(file.key, identity))?;
        Some(file.bytes)
    }

    /// Files by name and MiB.
    #[cfg(test)]
    pub(super) fn of(files: &[(&str, u64)]) -> Self {
        let files = (1..)
            .zip(files)
            .map(|(inode, (name, mebibytes))| CachedFile {
                key: FileKey { inode, device: 1 },
                name: (*name).to_owned(),
                bytes: mebibytes << 20,
            });
        Self(files.collect())
    }
}

/// Whether stat(2) and the page cache mean the same file. On btrfs and overlay their devices differ: then not.
fn is(key: FileKey, identity: FileIdentity) -> bool {
    let device = KernelDevice::from_st_dev(identity.device).ok();
    identity.inode == key.inode && device.is_some_and(|it| u64::from(it.0) == key.device)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt as _;

    use super::*;

    #[test]
    fn a_file_that_nobody_had_open_is_named_by_inode_and_file_system() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("f");
        std::fs::write(&path, "x").expect("written");
        let metadata = path.metadata().expect("it is there");
        let identity = FileIdentity::from(&metadata);
        let device = KernelDevice::from_st_dev(metadata.dev()).expect("a device");
        let key = FileKey {
            inode: metadata.ino(),
            device: u64::from(device.0),
        };
        let nowhere = FileKey {
            inode: 7,
            device: 0xabc << 20 | 3,
        };
        let counted = [(key, 512), (nowhere, 1024), (FileKey::default(), 1)];
        let files = CachedFiles::new(&counted, 4096, &[], &LargeFiles::default());
        let words = files.in_words().expect("some");
        assert!(
            words.starts_with("inode 7 of device 2748:3 (4.00 MiB), inode "),
            "{words}"
        );
        assert!(words.ends_with("(2.00 MiB)"), "{words}");
        assert_eq!(files.bytes_of(identity), Some(2 << 20));
        assert_eq!(CachedFiles::default().in_words(), None);
    }
}
