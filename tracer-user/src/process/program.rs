//! Which file a command's name means, looked up the way the caller's shell would.

use std::ffi::{OsStr, OsString};
use std::fs::Metadata;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::caller::Caller;

/// Why a program cannot be run.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProgramError {
    /// There is no command.
    #[error("no command to run; put it after `--`")]
    Empty,
    /// Not in any directory of the caller's PATH, or not at the given path.
    #[error("{program:?}: not found{}; give its full path", searched(path.as_deref()))]
    NotFound {
        /// As given.
        program: OsString,
        /// The PATH that was searched, `None` for a name with a slash.
        path: Option<OsString>,
    },
    /// A directory, or another thing that is no file.
    #[error("{}: is {what}, not a program", program.display())]
    NotAFile {
        /// The path.
        program: PathBuf,
        /// "a directory" or "no regular file".
        what: &'static str,
    },
    /// No permission.
    #[error("{}: the calling user may not execute it (check its mode with `ls -l`, its directories, and a noexec mount)", program.display())]
    NotExecutable {
        /// The path.
        program: PathBuf,
    },
    /// It is there, and still "no such file": what runs it is missing.
    #[error("{}: its interpreter (the first line's, or the dynamic loader) does not exist", program.display())]
    InterpreterMissing {
        /// The path.
        program: PathBuf,
    },
    /// The kernel does not know its format.
    #[error("{}: not a program for this machine", program.display())]
    BadFormat {
        /// The path.
        program: PathBuf,
    },
}

fn searched(path: Option<&OsStr>) -> String {
    path.map_or_else(String::new, |path| {
        format!(" in the caller's PATH ({})", path.display())
    })
}

impl ProgramError {
    /// Exit status that a shell gives for it: 127 where there is no program, 126 where there is one that
    /// cannot be run.
    #[must_use]
    pub const fn conventional_code(&self) -> i32 {
        match self {
            Self::Empty | Self::NotFound { .. } => 127,
            _ => 126,
        }
    }

    /// What an error of exec means; `None` if it says nothing about the program.
    pub(crate) fn from_exec(program: &Path, error: &io::Error) -> Option<Self> {
        let program = program.to_owned();
        match error.raw_os_error()? {
            libc::EACCES | libc::EPERM => Some(Self::NotExecutable { program }),
            libc::ENOENT if program.exists() => Some(Self::InterpreterMissing { program }),
            libc::ENOENT => Some(Self::NotFound {
                program: program.into(),
                path: None,
            }),
            libc::ENOEXEC => Some(Self::BadFormat { program }),
            _ => None,
        }
    }
}

/// What exec uses where PATH is not set (`confstr(_CS_PATH)` of glibc).
const DEFAULT_PATH: &str = "/bin:/usr/bin";

/// The program's file. A name with a slash is taken as it is, any other is searched in the caller's PATH.
pub fn resolve(command: &[OsString], caller: &Caller) -> Result<PathBuf, ProgramError> {
    let program = command
        .first()
        .filter(|program| !program.is_empty())
        .ok_or(ProgramError::Empty)?;
    if program.as_bytes().contains(&b'/') {
        let path = PathBuf::from(program);
        return match path.metadata() {
            // An access control list may allow what the bits do not, but nobody executes without any bit.
            Ok(metadata) if metadata.is_file() && metadata.mode() & 0o111 == 0 => {
                Err(ProgramError::NotExecutable { program: path })
            }
            Ok(metadata) if metadata.is_file() => Ok(path),
            Ok(metadata) => Err(ProgramError::NotAFile {
                program: path,
                what: kind(&metadata),
            }),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(ProgramError::NotExecutable { program: path })
            }
            Err(_) => Err(ProgramError::NotFound {
                program: program.clone(),
                path: None,
            }),
        };
    }
    let search = caller.variable("PATH").unwrap_or(OsStr::new(DEFAULT_PATH));
    let mut refused = None;
    for directory in search.as_bytes().split(|&byte| byte == b':') {
        // An empty entry is the working directory.
        let directory = if directory.is_empty() {
            OsStr::new(".")
        } else {
            OsStr::from_bytes(directory)
        };
        let candidate = Path::new(directory).join(program);
        match candidate.metadata() {
            Ok(metadata) if metadata.is_file() && may_execute(&metadata, caller) => {
                return Ok(candidate);
            }
            Ok(metadata) if metadata.is_file() => {
                refused.get_or_insert(ProgramError::NotExecutable { program: candidate });
            }
            Ok(metadata) => {
                refused.get_or_insert(ProgramError::NotAFile {
                    program: candidate,
                    what: kind(&metadata),
                });
            }
            Err(_) => {}
        }
    }
    Err(refused.unwrap_or(ProgramError::NotFound {
        program: program.clone(),
        path: Some(search.to_owned()),
    }))
}

fn kind(metadata: &Metadata) -> &'static str {
    if metadata.is_dir() {
        "a directory"
    } else {
        "no regular file"
    }
}

/// By mode bits: good enough to choose among the directories of PATH; exec has the last word.
fn may_execute(metadata: &Metadata, caller: &Caller) -> bool {
    let mode = metadata.mode();
    let any = mode & 0o111 != 0;
    if caller.uid.is_root() {
        return any;
    }
    let bit = if metadata.uid() == caller.uid.as_raw() {
        0o100
    } else if metadata.gid() == caller.gid.as_raw()
        || caller
            .groups
            .iter()
            .any(|group| group.as_raw() == metadata.gid())
    {
        0o010
    } else {
        0o001
    };
    mode & bit != 0
}
