//! The tracer's side of a balloon.

use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::thread::JoinHandle;

use procfs::process::Process;

use super::capacity::page_bytes;
use super::error::BalloonError;
use super::size::{largest_balloon, refuse_beyond_lock_limit};

/// Name of the hidden subcommand that runs [`helper_main`](super::helper_main): `EXE balloon-helper BYTES`.
pub const BALLOON_SUBCOMMAND: &str = "balloon-helper";

/// Memory locked away. Dropping it gives the memory back.
#[derive(Debug)]
pub struct Balloon {
    pid: u32,
    bytes: u64,
    /// Open as long as the helper shall live.
    lifeline: Option<ChildStdin>,
    /// Dropped to let the keeper end the helper.
    stop: Option<mpsc::Sender<()>>,
    keeper: Option<JoinHandle<io::Result<ExitStatus>>>,
}

impl Balloon {
    /// Locks `bytes` (rounded up to pages) in a process running `exe balloon-helper BYTES`. `exe` is the tracer's own
    /// executable. `progress` hears of the bytes locked so far, about every 64 MiB. Blocks until all is locked and the
    /// kernel agrees (`VmLck` and `RssAnon` of the helper).
    pub fn inflate(
        exe: &Path,
        bytes: u64,
        progress: impl FnMut(u64),
    ) -> Result<Self, BalloonError> {
        if bytes == 0 {
            return Err(BalloonError::Empty);
        }
        let capacity = largest_balloon()?;
        let page_bytes = page_bytes();
        let asked_bytes = bytes
            .checked_next_multiple_of(page_bytes)
            .filter(|asked| *asked <= capacity.fits_bytes)
            .ok_or(BalloonError::TooLarge {
                asked_bytes: bytes,
                capacity,
            })?;
        refuse_beyond_lock_limit(asked_bytes)?;
        let (balloon, messages) = Self::start(exe, asked_bytes)?;
        balloon.follow(messages, progress)?;
        balloon.verify()?;
        Ok(balloon)
    }

    /// Starts the helper from a thread that lives as long as it shall: PR_SET_PDEATHSIG goes by the thread that
    /// forked, and the caller's may be a pool's, which ends when idle.
    fn start(exe: &Path, bytes: u64) -> Result<(Self, impl Read), BalloonError> {
        let failed = |source| BalloonError::Start {
            exe: exe.to_owned(),
            source,
        };
        let mut command = Command::new(exe);
        command
            .arg(BALLOON_SUBCOMMAND)
            .arg(bytes.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0); // Ctrl-C is for the tracer, which still wants the memory locked when it reports.
        let (started, start) = mpsc::channel();
        let (stop, stopped) = mpsc::channel::<()>();
        let keeper = std::thread::Builder::new()
            .name("balloon-keeper".to_owned())
            .spawn(move || {
                let mut child: Child = match command.spawn() {
                    Ok(child) => child,
                    Err(error) => {
                        let _ = started.send(Err(error));
                        return Err(io::ErrorKind::NotFound.into());
                    }
                };
                let pipes = (child.id(), child.stdin.take(), child.stdout.take());
                if started.send(Ok(pipes)).is_ok() {
                    let _ = stopped.recv(); // Ends with an error when the balloon drops its end.
                }
                // Not left to the closed pipe alone: in the middle of a lock it does not listen.
                let killed = child.kill();
                let status = child.wait();
                killed.and(status)
            })
            .map_err(failed)?;
        let received = start
            .recv()
            .map_err(|_| failed(io::Error::other("its thread ended")))?;
        let (pid, lifeline, messages) = received.map_err(failed)?;
        let balloon = Self {
            pid,
            bytes,
            lifeline,
            stop: Some(stop),
            keeper: Some(keeper),
        };
        let messages = messages.ok_or_else(|| failed(io::Error::other("no pipe")))?;
        Ok((balloon, messages))
    }

    fn follow(
        &self,
        messages: impl Read,
        mut progress: impl FnMut(u64),
    ) -> Result<(), BalloonError> {
        let mut locked_bytes = 0;
        for line in BufReader::new(messages).lines() {
            let line = line.map_err(|source| BalloonError::Io {
                action: "hear from the balloon's helper",
                source,
            })?;
            match line.split_once(' ') {
                Some(("locked", number)) if number.parse::<u64>().is_ok() => {
                    locked_bytes = number.parse().unwrap_or(locked_bytes);
                    progress(locked_bytes);
                    if locked_bytes == self.bytes {
                        return Ok(());
                    }
                }
                Some(("failed", reason)) => {
                    return Err(BalloonError::HelperFailed {
                        locked_bytes,
                        reason: reason.to_owned(),
                    });
                }
                _ => {
                    let reason = format!("it said {line:?}: is the executable the tracer's own?");
                    return Err(BalloonError::HelperFailed {
                        locked_bytes,
                        reason,
                    });
                }
            }
        }
        let reason = "it ended without a word, most likely killed by the OOM killer".to_owned();
        Err(BalloonError::HelperFailed {
            locked_bytes,
            reason,
        })
    }

    /// Process id of the helper.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Size, in bytes: what was asked for, rounded up to pages.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Checks that all of it is still locked; to be called at the end of a run too, because the OOM killer takes the
    /// helper first. Returns the bytes that the kernel says are locked.
    pub fn verify(&self) -> Result<u64, BalloonError> {
        let gone = || BalloonError::Gone(self.pid);
        let pid = i32::try_from(self.pid).map_err(|_| gone())?;
        let status = match Process::new(pid).and_then(|process| process.status()) {
            Ok(status) => status,
            Err(procfs::ProcError::NotFound(_)) => return Err(gone()),
            Err(error) => {
                return Err(BalloonError::Io {
                    action: "read the helper's status",
                    source: io::Error::other(error),
                });
            }
        };
        // A process that has ended has no memory lines.
        let (Some(locked_kib), Some(resident_kib)) =
            (status.vmlck, status.rssanon.or(status.vmrss))
        else {
            return Err(gone());
        };
        let (locked_bytes, resident_bytes) = (locked_kib * 1024, resident_kib * 1024);
        if locked_bytes != self.bytes || resident_bytes < self.bytes {
            return Err(BalloonError::NotVerified {
                asked_bytes: self.bytes,
                locked_bytes,
                resident_bytes,
            });
        }
        Ok(locked_bytes)
    }

    /// Gives the memory back and waits until it is. Tells if the helper had been gone before.
    pub fn deflate(mut self) -> Result<(), BalloonError> {
        let was_there = self.verify();
        self.release()?;
        was_there.map(|_| ())
    }

    fn release(&mut self) -> Result<(), BalloonError> {
        drop(self.lifeline.take());
        drop(self.stop.take());
        match self.keeper.take().map(JoinHandle::join) {
            Some(Ok(Err(source))) => Err(BalloonError::Io {
                action: "wait for the balloon's helper",
                source,
            }),
            Some(Err(_)) => Err(BalloonError::Io {
                action: "wait for the balloon's helper",
                source: io::Error::other("its thread panicked"),
            }),
            Some(Ok(Ok(_))) | None => Ok(()),
        }
    }
}

impl Drop for Balloon {
    fn drop(&mut self) {
        let _ = self.release();
    }
}
