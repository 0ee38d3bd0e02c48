//! A loop device with a file system, for tests. Detached and unmounted whatever happens.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::units::Sector;

/// First sector of the partition made on request.
const PARTITION_START: u64 = 2048;

pub(crate) struct TestDisk {
    directory: TempDir,
    image: PathBuf,
    loop_device: Option<String>,
    file_system_type: &'static str,
    mounts: std::cell::RefCell<Vec<PathBuf>>,
    partition: bool,
}

fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program)
        .args(arguments)
        .output()
        .map_err(|error| format!("{program}: {error}"))?;
    if output.status.success() {
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    } else {
        Err(format!(
            "{program} {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        ))
    }
}

impl TestDisk {
    /// A mounted disk of `size_bytes`, or `None` with the reason printed where it cannot be made here.
    pub(crate) fn new(
        file_system_type: &'static str,
        size_bytes: u64,
        partition: bool,
    ) -> Option<Self> {
        let skip = |reason: &str| {
            eprintln!("skipped: no test disk with {file_system_type}: {reason}");
            None
        };
        if !nix::unistd::geteuid().is_root() {
            return skip("needs root");
        }
        // /var/tmp, because /tmp may be a tmpfs that takes no direct I/O.
        let directory = tempfile::Builder::new()
            .prefix("tracer-test-disk")
            .tempdir_in("/var/tmp")
            .unwrap();
        let image = directory.path().join("image");
        File::create(&image).unwrap().set_len(size_bytes).unwrap();
        let mut disk = Self {
            image,
            directory,
            loop_device: None,
            file_system_type,
            mounts: std::cell::RefCell::default(),
            partition,
        };
        fs::create_dir(disk.mount_point()).unwrap();
        match disk.attach(size_bytes) {
            Ok(()) => Some(disk),
            Err(reason) => skip(&reason),
        }
    }

    fn attach(&mut self, size_bytes: u64) -> Result<(), String> {
        let image = self.image.display().to_string();
        let device = run("losetup", &["--direct-io=on", "--find", "--show", &image])?;
        self.loop_device = Some(device.clone());
        let mut volume = device.clone();
        if self.partition {
            let sectors = (size_bytes / 512 - PARTITION_START).to_string();
            run(
                "addpart",
                &[&device, "1", &PARTITION_START.to_string(), &sectors],
            )?;
            volume = format!("{device}p1");
        }
        let mkfs = format!("mkfs.{}", self.file_system_type);
        let quick: &[&str] = if self.file_system_type == "ext4" {
            &["-q", "-F", "-b", "4096"]
        } else {
            &["-q", "-f"]
        };
        run(&mkfs, &[quick, &[volume.as_str()]].concat())?;
        let target = self.mount_point();
        run(
            "mount",
            &[
                "-t",
                self.file_system_type,
                &volume,
                &target.display().to_string(),
            ],
        )?;
        self.mounts.borrow_mut().push(target);
        Ok(())
    }

    pub(crate) fn mount_point(&self) -> PathBuf {
        self.directory.path().join("with space")
    }

    pub(crate) fn image(&self) -> &Path {
        &self.image
    }

    pub(crate) fn file_system_type(&self) -> &'static str {
        self.file_system_type
    }

    pub(crate) fn disk_name(&self) -> String {
        self.loop_device
            .as_deref()
            .unwrap()
            .trim_start_matches("/dev/")
            .to_owned()
    }

    pub(crate) fn partition_start(&self) -> Sector {
        Sector(if self.partition { PARTITION_START } else { 0 })
    }

    /// Waits until everything written is in the image.
    pub(crate) fn settle(&self) {
        nix::unistd::syncfs(File::open(self.mount_point()).unwrap()).unwrap();
        File::open(&self.image).unwrap().sync_all().unwrap();
    }

    /// An overlay over this disk's directories `lower` (with models/model.bin of 200,000 bytes) and `upper`, or `None`
    /// with the reason printed.
    pub(crate) fn overlay(&self) -> Option<PathBuf> {
        let at = |name: &str| self.mount_point().join(name);
        for name in ["lower/models", "upper", "work", "merged"] {
            fs::create_dir_all(at(name)).unwrap();
        }
        fs::write(at("lower/models/model.bin"), vec![3; 200_000]).unwrap();
        self.settle();
        let options = format!(
            "lowerdir={},upperdir={},workdir={}",
            at("lower").display(),
            at("upper").display(),
            at("work").display()
        );
        let merged = at("merged");
        match run(
            "mount",
            &[
                "-t",
                "overlay",
                "overlay",
                "-o",
                &options,
                &merged.display().to_string(),
            ],
        ) {
            Ok(_) => {
                self.mounts.borrow_mut().push(merged.clone());
                Some(merged)
            }
            Err(reason) => {
                eprintln!("skipped: no overlay here: {reason}");
                None
            }
        }
    }
}

impl Drop for TestDisk {
    fn drop(&mut self) {
        for mount in self.mounts.borrow().iter().rev() {
            let mount = mount.display().to_string();
            // A child that another test is just forking holds our open files until it execs.
            let unmounted = (0..40).any(|_| {
                let result = run("umount", &[&mount]);
                if result.is_err() {
                    std::thread::sleep(std::time::Duration::from_millis(25));
                }
                result.is_ok()
            });
            if !unmounted {
                eprintln!("{mount} is still in use; it goes when its user does");
                let _ = run("umount", &["--lazy", &mount]);
            }
        }
        if let Some(device) = &self.loop_device {
            if self.partition {
                let _ = run("delpart", &[device, "1"]);
            }
            if let Err(error) = run("losetup", &["--detach", device]) {
                eprintln!("{error}");
            }
        }
    }
}
