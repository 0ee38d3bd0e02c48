//! Devices that are laid over others: device mapper and md, whose drivers take bios.

use std::{
    fs,
    ops::Deref,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};

use super::{
    file_system::FileSystem, mounted_disk::MountedDisk, program::run, spare_disk::SpareDisk,
};
use crate::environment::{Cleanup, Scratch, on_exit, unavailable};

/// What lies between the file system and the disks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stack {
    /// A part of one disk (LVM).
    DmLinear,
    /// One disk, encrypted (LUKS).
    DmCrypt,
    MdRaid0,
}

impl Stack {
    pub const ALL: [Self; 3] = [Self::DmLinear, Self::DmCrypt, Self::MdRaid0];

    /// Its name in a case's.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::DmLinear => "dm_linear",
            Self::DmCrypt => "dm_crypt",
            Self::MdRaid0 => "md_raid0",
        }
    }

    /// The kernel's modules for it.
    const fn modules(self) -> &'static [&'static str] {
        match self {
            Self::DmLinear => &["dm_mod"],
            Self::DmCrypt => &["dm_mod", "dm_crypt"],
            Self::MdRaid0 => &["md_mod", "raid0"],
        }
    }

    /// Disks that it is laid over.
    const fn disks(self) -> usize {
        match self {
            Self::DmLinear | Self::DmCrypt => 1,
            Self::MdRaid0 => 2,
        }
    }
}

/// A file system on a device that is laid over spare disks. All of it is undone on drop.
#[derive(Debug)]
pub struct StackedDisk {
    disk: MountedDisk,
    lower: Vec<String>,
}

impl Deref for StackedDisk {
    type Target = MountedDisk;

    fn deref(&self) -> &MountedDisk {
        &self.disk
    }
}

impl StackedDisk {
    /// Makes the device over the first of these disks, a file system of this size (bytes) on it, and mounts it, with
    /// the read-ahead off.
    ///
    /// # Errors
    /// [`crate::environment::Unavailable`] where the kernel lacks a module, or there are not enough disks.
    pub fn new(
        scratch: &Scratch,
        stack: Stack,
        spare: &[SpareDisk],
        file_system: FileSystem,
        size_bytes: u64,
    ) -> Result<Self> {
        let Some(disks) = spare.get(..stack.disks()) else {
            return Err(unavailable(format!(
                "{} needs {} spare disks",
                stack.name(),
                stack.disks()
            )));
        };
        for module in stack.modules() {
            load(module)?;
        }
        let lower = disks
            .iter()
            .map(SpareDisk::name)
            .collect::<Result<Vec<_>>>()?;
        let (name, device) = match stack {
            Stack::DmLinear => mapped("linear {lower} 2048", &lower, size_bytes)?,
            Stack::DmCrypt => mapped(
                &format!("crypt aes-xts-plain64 {} 0 {{lower}} 2048", "5a".repeat(64)),
                &lower,
                size_bytes,
            )?,
            Stack::MdRaid0 => striped(&lower)?,
        };
        let disk = MountedDisk::make(scratch, &name, file_system, size_bytes, vec![device])?;
        disk.set_read_ahead_kb(0)?;
        Ok(Self { disk, lower })
    }

    /// Names of the disks below.
    #[must_use]
    pub fn lower(&self) -> &[String] {
        &self.lower
    }
}

/// Loads a module with all that it needs.
fn load(module: &str) -> Result<()> {
    let loaded = || Path::new("/sys/module").join(module).exists();
    if loaded() {
        return Ok(());
    }
    // Whether it went well shows in what is there then.
    let _ = Command::new("modprobe").arg("-q").arg(module).status();
    if !loaded() {
        return Err(unavailable(format!(
            "module {module} is not in this kernel"
        )));
    }
    Ok(())
}

/// A device of the device mapper, by its target's line, in which `{lower}` stands for the disk.
fn mapped(target: &str, lower: &[String], size_bytes: u64) -> Result<(String, Cleanup)> {
    let lower = lower.first().context("no disk")?;
    let mapper_name = format!("tracer-tests-{}", std::process::id());
    let device = on_exit({
        let mapper_name = mapper_name.clone();
        move || {
            let _ = Command::new("dmsetup")
                .args(["remove", "--retry", "--noudevsync", &mapper_name])
                .output();
        }
    });
    let target = target.replace("{lower}", &format!("/dev/{lower}"));
    let table = format!("0 {} {target}", size_bytes / 512);
    run(
        "dmsetup",
        [
            "create",
            &mapper_name,
            "--noudevsync",
            "--noudevrules",
            "--table",
            &table,
        ]
        .map(AsRef::as_ref),
    )?;
    for entry in fs::read_dir("/sys/block").context("list /sys/block")? {
        let path = entry.context("list /sys/block")?.path();
        if fs::read_to_string(path.join("dm/name")).is_ok_and(|name| name.trim_end() == mapper_name)
        {
            return Ok((file_name(&path)?, device));
        }
    }
    anyhow::bail!("dmsetup made {mapper_name}, and it is not in /sys/block")
}

/// A striped device of two disks, which leaves no mark on them.
fn striped(lower: &[String]) -> Result<(String, Cleanup)> {
    const NODE: &str = "/dev/md111";
    const DEVICE: &str = "/sys/block/md111";
    ensure!(
        !Path::new(DEVICE).exists(),
        "somebody else has a device {DEVICE}"
    );
    let device = on_exit(|| {
        let _ = Command::new("mdadm").args(["--stop", NODE]).output();
        // The kernel takes it away a moment later, and its name with it.
        for _ in 0..50 {
            if !Path::new(DEVICE).exists() {
                return;
            }
            thread::sleep(Duration::from_millis(100));
        }
        eprintln!("{DEVICE} does not go away");
    });
    let disks: Vec<PathBuf> = lower
        .iter()
        .map(|name| Path::new("/dev").join(name))
        .collect();
    let mut arguments: Vec<_> = [
        "--build",
        NODE,
        "--run",
        "--level=0",
        "--chunk=64",
        "--raid-devices=2",
    ]
    .map(AsRef::as_ref)
    .to_vec();
    arguments.extend(disks.iter().map(|disk| disk.as_os_str()));
    run("mdadm", arguments)?;
    Ok((file_name(Path::new(NODE))?, device))
}

fn file_name(path: &Path) -> Result<String> {
    path.file_name()
        .and_then(|name| name.to_str())
        .map(ToOwned::to_owned)
        .with_context(|| format!("{} has no name", path.display()))
}
