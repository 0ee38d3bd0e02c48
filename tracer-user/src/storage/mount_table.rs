//! The mount table, from /proc/self/mountinfo (proc_pid_mountinfo(5)).
//!
//! Crate `procfs` also reads it, but keeps mount options in a map, which loses all but one of overlay's repeated
//! `lowerdir+=`, and leaves `\040` and its like in paths: a file system mounted under a name with a space would not
//! be found.

use std::collections::HashSet;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use thiserror::Error;

use super::units::KernelDevice;

/// Why the mount table cannot be used.
#[derive(Debug, Error)]
pub enum MountTableError {
    /// A file under /proc cannot be read.
    #[error("cannot read {path}: {source} (is /proc mounted?)")]
    Unreadable { path: String, source: io::Error },
    /// A line of mountinfo is not what proc(5) promises.
    #[error("cannot make sense of this line of /proc/self/mountinfo: {0:?}")]
    Malformed(String),
    /// The mount that a file is on is not in the table: unmounted meanwhile, or outside this process's root.
    #[error(
        "mount {0} is in no process's mountinfo that can be read (unmounted meanwhile, or its namespace has ended; run the tracer as root in the host's pid namespace)"
    )]
    UnknownMount(u64),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mount {
    /// The kernel's id of the mount.
    pub id: u64,
    /// The file system's device (`s_dev`): what page-cache events carry. On btrfs it differs from `st_dev`, which is a
    /// subvolume's.
    pub device: KernelDevice,
    /// Directory inside the file system that is mounted (not `/` for bind mounts and subvolumes).
    pub root: PathBuf,
    /// Where it is mounted.
    pub mount_point: PathBuf,
    /// Options of this mount, in their order.
    pub mount_options: Vec<OsString>,
    /// Type of the file system, such as `ext4`.
    pub file_system_type: String,
    /// What was mounted: a device node, a directory, a word.
    pub source: OsString,
    /// Options of the file system, in their order; one may occur several times.
    pub super_options: Vec<OsString>,
    /// A process of the mount namespace that has the mount, where that is not our own: paths of this mount are that
    /// process's.
    pub namespace_of: Option<i32>,
}

impl Mount {
    fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.split(|byte| *byte == b' ');
        let mut text = || {
            fields
                .next()
                .and_then(|field| std::str::from_utf8(field).ok())
        };
        let id = text()?.parse().ok()?;
        let _parent: u64 = text()?.parse().ok()?;
        let device = text()?.parse().ok()?;
        let root = PathBuf::from(unescape(fields.next()?));
        let mount_point = PathBuf::from(unescape(fields.next()?));
        let mount_options = options(fields.next()?);
        fields.by_ref().find(|field| *field == b"-")?;
        let file_system_type = std::str::from_utf8(fields.next()?).ok()?.to_owned();
        let source = unescape(fields.next()?);
        let super_options = options(fields.next()?);
        Some(Self {
            id,
            device,
            root,
            mount_point,
            mount_options,
            file_system_type,
            source,
            super_options,
            namespace_of: None,
        })
    }

    /// Values of the file-system option `name`, in their order.
    pub fn super_option_values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a OsStr> {
        self.super_options.iter().filter_map(move |option| {
            let value = option
                .as_bytes()
                .strip_prefix(name.as_bytes())?
                .strip_prefix(b"=")?;
            Some(OsStr::from_bytes(value))
        })
    }

    /// Whether the file-system option `flag` (without a value) is set.
    pub fn has_super_option(&self, flag: &str) -> bool {
        self.super_options.iter().any(|option| option == flag)
    }
}

/// All mounts of this process's mount namespace.
#[derive(Debug, Clone)]
pub struct MountTable {
    /// In the kernel's order.
    pub mounts: Vec<Mount>,
}

impl MountTable {
    /// Reads the table as it is now.
    pub fn read() -> Result<Self, MountTableError> {
        let path = "/proc/self/mountinfo";
        let bytes = std::fs::read(path).map_err(|source| MountTableError::Unreadable {
            path: path.to_owned(),
            source,
        })?;
        Self::parse(&bytes)
    }

    /// Parses text in the form of mountinfo.
    pub fn parse(bytes: &[u8]) -> Result<Self, MountTableError> {
        let mounts = bytes
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.is_empty())
            .map(|line| {
                Mount::parse(line).ok_or_else(|| {
                    MountTableError::Malformed(String::from_utf8_lossy(line).into_owned())
                })
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { mounts })
    }

    /// The mount that an open file was reached through: exactly that one, also where several are stacked on a
    /// directory, and also where it is in another process's mount namespace; else a mount of the same file system. From
    /// `mnt_id` in /proc/self/fdinfo (Linux 3.15), which is one mount's in all namespaces (`mnt_id_ida`).
    pub fn of_file(&self, file: &File) -> Result<Mount, MountTableError> {
        let path = format!("/proc/self/fdinfo/{}", file.as_raw_fd());
        let unreadable = |source| MountTableError::Unreadable {
            path: path.clone(),
            source,
        };
        let text = std::fs::read_to_string(&path).map_err(unreadable)?;
        let id = text
            .lines()
            .find_map(|line| line.strip_prefix("mnt_id:"))
            .and_then(|id| id.trim().parse().ok())
            .ok_or_else(|| unreadable(io::Error::other("no mnt_id in it")))?;
        let with_id = |mount: &&Mount| mount.id == id;
        if let Some(mount) = self.mounts.iter().find(with_id) {
            return Ok(mount.clone());
        }
        if let Some(mount) = in_other_namespaces(id) {
            return Ok(mount);
        }
        // Of a namespace that has ended, or of a process that may not be looked at.
        let device = file
            .metadata()
            .ok()
            .and_then(|metadata| KernelDevice::from_st_dev(metadata.dev()).ok());
        self.mounts
            .iter()
            .find(|mount| Some(mount.device) == device)
            .cloned()
            .ok_or(MountTableError::UnknownMount(id))
    }
}

/// A mount of another process's mount namespace, by its id. Looks into each namespace once.
fn in_other_namespaces(id: u64) -> Option<Mount> {
    let namespace = |process: &str| std::fs::read_link(format!("/proc/{process}/ns/mnt")).ok();
    let mut seen: HashSet<PathBuf> = namespace("self").into_iter().collect();
    let mut pids: Vec<i32> = std::fs::read_dir("/proc")
        .ok()?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    pids.into_iter().find_map(|pid| {
        let process = pid.to_string();
        if !seen.insert(namespace(&process)?) {
            return None;
        }
        // One that ends meanwhile leaves its namespace to others, or takes it away.
        let bytes = std::fs::read(format!("/proc/{process}/mountinfo")).ok()?;
        let mount = MountTable::parse(&bytes)
            .ok()?
            .mounts
            .into_iter()
            .find(|mount| mount.id == id)?;
        Some(Mount {
            namespace_of: Some(pid),
            ..mount
        })
    })
}

fn options(field: &[u8]) -> Vec<OsString> {
    field
        .split(|byte| *byte == b',')
        .filter(|option| !option.is_empty())
        .map(unescape)
        .collect()
}

/// Undoes `seq_escape`: a backslash and three octal digits stand for a byte (space, tab, newline, backslash, `#`, and in
/// options `,`).
pub(super) fn unescape(field: &[u8]) -> OsString {
    let mut bytes = Vec::with_capacity(field.len());
    let mut rest = field;
    while let Some((&byte, after)) = rest.split_first() {
        let octal = |digit: u8| digit.is_ascii_digit() && digit < b'8';
        if byte == b'\\'
            && let [high @ b'0'..=b'3', middle, low, remaining @ ..] = after
            && octal(*middle)
            && octal(*low)
        {
            bytes.push((high - b'0') << 6 | (middle - b'0') << 3 | (low - b'0'));
            rest = remaining;
        } else {
            bytes.push(byte);
            rest = after;
        }
    }
    OsString::from_vec(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spaces_repeated_options_and_optional_fields_survive() {
        let text = b"36 35 98:0 /mnt1 /my\\040models rw,noatime shared:1 master:2 - ext3 /dev/ro\\134ot rw,errors=continue\n\
            40 35 0:50 / /o rw - overlay overlay rw,lowerdir+=/a\\054b,lowerdir+=/c,upperdir=/u\n";
        let table = MountTable::parse(text).unwrap();
        let first = &table.mounts[0];
        assert_eq!(first.mount_point, PathBuf::from("/my models"));
        assert_eq!(first.source, "/dev/ro\\ot");
        assert_eq!(first.device.to_string(), "98:0");
        assert_eq!(
            (first.root.to_str(), first.file_system_type.as_str()),
            (Some("/mnt1"), "ext3")
        );
        assert_eq!(first.mount_options, ["rw", "noatime"]);
        let second = &table.mounts[1];
        assert_eq!(
            second.super_option_values("lowerdir+").collect::<Vec<_>>(),
            ["/a,b", "/c"]
        );
        assert_eq!(second.super_option_values("lowerdir").count(), 0);
        assert!(second.has_super_option("rw") && !second.has_super_option("upperdir"));
    }

    #[test]
    fn a_cut_line_is_refused() {
        assert!(MountTable::parse(b"36 35 98:0 / /mnt rw shared:1\n").is_err());
        assert!(MountTable::parse(b"36 35 98 / /mnt rw - ext4 a rw\n").is_err());
    }

    #[test]
    fn a_backslash_that_escapes_nothing_stays() {
        assert_eq!(unescape(br"a\04"), r"a\04");
        assert_eq!(unescape(br"a\999\040"), r"a\999 ");
        assert_eq!(unescape(br"\777"), r"\777");
    }

    #[test]
    fn the_real_table_knows_the_mount_of_an_open_file() {
        let file = File::open("/proc/self/status").unwrap();
        let table = MountTable::read().unwrap();
        assert_eq!(table.of_file(&file).unwrap().file_system_type, "proc");
    }
}
