//! The file system that a file is on.

use std::fs::File;
use std::io;
use std::os::unix::fs::MetadataExt;

use thiserror::Error;

use super::mount_table::{Mount, MountTable, MountTableError};
use super::units::KernelDevice;

/// Why the file system of a file cannot be told.
#[derive(Debug, Error)]
pub enum FileSystemError {
    /// The mount table failed.
    #[error(transparent)]
    MountTable(#[from] MountTableError),
    /// stat or statfs failed.
    #[error("cannot look at the file's file system: {0}")]
    Io(#[from] io::Error),
    /// `st_dev` does not fit the kernel's device numbers.
    #[error(transparent)]
    Device(#[from] super::units::KernelDeviceError),
}

/// The file system of a file, as statfs(2) and the mount table tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSystem {
    /// Magic number of statfs(2) (include/uapi/linux/magic.h). ext2, ext3 and ext4 share one; `mount` tells them apart.
    pub magic: u64,
    /// Block size, in bytes.
    pub block_bytes: u64,
    /// `st_dev` of the file. On btrfs and overlay not the device that page-cache events carry.
    pub st_dev: KernelDevice,
    /// The mount through which the file was opened: type, mount point, options, source, device.
    pub mount: Mount,
}

/// `OVERLAYFS_SUPER_MAGIC`.
pub const OVERLAYFS_MAGIC: u64 = 0x794c_7630;

impl FileSystem {
    /// The file system of an open file.
    pub fn of(file: &File) -> Result<Self, FileSystemError> {
        let magic = magic(file)?;
        let volume = nix::sys::statvfs::fstatvfs(file).map_err(io::Error::from)?;
        Ok(Self {
            magic,
            block_bytes: volume.fragment_size(),
            st_dev: KernelDevice::from_st_dev(file.metadata()?.dev())?,
            mount: MountTable::read()?.of_file(file)?,
        })
    }

    /// Type name, such as `ext4`.
    pub fn name(&self) -> &str {
        &self.mount.file_system_type
    }

    /// Whether the file was opened through overlayfs.
    pub fn is_overlay(&self) -> bool {
        self.magic == OVERLAYFS_MAGIC
    }
}

/// Whether a file was opened through overlayfs. Needs no mount table: that of the file's namespace may be gone.
pub(super) fn is_on_overlay(file: &File) -> io::Result<bool> {
    Ok(magic(file)? == OVERLAYFS_MAGIC)
}

fn magic(file: &File) -> io::Result<u64> {
    let statistics = nix::sys::statfs::fstatfs(file).map_err(io::Error::from)?;
    // The C library's type of the magic number differs by target and may be signed: 32 bits are its width.
    #[allow(
        clippy::unnecessary_cast,
        clippy::cast_sign_loss,
        clippy::cast_possible_truncation
    )]
    Ok(u64::from(statistics.filesystem_type().0 as u32))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn proc_and_a_temporary_file_are_told_apart() {
        let proc = FileSystem::of(&File::open("/proc/self/status").unwrap()).unwrap();
        assert_eq!((proc.name(), proc.magic), ("proc", 0x9fa0));
        assert!(proc.st_dev.is_anonymous());
        assert_eq!(proc.mount.mount_point.to_str(), Some("/proc"));
        let file = tempfile::tempfile_in("/var/tmp").unwrap();
        let found = FileSystem::of(&file).unwrap();
        assert_ne!(found.magic, proc.magic);
        assert!(found.block_bytes >= 512);
    }
}
