//! A device with a file system that is mounted.

use std::{
    fmt,
    fs::{self, File},
    os::{fd::AsRawFd as _, unix::fs::MetadataExt as _},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use nix::mount::{MntFlags, umount2};

use super::{file_system::FileSystem, mounts::unmount, statistics::DeviceStatistics};
use crate::environment::{Cleanup, Scratch, on_exit};

/// Number of a block device.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeviceNumber {
    pub major: u32,
    pub minor: u32,
}

impl fmt::Display for DeviceNumber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.major, self.minor)
    }
}

/// A whole disk and the file system on it, mounted in this process's namespace: what all kinds of test disks have.
#[derive(Debug)]
pub struct MountedDisk {
    name: String,
    number: DeviceNumber,
    mount_point: PathBuf,
    file_system: FileSystem,
    // In the order in which it must be undone.
    _cleanup: Vec<Cleanup>,
}

impl MountedDisk {
    /// Makes a file system of this size (bytes) on a whole disk, and mounts it. What lies below the disk is undone
    /// after the mount.
    pub(super) fn make(
        scratch: &Scratch,
        name: &str,
        file_system: FileSystem,
        size_bytes: u64,
        below: Vec<Cleanup>,
    ) -> Result<Self> {
        let node = Path::new("/dev").join(name);
        let mount_point = scratch.fresh_directory("disk")?;
        let mut cleanup = vec![on_exit({
            let mount_point = mount_point.clone();
            move || {
                unmount(&mount_point);
                let _ = fs::remove_dir(&mount_point);
            }
        })];
        cleanup.extend(below);
        file_system.make(&node, Some(size_bytes))?;
        file_system.mount(&node, &mount_point)?;
        Self::of(name.to_owned(), mount_point, file_system, cleanup)
    }

    /// A disk that is mounted, with what undoes that, in this order.
    pub(super) fn of(
        name: String,
        mount_point: PathBuf,
        file_system: FileSystem,
        cleanup: Vec<Cleanup>,
    ) -> Result<Self> {
        let node = Path::new("/dev").join(&name);
        let raw = fs::metadata(&node)
            .with_context(|| format!("look at {}", node.display()))?
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

    #[must_use]
    pub fn node(&self) -> PathBuf {
        Path::new("/dev").join(&self.name)
    }

    #[must_use]
    pub const fn number(&self) -> DeviceNumber {
        self.number
    }

    /// Where the file system is mounted.
    #[must_use]
    pub fn mount_point(&self) -> &Path {
        &self.mount_point
    }

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

    /// The read-ahead, KiB.
    ///
    /// # Errors
    /// Where it cannot be read.
    pub fn read_ahead_kb(&self) -> Result<u64> {
        self.queue_attribute("read_ahead_kb")
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
        self.file_system.mount(&node, &self.mount_point)
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
