//! Programs for the guest: the machine's own where it has them, else out of Debian's packages, which are unpacked
//! below the target folder and not installed.

use std::{
    collections::BTreeMap,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};

use super::{
    apt::Apt,
    folder::{self, Folder},
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

/// Finds all programs with their libraries. One that cannot be had is said, and left out: what needs it says so.
///
/// # Errors
/// There is no static busybox, without which a guest does nothing.
pub fn collect(folder: &Folder) -> Result<Files> {
    let unpacked = folder.programs();
    let missing = |unpacked: &Path| -> Vec<(&str, &str)> {
        PROGRAMS
            .into_iter()
            .filter(|(program, _)| find(program, unpacked).is_none())
            .collect()
    };
    let mut packages: Vec<String> = missing(&unpacked)
        .into_iter()
        .map(|(_, package)| package.to_owned())
        .chain(
            busybox(&unpacked)
                .is_none()
                .then(|| "busybox-static".to_owned()),
        )
        .collect();
    packages.sort_unstable();
    packages.dedup();
    if !packages.is_empty() {
        unpack(folder, &packages, &unpacked);
    }
    let mut files = Files::new();
    files.insert(
        "/bin/busybox".into(),
        busybox(&unpacked)
            .context("a virtual machine needs busybox-static; install the package")?,
    );
    for (program, package) in PROGRAMS {
        let added = find(program, &unpacked)
            .with_context(|| format!("install the package {package}"))
            .and_then(|path| add(&mut files, &path, &unpacked, program));
        if let Err(error) = added {
            progress::say(&format!("the guest has no {program}: {error:#}"));
        }
    }
    Ok(files)
}

/// Unpacks packages, once a day at most where they cannot be had.
fn unpack(folder: &Folder, packages: &[String], root: &Path) {
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
        let apt = Apt::of_machine(folder.apt("machine"))?;
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

/// A busybox without libraries.
fn busybox(unpacked: &Path) -> Option<PathBuf> {
    find("busybox", unpacked)
        .filter(|path| libraries(path, unpacked).is_ok_and(|found| found.is_empty()))
}

/// Finds a program on this machine, also where only root's search path leads, or among the unpacked packages. A
/// script is none: its interpreter would not be there.
fn find(program: &str, unpacked: &Path) -> Option<PathBuf> {
    [Path::new("/"), unpacked]
        .into_iter()
        .flat_map(|root| FOLDERS.map(|folder| root.join(folder).join(program)))
        .find(|path| executable::is_executable(path) && is_elf(path))
}

fn is_elf(path: &Path) -> bool {
    let mut magic = [0; 4];
    fs::File::open(path).is_ok_and(|mut file| file.read_exact(&mut magic).is_ok())
        && magic == *b"\x7fELF"
}

fn add(files: &mut Files, path: &Path, unpacked: &Path, program: &str) -> Result<()> {
    for library in libraries(path, unpacked)? {
        let in_guest = match library.strip_prefix(unpacked) {
            Ok(rest) => Path::new("/").join(rest),
            Err(_) => library.clone(),
        };
        files.insert(in_guest, library);
    }
    files.insert(Path::new("/bin").join(program), path.to_owned());
    Ok(())
}

/// The shared libraries that a program needs, and its loader; none for a static one.
fn libraries(program: &Path, unpacked: &Path) -> Result<Vec<PathBuf>> {
    let search = [
        "usr/lib/x86_64-linux-gnu",
        "lib/x86_64-linux-gnu",
        "usr/lib64",
        "usr/lib",
    ]
    .map(|folder| unpacked.join(folder));
    let search = std::env::join_paths(search).context("the target folder's path has a colon")?;
    let output = Command::new("ldd")
        .arg(program)
        .env("LC_ALL", "C")
        .env("LD_LIBRARY_PATH", search)
        .output()
        .context("cannot run ldd")?;
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("not a dynamic executable") {
        return Ok(Vec::new());
    }
    ensure!(
        output.status.success(),
        "ldd ended with {}: {}",
        output.status,
        said.trim_end()
    );
    parse_ldd(&String::from_utf8_lossy(&output.stdout))
}

/// Reads lines as `libc.so.6 => /lib/libc.so.6 (0x7f…)` and `/lib64/ld-linux-x86-64.so.2 (0x7f…)`.
fn parse_ldd(text: &str) -> Result<Vec<PathBuf>> {
    let mut libraries = Vec::new();
    for line in text.lines().map(str::trim) {
        let (name, place) = line.split_once(" => ").unwrap_or((line, line));
        ensure!(place != "not found", "its library {name} is missing");
        let path = place.split(" (").next().unwrap_or(place);
        // The kernel itself brings linux-vdso.
        if path.starts_with('/') {
            libraries.push(path.into());
        }
    }
    Ok(libraries)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_and_the_loader_are_read_from_ldd() {
        let text = "\tlinux-vdso.so.1 (0x00007f90062bd000)\n\
            \tlibuuid.so.1 => /lib/x86_64-linux-gnu/libuuid.so.1 (0x00007f90061e3000)\n\
            \t/lib64/ld-linux-x86-64.so.2 (0x00007f90062bf000)\n";
        assert_eq!(
            parse_ldd(text).unwrap(),
            [
                Path::new("/lib/x86_64-linux-gnu/libuuid.so.1"),
                Path::new("/lib64/ld-linux-x86-64.so.2"),
            ]
        );
        assert!(parse_ldd("\tstatically linked\n").unwrap().is_empty());
        let error = parse_ldd("\tlibx.so.1 => not found\n").unwrap_err();
        assert!(error.to_string().contains("libx.so.1"));
    }

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
