//! The folder in which a test run keeps its images, plans and runs.

use std::{
    fs::{self, File},
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicU64, Ordering},
};

use anyhow::{Context as _, Result};

use super::cleanup::{Cleanup, on_exit};

const OWNER: &str = "owner.lock";

/// A folder of this process under the tests' directory, removed at the end.
#[derive(Debug)]
pub struct Scratch {
    directory: PathBuf,
    next: AtomicU64,
    _removal: Cleanup,
    // After the removal, so that nobody takes a half-removed folder for a leftover.
    _owner: File,
}

impl Scratch {
    /// Removes what dead test runs left under `root` (their loop devices too), then makes a new folder.
    ///
    /// # Errors
    /// Where the folder cannot be made.
    pub fn new(root: &Path) -> Result<Self> {
        fs::create_dir_all(root).with_context(|| format!("make {}", root.display()))?;
        let root = root
            .canonicalize()
            .with_context(|| format!("find {}", root.display()))?;
        remove_leftovers(&root)?;
        let directory = root.join(format!("run-{}", std::process::id()));
        fs::create_dir(&directory).with_context(|| format!("make {}", directory.display()))?;
        let owner_path = directory.join(OWNER);
        let owner =
            File::create(&owner_path).with_context(|| format!("make {}", owner_path.display()))?;
        lock_without_waiting(&owner)?;
        let removed = directory.clone();
        let removal = on_exit(move || {
            if let Err(error) = fs::remove_dir_all(&removed) {
                eprintln!("cannot remove {}: {error}", removed.display());
            }
        });
        Ok(Self {
            directory,
            next: AtomicU64::new(0),
            _removal: removal,
            _owner: owner,
        })
    }

    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A path in the folder that nobody uses yet, with this name at its end.
    pub fn fresh_path(&self, name: &str) -> PathBuf {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.directory.join(format!("{number}-{name}"))
    }

    /// A new empty folder.
    ///
    /// # Errors
    /// Where it cannot be made.
    pub fn fresh_directory(&self, name: &str) -> Result<PathBuf> {
        let path = self.fresh_path(name);
        fs::create_dir(&path).with_context(|| format!("make {}", path.display()))?;
        Ok(path)
    }
}

fn lock_without_waiting(file: &File) -> Result<()> {
    // SAFETY: a system call on a descriptor that is open.
    if unsafe { libc::flock(file.as_raw_fd(), libc::LOCK_EX | libc::LOCK_NB) } != 0 {
        return Err(std::io::Error::last_os_error()).context("lock the owner's file of a test run");
    }
    Ok(())
}

/// Detaches the loop devices and removes the folders of test runs whose owner is dead: its lock is free.
fn remove_leftovers(root: &Path) -> Result<()> {
    for entry in fs::read_dir(root).with_context(|| format!("list {}", root.display()))? {
        let path = entry
            .with_context(|| format!("list {}", root.display()))?
            .path();
        let is_run = path
            .file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with("run-"));
        if !is_run || !path.is_dir() {
            continue;
        }
        let dead = match File::open(path.join(OWNER)) {
            Ok(owner) => lock_without_waiting(&owner).is_ok(),
            // Killed between the folder and its lock, or this very moment being made by another one: the
            // folder is then empty, and leaving it does no harm.
            Err(_) => fs::remove_dir(&path).is_ok(),
        };
        if !dead || !path.exists() {
            continue;
        }
        eprintln!(
            "removing what a test run that was killed left in {}",
            path.display()
        );
        for device in loop_devices_backed_under(&path)? {
            let _ = Command::new("losetup")
                .arg("--detach")
                .arg(&device)
                .status();
        }
        fs::remove_dir_all(&path).with_context(|| format!("remove {}", path.display()))?;
    }
    Ok(())
}

/// Loop devices whose backing file lies, or lay, under a folder.
fn loop_devices_backed_under(directory: &Path) -> Result<Vec<PathBuf>> {
    let mut devices = Vec::new();
    for entry in fs::read_dir("/sys/block").context("list /sys/block")? {
        let entry = entry.context("list /sys/block")?;
        // Absent for every device that is no attached loop device.
        let Ok(backing) = fs::read_to_string(entry.path().join("loop/backing_file")) else {
            continue;
        };
        if Path::new(backing.trim_end()).starts_with(directory) {
            devices.push(Path::new("/dev").join(entry.file_name()));
        }
    }
    Ok(devices)
}
