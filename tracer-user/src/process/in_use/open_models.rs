//! The model files that a running process has mapped or open.
//!
//! A path in `/proc/P/maps` is the process's own view: in a container it names another file for us, or none. Every
//! file is therefore given with a second path that *we* can open, checked to be the same file by device and inode (by
//! inode alone where only `/proc/P/maps` speaks: its device number is not that of `stat` on btrfs and overlayfs).
//!
//! A path below `/proc/P` dies with the process: open what is needed after it while the process runs.

use std::collections::{BTreeMap, HashSet};
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::{File, Metadata};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::{
    model::{ModelFileError, ModelFiles, has_model_extension, hub_cache, starts_as_model},
    process::observed::{ObservedProcess, ProcessError},
};

use super::files::{FileInUse, files_in_use};

/// A model file of a running process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OpenModelFile {
    /// As the process sees it, with ` (deleted)` at the end where its name is gone.
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

impl OpenModel {
    /// Bytes of all of its files.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size_bytes).sum()
    }
}

/// Why a file that looks like a model cannot be traced.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RefusedReason {
    /// Its name is gone, and the process's link to it cannot be opened.
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
            RefusedReason::Deleted => formatter.write_str("was deleted while the process used it, and what the process holds of it may not be opened; run the tracer as root, or start the process again with a file that stays"),
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
    /// [`ObservedProcess::descendants`]). A file is a model if its name ends in `.gguf` or `.safetensors`, or if it begins
    /// as one of them does.
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

    /// Puts the files of one model together, with those that the process has not open: the parts of a split model, the
    /// shards of an index, also where they are blobs of a Hugging Face cache.
    fn group(&mut self, files: Vec<OpenModelFile>) {
        let mut grouped: HashSet<(u64, u64)> = HashSet::new();
        for file in &files {
            if grouped.contains(&file.key()) {
                continue;
            }
            match with_its_parts(file, &files) {
                Ok(model) => {
                    grouped.extend(model.files.iter().map(OpenModelFile::key));
                    self.models.push(model);
                }
                Err(reason) => {
                    let refused = RefusedFile {
                        path_in_process: file.path_in_process.clone(),
                        reason,
                    };
                    let is_said = |other: &RefusedFile| {
                        matches!(refused.reason, RefusedReason::MissingParts(_))
                            && other.reason == refused.reason
                    };
                    // Once for a model, not for each of its files.
                    if !self.refused.iter().any(is_said) {
                        self.refused.push(refused);
                    }
                }
            }
        }
        self.models
            .sort_by(|left, right| left.display_name.cmp(&right.display_name));
    }
}

/// A name of a file: as the process sees it, and as we can open it.
struct Name {
    path_in_process: PathBuf,
    openable_path: PathBuf,
}

impl Name {
    /// Another file in the same folder.
    fn beside(&self, name: &OsStr) -> Self {
        Self {
            path_in_process: self.path_in_process.with_file_name(name),
            openable_path: self.openable_path.with_file_name(name),
        }
    }
}

impl OpenModelFile {
    fn key(&self) -> (u64, u64) {
        (self.device, self.inode)
    }

    /// The names under which other files of its model may lie beside it, the best first.
    fn names(&self) -> Vec<Name> {
        let by_its_path = Name {
            path_in_process: self.path_in_process.clone(),
            openable_path: self.openable_path.clone(),
        };
        let blob = &self.openable_path;
        let mut names: Vec<Name> = hub_cache::names_of_blob(blob)
            .into_iter()
            .filter_map(|link| {
                // Below the folder of the repository, two levels above the blob, both paths are the same.
                let below = link.strip_prefix(blob.parent()?.parent()?).ok()?;
                let repository = self.path_in_process.parent()?.parent()?;
                Some(Name {
                    path_in_process: repository.join(below),
                    openable_path: link,
                })
            })
            .collect();
        names.push(by_its_path);
        names
    }
}

/// The model that a file is of. Where several revisions of a cache have the file, it is the one of which the process
/// has most files.
fn with_its_parts(
    file: &OpenModelFile,
    known: &[OpenModelFile],
) -> Result<OpenModel, RefusedReason> {
    // `/proc/P/fd/7` and `/proc/P/map_files/…` are single files: nothing lies beside them.
    if file.openable_path.file_name() != file.path_in_process.file_name() {
        let name = file.path_in_process.file_name().unwrap_or_default();
        return Ok(OpenModel {
            display_name: name.to_string_lossy().into_owned(),
            files: vec![file.clone()],
        });
    }
    let mut found: Option<(usize, OpenModel)> = None;
    let mut refused = None;
    for name in file.names() {
        match model_of(&name, known) {
            Ok(model) => {
                let in_use = model.files.iter().filter(|file| file.mapped || file.open);
                let in_use = in_use.count();
                if found.as_ref().is_none_or(|(most, _)| in_use > *most) {
                    found = Some((in_use, model));
                }
            }
            Err(reason) => {
                refused.get_or_insert(reason);
            }
        }
    }
    match (found, refused) {
        (Some((_, model)), _) => Ok(model),
        (None, Some(reason)) => Err(reason),
        (None, None) => Err(RefusedReason::Unreachable("it has no name".to_owned())),
    }
}

/// The model by one name of one of its files.
fn model_of(name: &Name, known: &[OpenModelFile]) -> Result<OpenModel, RefusedReason> {
    let model = ModelFiles::of_name(&name.openable_path).map_err(|error| match error {
        ModelFileError::MissingParts { missing, .. }
        | ModelFileError::MissingShards { missing, .. } => RefusedReason::MissingParts(missing),
        other => RefusedReason::Unreachable(other.to_string()),
    })?;
    let file = |path: &PathBuf| {
        let name = name.beside(path.file_name().unwrap_or_default());
        let metadata = path
            .metadata()
            .map_err(|error| RefusedReason::Unreachable(error.to_string()))?;
        let in_use = known
            .iter()
            .find(|known| known.key() == (metadata.dev(), metadata.ino()));
        Ok(OpenModelFile {
            path_in_process: name.path_in_process,
            openable_path: path.clone(),
            device: metadata.dev(),
            inode: metadata.ino(),
            size_bytes: metadata.len(),
            mapped: in_use.is_some_and(|file| file.mapped),
            open: in_use.is_some_and(|file| file.open),
        })
    };
    Ok(OpenModel {
        display_name: model.display_name,
        files: model.files.iter().map(file).collect::<Result<_, _>>()?,
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
            let looks_like_model = has_model_extension(path) || starts_as_model(&self.link);
            if !looks_like_model {
                return Ok(None);
            }
            // As long as the process has it, its link in /proc leads to it.
            return match (itself, File::open(&self.link)) {
                (Ok(metadata), Ok(_)) => {
                    Ok((metadata.len() > 0).then(|| self.file(self.link.clone(), &metadata)))
                }
                _ => Err(RefusedReason::Deleted),
            };
        }
        let named = has_model_extension(&self.path);
        let (openable_path, metadata) = match self.reachable(pid) {
            Ok(found) => found,
            Err(why) if named => return Err(RefusedReason::Unreachable(why)),
            Err(_) => return Ok(None),
        };
        if metadata.len() == 0 || !(named || starts_as_model(&openable_path)) {
            return Ok(None);
        }
        Ok(Some(self.file(openable_path, &metadata)))
    }

    fn file(&self, openable_path: PathBuf, metadata: &Metadata) -> OpenModelFile {
        OpenModelFile {
            path_in_process: self.path.clone(),
            openable_path,
            device: metadata.dev(),
            inode: metadata.ino(),
            size_bytes: metadata.len(),
            mapped: self.mapped,
            open: !self.mapped,
        }
    }

    /// A path that leads to the same file from here: the plain one (it outlives the process), through the process's root,
    /// or the link in `/proc`.
    fn reachable(&self, pid: i32) -> Result<(PathBuf, Metadata), String> {
        let itself = self.link.metadata().ok();
        let root = PathBuf::from(format!("/proc/{pid}/root"));
        let below = |path: &Path| root.join(path.strip_prefix("/").unwrap_or(path));
        // Where the process has another root than its mount namespace, its paths show from the namespace's on.
        let its_root = root.read_link().unwrap_or_else(|_| PathBuf::from("/"));
        let below_its_root = self.path.strip_prefix(its_root).unwrap_or(&self.path);
        let paths = [
            self.path.clone(),
            below(&self.path),
            below(below_its_root),
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

#[cfg(test)]
mod tests;
