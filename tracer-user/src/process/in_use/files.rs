//! The files that a running process has open or mapped.

use std::collections::HashSet;
use std::path::PathBuf;

use crate::process::{
    mappings::{Mapping, MappingName},
    observed::{ObservedProcess, ProcessError, classify_io},
};

/// A file that a process has open or mapped, of any kind: also a socket or a device that has a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileInUse {
    /// As the process sees it, with ` (deleted)` if the kernel put that there.
    pub path: PathBuf,
    /// Link in `/proc` that leads to the file itself, whatever its name is now. It ends with the process.
    pub link: PathBuf,
    /// Inode number, where `/proc/P/maps` says it; known from `link` otherwise.
    pub inode: Option<u64>,
    /// Mapped, not open. A file that is both comes twice.
    pub mapped: bool,
    /// Some of it is mapped as code: a program or a library.
    pub is_code: bool,
}

/// What a process has mapped, then what it has open.
///
/// # Errors
/// The process has ended or may not be looked at.
pub fn files_in_use(process: &ObservedProcess) -> Result<Vec<FileInUse>, ProcessError> {
    let mut files = mapped_files(process)?;
    files.extend(open_files(process)?);
    Ok(files)
}

fn mapped_files(process: &ObservedProcess) -> Result<Vec<FileInUse>, ProcessError> {
    let maps = process.read("maps")?;
    let mappings: Vec<Mapping> = maps
        .split(|&byte| byte == b'\n')
        .filter_map(Mapping::parse)
        .filter(|mapping| mapping.inode != 0)
        .collect();
    let code: HashSet<(&MappingName, u64)> = mappings
        .iter()
        .filter(|mapping| mapping.permissions.contains('x'))
        .map(|mapping| (&mapping.name, mapping.inode))
        .collect();
    let mut seen = HashSet::new();
    Ok(mappings
        .iter()
        .filter(|mapping| seen.insert((&mapping.name, mapping.inode)))
        .filter_map(|mapping| {
            let MappingName::File(name) = &mapping.name else {
                return None;
            };
            let link = PathBuf::from(format!(
                "/proc/{}/map_files/{:x}-{:x}",
                process.pid(),
                mapping.start,
                mapping.end
            ));
            Some(FileInUse {
                // The link knows a newline from a backslash and three digits; it needs more rights than maps.
                path: std::fs::read_link(&link).unwrap_or_else(|_| name.clone()),
                link,
                inode: Some(mapping.inode),
                mapped: true,
                is_code: code.contains(&(&mapping.name, mapping.inode)),
            })
        })
        .collect())
}

fn open_files(process: &ObservedProcess) -> Result<Vec<FileInUse>, ProcessError> {
    let directory = PathBuf::from(format!("/proc/{}/fd", process.pid()));
    let entries =
        std::fs::read_dir(&directory).map_err(|error| classify_io(process.pid(), "fd", &error))?;
    Ok(entries
        .filter_map(|entry| {
            // One that is closed meanwhile is no longer of interest.
            let link = entry.ok()?.path();
            let path = std::fs::read_link(&link)
                .ok()
                .filter(|path| path.is_absolute())?;
            Some(FileInUse {
                path,
                link,
                inode: None,
                mapped: false,
                is_code: false,
            })
        })
        .collect())
}
