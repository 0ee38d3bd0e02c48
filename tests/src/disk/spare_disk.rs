//! Empty disks that a test may overwrite: those of a virtual machine that says so.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use super::{file_system::FileSystem, mounted_disk::MountedDisk};
use crate::environment::Scratch;

/// Names the disks that tests may overwrite: `KIND=NODE`, with commas between them.
const VARIABLE: &str = "TRACER_TESTS_SPARE_DISKS";

/// A whole disk whose content nobody needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpareDisk {
    kind: String,
    node: PathBuf,
}

impl SpareDisk {
    /// The disks that were named for tests; none where nobody named one.
    ///
    /// # Errors
    /// Where the variable has another form.
    pub fn all() -> Result<Vec<Self>> {
        match env::var(VARIABLE) {
            Ok(text) => Self::parse(&text).with_context(|| format!("{VARIABLE} is {text:?}")),
            Err(env::VarError::NotPresent) => Ok(Vec::new()),
            Err(error) => Err(error).context(VARIABLE),
        }
    }

    fn parse(text: &str) -> Result<Vec<Self>> {
        text.split(',')
            .map(|disk| {
                let (kind, node) = disk
                    .split_once('=')
                    .filter(|(kind, node)| !kind.is_empty() && node.starts_with("/dev/"))
                    .with_context(|| format!("{disk:?} is not KIND=/dev/NODE"))?;
                Ok(Self {
                    kind: kind.to_owned(),
                    node: node.into(),
                })
            })
            .collect()
    }

    /// What kind of disk it is: `virtio`, `nvme`.
    #[must_use]
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Its name in the kernel.
    ///
    /// # Errors
    /// Where there is no such disk, or a device is laid over it.
    pub fn name(&self) -> Result<String> {
        let node = self
            .node
            .canonicalize()
            .with_context(|| format!("find {}", self.node.display()))?;
        let name = node
            .file_name()
            .and_then(|name| name.to_str())
            .with_context(|| format!("{} has no name", node.display()))?;
        let sysfs = Path::new("/sys/block").join(name);
        ensure!(sysfs.is_dir(), "{} is no whole disk", node.display());
        let holders = fs::read_dir(sysfs.join("holders"))
            .with_context(|| format!("look who uses {name}"))?
            .count();
        ensure!(holders == 0, "{name} is in use");
        Ok(name.to_owned())
    }

    /// Makes a file system of this size (bytes) on it and mounts it, with the read-ahead off. All that was on it is
    /// lost.
    ///
    /// # Errors
    /// [`crate::environment::Unavailable`] where the kernel has no such file system, or the program that makes it is
    /// missing.
    pub fn with_file_system(
        &self,
        scratch: &Scratch,
        file_system: FileSystem,
        size_bytes: u64,
    ) -> Result<MountedDisk> {
        let disk = MountedDisk::make(scratch, &self.name()?, file_system, size_bytes, Vec::new())?;
        disk.set_read_ahead_kb(0)?;
        Ok(disk)
    }
}

#[cfg(test)]
mod tests {
    use super::SpareDisk;

    #[test]
    fn disks_are_named_with_their_kinds() {
        let disks = SpareDisk::parse("virtio=/dev/a,nvme=/dev/b").expect("two disks");
        let kinds: Vec<_> = disks.iter().map(SpareDisk::kind).collect();
        assert_eq!(kinds, ["virtio", "nvme"]);
        for text in ["", "virtio", "=/dev/a", "virtio=a", "virtio=/dev/a,"] {
            assert!(SpareDisk::parse(text).is_err(), "{text:?}");
        }
    }
}
