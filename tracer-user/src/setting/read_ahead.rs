//! How far the kernel reads ahead on a device.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::storage::BlockDevice;

use super::KeptSettings;

/// More than any device is set to: 1 GiB, a mistake in the unit.
const MOST_BYTES: u64 = 1 << 30;

/// A read-ahead of a device that holds for a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReadAhead {
    pub device: String,
    /// What was set, KiB.
    pub set_kb: u64,
    /// What it was before, KiB.
    pub before_kb: u64,
}

/// Whether this can be a read-ahead.
///
/// # Errors
/// It is no whole number of pages, or beyond all measure.
pub fn check_read_ahead(bytes: u64) -> anyhow::Result<()> {
    let page = procfs::page_size();
    if !bytes.is_multiple_of(page) {
        bail!(
            "read-ahead goes by pages of {page} bytes; choose a multiple of it, such as {}, or 0",
            crate::units::bytes((bytes / page + 1) * page)
        );
    }
    if bytes > MOST_BYTES {
        bail!(
            "a read-ahead of {} is no setting; choose at most {}",
            crate::units::bytes(bytes),
            crate::units::bytes(MOST_BYTES)
        );
    }
    Ok(())
}

impl ReadAhead {
    /// Sets it. It counts for files that are opened from now on: the kernel takes it over into the open file.
    ///
    /// # Errors
    /// The device has none, or it cannot be set.
    pub fn set(
        settings: &mut KeptSettings,
        device: &BlockDevice,
        bytes: u64,
    ) -> anyhow::Result<Self> {
        let path = path_of(device);
        let kb = bytes >> 10;
        let before = settings.set(&path, &kb.to_string())?;
        let now = std::fs::read_to_string(&path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        if now.trim() != kb.to_string() {
            bail!(
                "the kernel made {} of a read-ahead of {kb} KiB for {}; choose that, or another",
                now.trim(),
                device.name
            );
        }
        Ok(Self {
            device: device.name.clone(),
            set_kb: kb,
            before_kb: before
                .parse()
                .with_context(|| format!("{} was {before:?}", path.display()))?,
        })
    }
}

/// By the number: a name may hold what stands for a slash.
fn path_of(device: &BlockDevice) -> PathBuf {
    Path::new("/sys/class/bdi")
        .join(device.device.to_string())
        .join("read_ahead_kb")
}

#[cfg(test)]
mod tests {
    use super::check_read_ahead;

    #[test]
    fn only_pages_are_read_ahead() {
        for bytes in [0, 4096 * 16, 1 << 20, 1 << 30] {
            assert!(check_read_ahead(bytes).is_ok(), "{bytes}");
        }
        for bytes in [1, 4095, 100_000, (1 << 30) + (1 << 20)] {
            let error = check_read_ahead(bytes).expect_err("no setting");
            assert!(error.to_string().contains("choose"), "{error}");
        }
    }
}
