//! Programs for the guest: the machine's own where it has them and the guest can run them, else out of Debian's
//! packages, which are unpacked below the target folder and not installed.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::vm::folder::Folder;
use crate::{
    kept,
    packages::{Architecture, Unpacked},
    progress,
};

/// What the tests and a person in the guest need, with the package that has it. What busybox has too is here where
/// its version is not enough.
const PROGRAMS: [(&str, &str); 27] = [
    ("addpart", "util-linux"),
    ("blkdiscard", "util-linux"),
    ("blkparse", "blktrace"),
    ("blktrace", "blktrace"),
    ("btrfs", "btrfs-progs"),
    ("capsh", "libcap2-bin"),
    ("cryptsetup", "cryptsetup-bin"),
    ("dash", "dash"),
    ("dd", "coreutils"),
    ("debugfs", "e2fsprogs"),
    ("delpart", "util-linux"),
    ("dmsetup", "dmsetup"),
    ("filefrag", "e2fsprogs"),
    ("findmnt", "util-linux"),
    ("losetup", "mount"),
    ("mdadm", "mdadm"),
    ("mkfs.btrfs", "btrfs-progs"),
    ("mkfs.ext4", "e2fsprogs"),
    ("mkfs.xfs", "xfsprogs"),
    ("mount", "mount"),
    ("setpriv", "util-linux"),
    ("sleep", "coreutils"),
    ("stat", "coreutils"),
    ("true", "coreutils"),
    ("umount", "mount"),
    ("unshare", "util-linux"),
    ("xfs_io", "xfsprogs"),
];

/// Says which packages were unpacked, or could not be.
const STAMP: &str = "packages";

/// What goes into the guest: its path there, and the file of this machine.
pub type Files = BTreeMap<PathBuf, PathBuf>;

/// Finds all programs with their libraries. This machine's own are taken only where they are of the architecture. One
/// that cannot be had is said, and left out: what needs it says so.
///
/// # Errors
/// There is no static busybox, without which a guest does nothing.
pub fn collect(folder: &Folder, architecture: Architecture) -> Result<Files> {
    let root = folder.programs(architecture);
    let unpacked = Unpacked {
        root: &root,
        architecture,
    };
    let mut packages: Vec<String> = PROGRAMS
        .into_iter()
        .filter(|(program, _)| unpacked.find_or_of_machine(program).is_none())
        .map(|(_, package)| package.to_owned())
        .chain(
            busybox(unpacked)
                .is_none()
                .then(|| "busybox-static".to_owned()),
        )
        .collect();
    packages.sort_unstable();
    packages.dedup();
    if !packages.is_empty() {
        let apt = folder.apt(&architecture.folder("machine"));
        fetch(unpacked, &packages, apt);
    }
    let mut files = Files::new();
    files.insert(
        "/bin/busybox".into(),
        busybox(unpacked).context("a virtual machine needs busybox-static; install the package")?,
    );
    for (program, package) in PROGRAMS {
        let added = unpacked
            .find_or_of_machine(program)
            .with_context(|| format!("install the package {package}"))
            .and_then(|path| add(unpacked, &mut files, &path, program));
        if let Err(error) = added {
            progress::say(&format!("the guest has no {program}: {error:#}"));
        }
    }
    Ok(files)
}

/// Unpacks packages, once a day at most where they cannot be had.
fn fetch(unpacked: Unpacked<'_>, packages: &[String], apt: PathBuf) {
    let stamp = unpacked.root.join(STAMP);
    let tried = packages.join(" ");
    if kept::is_fresh(&stamp) && fs::read_to_string(&stamp).is_ok_and(|text| text == tried) {
        return;
    }
    if let Err(error) = unpacked.fetch(packages, apt, "for the guest") {
        progress::say(&format!("{error:#}"));
    }
    if let Err(error) = kept::write(&stamp, tried.as_bytes()) {
        progress::say(&format!("{error:#}"));
    }
}

/// A busybox without libraries.
fn busybox(unpacked: Unpacked<'_>) -> Option<PathBuf> {
    unpacked
        .find_or_of_machine("busybox")
        .filter(|path| unpacked.libraries(path).is_ok_and(|found| found.is_empty()))
}

fn add(unpacked: Unpacked<'_>, files: &mut Files, path: &Path, program: &str) -> Result<()> {
    for library in unpacked.libraries(path)? {
        let in_guest = match library.strip_prefix(unpacked.root) {
            Ok(rest) => Path::new("/").join(rest),
            Err(_) => library.clone(),
        };
        files.insert(in_guest, library);
    }
    files.insert(Path::new("/bin").join(program), path.to_owned());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_in_order_and_named_once() {
        assert!(PROGRAMS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
