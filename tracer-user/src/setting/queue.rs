//! How a device's queue is run: its scheduler, and how many requests it takes.

use std::path::{Path, PathBuf};

use anyhow::bail;

use crate::storage::BlockDevice;

use super::KeptSettings;

/// A file of a device's queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QueueSetting {
    Scheduler,
    Requests,
}

impl QueueSetting {
    /// Its name in sysfs.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Scheduler => "scheduler",
            Self::Requests => "nr_requests",
        }
    }

    fn path(self, device: &BlockDevice) -> PathBuf {
        Path::new("/sys/dev/block")
            .join(device.device.to_string())
            .join("queue")
            .join(self.name())
    }

    /// Sets it; returns what it was.
    ///
    /// # Errors
    /// The device has no such setting, or does not take the value.
    pub fn set(
        self,
        settings: &mut KeptSettings,
        device: &BlockDevice,
        value: &str,
    ) -> anyhow::Result<String> {
        let path = self.path(device);
        if !path.exists() || !device.lower_devices.is_empty() {
            bail!(
                "{} has no {} of its own: it is laid over other devices, whose requests are those of {}",
                device.name,
                self.name(),
                device.lower_devices.join(", ")
            );
        }
        Ok(settings.set(&path, value)?)
    }

    /// Schedulers that a device knows, the one in use left out.
    #[must_use]
    pub fn other_schedulers(device: &BlockDevice) -> Vec<String> {
        let text = std::fs::read_to_string(Self::Scheduler.path(device)).unwrap_or_default();
        text.split_whitespace()
            .filter(|word| !word.starts_with('['))
            .map(str::to_owned)
            .collect()
    }
}
