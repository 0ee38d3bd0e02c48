//! A compressed disk in memory: a device without requests, whose driver takes bios.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::{Arc, Mutex},
};

use anyhow::{Context as _, Result};

use super::{file_system::FileSystem, mounts::unmount, statistics::DeviceStatistics};
use crate::environment::{Cleanup, Scratch, on_exit, unavailable};

const CONTROL: &str = "/sys/class/zram-control";

/// A zram device of its own with ext4 on it, mounted in this process's namespace. All of it is undone on drop.
#[derive(Debug)]
pub struct ZramDisk {
    name: String,
    mount_point: PathBuf,
    _cleanup: Cleanup,
}

impl ZramDisk {
    /// Makes device, file system and mount, with the read-ahead off.
    ///
    /// # Errors
    /// [`crate::environment::Unavailable`] where the kernel has no zram.
    pub fn new(scratch: &Scratch, size_bytes: u64) -> Result<Self> {
        let mount_point = scratch.fresh_directory("zram")?;
        let number = Arc::new(Mutex::new(None::<u32>));
        let cleanup = on_exit({
            let (mount_point, number) = (mount_point.clone(), Arc::clone(&number));
            move || {
                unmount(&mount_point);
                let _ = fs::remove_dir(&mount_point);
                if let Some(number) = number.lock().ok().and_then(|number| *number) {
                    remove(number);
                }
            }
        });
        let added = add()?;
        if let Ok(mut number) = number.lock() {
            *number = Some(added);
        }
        let name = format!("zram{added}");
        let attribute = |attribute: &str, value: String| {
            let path = format!("/sys/block/{name}/{attribute}");
            fs::write(&path, &value).with_context(|| format!("write {value} to {path}"))
        };
        attribute("disksize", size_bytes.to_string())?;
        attribute("queue/read_ahead_kb", "0".into())?;
        let device = Path::new("/dev").join(&name);
        FileSystem::Ext4.make(&device, None)?;
        FileSystem::Ext4.mount(&device, &mount_point)?;
        Ok(Self {
            name,
            mount_point,
            _cleanup: cleanup,
        })
    }

    /// Kernel name, such as `zram1`.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the file system is mounted.
    #[must_use]
    pub fn mount_point(&self) -> &Path {
        &self.mount_point
    }

    /// The device's own counters. It does what it is asked at once, so nothing is in flight.
    ///
    /// # Errors
    /// Where they cannot be read.
    pub fn statistics(&self) -> Result<DeviceStatistics> {
        DeviceStatistics::read(&self.name)
    }
}

/// A new device, which is of no size yet.
pub(super) fn add() -> Result<u32> {
    // Reading it makes one.
    let text = fs::read_to_string(Path::new(CONTROL).join("hot_add"))
        .map_err(|error| unavailable(format!("{CONTROL}/hot_add: {error}")))?;
    text.trim()
        .parse()
        .with_context(|| format!("{CONTROL}/hot_add gave {text:?}"))
}

/// Gives the memory back, and the device.
pub(super) fn remove(number: u32) {
    // Whoever looked at the new device last may have it open for a moment.
    for _ in 0..50 {
        let _ = fs::write(format!("/sys/block/zram{number}/reset"), "1");
        if fs::write(Path::new(CONTROL).join("hot_remove"), number.to_string()).is_ok() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    eprintln!("zram{number} cannot be removed");
}
