//! Who called the tracer, and in which environment: the traced command runs as that user, never as root by accident.
//!
//! The tracer needs privileges, the engine does not. Under sudo the caller is `SUDO_UID`/`SUDO_GID`; without sudo it is
//! the user that the tracer runs as (root, when root started it directly). sudo replaces most of the environment
//! (`PATH`, `LD_LIBRARY_PATH`, …); a program that starts the tracer through sudo can therefore put its own pid into
//! `TRACER_CALLER_PID`, and the environment is taken from there.

use std::ffi::{CString, OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, fchown};
use std::path::{Path, PathBuf};

use nix::unistd::{Gid, Uid, User, getgrouplist, getgroups};

use crate::rights::{environment_at_start, parse_environment};

/// Environment variables as the kernel has them: any bytes, in order.
pub type Environment = Vec<(OsString, OsString)>;

/// The variable that names the process whose environment the traced command gets.
pub const CALLER_PID_VARIABLE: &str = "TRACER_CALLER_PID";

/// Why the caller could not be told.
#[derive(Debug, thiserror::Error)]
pub enum CallerError {
    /// `SUDO_UID` or `SUDO_GID` is not a user or group id.
    #[error(
        "{variable}={value:?} is no {what} id; unset SUDO_UID and SUDO_GID, or start the tracer through sudo again"
    )]
    MalformedId {
        /// Name of the variable.
        variable: &'static str,
        value: OsString,
        what: &'static str,
    },
    /// One of `SUDO_UID` and `SUDO_GID` is set, the other is not.
    #[error(
        "{missing} is not set though its counterpart is: cannot tell whom to run the command as; start the tracer through sudo again"
    )]
    HalfSet {
        /// The one that is missing.
        missing: &'static str,
    },
    /// `TRACER_CALLER_PID` is no pid.
    #[error("{CALLER_PID_VARIABLE}={0:?} is no process id; unset it")]
    MalformedCallerPid(OsString),
    /// The process that `TRACER_CALLER_PID` names belongs to someone else.
    #[error(
        "{CALLER_PID_VARIABLE}={pid}: the process belongs to uid {owner}, not to the caller (uid {caller}); its environment is not used. Unset the variable"
    )]
    ForeignCallerPid { pid: i32, owner: u32, caller: u32 },
    /// The process that `TRACER_CALLER_PID` names could not be read.
    #[error(
        "{CALLER_PID_VARIABLE}={pid}: cannot read the environment of that process ({source}); has it ended? Unset the variable"
    )]
    UnreadableCallerPid { pid: i32, source: io::Error },
    /// The user database could not be read.
    #[error("cannot look up uid {uid} in the user database: {source}")]
    UserDatabase { uid: u32, source: nix::Error },
}

/// Ids of the tracer's own process, an argument so that [`Caller::identify`] reads no globals.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OwnIds {
    pub uid: Uid,
    pub gid: Gid,
    pub groups: Vec<Gid>,
}

impl OwnIds {
    /// Of the running process.
    ///
    /// # Errors
    /// `getgroups(2)` failed.
    pub fn current() -> io::Result<Self> {
        Ok(Self {
            uid: Uid::effective(),
            gid: Gid::effective(),
            groups: getgroups()?,
        })
    }
}

/// Where the traced command's environment comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EnvironmentSource {
    /// As the tracer's own: no sudo in between.
    Own,
    /// The tracer's own, with HOME, USER, LOGNAME and SHELL of the caller and no `SUDO_*`.
    OwnAdjusted,
    /// What the process with this pid was started with.
    CallerProcess(i32),
}

/// The user on whose behalf the tracer runs.
#[derive(Debug, Clone)]
pub struct Caller {
    pub uid: Uid,
    pub gid: Gid,
    /// Supplementary groups, from the group database (`getgrouplist`), or our own where we are the caller.
    pub groups: Vec<Gid>,
    /// Name in the user database; a uid may have none.
    pub user_name: Option<String>,
    /// Home directory from the user database.
    pub home: Option<PathBuf>,
    /// Environment for the traced command.
    pub environment: Environment,
    /// Where `environment` comes from.
    pub environment_source: EnvironmentSource,
}

impl Caller {
    /// The caller of this process.
    ///
    /// # Errors
    /// See [`Caller::identify`].
    pub fn of_this_process() -> Result<Self, CallerError> {
        let own = OwnIds::current().unwrap_or_else(|_| OwnIds {
            uid: Uid::effective(),
            gid: Gid::effective(),
            groups: vec![Gid::effective()],
        });
        Self::identify(&environment_at_start(), &own)
    }

    /// The caller of a process with this environment and these ids.
    ///
    /// `SUDO_UID` and `SUDO_GID` count only where `own` is root: anyone may set them.
    ///
    /// # Errors
    /// Ids that do not parse, only one of the two set, a `TRACER_CALLER_PID` that is malformed, gone or not the
    /// caller's. A wrong guess would run the command as the wrong user, so nothing is guessed.
    pub fn identify(
        environment: &[(OsString, OsString)],
        own: &OwnIds,
    ) -> Result<Self, CallerError> {
        let sudo = if own.uid.is_root() {
            sudo_ids(environment)?
        } else {
            None
        };
        let (uid, gid) = sudo.unwrap_or((own.uid, own.gid));
        let user = entry(User::from_uid(uid)).map_err(|source| CallerError::UserDatabase {
            uid: uid.as_raw(),
            source,
        })?;
        let groups = match (&user, sudo) {
            (_, None) => own.groups.clone(),
            (Some(user), Some(_)) => {
                groups_of(&user.name, gid).map_err(|source| CallerError::UserDatabase {
                    uid: uid.as_raw(),
                    source,
                })?
            }
            // A uid that nobody knows is in no group but its own.
            (None, Some(_)) => vec![gid],
        };
        let (environment, environment_source) =
            match (sudo, value(environment, CALLER_PID_VARIABLE)) {
                (None, _) => (environment.to_vec(), EnvironmentSource::Own),
                (Some(_), None) => (
                    adjusted(environment, user.as_ref()),
                    EnvironmentSource::OwnAdjusted,
                ),
                (Some(_), Some(text)) => {
                    let pid = text
                        .to_str()
                        .and_then(|text| text.parse::<i32>().ok())
                        .filter(|pid| *pid > 0)
                        .ok_or_else(|| CallerError::MalformedCallerPid(text.to_owned()))?;
                    (
                        environment_of(pid, uid)?,
                        EnvironmentSource::CallerProcess(pid),
                    )
                }
            };
        let environment = environment
            .into_iter()
            .filter(|(name, _)| name != CALLER_PID_VARIABLE)
            .collect();
        Ok(Self {
            uid,
            gid,
            groups,
            user_name: user.as_ref().map(|user| user.name.clone()),
            home: user.map(|user| user.dir),
            environment,
            environment_source,
        })
    }

    /// A variable of the traced command's environment.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&OsStr> {
        value(&self.environment, name)
    }

    /// Gives a file or directory that the tracer made to the caller. Nothing to do where the caller is who we are.
    ///
    /// # Errors
    /// As of `fchown(2)`.
    pub fn give_file(&self, file: &File) -> io::Result<()> {
        if Uid::effective() == self.uid {
            return Ok(());
        }
        fchown(file, Some(self.uid.as_raw()), Some(self.gid.as_raw()))
    }

    /// Gives what `path` names to the caller, if we own it. For files that the tracer has just made: the directory may
    /// belong to the caller, who could put another thing there, so symbolic links and files with several names are refused.
    ///
    /// # Errors
    /// The path cannot be opened, is a symbolic link, has several hard links, or is neither a file nor a directory.
    pub fn give_path(&self, path: &Path) -> io::Result<()> {
        if Uid::effective() == self.uid {
            return Ok(());
        }
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_NOFOLLOW | libc::O_NONBLOCK)
            .open(path)?;
        let metadata = file.metadata()?;
        if metadata.uid() == self.uid.as_raw() {
            return Ok(());
        }
        let plain_file = metadata.is_file() && metadata.nlink() == 1;
        if metadata.uid() != Uid::effective().as_raw() || !(metadata.is_dir() || plain_file) {
            return Err(io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!(
                    "{} is not a file or directory that the tracer made: its owner is left as it is",
                    path.display()
                ),
            ));
        }
        self.give_file(&file)
    }
}

fn value<'a>(environment: &'a [(OsString, OsString)], name: &str) -> Option<&'a OsStr> {
    environment
        .iter()
        .find(|(key, _)| key == name)
        .map(|(_, value)| value.as_os_str())
}

fn sudo_ids(environment: &[(OsString, OsString)]) -> Result<Option<(Uid, Gid)>, CallerError> {
    let id = |variable: &'static str, what: &'static str| {
        let Some(value) = value(environment, variable) else {
            return Ok(None);
        };
        // Digits only (`parse` takes "+5" too), and not (uid_t)-1, which means "leave as it is" to setresuid.
        let digits = value
            .to_str()
            .filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        match digits
            .and_then(|text| text.parse::<u32>().ok())
            .filter(|id| *id != u32::MAX)
        {
            Some(id) => Ok(Some(id)),
            None => Err(CallerError::MalformedId {
                variable,
                value: value.to_owned(),
                what,
            }),
        }
    };
    match (id("SUDO_UID", "user")?, id("SUDO_GID", "group")?) {
        (Some(uid), Some(gid)) => Ok(Some((Uid::from_raw(uid), Gid::from_raw(gid)))),
        (None, None) => Ok(None),
        (Some(_), None) => Err(CallerError::HalfSet {
            missing: "SUDO_GID",
        }),
        (None, Some(_)) => Err(CallerError::HalfSet {
            missing: "SUDO_UID",
        }),
    }
}

/// What was found in the user database. A container may have none (`/etc/passwd`): the C library then says so, and nobody is in it
/// (getpwuid_r(3): ENOENT, ESRCH).
fn entry(found: nix::Result<Option<User>>) -> nix::Result<Option<User>> {
    match found {
        Err(nix::errno::Errno::ENOENT | nix::errno::Errno::ESRCH) => Ok(None),
        found => found,
    }
}

fn groups_of(name: &str, gid: Gid) -> nix::Result<Vec<Gid>> {
    let name = CString::new(name).map_err(|_| nix::Error::EINVAL)?;
    getgrouplist(&name, gid)
}

fn adjusted(environment: &[(OsString, OsString)], user: Option<&User>) -> Environment {
    const REPLACED: [&str; 4] = ["HOME", "USER", "LOGNAME", "SHELL"];
    let mut adjusted: Environment = environment
        .iter()
        .filter(|(name, _)| {
            !name.as_bytes().starts_with(b"SUDO_") && !REPLACED.iter().any(|other| name == other)
        })
        .cloned()
        .collect();
    // Of a user whom nobody knows nothing can be said; root's HOME would be wrong.
    if let Some(user) = user {
        let values = [
            user.dir.as_os_str(),
            OsStr::new(&user.name),
            OsStr::new(&user.name),
            user.shell.as_os_str(),
        ];
        adjusted.extend(
            REPLACED
                .iter()
                .zip(values)
                .map(|(name, value)| (OsString::from(name), value.to_owned())),
        );
    }
    adjusted
}

/// What the process was started with (`/proc/PID/environ` does not show later changes).
fn environment_of(pid: i32, caller: Uid) -> Result<Environment, CallerError> {
    let unreadable = |source| CallerError::UnreadableCallerPid { pid, source };
    // The directory is held open, so that the pid cannot become another process between the check and the reading.
    let directory = OpenOptions::new()
        .read(true)
        .custom_flags(libc::O_DIRECTORY)
        .open(format!("/proc/{pid}"))
        .map_err(unreadable)?;
    let owner = directory.metadata().map_err(unreadable)?.uid();
    if owner != caller.as_raw() {
        return Err(CallerError::ForeignCallerPid {
            pid,
            owner,
            caller: caller.as_raw(),
        });
    }
    let mut bytes = Vec::new();
    File::open(format!("/proc/self/fd/{}/environ", directory.as_raw_fd()))
        .and_then(|mut file| file.read_to_end(&mut bytes))
        .map_err(unreadable)?;
    Ok(parse_environment(&bytes))
}

#[cfg(test)]
mod tests;
