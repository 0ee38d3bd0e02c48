//! Packages unpacked into one folder, and the programs in it.

use std::{
    ffi::OsString,
    fs,
    io::Read as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::{apt::Apt, architecture::Architecture, libraries};
use crate::{executable, progress};

const FOLDERS: [&str; 7] = [
    "bin",
    "sbin",
    "usr/bin",
    "usr/sbin",
    "usr/local/bin",
    "usr/local/sbin",
    // What is in usr/bin is a script.
    "usr/lib/chromium",
];

/// A folder with unpacked packages of an architecture.
#[derive(Debug, Clone, Copy)]
pub struct Unpacked<'a> {
    /// The folder, which stands for the root.
    pub root: &'a Path,
    /// What machines run the programs.
    pub architecture: Architecture,
}

impl Unpacked<'_> {
    /// Downloads and unpacks packages, with what they depend on and this machine does not have. `apt` is a folder for
    /// apt's state, `purpose` what the packages are for, as in `for the guest`.
    ///
    /// # Errors
    /// They cannot be had.
    pub fn fetch(self, packages: &[String], apt: PathBuf, purpose: &str) -> Result<()> {
        progress::say(&format!(
            "unpacking {purpose}, not installing: {}",
            packages.join(", ")
        ));
        fs::create_dir_all(self.root)
            .with_context(|| format!("cannot make {}", self.root.display()))?;
        let apt = Apt::of_machine(apt, self.architecture)?;
        apt.update()?;
        apt.unpack_with_dependencies(packages, self.root)
    }

    /// A program of these packages.
    pub fn find(self, program: &str) -> Option<PathBuf> {
        program_below(self.root, program)
    }

    /// A program of this machine where it is of the architecture, else one of these packages. A script is none: its
    /// interpreter would not be there.
    pub fn find_or_of_machine(self, program: &str) -> Option<PathBuf> {
        self.architecture
            .is_of_machine()
            .then(|| program_below(Path::new("/"), program))
            .flatten()
            .or_else(|| self.find(program))
    }

    /// Where the loader finds the libraries of these packages.
    ///
    /// # Errors
    /// The folder's path has a colon in it.
    pub fn library_folders(self) -> Result<OsString> {
        libraries::search_path(self.root, self.architecture)
    }

    /// The shared libraries that a program needs, and its loader; none for a static one.
    ///
    /// # Errors
    /// One is missing.
    pub fn libraries(self, program: &Path) -> Result<Vec<PathBuf>> {
        if self.architecture.is_of_machine() {
            libraries::of_machine(program, self.root, self.architecture)
        } else {
            libraries::of_packages(program, self.root, self.architecture)
        }
    }
}

fn program_below(root: &Path, program: &str) -> Option<PathBuf> {
    FOLDERS
        .iter()
        .map(|folder| root.join(folder).join(program))
        .find(|path| executable::is_executable(path) && is_elf(path))
}

fn is_elf(path: &Path) -> bool {
    let mut magic = [0; 4];
    fs::File::open(path).is_ok_and(|mut file| file.read_exact(&mut magic).is_ok())
        && magic == *b"\x7fELF"
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_script_is_no_program() {
        let folder = tempfile::tempdir().unwrap();
        let unpacked = Unpacked {
            root: folder.path(),
            architecture: Architecture::Amd64,
        };
        let path = folder.path().join("usr/sbin/x");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(unpacked.find("x"), None);
        fs::write(&path, b"\x7fELF\x02").unwrap();
        assert_eq!(unpacked.find("x"), Some(path));
    }
}
