//! Mounts without a device of their own.

use std::{
    ffi::OsStr,
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result};
use nix::mount::{MntFlags, MsFlags, mount, umount2};

use super::program::run;
use crate::environment::{Cleanup, Scratch, on_exit, unavailable};

/// A mount in this process's namespace, unmounted on drop.
#[derive(Debug)]
pub struct Mount {
    mount_point: PathBuf,
    _cleanup: Cleanup,
}

impl Mount {
    /// A new tmpfs.
    ///
    /// # Errors
    /// [`crate::environment::Unavailable`] where the kernel has none.
    pub fn tmpfs(scratch: &Scratch) -> Result<Self> {
        Self::tmpfs_of(scratch, 64)
    }

    /// A new tmpfs of this size, MiB.
    ///
    /// # Errors
    /// [`crate::environment::Unavailable`] where the kernel has none.
    pub fn tmpfs_of(scratch: &Scratch, mebibytes: u64) -> Result<Self> {
        Self::new(scratch, "tmpfs", &format!("size={mebibytes}m"))
    }

    /// An overlay of folders, the upper ones first, that nobody can write to.
    ///
    /// # Errors
    /// [`crate::environment::Unavailable`] where the kernel has none; where it refuses the folders.
    pub fn overlay(scratch: &Scratch, lower: &[&Path]) -> Result<Self> {
        let lower: Vec<_> = lower.iter().map(|path| path.to_string_lossy()).collect();
        Self::new(scratch, "overlay", &format!("lowerdir={}", lower.join(":")))
    }

    /// An image of a file system, through a loop device that goes with the mount; nobody can write to it.
    ///
    /// # Errors
    /// [`crate::environment::Unavailable`] where the kernel has no such file system, or no loop devices.
    pub fn image(scratch: &Scratch, file_system: &str, image: &Path) -> Result<Self> {
        let mount_point = scratch.fresh_directory(file_system)?;
        let cleanup = on_exit({
            let mount_point = mount_point.clone();
            move || {
                unmount(&mount_point);
                let _ = std::fs::remove_dir(&mount_point);
            }
        });
        let arguments = ["-t", file_system, "-o", "loop,ro"].map(OsStr::new);
        let paths = [image.as_os_str(), mount_point.as_os_str()];
        if let Err(error) = run("mount", arguments.into_iter().chain(paths)) {
            let known = std::fs::read_to_string("/proc/filesystems")?;
            let has_it = known.split_whitespace().any(|name| name == file_system);
            return Err(if has_it {
                error
            } else {
                unavailable(format!("this kernel has no {file_system}"))
            });
        }
        Ok(Self {
            mount_point,
            _cleanup: cleanup,
        })
    }

    fn new(scratch: &Scratch, file_system: &str, options: &str) -> Result<Self> {
        let mount_point = scratch.fresh_directory(file_system)?;
        let cleanup = on_exit({
            let mount_point = mount_point.clone();
            move || {
                unmount(&mount_point);
                let _ = std::fs::remove_dir(&mount_point);
            }
        });
        mount(
            Some(file_system),
            &mount_point,
            Some(file_system),
            MsFlags::empty(),
            Some(options),
        )
        .map_err(|error| match error {
            nix::errno::Errno::ENODEV => unavailable(format!("this kernel has no {file_system}")),
            error => anyhow::Error::new(error),
        })
        .with_context(|| format!("mount {file_system} with {options}"))?;
        Ok(Self {
            mount_point,
            _cleanup: cleanup,
        })
    }

    /// Where it is mounted.
    #[must_use]
    pub fn mount_point(&self) -> &Path {
        &self.mount_point
    }
}

/// Unmounts, or leaves it to the last user.
pub(super) fn unmount(mount_point: &Path) {
    // A process that was just killed may hold the mount for a moment.
    for attempt in 0..50 {
        match umount2(mount_point, MntFlags::empty()) {
            Err(nix::errno::Errno::EBUSY) if attempt < 49 => {
                thread::sleep(Duration::from_millis(100));
            }
            Err(nix::errno::Errno::EBUSY) => {
                eprintln!(
                    "{} is still in use; it is unmounted lazily",
                    mount_point.display()
                );
                let _ = umount2(mount_point, MntFlags::MNT_DETACH);
                break;
            }
            // Unmounted, or never mounted.
            _ => break,
        }
    }
}
