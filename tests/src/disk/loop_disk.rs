//! A loop device with a file system of its own.

use std::{
    ffi::OsStr,
    fmt,
    fs::{self, File},
    os::{fd::AsRawFd as _, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::{mounts::unmount, statistics::DeviceStatistics};
use crate::environment::{Cleanup, Scratch, on_exit, unavailable};

/// Which file system a disk has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileSystem {
    /// ext4 with blocks of 4 KiB.
    Ext4,
    /// xfs; wants an image of at least 300 MiB.
    Xfs,
    /// btrfs, whose files have no addresses on a device.
    Btrfs,
}

impl FileSystem {
    /// The kernel's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ext4 => "ext4",
            Self::Xfs => "xfs",
            Self::Btrfs => "btrfs",
        }
    }

    /// Mount options by which its kernel threads leave the device alone: they would read and write it at
    /// times of their own. The first that the kernel takes is meant.
    const fn quiet_options(self) -> &'static [Option<&'static str>] {
        match self {
            // Linux 5.10 has no such option, and reads block bitmaps ahead only where it is asked to.
            Self::Ext4 => &[
                Some("noinit_itable,no_prefetch_block_bitmaps"),
                Some("noinit_itable"),
            ],
            Self::Xfs | Self::Btrfs => &[None],
        }
    }

    /// Mounts it, with nothing going on in the background.
    pub(super) fn mount(self, volume: &Path, mount_point: &Path) -> nix::Result<()> {
        let mut result = Err(nix::errno::Errno::EINVAL);
        for options in self.quiet_options() {
            result = mount(
                Some(volume),
                mount_point,
                Some(self.name()),
                MsFlags::MS_NOATIME,
                *options,
            );
            if result != Err(nix::errno::Errno::EINVAL) {
                break;
            }
        }
        result
    }

    /// Makes the file system. Nothing is left to be initialised in the background, and nothing discarded,
    /// so that the device is quiet and the image stays allocated.
    pub(super) fn make(self, device: &Path) -> Result<()> {
        match self {
            Self::Ext4 => run(
                "mkfs.ext4",
                [
                    "-q".as_ref(),
                    "-F".as_ref(),
                    "-b".as_ref(),
                    "4096".as_ref(),
                    "-E".as_ref(),
                    "nodiscard,lazy_itable_init=0,lazy_journal_init=0".as_ref(),
                    device.as_os_str(),
                ],
            ),
            Self::Xfs => run(
                "mkfs.xfs",
                [
                    "-q".as_ref(),
                    "-f".as_ref(),
                    "-K".as_ref(),
                    device.as_os_str(),
                ],
            ),
            Self::Btrfs => run(
                "mkfs.btrfs",
                [
                    "-q".as_ref(),
                    "-f".as_ref(),
                    "-K".as_ref(),
                    device.as_os_str(),
                ],
            ),
        }
        .map(drop)
    }
}

impl fmt::Display for FileSystem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

/// Number of a block device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceNumber {
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

impl fmt::Display for DeviceNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.major, self.minor)
    }
}

/// A loop device over an allocated file, with direct I/O, so that what is read from it is cached once;
/// its file system is mounted in this process's namespace. All of it is undone on drop.
#[derive(Debug)]
pub struct LoopDisk {
    name: String,
    number: DeviceNumber,
    mount_point: PathBuf,
    file_system: FileSystem,
    _cleanup: Cleanup,
}

impl LoopDisk {
    /// Makes image, device, file system and mount.
    ///
    /// # Errors
    /// [`crate::environment::Unavailable`] where this machine lacks loop devices, the file system or the
    /// program that makes it.
    pub fn new(scratch: &Scratch, file_system: FileSystem, size_bytes: u64) -> Result<Self> {
        Self::make(scratch, file_system, size_bytes, None)
    }

    /// The same with the file system on a partition that begins at a sector (512 bytes). The kernel is told of it,
    /// since it may have no parser for partition tables.
    ///
    /// # Errors
    /// As for [`LoopDisk::new`].
    pub fn partitioned(
        scratch: &Scratch,
        file_system: FileSystem,
        size_bytes: u64,
        start_sector: u64,
    ) -> Result<Self> {
        Self::make(scratch, file_system, size_bytes, Some(start_sector))
    }

    fn make(
        scratch: &Scratch,
        file_system: FileSystem,
        size_bytes: u64,
        partition_start: Option<u64>,
    ) -> Result<Self> {
        if file_system == FileSystem::Xfs && size_bytes < 300 << 20 {
            bail!("mkfs.xfs refuses images below 300 MiB, this one has {size_bytes} bytes");
        }
        if !Path::new("/dev/loop-control").exists() {
            return Err(unavailable(
                "this kernel has no loop devices (/dev/loop-control)",
            ));
        }
        let image = scratch.fresh_path("disk.img");
        let mount_point = scratch.fresh_directory("disk")?;
        let attached = Arc::new(Mutex::new(None::<PathBuf>));
        let cleanup = on_exit({
            let (image, mount_point, attached) =
                (image.clone(), mount_point.clone(), Arc::clone(&attached));
            move || {
                undo(
                    &image,
                    &mount_point,
                    attached.lock().ok().and_then(|device| device.clone()),
                )
            }
        });

        allocate(&image, size_bytes)?;
        let output = run(
            "losetup",
            [
                "--direct-io=on".as_ref(),
                "--show".as_ref(),
                "--find".as_ref(),
                // The kernel takes the partitions away with the device.
                "--partscan".as_ref(),
                image.as_os_str(),
            ],
        )?;
        let device = PathBuf::from(output.trim());
        if let Ok(mut attached) = attached.lock() {
            *attached = Some(device.clone());
        }
        let name = device
            .file_name()
            .and_then(OsStr::to_str)
            .with_context(|| format!("losetup printed {output:?}, not a device"))?
            .to_owned();
        let direct = fs::read_to_string(format!("/sys/block/{name}/loop/dio"))
            .with_context(|| format!("read whether {name} uses direct I/O"))?;
        if direct.trim() != "1" {
            return Err(unavailable(format!(
                "the file system under {} gives loop devices no direct I/O",
                scratch.directory().display()
            )));
        }
        let volume = match partition_start {
            None => device.clone(),
            Some(start) => {
                let sectors = size_bytes / 512 - start;
                let (start, sectors) = (start.to_string(), sectors.to_string());
                run(
                    "addpart",
                    [
                        device.as_os_str(),
                        "1".as_ref(),
                        start.as_ref(),
                        sectors.as_ref(),
                    ],
                )?;
                PathBuf::from(format!("{}p1", device.display()))
            }
        };
        file_system.make(&volume)?;
        file_system
            .mount(&volume, &mount_point)
            .map_err(|error| match error {
                nix::errno::Errno::ENODEV => {
                    unavailable(format!("this kernel has no {file_system}"))
                }
                error => anyhow::Error::new(error)
                    .context(format!("mount {file_system} from {}", volume.display())),
            })?;
        // In use, so this only marks it: the kernel detaches it with its last user, also after SIGKILL.
        run("losetup", ["--detach".as_ref(), device.as_os_str()])?;

        let raw = fs::metadata(&device)
            .with_context(|| format!("look at {}", device.display()))?
            .rdev();
        Ok(Self {
            name,
            number: DeviceNumber {
                major: libc::major(raw),
                minor: libc::minor(raw),
            },
            mount_point,
            file_system,
            _cleanup: cleanup,
        })
    }

    /// Kernel name, such as `loop3`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its device node.
    #[must_use]
    pub fn node(&self) -> PathBuf {
        Path::new("/dev").join(&self.name)
    }

    /// Its number.
    #[must_use]
    pub const fn number(&self) -> DeviceNumber {
        self.number
    }

    /// Where the file system is mounted.
    #[must_use]
    pub fn mount_point(&self) -> &Path {
        &self.mount_point
    }

    /// Its file system.
    #[must_use]
    pub const fn file_system(&self) -> FileSystem {
        self.file_system
    }

    /// Sets the read-ahead of the device, KiB; 0 switches it off.
    ///
    /// # Errors
    /// Where the kernel refuses or rounds it.
    pub fn set_read_ahead_kb(&self, kibibytes: u64) -> Result<()> {
        self.set_queue_attribute("read_ahead_kb", kibibytes)
    }

    /// Sets the largest request that the file system may make, KiB.
    ///
    /// # Errors
    /// Where the kernel refuses or rounds it.
    pub fn set_max_sectors_kb(&self, kibibytes: u64) -> Result<()> {
        self.set_queue_attribute("max_sectors_kb", kibibytes)
    }

    fn set_queue_attribute(&self, attribute: &str, value: u64) -> Result<()> {
        let path = format!("/sys/block/{}/queue/{attribute}", self.name);
        fs::write(&path, value.to_string()).with_context(|| format!("write {value} to {path}"))?;
        let now = self.queue_attribute(attribute)?;
        if now != value {
            bail!("{path} is {now} after writing {value}");
        }
        Ok(())
    }

    fn queue_attribute(&self, attribute: &str) -> Result<u64> {
        let path = format!("/sys/block/{}/queue/{attribute}", self.name);
        let text = fs::read_to_string(&path).with_context(|| format!("read {path}"))?;
        text.trim()
            .parse()
            .with_context(|| format!("{path} holds {text:?}"))
    }

    /// Largest read that is one request for certain wherever its buffer lies in memory, bytes: limited by
    /// `max_sectors_kb`, and by `max_segments` since in the worst case each page is a segment.
    ///
    /// # Errors
    /// Where the queue's attributes cannot be read.
    pub fn largest_single_request_bytes(&self) -> Result<u64> {
        let by_size = self.queue_attribute("max_sectors_kb")? << 10;
        let by_segments = self.queue_attribute("max_segments")? * 4096;
        Ok(by_size.min(by_segments))
    }

    /// Smallest unit that direct reads may have, bytes.
    ///
    /// # Errors
    /// Where the queue's attributes cannot be read.
    pub fn logical_block_bytes(&self) -> Result<u64> {
        self.queue_attribute("logical_block_size")
    }

    /// Unmounts and mounts it, so that nothing of its file system is cached.
    ///
    /// # Errors
    /// Where something on it is in use.
    pub fn remount(&self) -> Result<()> {
        let node = self.node();
        // Keeps the device, which goes with its last user.
        let _user = File::open(&node).with_context(|| format!("open {}", node.display()))?;
        umount2(&self.mount_point, MntFlags::empty())
            .with_context(|| format!("unmount {}", self.mount_point.display()))?;
        self.file_system
            .mount(&node, &self.mount_point)
            .with_context(|| format!("mount {} again", node.display()))
    }

    /// The device's own counters, once nothing is in flight.
    ///
    /// # Errors
    /// Where the device does not come to rest within 10 s.
    pub fn statistics(&self) -> Result<DeviceStatistics> {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut before = DeviceStatistics::read(&self.name)?;
        loop {
            thread::sleep(Duration::from_millis(2));
            let now = DeviceStatistics::read(&self.name)?;
            if now == before && now.in_flight == 0 {
                return Ok(now);
            }
            if Instant::now() > deadline {
                bail!(
                    "{} does not come to rest: {before:?}, then {now:?}",
                    self.name
                );
            }
            before = now;
        }
    }

    /// Writes back all that is dirty, so that the device is quiet.
    ///
    /// # Errors
    /// Where the write-back fails.
    pub fn synchronise(&self) -> Result<()> {
        let directory = File::open(&self.mount_point).context("open the mount point")?;
        // SAFETY: a system call on a descriptor that is open.
        if unsafe { libc::syncfs(directory.as_raw_fd()) } != 0 {
            return Err(std::io::Error::last_os_error()).context("write the file system back");
        }
        Ok(())
    }
}

/// Makes a file whose blocks are all allocated.
fn allocate(path: &Path, size_bytes: u64) -> Result<()> {
    let file = File::create(path).with_context(|| format!("make {}", path.display()))?;
    let length = libc::off_t::try_from(size_bytes).context("the image is too large")?;
    // SAFETY: a system call on a descriptor that is open.
    let result = unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, length) };
    if result != 0 {
        return Err(std::io::Error::from_raw_os_error(result))
            .with_context(|| format!("allocate {size_bytes} bytes for {}", path.display()));
    }
    Ok(())
}

fn undo(image: &Path, mount_point: &Path, device: Option<PathBuf>) {
    unmount(mount_point);
    if let Some(device) = device {
        let name = device.file_name().unwrap_or_default();
        let backing = Path::new("/sys/block").join(name).join("loop/backing_file");
        // Detached with the unmount, unless it was never mounted. Somebody else may have the number by now.
        if fs::read_to_string(&backing).is_ok_and(|text| Path::new(text.trim_end()) == image) {
            let _ = Command::new("losetup")
                .arg("--detach")
                .arg(&device)
                .status();
        }
    }
    let _ = fs::remove_file(image);
    let _ = fs::remove_dir(mount_point);
}

/// Runs a program; its output, or an error with what it said.
fn run<'a>(program: &str, arguments: impl IntoIterator<Item = &'a OsStr>) -> Result<String> {
    let output = match Command::new(program).args(arguments).output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(unavailable(format!("{program} is not installed")));
        }
        output => output.with_context(|| format!("run {program}"))?,
    };
    if !output.status.success() {
        bail!(
            "{program} failed ({}): {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
