//! Facts about block devices from sysfs (Documentation/ABI/stable/sysfs-block).

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

use thiserror::Error;

use super::device_statistics::DeviceStatistics;
use super::units::{KernelDevice, Sector};

/// Why sysfs does not tell about a device.
#[derive(Debug, Error)]
pub enum SysfsError {
    /// No such block device.
    #[error("{device} is not a block device in {path} (unplugged, or /sys is not mounted)")]
    NoSuchDevice {
        /// The device asked for.
        device: KernelDevice,
        /// Where it was looked for.
        path: PathBuf,
    },
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Unreadable { path: PathBuf, source: io::Error },
    /// A file does not hold what it should.
    #[error("cannot make sense of {path}: {content:?}")]
    Malformed { path: PathBuf, content: String },
}

/// How a device's driver takes its work, which decides whether block_rq_* events exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DriverKind {
    /// Requests through blk-mq (a directory `mq`): `block_rq_issue` names this device.
    RequestBased,
    /// Bios, passed on or handled at once: no request ever names this device, `block_bio_queue` does. With what it
    /// is.
    BioBased(&'static str),
}

/// A queue's settings. A member is `None` where this kernel has no such file or it says nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueFacts {
    /// The scheduler in use (the one in brackets); `none` is a name too.
    pub scheduler: Option<String>,
    /// Requests that may wait.
    pub nr_requests: Option<u64>,
    /// Read-ahead, in KiB.
    pub read_ahead_kib: Option<u64>,
    /// Largest request, in KiB.
    pub max_sectors_kib: Option<u64>,
    /// Whether the device says that it rotates.
    pub rotational: Option<bool>,
    /// Whether the kernel counts this device's I/O: if not, its `stat` stands still.
    pub iostats: Option<bool>,
    /// Hardware queues (`mq/*`); 0 on bio-based devices.
    pub hardware_queue_count: u64,
    /// Largest number of driver tags of a hardware queue. Tags are below it.
    pub max_tags: Option<u64>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BlockDevice {
    /// Its number, as block events carry it.
    pub device: KernelDevice,
    /// Its kernel name, such as `nvme0n1`.
    pub name: String,
    /// Size in sectors of 512 B.
    pub size_sectors: u64,
    /// Smallest unit that the device addresses, in bytes.
    pub logical_block_bytes: u64,
    /// What the maker calls it.
    pub model: Option<String>,
    /// Backing file, of loop devices.
    pub backing_file: Option<PathBuf>,
    /// Whether a loop device reads its backing file past the page cache (`loop/dio`).
    pub loop_direct_io: Option<bool>,
    /// Devices beneath it (`slaves`), of dm and md.
    pub lower_devices: Vec<String>,
    pub driver_kind: DriverKind,
    pub queue: QueueFacts,
}

impl BlockDevice {
    /// Whether its own counters count. `queue/iostats` switches them off for requests only: a driver of bios counts by
    /// itself (`bio_start_io_acct` in block/blk-core.c).
    #[must_use]
    pub fn counts(&self) -> bool {
        matches!(self.driver_kind, DriverKind::BioBased(_)) || self.queue.iostats != Some(false)
    }
}

/// A block device's place: the disk itself or a partition of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placement {
    pub(super) disk: KernelDevice,
    pub(super) start: Sector,
    pub(super) is_partition: bool,
    pub(super) name: String,
}

#[derive(Debug, Clone)]
pub struct Sysfs {
    root: PathBuf,
}

impl Default for Sysfs {
    fn default() -> Self {
        Self::at("/sys")
    }
}

impl Sysfs {
    /// A tree at another place than /sys: one made by a test.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    fn directory(&self, device: KernelDevice) -> Result<PathBuf, SysfsError> {
        let path = self.root.join("dev/block").join(device.to_string());
        path.canonicalize().map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => SysfsError::NoSuchDevice { device, path },
            _ => SysfsError::Unreadable { path, source },
        })
    }

    /// Which disk a device is, or is a partition of, and where it begins there.
    pub(super) fn placement(&self, device: KernelDevice) -> Result<Placement, SysfsError> {
        let directory = self.directory(device)?;
        let name = base_name(&directory);
        if !exists(&directory.join("partition"))? {
            return Ok(Placement {
                disk: device,
                start: Sector(0),
                is_partition: false,
                name,
            });
        }
        let start = Sector(number(&directory.join("start"))?);
        let parent = directory.parent().unwrap_or(&directory);
        Ok(Placement {
            disk: parsed(&parent.join("dev"))?,
            start,
            is_partition: true,
            name,
        })
    }

    /// Facts of a whole disk (not of a partition).
    pub fn disk(&self, device: KernelDevice) -> Result<BlockDevice, SysfsError> {
        let directory = self.directory(device)?;
        let name = base_name(&directory);
        let queue = directory.join("queue");
        let hardware_queues = entries(&directory.join("mq"))?;
        let mut max_tags: Option<u64> = None;
        for hardware_queue in hardware_queues.iter().flatten() {
            let tags = optional_number(&directory.join("mq").join(hardware_queue).join("nr_tags"))?;
            max_tags = max_tags.max(tags);
        }
        let facts = QueueFacts {
            scheduler: optional(&queue.join("scheduler"))?.and_then(|text| active_scheduler(&text)),
            nr_requests: optional_number(&queue.join("nr_requests"))?,
            read_ahead_kib: optional_number(&queue.join("read_ahead_kb"))?,
            max_sectors_kib: optional_number(&queue.join("max_sectors_kb"))?,
            // What a loop device says is the kernel's default, whatever its file lies on.
            rotational: optional_flag(&queue.join("rotational"))?
                .filter(|_| !name.starts_with("loop")),
            iostats: optional_flag(&queue.join("iostats"))?,
            hardware_queue_count: hardware_queues
                .as_ref()
                .map_or(0, |queues| queue_count(queues)),
            max_tags,
        };
        let driver_kind = match hardware_queues {
            Some(_) => DriverKind::RequestBased,
            None => DriverKind::BioBased(bio_based_kind(&directory, &name)?),
        };
        // Not trimmed further than the newline: a path may end in a space.
        let backing_file =
            optional_bytes(&directory.join("loop/backing_file"))?.map(|mut bytes| {
                bytes.pop_if(|last| *last == b'\n');
                PathBuf::from(OsString::from_vec(bytes))
            });
        let mut lower_devices: Vec<String> = entries(&directory.join("slaves"))?
            .unwrap_or_default()
            .iter()
            .map(|entry| entry.to_string_lossy().into_owned())
            .collect();
        lower_devices.sort_unstable();
        Ok(BlockDevice {
            device,
            name,
            size_sectors: number(&directory.join("size"))?,
            logical_block_bytes: number(&queue.join("logical_block_size"))?,
            model: optional(&directory.join("device/model"))?.filter(|model| !model.is_empty()),
            backing_file,
            loop_direct_io: optional_flag(&directory.join("loop/dio"))?,
            lower_devices,
            driver_kind,
            queue: facts,
        })
    }

    /// The kernel's counters of a device (a disk or a partition) as they are now.
    pub fn statistics(&self, device: KernelDevice) -> Result<DeviceStatistics, SysfsError> {
        let path = self.directory(device)?.join("stat");
        let content = required(&path)?;
        content
            .parse()
            .map_err(|()| SysfsError::Malformed { path, content })
    }
}

/// Hardware queues by the largest number among them: queues without a CPU have no directory
/// (`blk_mq_register_hctx` in block/blk-mq-sysfs.c), but keep their number.
fn queue_count(directories: &[OsString]) -> u64 {
    let largest = directories
        .iter()
        .filter_map(|name| name.to_str()?.parse::<u64>().ok())
        .max();
    largest.map_or(directories.len() as u64, |largest| largest + 1)
}

fn bio_based_kind(directory: &Path, name: &str) -> Result<&'static str, SysfsError> {
    if exists(&directory.join("dm"))? {
        return Ok("device mapper (LVM, LUKS)");
    }
    if exists(&directory.join("md"))? {
        return Ok("md (software RAID)");
    }
    let by_prefix = [
        ("zram", "zram (compressed memory)"),
        (
            "nvme",
            "NVMe multipath head; requests carry the hidden path's device",
        ),
        ("pmem", "persistent memory"),
        ("ram", "RAM disk"),
        ("bcache", "bcache"),
        ("drbd", "DRBD"),
    ];
    Ok(by_prefix
        .iter()
        .find(|(prefix, _)| name.starts_with(prefix))
        .map_or("driver without requests", |(_, kind)| kind))
}

/// `none [mq-deadline] kyber` → `mq-deadline`. A lone name without brackets is in use as well.
fn active_scheduler(text: &str) -> Option<String> {
    let mut words = text.split_ascii_whitespace();
    let bracketed = words
        .clone()
        .find_map(|word| word.strip_prefix('[')?.strip_suffix(']'));
    bracketed
        .or_else(|| words.next().filter(|_| words.next().is_none()))
        .map(str::to_owned)
}

fn base_name(directory: &Path) -> String {
    // sysfs writes the '/' of a device's name (cciss/c0d0) as '!'.
    directory.file_name().map_or_else(String::new, |name| {
        String::from_utf8_lossy(name.as_bytes()).replace('!', "/")
    })
}

fn exists(path: &Path) -> Result<bool, SysfsError> {
    path.try_exists().map_err(|source| SysfsError::Unreadable {
        path: path.to_owned(),
        source,
    })
}

/// Whether an error means that the kernel has no such file, or that it says nothing for this device.
fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.raw_os_error(),
        Some(
            libc::ENOENT
                | libc::ENOTDIR
                | libc::EINVAL
                | libc::ENXIO
                | libc::ENODEV
                | libc::EOPNOTSUPP
        )
    )
}

fn optional_bytes(path: &Path) -> Result<Option<Vec<u8>>, SysfsError> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if is_absent(&error) => Ok(None),
        Err(source) => Err(SysfsError::Unreadable {
            path: path.to_owned(),
            source,
        }),
    }
}

fn optional(path: &Path) -> Result<Option<String>, SysfsError> {
    Ok(optional_bytes(path)?.map(|bytes| String::from_utf8_lossy(&bytes).trim().to_owned()))
}

fn required(path: &Path) -> Result<String, SysfsError> {
    optional(path)?.ok_or_else(|| SysfsError::Unreadable {
        path: path.to_owned(),
        source: io::ErrorKind::NotFound.into(),
    })
}

fn parse_content<T: FromStr>(path: &Path, content: String) -> Result<T, SysfsError> {
    content.parse().map_err(|_| SysfsError::Malformed {
        path: path.to_owned(),
        content,
    })
}

fn parsed<T: FromStr>(path: &Path) -> Result<T, SysfsError> {
    required(path).and_then(|content| parse_content(path, content))
}

fn number(path: &Path) -> Result<u64, SysfsError> {
    parsed(path)
}

fn optional_number(path: &Path) -> Result<Option<u64>, SysfsError> {
    optional(path)?
        .map(|content| parse_content(path, content))
        .transpose()
}

fn optional_flag(path: &Path) -> Result<Option<bool>, SysfsError> {
    Ok(optional_number(path)?.map(|number| number != 0))
}

/// Names of a directory's subdirectories; `None` if there is no such directory.
fn entries(path: &Path) -> Result<Option<Vec<OsString>>, SysfsError> {
    let unreadable = |source| SysfsError::Unreadable {
        path: path.to_owned(),
        source,
    };
    match std::fs::read_dir(path) {
        Ok(directory) => directory
            .map(|entry| entry.map(|entry| entry.file_name()).map_err(unreadable))
            .collect::<Result<_, _>>()
            .map(Some),
        Err(error) if is_absent(&error) => Ok(None),
        Err(source) => Err(unreadable(source)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn write(path: PathBuf, content: &str) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn nvme_tree() -> (tempfile::TempDir, Sysfs) {
        let tree = tempfile::tempdir().unwrap();
        let disk = tree.path().join("devices/pci/nvme0/nvme0n1");
        write(disk.join("dev"), "259:0\n");
        write(disk.join("size"), "2000409264\n");
        write(disk.join("queue/logical_block_size"), "4096\n");
        write(disk.join("queue/scheduler"), "[none] mq-deadline\n");
        write(disk.join("queue/rotational"), "0\n");
        write(disk.join("queue/iostats"), "1\n");
        write(disk.join("mq/0/nr_tags"), "1023\n");
        write(disk.join("mq/1/nr_tags"), "31\n");
        write(disk.join("device/model"), "Some SSD 980   \n");
        write(disk.join("nvme0n1p2/partition"), "2\n");
        write(disk.join("nvme0n1p2/start"), "1050624\n");
        write(disk.join("nvme0n1p2/dev"), "259:2\n");
        fs::create_dir_all(tree.path().join("dev/block")).unwrap();
        symlink(&disk, tree.path().join("dev/block/259:0")).unwrap();
        symlink(disk.join("nvme0n1p2"), tree.path().join("dev/block/259:2")).unwrap();
        let sysfs = Sysfs::at(tree.path());
        (tree, sysfs)
    }

    #[test]
    fn whether_a_loop_device_has_moving_parts_is_not_known() {
        let tree = tempfile::tempdir().unwrap();
        let disk = tree.path().join("devices/virtual/block/loop3");
        write(disk.join("dev"), "7:3\n");
        write(disk.join("size"), "2048\n");
        write(disk.join("queue/logical_block_size"), "512\n");
        write(disk.join("queue/rotational"), "1\n");
        write(disk.join("mq/0/nr_tags"), "128\n");
        fs::create_dir_all(tree.path().join("dev/block")).unwrap();
        symlink(&disk, tree.path().join("dev/block/7:3")).unwrap();
        let found = Sysfs::at(tree.path()).disk("7:3".parse().unwrap()).unwrap();
        assert_eq!(
            (found.name.as_str(), found.queue.rotational),
            ("loop3", None)
        );
    }

    #[test]
    fn a_partition_leads_to_its_disk_and_start() {
        let (_tree, sysfs) = nvme_tree();
        let (disk, partition) = ("259:0".parse().unwrap(), "259:2".parse().unwrap());
        let placement = sysfs.placement(partition).unwrap();
        assert_eq!(
            placement,
            Placement {
                disk,
                start: Sector(1_050_624),
                is_partition: true,
                name: "nvme0n1p2".into()
            }
        );
        assert_eq!(sysfs.placement(disk).unwrap().start, Sector(0));
        let found = sysfs.disk(disk).unwrap();
        assert_eq!(
            (found.name.as_str(), found.logical_block_bytes),
            ("nvme0n1", 4096)
        );
        assert_eq!(found.queue.hardware_queue_count, 2);
        assert_eq!(found.queue.max_tags, Some(1023));
        assert_eq!(found.queue.nr_requests, None, "what is not there is not 0");
        assert_eq!(found.queue.rotational, Some(false));
        assert_eq!(found.model.as_deref(), Some("Some SSD 980"));
        assert_eq!(found.driver_kind, DriverKind::RequestBased);
    }

    #[test]
    fn a_device_that_is_not_there_is_named() {
        let (_tree, sysfs) = nvme_tree();
        let error = sysfs.disk("8:16".parse().unwrap()).unwrap_err();
        assert!(
            matches!(error, SysfsError::NoSuchDevice { .. }) && error.to_string().contains("8:16")
        );
    }

    #[test]
    fn nonsense_in_a_number_is_an_error_and_not_absent() {
        let (tree, sysfs) = nvme_tree();
        write(
            tree.path()
                .join("devices/pci/nvme0/nvme0n1/queue/nr_requests"),
            "many\n",
        );
        assert!(matches!(
            sysfs.disk("259:0".parse().unwrap()),
            Err(SysfsError::Malformed { .. })
        ));
    }

    #[test]
    fn the_scheduler_in_brackets_is_in_use() {
        assert_eq!(
            active_scheduler("none [mq-deadline] kyber bfq").as_deref(),
            Some("mq-deadline")
        );
        assert_eq!(active_scheduler("none").as_deref(), Some("none"));
        assert_eq!(active_scheduler("a b"), None);
    }

    #[test]
    fn zram_is_bio_based_and_named() {
        let Ok(text) = fs::read_to_string("/sys/block/zram0/dev") else {
            return eprintln!("skipped: this machine has no zram0");
        };
        let found = Sysfs::default().disk(text.trim().parse().unwrap()).unwrap();
        assert!(
            matches!(found.driver_kind, DriverKind::BioBased(kind) if kind.starts_with("zram")),
            "{found:?}"
        );
    }
}
