//! A loop device with a file system of its own.

use std::{
    ffi::OsStr,
    fs::{self, File},
    ops::Deref,
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex},
};

use anyhow::{Context as _, Result, bail};

use super::{file_system::FileSystem, mounted_disk::MountedDisk, mounts::unmount, program::run};
use crate::environment::{Scratch, on_exit, unavailable};

/// A loop device over an allocated file, with direct I/O, so that what is read from it is cached once;
/// its file system is mounted in this process's namespace. All of it is undone on drop.
#[derive(Debug)]
pub struct LoopDisk(MountedDisk);

impl Deref for LoopDisk {
    type Target = MountedDisk;

    fn deref(&self) -> &MountedDisk {
        &self.0
    }
}

impl From<LoopDisk> for MountedDisk {
    fn from(disk: LoopDisk) -> Self {
        disk.0
    }
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

    /// Whether it reads its image past the page cache.
    ///
    /// # Errors
    /// Where `losetup` fails.
    pub fn set_loop_direct_io(&self, on: bool) -> Result<()> {
        let option = format!("--direct-io={}", if on { "on" } else { "off" });
        run("losetup", [OsStr::new(&option), self.node().as_os_str()])?;
        Ok(())
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
        file_system.make(&volume, None)?;
        file_system.mount(&volume, &mount_point)?;
        // In use, so this only marks it: the kernel detaches it with its last user, also after SIGKILL.
        run("losetup", ["--detach".as_ref(), device.as_os_str()])?;

        MountedDisk::of(name, mount_point, file_system, vec![cleanup]).map(Self)
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
