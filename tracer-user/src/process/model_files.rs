//! A model named by the user: one file, or all the files of a split model.

use std::ffi::{OsStr, OsString};
use std::fs::{Metadata, OpenOptions};
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Why a path is no model that can be traced.
#[derive(Debug, thiserror::Error)]
pub enum ModelFileError {
    /// Nothing there.
    #[error("model {}: does not exist; check the path", path.display())]
    Missing {
        /// The path.
        path: PathBuf,
    },
    /// A directory.
    #[error("model {}: is a directory; name the model file in it{hint}", path.display())]
    Directory {
        /// The path.
        path: PathBuf,
        /// " (for instance X)" or nothing.
        hint: String,
    },
    /// A regular file of 0 bytes.
    #[error("model {}: is empty (0 bytes): there is nothing to read; was it copied or downloaded completely?", path.display())]
    Empty {
        /// The path.
        path: PathBuf,
    },
    /// It may not be read.
    #[error("model {}: permission denied; let the user that runs the tracer read it (on NFS, root may not be allowed to)", path.display())]
    PermissionDenied {
        /// The path.
        path: PathBuf,
    },
    /// A device, FIFO or socket.
    #[error("model {}: is {kind}, not a regular file: its reads cannot be told by extents; name the file itself", path.display())]
    NotRegular {
        /// The path.
        path: PathBuf,
        /// "a block device", …
        kind: &'static str,
    },
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
    /// Anything else.
    #[error("model {}: cannot be opened: {source}", path.display())]
    Unreadable {
        /// The path.
        path: PathBuf,
        /// What happened.
        source: io::Error,
    },
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
    /// (`NAME-00002-of-00005.gguf`), all parts in the same directory. Any regular file will do, GGUF or not.
    /// Symbolic links are followed, and the parts are looked for beside the link.
    ///
    /// # Errors
    /// See [`ModelFileError`]; every part is checked.
    pub fn from_path(path: &Path) -> Result<Self, ModelFileError> {
        check(path)?;
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
    OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY)
        .open(path)
        .map_err(failed)?;
    if metadata.len() == 0 {
        return Err(ModelFileError::Empty { path: owned() });
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

/// Whether the name ends in `.gguf` or `.safetensors`, in any case.
pub(crate) fn has_model_extension(path: &Path) -> bool {
    path.extension().is_some_and(|extension| {
        extension.eq_ignore_ascii_case("gguf") || extension.eq_ignore_ascii_case("safetensors")
    })
}

/// `NAME-%05d-of-%05d.gguf` or `.safetensors`: llama.cpp's `llama_split_path` and the Hugging Face sharding use the same.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct SplitName {
    prefix: Vec<u8>,
    extension: Vec<u8>,
    /// Number of this part, 1 … count.
    pub number: u32,
    /// How many parts there are.
    pub count: u32,
}

impl SplitName {
    /// `None` if it is no part's name.
    pub(crate) fn parse(name: &OsStr) -> Option<Self> {
        if !has_model_extension(Path::new(name)) {
            return None;
        }
        let bytes = name.as_bytes();
        let dot = bytes.iter().rposition(|&byte| byte == b'.')?;
        let (stem, extension) = (bytes.get(..dot)?, bytes.get(dot + 1..)?);
        // "-00001-of-00003"
        let (prefix, numbers) = stem.split_at(stem.len().checked_sub(15)?);
        let numbers = std::str::from_utf8(numbers).ok()?;
        let (number, count) = numbers.strip_prefix('-')?.split_once("-of-")?;
        let value = |digits: &str| {
            let all_digits = digits.len() == 5 && digits.bytes().all(|byte| byte.is_ascii_digit());
            all_digits.then(|| digits.parse::<u32>().ok()).flatten()
        };
        let (number, count) = (value(number)?, value(count)?);
        let possible = !prefix.is_empty() && (1..=count).contains(&number);
        possible.then(|| Self {
            prefix: prefix.to_vec(),
            extension: extension.to_vec(),
            number,
            count,
        })
    }

    /// File name of a part.
    pub(crate) fn name_of(&self, number: u32) -> OsString {
        let mut name = self.prefix.clone();
        name.extend(format!("-{number:05}-of-{:05}.", self.count).bytes());
        name.extend(&self.extension);
        OsString::from_vec(name)
    }

    /// `NAME.gguf`.
    pub(crate) fn display_name(&self) -> String {
        format!(
            "{}.{}",
            String::from_utf8_lossy(&self.prefix),
            String::from_utf8_lossy(&self.extension)
        )
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn part(name: &str) -> Option<(String, u32, u32)> {
        SplitName::parse(OsStr::new(name))
            .map(|part| (part.display_name(), part.number, part.count))
    }

    #[test]
    fn names_of_parts() {
        assert_eq!(
            part("a b-00002-of-00010.gguf"),
            Some(("a b.gguf".to_owned(), 2, 10))
        );
        assert_eq!(
            part("model-00001-of-00001.safetensors"),
            Some(("model.safetensors".to_owned(), 1, 1))
        );
        assert_eq!(
            part("M-00003-of-00003.GGUF"),
            Some(("M.GGUF".to_owned(), 3, 3))
        );
        for name in [
            "a.gguf",
            "a-00001-of-00003.bin",
            "a-00000-of-00003.gguf",
            "a-00004-of-00003.gguf",
            "a-1-of-3.gguf",
            "a-001-of-0000003.gguf",
            "a-+0001-of-00003.gguf",
            "-00001-of-00003.gguf",
            "00001-of-00003.gguf",
            ".gguf",
            "a-00001-of-00003",
            "é-0001-of-00003.gguf",
        ] {
            assert_eq!(part(name), None, "{name}");
        }
        let odd = OsString::from_vec(b"\xff-00001-of-00002.gguf".to_vec());
        let next = SplitName::parse(&odd).map(|part| part.name_of(2));
        assert_eq!(
            next,
            Some(OsString::from_vec(b"\xff-00002-of-00002.gguf".to_vec()))
        );
    }

    #[test]
    fn files_and_their_siblings() {
        let directory = tempfile::tempdir().expect("directory");
        let path = |name: &str| directory.path().join(name);
        for name in [
            "plain.bin",
            "s-00001-of-00003.gguf",
            "s-00002-of-00003.gguf",
            "s-00003-of-00003.gguf",
            "t-00002-of-00004.gguf",
        ] {
            std::fs::write(path(name), name).expect("file");
        }
        let single = ModelFiles::from_path(&path("plain.bin")).expect("any regular file");
        assert_eq!(
            single,
            ModelFiles {
                display_name: "plain.bin".to_owned(),
                files: vec![path("plain.bin")]
            }
        );
        let split = ModelFiles::from_path(&path("s-00002-of-00003.gguf")).expect("split");
        assert_eq!(split.display_name, "s.gguf");
        assert_eq!(
            split.files,
            [
                "s-00001-of-00003.gguf",
                "s-00002-of-00003.gguf",
                "s-00003-of-00003.gguf"
            ]
            .map(path)
        );
        match ModelFiles::from_path(&path("t-00002-of-00004.gguf")) {
            Err(ModelFileError::MissingParts {
                count: 4, missing, ..
            }) => {
                assert_eq!(
                    missing,
                    [
                        "t-00001-of-00004.gguf",
                        "t-00003-of-00004.gguf",
                        "t-00004-of-00004.gguf"
                    ]
                );
            }
            other => panic!("{other:?}"),
        }
        symlink(path("plain.bin"), path("link.gguf")).expect("link");
        assert_eq!(
            ModelFiles::from_path(&path("link.gguf"))
                .expect("link")
                .files,
            [path("link.gguf")]
        );
        std::fs::write(path("s-00003-of-00003.gguf"), "").expect("empty");
        assert!(
            matches!(ModelFiles::from_path(&path("s-00001-of-00003.gguf")), Err(ModelFileError::Empty { path: which }) if which == path("s-00003-of-00003.gguf"))
        );
    }

    #[test]
    fn what_is_no_model_is_said() {
        let directory = tempfile::tempdir().expect("directory");
        let path = |name: &str| directory.path().join(name);
        assert!(matches!(
            ModelFiles::from_path(&path("none")),
            Err(ModelFileError::Missing { .. })
        ));
        symlink(path("none"), path("dangling.gguf")).expect("link");
        assert!(matches!(
            ModelFiles::from_path(&path("dangling.gguf")),
            Err(ModelFileError::Missing { .. })
        ));
        std::fs::write(path("m.GGUF"), "x").expect("file");
        let error = ModelFiles::from_path(directory.path())
            .expect_err("directory")
            .to_string();
        assert!(
            error.contains("is a directory") && error.contains("m.GGUF"),
            "{error}"
        );
        assert!(matches!(
            ModelFiles::from_path(&path("m.GGUF/x")),
            Err(ModelFileError::Missing { .. })
        ));
        std::fs::write(path("empty"), "").expect("file");
        assert!(matches!(
            ModelFiles::from_path(&path("empty")),
            Err(ModelFileError::Empty { .. })
        ));
        nix::unistd::mkfifo(&path("fifo.gguf"), nix::sys::stat::Mode::S_IRUSR).expect("fifo");
        assert!(matches!(
            ModelFiles::from_path(&path("fifo.gguf")),
            Err(ModelFileError::NotRegular { kind: "a FIFO", .. })
        ));
        assert!(matches!(
            ModelFiles::from_path(Path::new("/dev/null")),
            Err(ModelFileError::NotRegular {
                kind: "a character device",
                ..
            })
        ));
        use std::os::unix::fs::PermissionsExt;
        std::fs::set_permissions(path(""), PermissionsExt::from_mode(0o755)).expect("mode");
        std::fs::set_permissions(path("m.GGUF"), PermissionsExt::from_mode(0o000)).expect("mode");
        // root may read anything; the identity for file access belongs to a thread and goes with it.
        let refused = std::thread::spawn({
            let file = path("m.GGUF");
            move || {
                nix::unistd::setfsuid(nix::unistd::Uid::from_raw(65534));
                ModelFiles::from_path(&file)
            }
        })
        .join()
        .expect("no panic");
        assert!(matches!(
            refused,
            Err(ModelFileError::PermissionDenied { .. })
        ));
    }
}
