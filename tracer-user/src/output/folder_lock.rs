//! One folder, one session that makes runs in it: an flock on a file in it.
//!
//! The file stays empty, and each run gets it as its standard input. So the lock is held until the last process of the last
//! run is gone where the session itself was killed: whoever goes on finds no run of before at work. A session that ends
//! by itself unlocks, whatever its engines have left running.

use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{MetadataExt as _, OpenOptionsExt as _},
    path::Path,
    process::Stdio,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use nix::{
    errno::Errno,
    fcntl::{Flock, FlockArg},
};

use crate::process::Caller;

/// How long the runs of a session that is dead are waited for: a stopped engine may take that long.
const PATIENCE: Duration = Duration::from_secs(30);

/// Held until it is dropped; where its process is killed, until the last process that has it as its input has ended.
#[derive(Debug)]
pub struct FolderLock {
    file: Flock<File>,
}

impl FolderLock {
    /// Takes the lock of a folder: that of a file in it, which is made where there is none.
    ///
    /// # Errors
    /// Another session has it.
    pub fn take(directory: &Path, file_name: &str, caller: &Caller) -> anyhow::Result<Self> {
        let path = directory.join(file_name);
        let failed = || format!("cannot make {}", path.display());
        // Opened for reading only: a run gets it as its input.
        let open = || {
            OpenOptions::new()
                .read(true)
                .custom_flags(libc::O_NOFOLLOW)
                .open(&path)
        };
        let mut file = match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let made = File::create_new(&path).with_context(failed)?;
                caller.give_file(&made).with_context(failed)?;
                open()
            }
            other => other,
        }
        .with_context(failed)?;
        let deadline = Instant::now() + PATIENCE;
        let mut said = false;
        loop {
            file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(file) => return Ok(Self { file }),
                Err((file, Errno::EWOULDBLOCK)) => file,
                Err((_, error)) => {
                    return Err(io::Error::from(error))
                        .with_context(|| format!("cannot lock {}", path.display()));
                }
            };
            match holder(&file)? {
                Some(process) if is_alive(process) => bail!(
                    "process {process} is at work in {}; wait for its end, or stop it",
                    directory.display()
                ),
                holder if Instant::now() > deadline => bail!(
                    "a process that an earlier session{} left behind still has {} open; `fuser {}` names it",
                    holder.map_or_else(String::new, |process| format!(
                        " (process {process}, which is gone)"
                    )),
                    path.display(),
                    path.display()
                ),
                _ if !said => {
                    said = true;
                    eprintln!("tracer: waiting for the last run of a session that was killed");
                }
                _ => {}
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// The lock as the standard input of a run, which reads nothing from it.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn as_input(&self) -> io::Result<Stdio> {
        self.file.try_clone().map(Stdio::from)
    }
}

/// Who took the lock: the kernel remembers that also of the dead.
fn holder(file: &File) -> anyhow::Result<Option<i32>> {
    let inode = file.metadata().context("cannot look at the lock")?.ino();
    let locks = procfs::locks().context("cannot read /proc/locks")?;
    Ok(locks
        .iter()
        .find(|lock| lock.inode == inode && lock.lock_type == procfs::LockType::FLock)
        .and_then(|lock| lock.pid))
}

fn is_alive(process: i32) -> bool {
    procfs::process::Process::new(process)
        .and_then(|process| process.stat())
        // One that is dead and not waited for holds nothing.
        .is_ok_and(|stat| !matches!(stat.state, 'Z' | 'X'))
}

#[cfg(test)]
mod tests {
    use std::{os::fd::AsRawFd as _, process::Command};

    use crate::process::Caller;

    use super::FolderLock;

    #[test]
    fn two_at_once_are_refused() {
        let caller = Caller::of_this_process().expect("the test's own user");
        let scratch = tempfile::tempdir().expect("scratch");
        let first = FolderLock::take(scratch.path(), "lock", &caller).expect("free");
        let error = FolderLock::take(scratch.path(), "lock", &caller).expect_err("taken");
        let own = format!("process {} is at work", std::process::id());
        assert!(error.to_string().contains(&own), "{error:#}");
        drop(first);
        drop(FolderLock::take(scratch.path(), "lock", &caller).expect("free again"));
    }

    /// A run that outlives its session keeps the lock.
    #[test]
    fn a_run_holds_the_lock_of_a_session_that_was_killed() {
        let caller = Caller::of_this_process().expect("the test's own user");
        let scratch = tempfile::tempdir().expect("scratch");
        let lock = FolderLock::take(scratch.path(), "lock", &caller).expect("free");
        let mut run = Command::new("sleep")
            .arg("60")
            .stdin(lock.as_input().expect("input"))
            .spawn()
            .expect("sleep");
        // As the kernel does it for the dead: the descriptor is closed, and nobody unlocks.
        let descriptor = lock.file.as_raw_fd();
        std::mem::forget(lock);
        // SAFETY: its owner was forgotten.
        assert_eq!(unsafe { libc::close(descriptor) }, 0);
        assert!(FolderLock::take(scratch.path(), "lock", &caller).is_err());
        run.kill().expect("killed");
        run.wait().expect("ended");
        drop(FolderLock::take(scratch.path(), "lock", &caller).expect("free again"));
    }
}
