//! The model files that a running process has mapped or open.
//!
//! A path in `/proc/P/maps` is the process's own view: in a container it names another file for us, or none. Every
//! file is therefore given with a second path that *we* can open, checked to be the same file by device and inode (by
//! inode alone where only `/proc/P/maps` speaks: its device number is not that of `stat` on btrfs and overlayfs).
//!
//! A path below `/proc/P` dies with the process: open what is needed after it while the process runs.

use std::collections::{BTreeMap, HashSet};
use std::ffi::OsString;
use std::fmt;
use std::fs::{File, Metadata};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use crate::model::files::{SplitName, has_model_extension};

use super::{
    files_in_use::{FileInUse, files_in_use},
    observed::{ObservedProcess, ProcessError},
};

/// A model file of a running process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenModelFile {
    /// As the process sees it.
    pub path_in_process: PathBuf,
    /// As we can open it.
    pub openable_path: PathBuf,
    /// Device of the file system (`st_dev`), which need not be the one that tracepoints carry.
    pub device: u64,
    pub inode: u64,
    /// Bytes.
    pub size_bytes: u64,
    /// The process has it mapped now.
    pub mapped: bool,
    /// The process has it open now. Neither is possible: a part of a split model that it has closed, or not yet opened.
    pub open: bool,
}

/// One model of a running process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenModel {
    /// File name, for a split model without the part's number.
    pub display_name: String,
    /// Every file, in the order of the parts.
    pub files: Vec<OpenModelFile>,
}

/// Why a file that looks like a model cannot be traced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefusedReason {
    /// Its name is gone.
    Deleted,
    /// No path leads us to it.
    Unreachable(String),
    /// Parts of a split model are not there; names of the files.
    MissingParts(Vec<String>),
}

/// A file that looks like a model and cannot be traced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedFile {
    /// As the process sees it.
    pub path_in_process: PathBuf,
    pub reason: RefusedReason,
}

impl fmt::Display for RefusedFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: ", self.path_in_process.display())?;
        match &self.reason {
            RefusedReason::Deleted => formatter.write_str("was deleted while the process used it, so its place on the disk cannot be looked up; start the process again with a file that stays"),
            RefusedReason::Unreachable(why) => write!(formatter, "cannot be opened from here ({why}); run the tracer as root in the host's namespaces"),
            RefusedReason::MissingParts(parts) => write!(formatter, "parts of this split model are missing: {}", parts.join(", ")),
        }
    }
}

#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OpenModels {
    /// Models that can be traced, by name.
    pub models: Vec<OpenModel>,
    /// Files that look like models and cannot be traced.
    pub refused: Vec<RefusedFile>,
}

impl OpenModels {
    /// Looks through mappings and open files of one process (not of its children: see
    /// [`ObservedProcess::descendants`]). A file is a model if its name ends in `.gguf` or `.safetensors`, or its first
    /// four bytes are `GGUF`.
    ///
    /// # Errors
    /// The process has ended or may not be looked at.
    pub fn find(process: &ObservedProcess) -> Result<Self, ProcessError> {
        let candidates = files_in_use(process)?;
        let mut found = Self::default();
        let mut files: BTreeMap<(u64, u64), OpenModelFile> = BTreeMap::new();
        for candidate in candidates {
            match candidate.resolve(process.pid()) {
                Ok(None) => {}
                Ok(Some(file)) => match files.get_mut(&(file.device, file.inode)) {
                    Some(known) => {
                        known.mapped |= file.mapped;
                        known.open |= file.open;
                    }
                    None => {
                        files.insert((file.device, file.inode), file);
                    }
                },
                Err(reason) => {
                    let refused = RefusedFile {
                        path_in_process: candidate.path,
                        reason,
                    };
                    if !found.refused.contains(&refused) {
                        found.refused.push(refused);
                    }
                }
            }
        }
        found.group(files.into_values().collect());
        Ok(found)
    }

    /// Puts the parts of split models together, with the parts that the process has not open.
    fn group(&mut self, files: Vec<OpenModelFile>) {
        let mut grouped: HashSet<(u64, u64)> = HashSet::new();
        for file in &files {
            if grouped.contains(&(file.device, file.inode)) {
                continue;
            }
            let name = file.path_in_process.file_name().unwrap_or_default();
            let Some(part) = SplitName::parse(name) else {
                self.models.push(OpenModel {
                    display_name: name.to_string_lossy().into_owned(),
                    files: vec![file.clone()],
                });
                continue;
            };
            let mut parts = Vec::new();
            let mut missing = Vec::new();
            for number in 1..=part.count {
                let path_in_process = file.path_in_process.with_file_name(part.name_of(number));
                let known = files
                    .iter()
                    .find(|other| other.path_in_process == path_in_process)
                    .cloned();
                match known.or_else(|| sibling(file, path_in_process)) {
                    Some(file) => parts.push(file),
                    None => missing.push(part.name_of(number).to_string_lossy().into_owned()),
                }
            }
            grouped.extend(parts.iter().map(|file| (file.device, file.inode)));
            if missing.is_empty() {
                self.models.push(OpenModel {
                    display_name: part.display_name(),
                    files: parts,
                });
            } else {
                let reason = RefusedReason::MissingParts(missing);
                self.refused.push(RefusedFile {
                    path_in_process: file.path_in_process.clone(),
                    reason,
                });
            }
        }
        self.models
            .sort_by(|left, right| left.display_name.cmp(&right.display_name));
    }
}

/// A part beside another one, which the process has neither mapped nor open.
fn sibling(beside: &OpenModelFile, path_in_process: PathBuf) -> Option<OpenModelFile> {
    // `/proc/P/fd/7` and `/proc/P/map_files/…` are single files: nothing lies beside them.
    if beside.openable_path.file_name() != beside.path_in_process.file_name() {
        return None;
    }
    let openable_path = beside
        .openable_path
        .with_file_name(path_in_process.file_name()?);
    let metadata = openable_path
        .metadata()
        .ok()
        .filter(|metadata| metadata.is_file() && metadata.len() > 0)?;
    Some(OpenModelFile {
        path_in_process,
        openable_path,
        device: metadata.dev(),
        inode: metadata.ino(),
        size_bytes: metadata.len(),
        mapped: false,
        open: false,
    })
}

impl FileInUse {
    /// The file, `None` if it is no model.
    fn resolve(&self, pid: i32) -> Result<Option<OpenModelFile>, RefusedReason> {
        let itself = self.link.metadata();
        if itself.as_ref().is_ok_and(|metadata| !metadata.is_file()) {
            return Ok(None);
        }
        // `memfd:` and System V segments have no name on any disk.
        let pseudo = [&b"/memfd:"[..], b"/SYSV", b"/dev/zero", b"/anon_hugepage"];
        if pseudo
            .iter()
            .any(|prefix| self.path.as_os_str().as_bytes().starts_with(prefix))
        {
            return Ok(None);
        }
        let without_mark = without_deleted_mark(&self.path);
        let deleted = match &itself {
            Ok(metadata) => metadata.nlink() == 0,
            // Without the link only the mark is left; a file may also really be called "x (deleted)".
            Err(_) => {
                without_mark.is_some()
                    && !self.reachable(pid).is_ok_and(|(_, found)| found.is_file())
            }
        };
        if deleted {
            let path = without_mark.as_ref().unwrap_or(&self.path);
            let looks_like_model = has_model_extension(path) || starts_with_gguf(&self.link);
            return if looks_like_model {
                Err(RefusedReason::Deleted)
            } else {
                Ok(None)
            };
        }
        let named = has_model_extension(&self.path);
        let (openable_path, metadata) = match self.reachable(pid) {
            Ok(found) => found,
            Err(why) if named => return Err(RefusedReason::Unreachable(why)),
            Err(_) => return Ok(None),
        };
        if metadata.len() == 0 || !(named || starts_with_gguf(&openable_path)) {
            return Ok(None);
        }
        Ok(Some(OpenModelFile {
            path_in_process: self.path.clone(),
            openable_path,
            device: metadata.dev(),
            inode: metadata.ino(),
            size_bytes: metadata.len(),
            mapped: self.mapped,
            open: !self.mapped,
        }))
    }

    /// A path that leads to the same file from here: the plain one (it outlives the process), through the process's root,
    /// or the link in `/proc`.
    fn reachable(&self, pid: i32) -> Result<(PathBuf, Metadata), String> {
        let itself = self.link.metadata().ok();
        let through_root = [
            format!("/proc/{pid}/root").into_bytes(),
            self.path.as_os_str().as_bytes().to_vec(),
        ]
        .concat();
        let paths = [
            self.path.clone(),
            OsString::from_vec(through_root).into(),
            self.link.clone(),
        ];
        let mut why = String::from("no path to it");
        for path in paths {
            match path.metadata() {
                Ok(metadata) => {
                    let same = match (&itself, self.inode) {
                        (Some(itself), _) => {
                            (itself.dev(), itself.ino()) == (metadata.dev(), metadata.ino())
                        }
                        (None, inode) => inode == Some(metadata.ino()),
                    };
                    if same && metadata.is_file() {
                        return Ok((path, metadata));
                    }
                    why = format!("{} is another file", path.display());
                }
                Err(error) => why = format!("{}: {error}", path.display()),
            }
        }
        Err(why)
    }
}

fn without_deleted_mark(path: &Path) -> Option<PathBuf> {
    let bytes = path.as_os_str().as_bytes().strip_suffix(b" (deleted)")?;
    Some(OsString::from_vec(bytes.to_vec()).into())
}

/// Reads four bytes, with read-ahead off: the look must not bring a file into the cache.
fn starts_with_gguf(path: &Path) -> bool {
    // Only once its kind is known: opening a FIFO or a device does something.
    if !path
        .metadata()
        .is_ok_and(|metadata| metadata.is_file() && metadata.len() >= 4)
    {
        return false;
    }
    let Ok(file) = File::options()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
    else {
        return false;
    };
    // SAFETY: a descriptor that we own, and integers.
    unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_RANDOM) };
    let mut magic = [0; 4];
    file.read_exact_at(&mut magic, 0).is_ok() && &magic == b"GGUF"
}

#[cfg(test)]
mod tests;
