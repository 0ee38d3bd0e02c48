//! Programs for the guest: the machine's own where it has them and the guest can run them, else out of Debian's
//! packages, which are unpacked below the target folder and not installed.

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::{
    apt::Apt,
    architecture::Architecture,
    folder::{self, Folder},
    libraries,
};
use crate::{executable, progress};

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

/// Where programs lie.
const FOLDERS: [&str; 6] = [
    "bin",
    "sbin",
    "usr/bin",
    "usr/sbin",
    "usr/local/bin",
    "usr/local/sbin",
];

/// Says which packages were unpacked, or could not be.
const STAMP: &str = "packages";

/// What goes into the guest: its path there, and the file of this machine.
pub type Files = BTreeMap<PathBuf, PathBuf>;

/// Finds all programs with their libraries. This machine's own are taken only where they are of the architecture. One that cannot be had is said, and left out: what needs it says so.
///
/// # Errors
/// There is no static busybox, without which a guest does nothing.
pub fn collect(folder: &Folder, architecture: Architecture) -> Result<Files> {
    let unpacked = folder.programs(architecture);
    let places = Places {
        unpacked: &unpacked,
        architecture,
    };
    let mut packages: Vec<String> = PROGRAMS
        .into_iter()
        .filter(|(program, _)| places.find(program).is_none())
        .map(|(_, package)| package.to_owned())
        .chain(
            places
                .busybox()
                .is_none()
                .then(|| "busybox-static".to_owned()),
        )
        .collect();
    packages.sort_unstable();
    packages.dedup();
    if !packages.is_empty() {
        unpack(folder, &packages, places);
    }
    let mut files = Files::new();
    files.insert(
        "/bin/busybox".into(),
        places
            .busybox()
            .context("a virtual machine needs busybox-static; install the package")?,
    );
    for (program, package) in PROGRAMS {
        let added = places
            .find(program)
            .with_context(|| format!("install the package {package}"))
            .and_then(|path| places.add(&mut files, &path, program));
        if let Err(error) = added {
            progress::say(&format!("the guest has no {program}: {error:#}"));
        }
    }
    Ok(files)
}

/// Unpacks packages, once a day at most where they cannot be had.
fn unpack(folder: &Folder, packages: &[String], places: Places<'_>) {
    let root = places.unpacked;
    let stamp = root.join(STAMP);
    let tried = packages.join(" ");
    if folder::is_fresh(&stamp) && fs::read_to_string(&stamp).is_ok_and(|text| text == tried) {
        return;
    }
    progress::say(&format!(
        "unpacking for the guest, not installing: {}",
        packages.join(", ")
    ));
    let unpack = || -> Result<()> {
        fs::create_dir_all(root).with_context(|| format!("cannot make {}", root.display()))?;
        let apt = Apt::of_machine(
            folder.apt(&places.architecture.folder("machine")),
            places.architecture,
        )?;
        apt.update()?;
        apt.unpack_with_dependencies(packages, root)
    };
    if let Err(error) = unpack() {
        progress::say(&format!("{error:#}"));
    }
    if let Err(error) = folder::write(&stamp, tried.as_bytes()) {
        progress::say(&format!("{error:#}"));
    }
}

/// Where programs of an architecture are.
#[derive(Debug, Clone, Copy)]
struct Places<'a> {
    /// The root of the unpacked packages.
    unpacked: &'a Path,
    architecture: Architecture,
}

impl Places<'_> {
    /// A busybox without libraries.
    fn busybox(self) -> Option<PathBuf> {
        self.find("busybox")
            .filter(|path| self.libraries(path).is_ok_and(|found| found.is_empty()))
    }

    /// Finds a program on this machine, also where only root's search path leads, or among the unpacked packages. A
    /// script is none: its interpreter would not be there.
    fn find(self, program: &str) -> Option<PathBuf> {
        let machine = self.architecture.is_of_machine().then_some(Path::new("/"));
        machine
            .into_iter()
            .chain([self.unpacked])
            .flat_map(|root| FOLDERS.map(|folder| root.join(folder).join(program)))
            .find(|path| executable::is_executable(path) && is_elf(path))
    }

    fn add(self, files: &mut Files, path: &Path, program: &str) -> Result<()> {
        for library in self.libraries(path)? {
            let in_guest = match library.strip_prefix(self.unpacked) {
                Ok(rest) => Path::new("/").join(rest),
                Err(_) => library.clone(),
            };
            files.insert(in_guest, library);
        }
        files.insert(Path::new("/bin").join(program), path.to_owned());
        Ok(())
    }

    fn libraries(self, program: &Path) -> Result<Vec<PathBuf>> {
        if self.architecture.is_of_machine() {
            libraries::of_machine(program, self.unpacked, self.architecture)
        } else {
            libraries::of_packages(program, self.unpacked, self.architecture)
        }
    }
}

fn is_elf(path: &Path) -> bool {
    let mut magic = [0; 4];
    fs::File::open(path).is_ok_and(|mut file| file.read_exact(&mut magic).is_ok())
        && magic == *b"\x7fELF"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_are_in_order_and_named_once() {
        assert!(PROGRAMS.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn a_script_is_no_program_for_the_guest() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        fs::write(&path, "#!/bin/sh\n").unwrap();
        assert!(!is_elf(&path));
        fs::write(&path, b"\x7fELF\x02").unwrap();
        assert!(is_elf(&path));
    }
}
