//! The disk that a file lives on.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::fs::{FileExt as _, MetadataExt};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::{
    filesystem::{FileSystem, FileSystemError},
    overlay,
    sysfs::{BlockDevice, Sysfs, SysfsError},
    units::{KernelDevice, Sector},
};

/// Why it could not be found out where a file lives.
#[derive(Debug, Error)]
pub enum MappingError {
    /// The file cannot be opened or looked at.
    #[error("cannot open {path}: {source}")]
    Unopenable { path: PathBuf, source: io::Error },
    /// A directory, device or pipe.
    #[error("{0} is not a regular file")]
    NotARegularFile(PathBuf),
    /// The file system cannot be told.
    #[error("{path}: {source}")]
    FileSystem {
        path: PathBuf,
        source: FileSystemError,
    },
    /// sysfs does not tell.
    #[error(transparent)]
    Sysfs(#[from] SysfsError),
}

/// Whether reads of a file can be recognised among a disk's requests.
#[derive(Debug, Clone)]
pub enum Mapping {
    /// They can: here is the disk.
    Mapped(Box<FileDevice>),
    /// They cannot. Figures from block events would be wrong or 0, so there are none.
    Unmappable(UnmappableReason),
}

/// Why reads of a file cannot be recognised among a disk's requests.
#[derive(Debug, Clone, Error)]
pub enum UnmappableReason {
    /// tmpfs and its like.
    #[error("{0} keeps files in memory: nothing is read from storage")]
    InMemory(String),
    /// The layer's file is not known.
    #[error(
        "the file is reached through overlayfs and its real file was not found: {0}; give the path of the file outside the overlay, or put it in a volume"
    )]
    Overlay(String),
    /// btrfs, bcachefs, zfs: extents are addresses of a volume over several devices.
    #[error("{0} reports addresses of its volume, not of a disk; copy the file to ext4 or xfs")]
    VolumeAddresses(String),
    /// NFS, SMB, FUSE, 9p, …
    #[error(
        "{0} gets its data from elsewhere (a server, a host, another process): there is no local disk to trace; copy the file to a local one"
    )]
    Remote(String),
    /// A device number with major 0 for another reason.
    #[error("{file_system} has no block device of its own (device {device})")]
    NoDevice {
        /// The file system's type.
        file_system: String,
        device: KernelDevice,
    },
    /// Direct access: reads are loads from memory.
    #[error("the file system is mounted with DAX: reads bypass page cache and block layer")]
    DirectAccess,
    /// Bytes on the disk are not bytes of the file.
    #[error(
        "{0} keeps this file compressed: bytes on the disk are not bytes of the file; make the image without compression"
    )]
    Compressed(String),
    /// Extents do not say which of several devices they are on.
    #[error(
        "this erofs has data on other devices than {0}, and extents do not say on which; make the image without them"
    )]
    FurtherDevices(String),
    #[error("whether this erofs has data on other devices than {0} cannot be read from it ({1})")]
    UnknownDevices(String, String),
    #[error(
        "the file lies on the real-time device of its XFS, whose place is not reported; copy it into a directory without the rtinherit flag"
    )]
    RealtimeDevice,
}

/// Where a file's extents lie.
#[derive(Debug, Clone)]
pub struct FileDevice {
    /// The file that really holds the data: of a layer, where the file was reached through overlayfs.
    pub path: PathBuf,
    /// Inode number of that file, as page-cache events carry it.
    pub inode: u64,
    /// Whether `path` was found behind an overlay.
    pub through_overlay: bool,
    /// The file system of `path`. `file_system.mount.device` is the device that page-cache events carry.
    pub file_system: FileSystem,
    /// The file system's device: a partition, or the disk itself.
    pub volume: KernelDevice,
    pub volume_name: String,
    pub is_partition: bool,
    /// First sector of the volume on the disk; to be added to extents.
    pub partition_start: Sector,
    /// The disk, which block events name.
    pub disk: BlockDevice,
}

/// Finds the disk of the file at `path`.
pub fn map_file(path: &Path) -> Result<Mapping, MappingError> {
    map_with(&Sysfs::default(), path, false, MAX_OVERLAY_DEPTH)
}

/// Overlays on overlays: the kernel allows two (`FILESYSTEM_MAX_STACK_DEPTH`).
const MAX_OVERLAY_DEPTH: u32 = 2;

fn map_with(
    sysfs: &Sysfs,
    path: &Path,
    through_overlay: bool,
    overlays_left: u32,
) -> Result<Mapping, MappingError> {
    let unopenable = |source| MappingError::Unopenable {
        path: path.to_owned(),
        source,
    };
    // Looked at before it is opened: opening a FIFO waits for its writer.
    let metadata = path.metadata().map_err(unopenable)?;
    let path = settled(path, &metadata);
    if !metadata.is_file() {
        return Err(MappingError::NotARegularFile(path));
    }
    let file = File::open(&path).map_err(unopenable)?;
    let file_system = FileSystem::of(&file).map_err(|source| MappingError::FileSystem {
        path: path.clone(),
        source,
    })?;
    if file_system.is_overlay() {
        if overlays_left == 0 {
            return Ok(Mapping::Unmappable(UnmappableReason::Overlay(
                "too many overlays on one another".to_owned(),
            )));
        }
        return match overlay::layer_file(&path, &file, &file_system) {
            Ok(layer) => map_with(sysfs, &layer, true, overlays_left - 1),
            Err(reason) => {
                let names = overlay::layer_file_systems(&file_system.mount).join(", ");
                let on = if names.is_empty() {
                    String::new()
                } else {
                    format!(" (its layers lie on {names})")
                };
                Ok(Mapping::Unmappable(UnmappableReason::Overlay(reason + &on)))
            }
        };
    }
    if let Some(reason) = unmappable_file_system(&file_system) {
        return Ok(Mapping::Unmappable(reason));
    }
    if file_system.name() == "xfs" && is_on_realtime_device(&file) {
        return Ok(Mapping::Unmappable(UnmappableReason::RealtimeDevice));
    }
    let placement = sysfs.placement(file_system.st_dev)?;
    if file_system.name() == "erofs" && is_compressed(&file) {
        return Ok(Mapping::Unmappable(UnmappableReason::Compressed(
            file_system.name().to_owned(),
        )));
    }
    if file_system.name() == "erofs" {
        let node = Path::new("/dev").join(&placement.name);
        match erofs_has_further_devices(&node) {
            Ok(false) => {}
            Ok(true) => {
                return Ok(Mapping::Unmappable(UnmappableReason::FurtherDevices(
                    placement.name,
                )));
            }
            Err(error) => {
                return Ok(Mapping::Unmappable(UnmappableReason::UnknownDevices(
                    node.display().to_string(),
                    error.to_string(),
                )));
            }
        }
    }
    let disk = sysfs.disk(placement.disk)?;
    Ok(Mapping::Mapped(Box::new(FileDevice {
        inode: metadata.ino(),
        path,
        through_overlay,
        volume: file_system.st_dev,
        volume_name: placement.name,
        is_partition: placement.is_partition,
        partition_start: placement.start,
        disk,
        file_system,
    })))
}

/// The path without links, if that still leads to the same file. `/proc/PID/root/…` leads into another
/// process's mounts only as long as it is not resolved.
fn settled(path: &Path, metadata: &std::fs::Metadata) -> PathBuf {
    path.canonicalize()
        .ok()
        .filter(|canonical| {
            canonical
                .metadata()
                .is_ok_and(|found| (found.dev(), found.ino()) == (metadata.dev(), metadata.ino()))
        })
        .unwrap_or_else(|| path.to_owned())
}

fn unmappable_file_system(file_system: &FileSystem) -> Option<UnmappableReason> {
    let name = file_system.name().to_owned();
    let is_remote = || {
        [
            "nfs", "nfs4", "cifs", "smb3", "9p", "virtiofs", "ceph", "afs", "gfs2", "ocfs2",
            "lustre", "vboxsf",
        ]
        .contains(&name.as_str())
            || name == "fuse"
            || name.starts_with("fuse.")
    };
    match name.as_str() {
        "tmpfs" | "ramfs" | "hugetlbfs" | "devtmpfs" | "rootfs" => {
            Some(UnmappableReason::InMemory(name))
        }
        "btrfs" | "bcachefs" | "zfs" => Some(UnmappableReason::VolumeAddresses(name)),
        _ if is_remote() => Some(UnmappableReason::Remote(name)),
        _ if file_system.st_dev.is_anonymous() => Some(UnmappableReason::NoDevice {
            file_system: name,
            device: file_system.st_dev,
        }),
        _ if ["dax", "dax=always"]
            .iter()
            .any(|option| file_system.mount.has_super_option(option)) =>
        {
            Some(UnmappableReason::DirectAccess)
        }
        _ => None,
    }
}

/// `STATX_ATTR_COMPRESSED`. erofs reports the extents of such a file as those of a plain one, with lengths that the device
/// does not have (`z_erofs_iomap_begin_report` in fs/erofs/zmap.c).
fn is_compressed(file: &File) -> bool {
    // SAFETY: plain integers.
    let mut found: libc::statx = unsafe { std::mem::zeroed() };
    // SAFETY: an open descriptor, an empty path and a structure to be filled in.
    let result = unsafe {
        libc::statx(
            file.as_raw_fd(),
            c"".as_ptr(),
            libc::AT_EMPTY_PATH,
            libc::STATX_BASIC_STATS,
            &raw mut found,
        )
    };
    result == 0 && found.stx_attributes & libc::STATX_ATTR_COMPRESSED as u64 != 0
}

/// `EROFS_FEATURE_INCOMPAT_DEVICE_TABLE` in the superblock (`struct erofs_super_block` in fs/erofs/erofs_fs.h).
fn erofs_has_further_devices(device: &Path) -> io::Result<bool> {
    const SUPERBLOCK_AT: u64 = 1024;
    const MAGIC: u32 = 0xe0f5_e1e2;
    const INCOMPATIBLE_FEATURES_AT: u64 = 80;
    const DEVICE_TABLE: u32 = 8;
    let file = File::open(device)?;
    let word = |offset| {
        let mut bytes = [0; 4];
        file.read_exact_at(&mut bytes, SUPERBLOCK_AT + offset)?;
        io::Result::Ok(u32::from_le_bytes(bytes))
    };
    if word(0)? != MAGIC {
        return Err(io::Error::other("it has no superblock of erofs"));
    }
    Ok(word(INCOMPATIBLE_FEATURES_AT)? & DEVICE_TABLE != 0)
}

/// `FS_XFLAG_REALTIME` of FS_IOC_FSGETXATTR (include/uapi/linux/fs.h).
fn is_on_realtime_device(file: &File) -> bool {
    const FS_IOC_FSGETXATTR: u64 = 0x801c_581f;
    const FS_XFLAG_REALTIME: u32 = 1;
    /// `struct fsxattr`: flags, extent size, extents, project, CoW extent size, 8 bytes of padding.
    #[repr(C)]
    #[derive(Default)]
    struct ExtendedAttributes {
        flags: u32,
        rest: [u32; 6],
    }
    let mut attributes = ExtendedAttributes::default();
    // SAFETY: the ioctl writes one `struct fsxattr` of 28 bytes, which `attributes` is.
    let result = unsafe {
        libc::ioctl(
            file.as_raw_fd(),
            FS_IOC_FSGETXATTR as _,
            &raw mut attributes,
        )
    };
    result == 0 && attributes.flags & FS_XFLAG_REALTIME != 0
}

#[cfg(test)]
mod tests {
    use crate::storage::{
        DeviceExtents, FileExtents, SECTOR_BYTES, mount_table::MountTable, test_disk::TestDisk,
    };

    use super::*;
    use std::io::Write;
    use std::os::unix::fs::FileExt;

    fn mapped(path: &Path) -> Box<FileDevice> {
        match map_file(path).unwrap() {
            Mapping::Mapped(device) => device,
            Mapping::Unmappable(reason) => panic!("{}: {reason}", path.display()),
        }
    }

    fn file_system(mountinfo: &str) -> FileSystem {
        let mount = MountTable::parse(mountinfo.as_bytes())
            .unwrap()
            .mounts
            .remove(0);
        FileSystem {
            magic: 0,
            block_bytes: 4096,
            st_dev: mount.device,
            mount,
        }
    }

    #[test]
    fn file_systems_without_a_disk_are_named() {
        let reason = |line: &str| unmappable_file_system(&file_system(line));
        assert!(matches!(
            reason("1 2 0:30 / /m rw - tmpfs tmpfs rw"),
            Some(UnmappableReason::InMemory(_))
        ));
        assert!(matches!(
            reason("1 2 0:30 / /m rw - btrfs /dev/sda rw"),
            Some(UnmappableReason::VolumeAddresses(_))
        ));
        assert!(matches!(
            reason("1 2 0:30 / /m rw - nfs4 server:/ rw"),
            Some(UnmappableReason::Remote(_))
        ));
        assert!(matches!(
            reason("1 2 0:30 / /m rw - fuse.sshfs host: rw"),
            Some(UnmappableReason::Remote(_))
        ));
        assert!(matches!(
            reason("1 2 0:30 / /m rw - foofs foo rw"),
            Some(UnmappableReason::NoDevice { .. })
        ));
        assert!(matches!(
            reason("1 2 8:1 / /m rw - ext4 /dev/sda1 rw,dax=always"),
            Some(UnmappableReason::DirectAccess)
        ));
        assert!(reason("1 2 8:1 / /m rw - ext4 /dev/sda1 rw,dax=inode").is_none());
    }

    #[test]
    fn an_erofs_on_several_devices_is_told_by_its_superblock() {
        let image = tempfile::NamedTempFile::new().unwrap();
        let write = |offset: u64, word: u32| {
            image
                .as_file()
                .write_all_at(&word.to_le_bytes(), 1024 + offset)
                .unwrap();
        };
        write(80, 0);
        assert!(erofs_has_further_devices(image.path()).is_err());
        write(0, 0xe0f5_e1e2);
        assert!(!erofs_has_further_devices(image.path()).unwrap());
        write(80, 0x0c);
        assert!(erofs_has_further_devices(image.path()).unwrap());
    }

    #[test]
    fn directories_and_missing_files_are_errors() {
        assert!(matches!(
            map_file(Path::new("/")),
            Err(MappingError::NotARegularFile(_))
        ));
        assert!(matches!(
            map_file(Path::new("/nowhere/at/all")),
            Err(MappingError::Unopenable { .. })
        ));
    }

    #[test]
    fn shared_memory_is_not_on_a_disk() {
        let Ok(file) = tempfile::NamedTempFile::new_in("/dev/shm") else {
            return eprintln!("skipped: no /dev/shm to write to");
        };
        assert!(matches!(
            map_file(file.path()).unwrap(),
            Mapping::Unmappable(UnmappableReason::InMemory(_))
        ));
    }

    /// Writes a file in pieces with another file's blocks between them, and finds every byte of it where the mapping
    /// says: in the image behind the loop device, which knows nothing of the mapping.
    fn every_byte_is_where_the_mapping_says(disk: &TestDisk) {
        let path = disk.mount_point().join("model.bin");
        let other = File::create(disk.mount_point().join("other.bin")).unwrap();
        let file = File::create(&path).unwrap();
        let content: Vec<u8> = (0..300_001_u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 13) as u8)
            .collect();
        for (index, piece) in content.chunks(65536).enumerate() {
            file.write_all_at(piece, index as u64 * 65536).unwrap();
            file.sync_all().unwrap();
            (&other).write_all(&[0xee; 65536]).unwrap();
            other.sync_all().unwrap();
        }
        let device = mapped(&path);
        assert_eq!(device.partition_start, disk.partition_start());
        assert_eq!(device.is_partition, disk.partition_start() != Sector(0));
        assert_eq!(device.disk.name, disk.disk_name());
        assert_eq!(device.disk.backing_file.as_deref(), Some(disk.image()));
        assert_eq!(device.file_system.name(), disk.file_system_type());
        assert_eq!(device.file_system.mount.mount_point, disk.mount_point());
        let extents = FileExtents::of(&File::open(&device.path).unwrap()).unwrap();
        let layout =
            DeviceExtents::new(device.disk.device, device.partition_start, [&extents]).unwrap();
        disk.settle();
        let image = File::open(disk.image()).unwrap();
        let mut found = vec![0_u8; content.len()];
        let mut bytes = 0;
        for overlap in layout.overlaps(Sector(0), device.disk.size_sectors) {
            let length = usize::try_from(overlap.bytes_within_file).unwrap();
            let at = usize::try_from(overlap.file_offset.0).unwrap();
            image
                .read_exact_at(&mut found[at..at + length], overlap.sector.0 * SECTOR_BYTES)
                .unwrap();
            bytes += length;
        }
        assert_eq!(bytes, content.len());
        assert!(
            found == content,
            "the image holds other bytes at the extents' place"
        );
    }

    #[test]
    fn ext4_on_a_whole_disk_maps_byte_for_byte() {
        if let Some(disk) = TestDisk::new("ext4", 64 << 20, false) {
            every_byte_is_where_the_mapping_says(&disk);
        }
    }

    #[test]
    fn ext4_on_a_partition_maps_byte_for_byte() {
        if let Some(disk) = TestDisk::new("ext4", 64 << 20, true) {
            every_byte_is_where_the_mapping_says(&disk);
        }
    }

    #[test]
    fn xfs_maps_byte_for_byte() {
        if let Some(disk) = TestDisk::new("xfs", 320 << 20, false) {
            every_byte_is_where_the_mapping_says(&disk);
        }
    }

    #[test]
    fn a_file_behind_an_overlay_is_found_in_its_layer() {
        let Some(disk) = TestDisk::new("ext4", 64 << 20, false) else {
            return;
        };
        let Some(merged) = disk.overlay() else { return };
        let lower = disk.mount_point().join("lower/models/model.bin");
        let device = mapped(&merged.join("models/model.bin"));
        assert!(device.through_overlay);
        assert_eq!(device.path, lower);
        assert_eq!(device.inode, lower.metadata().unwrap().ino());
        assert_eq!(device.disk.name, disk.disk_name());
        // A layer's file that is no longer the same one must not be taken for it.
        let copied_up = merged.join("models/model.bin");
        std::fs::OpenOptions::new()
            .append(true)
            .open(&copied_up)
            .unwrap()
            .write_all(b"more")
            .unwrap();
        let device = mapped(&copied_up);
        assert_eq!(
            device.path,
            disk.mount_point().join("upper/models/model.bin")
        );
    }
}
