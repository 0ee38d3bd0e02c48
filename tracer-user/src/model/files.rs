//! A model named by the user: one file, or all the files of a split model.

use std::fs::{Metadata, OpenOptions};
use std::io::{self, Read as _};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use super::{
    file_names::{SplitName, has_model_extension},
    hub_cache,
    shard_index::ShardIndex,
    start_of_file::starts_as_model,
};

/// How a pointer of Git LFS begins (docs/spec.md of git-lfs), and its largest size.
const LFS_POINTER: &[u8] = b"version https://git-lfs";
const LARGEST_POINTER_BYTES: u64 = 1024;

/// Why a path is no model that can be traced.
#[derive(Debug, thiserror::Error)]
pub enum ModelFileError {
    #[error("model {}: does not exist; check the path", path.display())]
    Missing { path: PathBuf },
    #[error("model {}: is a directory; name the model file in it{hint}", path.display())]
    Directory {
        path: PathBuf,
        /// " (for instance X)" or nothing.
        hint: String,
    },
    /// A regular file of 0 bytes.
    #[error("model {}: is empty (0 bytes): there is nothing to read; was it copied or downloaded completely?", path.display())]
    Empty { path: PathBuf },
    /// It may not be read.
    #[error("model {}: permission denied; let the user that runs the tracer read it (on NFS, root may not be allowed to)", path.display())]
    PermissionDenied { path: PathBuf },
    /// A device, FIFO or socket.
    #[error("model {}: is {kind}, not a regular file: its reads cannot be told by extents; name the file itself", path.display())]
    NotRegular {
        path: PathBuf,
        /// "a block device", …
        kind: &'static str,
    },
    /// A folder with several models, none of which is the usual one.
    #[error("model {}: the folder has several models: {}; name one of them", path.display(), models.join(", "))]
    SeveralInFolder { path: PathBuf, models: Vec<String> },
    /// Parts of a split model are not there.
    #[error("model {}: of its {count} parts these are missing: {}; put all parts into one directory", path.display(), missing.join(", "))]
    MissingParts {
        /// The part that was named.
        path: PathBuf,
        /// How many parts there should be.
        count: u32,
        /// File names of those that are not there.
        missing: Vec<String>,
    },
    /// What Git LFS keeps in place of a file.
    #[error("model {}: is only the pointer that Git LFS keeps in place of the file; fetch the file itself, with `git lfs pull` in its repository or `hf download`", path.display())]
    LfsPointer { path: PathBuf },
    /// An index of shards that is none.
    #[error("model {}: is named as an index of shards is, but {problem}; name one of the model's files", path.display())]
    BadIndex {
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// Files that an index names are not there.
    #[error("model {}: of the {count} files that {} names, these are missing: {}; put them beside it", path.display(), index, missing.join(", "))]
    MissingShards {
        path: PathBuf,
        index: String,
        /// How many files it names.
        count: usize,
        /// Those that are not there.
        missing: Vec<String>,
    },
    #[error("model {}: cannot be opened: {source}", path.display())]
    Unreadable { path: PathBuf, source: io::Error },
}

/// The files of one model.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ModelFiles {
    /// File name, for a split model without the part's number. Bytes that are no UTF-8 are replaced.
    pub display_name: String,
    /// Every file, in the order of the parts.
    pub files: Vec<PathBuf>,
}

impl ModelFiles {
    /// The model that `path` belongs to: the file itself, or, where its name is that of a part
    /// (`NAME-00002-of-00005.gguf`), all parts in the same directory; where it is an index of shards
    /// (`model.safetensors.index.json`), or such an index beside it names it, all files that the index names. Any regular file will do, GGUF or not.
    /// Symbolic links are followed, and the parts are looked for beside the link. A blob of a Hugging Face cache
    /// (`blobs/SHA`) is taken by the name that a snapshot gives it.
    ///
    /// # Errors
    /// See [`ModelFileError`]; every part is checked.
    pub fn from_path(path: &Path) -> Result<Self, ModelFileError> {
        check(path)?;
        let named = hub_cache::names_of_blob(path).into_iter().next();
        Self::of_name(named.as_deref().unwrap_or(path))
    }

    /// The same, by this name and no other.
    pub(crate) fn of_name(path: &Path) -> Result<Self, ModelFileError> {
        check(path)?;
        if ShardIndex::has_its_name(path) {
            let index = ShardIndex::read(path).map_err(|problem| ModelFileError::BadIndex {
                path: path.to_owned(),
                problem,
            })?;
            return Self::of_index(path, index);
        }
        // An index knows better than the names, which need not be numbered.
        if let Some(index) = ShardIndex::beside(path) {
            return Self::of_index(path, index);
        }
        let name = path.file_name().unwrap_or(path.as_os_str());
        let Some(part) = SplitName::parse(name) else {
            return Ok(Self {
                display_name: name.to_string_lossy().into_owned(),
                files: vec![path.to_owned()],
            });
        };
        let mut files = Vec::new();
        let mut missing = Vec::new();
        for number in 1..=part.count {
            let sibling = path.with_file_name(part.name_of(number));
            match check(&sibling) {
                Ok(()) => files.push(sibling),
                Err(ModelFileError::Missing { .. }) => {
                    missing.push(part.name_of(number).to_string_lossy().into_owned())
                }
                Err(other) => return Err(other),
            }
        }
        if !missing.is_empty() {
            return Err(ModelFileError::MissingParts {
                path: path.to_owned(),
                count: part.count,
                missing,
            });
        }
        Ok(Self {
            display_name: part.display_name(),
            files,
        })
    }

    /// A file of the model that a folder holds: its index of shards, else its only model, else the one that is called
    /// `model.safetensors`, as the engines that are given a folder do.
    ///
    /// # Errors
    /// There is none, or several; a file of it cannot be read.
    pub fn file_in_folder(folder: &Path) -> Result<PathBuf, ModelFileError> {
        const USUAL: &str = "model.safetensors";
        let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
            .map_err(|source| ModelFileError::Unreadable {
                path: folder.to_owned(),
                source,
            })?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .filter(|path| path.is_file())
            .collect();
        paths.sort();
        // Where weights are there in two formats, engines take safetensors.
        let index = |of_safetensors: bool| {
            paths.iter().find(|path| {
                ShardIndex::has_its_name(path)
                    && (!of_safetensors || path.to_string_lossy().contains(".safetensors."))
            })
        };
        let usual_index = format!("{USUAL}.index.json");
        let is_called = |path: &PathBuf, name: &str| path.file_name().is_some_and(|it| it == name);
        let usual_index = paths.iter().find(|path| is_called(path, &usual_index));
        if let Some(index) = usual_index.or_else(|| index(true)) {
            return Self::of_name(index).map(|_| index.clone());
        }
        let mut models: Vec<(PathBuf, Self)> = Vec::new();
        for path in paths.iter().filter(|path| has_model_extension(path)) {
            if !models.iter().any(|(_, model)| model.files.contains(path)) {
                models.push((path.clone(), Self::of_name(path)?));
            }
        }
        if let [(only, _)] = models.as_slice() {
            return Ok(only.clone());
        }
        if let Some((usual, _)) = models.iter().find(|(path, _)| is_called(path, USUAL)) {
            return Ok(usual.clone());
        }
        if let (true, Some(index)) = (models.is_empty(), index(false)) {
            return Self::of_name(index).map(|_| index.clone());
        }
        if models.is_empty() {
            return Err(ModelFileError::Directory {
                path: folder.to_owned(),
                hint: String::new(),
            });
        }
        Err(ModelFileError::SeveralInFolder {
            path: folder.to_owned(),
            models: models
                .into_iter()
                .map(|(_, model)| model.display_name)
                .collect(),
        })
    }

    fn of_index(path: &Path, index: ShardIndex) -> Result<Self, ModelFileError> {
        let mut missing = Vec::new();
        for file in &index.files {
            match check(file) {
                Ok(()) => {}
                Err(ModelFileError::Missing { .. }) => {
                    let name = file.file_name().unwrap_or_default();
                    missing.push(name.to_string_lossy().into_owned());
                }
                Err(other) => return Err(other),
            }
        }
        if !missing.is_empty() {
            return Err(ModelFileError::MissingShards {
                path: path.to_owned(),
                index: format!("{}.index.json", index.display_name),
                count: index.files.len(),
                missing,
            });
        }
        Ok(Self {
            display_name: index.display_name,
            files: index.files,
        })
    }
}

/// A readable regular file that is not empty.
pub(crate) fn check(path: &Path) -> Result<(), ModelFileError> {
    let owned = || path.to_owned();
    let failed = |source: io::Error| match source.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            ModelFileError::Missing { path: owned() }
        }
        io::ErrorKind::PermissionDenied => ModelFileError::PermissionDenied { path: owned() },
        _ => ModelFileError::Unreadable {
            path: owned(),
            source,
        },
    };
    // Looked at before it is opened: opening a FIFO waits for a writer, opening a device may do something.
    let metadata = path.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(ModelFileError::Directory {
            path: owned(),
            hint: hint(path),
        });
    }
    if !metadata.is_file() {
        return Err(ModelFileError::NotRegular {
            path: owned(),
            kind: kind(&metadata),
        });
    }
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .map_err(failed)?;
    if metadata.len() == 0 {
        return Err(ModelFileError::Empty { path: owned() });
    }
    if metadata.len() < LARGEST_POINTER_BYTES {
        // Only of so small a file: of a model nothing is read here, which would put it into the page cache.
        let mut start = Vec::new();
        let read = file.take(LFS_POINTER.len() as u64).read_to_end(&mut start);
        if read.is_ok() && start == LFS_POINTER {
            return Err(ModelFileError::LfsPointer { path: owned() });
        }
    }
    Ok(())
}

fn kind(metadata: &Metadata) -> &'static str {
    let kind = metadata.file_type();
    if kind.is_block_device() {
        "a block device"
    } else if kind.is_char_device() {
        "a character device"
    } else if kind.is_fifo() {
        "a FIFO"
    } else {
        "a socket"
    }
}

fn hint(directory: &Path) -> String {
    let mut models: Vec<PathBuf> = std::fs::read_dir(directory)
        .map(|entries| {
            entries
                .filter_map(|entry| Some(entry.ok()?.path()))
                .filter(|path| has_model_extension(path) && path.is_file())
                .collect()
        })
        .unwrap_or_default();
    models.sort();
    models.first().map_or_else(String::new, |model| {
        format!(" (for instance {})", model.display())
    })
}

/// Whether a path is that of a model, or of an index of shards: by its name, or by how the file begins.
#[must_use]
pub fn names_a_model(path: &Path) -> bool {
    path.is_file()
        && (has_model_extension(path) || ShardIndex::has_its_name(path) || starts_as_model(path))
}

#[cfg(test)]
mod tests;
