//! File systems of test disks.

use std::{ffi::OsString, fmt, path::Path};

use anyhow::Result;
use nix::{
    errno::Errno,
    mount::{MsFlags, mount},
};

use super::program::run;
use crate::environment::unavailable;

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
    ///
    /// # Errors
    /// [`crate::environment::Unavailable`] where the kernel has no such file system.
    pub(super) fn mount(self, volume: &Path, mount_point: &Path) -> Result<()> {
        let mut result = Err(Errno::EINVAL);
        for options in self.quiet_options() {
            result = mount(
                Some(volume),
                mount_point,
                Some(self.name()),
                MsFlags::MS_NOATIME,
                *options,
            );
            if result != Err(Errno::EINVAL) {
                break;
            }
        }
        result.map_err(|error| match error {
            Errno::ENODEV => unavailable(format!("this kernel has no {self}")),
            error => {
                anyhow::Error::new(error).context(format!("mount {self} from {}", volume.display()))
            }
        })
    }

    /// Makes the file system, of this size (bytes) or as large as its device. Nothing is left to be initialised in
    /// the background, and nothing discarded, so that the device is quiet and an image stays allocated.
    pub(super) fn make(self, device: &Path, size_bytes: Option<u64>) -> Result<()> {
        let (program, options): (&str, &[&str]) = match self {
            Self::Ext4 => (
                "mkfs.ext4",
                &[
                    "-q",
                    "-F",
                    "-b",
                    "4096",
                    "-E",
                    "nodiscard,lazy_itable_init=0,lazy_journal_init=0",
                ],
            ),
            Self::Xfs => ("mkfs.xfs", &["-q", "-f", "-K"]),
            Self::Btrfs => ("mkfs.btrfs", &["-q", "-f", "-K"]),
        };
        let mut arguments: Vec<OsString> = options.iter().map(OsString::from).collect();
        let kibibytes = size_bytes.map(|bytes| bytes >> 10);
        match (self, kibibytes) {
            (Self::Xfs, Some(size)) => {
                arguments.extend(["-d".into(), format!("size={size}k").into()])
            }
            (Self::Btrfs, Some(size)) => arguments.extend(["-b".into(), format!("{size}k").into()]),
            _ => {}
        }
        arguments.push(device.into());
        if let (Self::Ext4, Some(size)) = (self, kibibytes) {
            arguments.push(format!("{size}k").into());
        }
        run(program, arguments.iter().map(OsString::as_os_str)).map(drop)
    }
}

impl fmt::Display for FileSystem {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}
