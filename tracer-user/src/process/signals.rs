//! Signals to the traced command, and where a signal to the tracer came from.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use nix::errno::Errno;
use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};

use super::process::{descendants_of, pidfd_open, pidfd_send_signal};

/// Sends signals to the command and its descendants. Cheap to clone, usable from any thread.
///
/// The command is in our own process group (a signal to the group would hit the tracer too), so its descendants are
/// looked up and signalled one by one; the command itself is signalled by its descriptor, never by a pid that may have
/// become another process.
#[derive(Debug, Clone)]
pub struct EngineSignals {
    pid: i32,
    pidfd: Arc<OwnedFd>,
}

impl EngineSignals {
    pub(crate) fn new(pid: i32, pidfd: OwnedFd) -> Self {
        Self {
            pid,
            pidfd: Arc::new(pidfd),
        }
    }

    /// Becomes readable when the command has ended.
    #[must_use]
    pub fn exit_descriptor(&self) -> BorrowedFd<'_> {
        self.pidfd.as_fd()
    }

    /// SIGINT. Not after a Ctrl-C on the terminal: that one they have already, and llama.cpp takes a second one as
    /// "exit at once".
    ///
    /// # Errors
    /// The command could not be signalled. That it has ended already is no error.
    pub fn interrupt(&self) -> io::Result<()> {
        self.send(Signal::SIGINT)
    }

    /// SIGTERM.
    ///
    /// # Errors
    /// As of [`EngineSignals::interrupt`].
    pub fn terminate(&self) -> io::Result<()> {
        self.send(Signal::SIGTERM)
    }

    /// SIGKILL.
    ///
    /// # Errors
    /// As of [`EngineSignals::interrupt`].
    pub fn kill(&self) -> io::Result<()> {
        self.send(Signal::SIGKILL)
    }

    fn send(&self, signal: Signal) -> io::Result<()> {
        // Looked up first: children of a dead parent move to init and are no longer to be found. Each is held by a
        // descriptor before its parent is checked again, so that no other process can take its pid in between.
        let descendants = if self.has_ended() {
            Vec::new()
        } else {
            descendants_of(self.pid).unwrap_or_default()
        };
        let held: Vec<(i32, OwnedFd)> = descendants
            .into_iter()
            .filter_map(|pid| Some((pid, pidfd_open(pid).ok()?)))
            .collect();
        let still = if held.is_empty() {
            Vec::new()
        } else {
            descendants_of(self.pid).unwrap_or_default()
        };
        let result = match pidfd_send_signal(&self.pidfd, signal) {
            Err(error) if error.raw_os_error() == Some(libc::ESRCH) => Ok(()),
            other => other,
        };
        for (_, pidfd) in held.iter().filter(|(pid, _)| still.contains(pid)) {
            // It may have ended, or be another user's (a setuid program): nothing more can be done about it.
            let _ = pidfd_send_signal(pidfd, signal);
        }
        result
    }

    fn has_ended(&self) -> bool {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        poll(
            &mut [PollFd::new(self.pidfd.as_fd(), PollFlags::POLLIN)],
            PollTimeout::ZERO,
        )
        .is_ok_and(|ready| ready > 0)
    }
}

/// A signal that reached the tracer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceivedSignal {
    /// Which one.
    pub signal: Signal,
    /// True if the kernel itself sent it (Ctrl-C on the terminal, a hang-up): then the command, which is in our process
    /// group, got it too and it must not be forwarded. False if a process sent it to us alone, as far as can be told
    /// (`kill -INT -PGID` looks the same).
    pub from_terminal: bool,
}

/// Receives signals as data (`signalfd(2)`), with their origin.
#[derive(Debug)]
pub struct SignalWatch {
    descriptor: SignalFd,
}

impl SignalWatch {
    /// Blocks `signals` in the calling thread and in every thread that it starts later, and receives them instead. Call it
    /// first thing in `main`, before any other thread is there: a thread that does not block a signal would take it.
    ///
    /// # Errors
    /// As of `pthread_sigmask(3)` and `signalfd(2)`.
    pub fn new(signals: &[Signal]) -> io::Result<Self> {
        let set: SigSet = signals.iter().copied().collect();
        nix::sys::signal::pthread_sigmask(SigmaskHow::SIG_BLOCK, Some(&set), None)?;
        Ok(Self {
            descriptor: SignalFd::with_flags(&set, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?,
        })
    }

    /// The next signal; `None` if there is none now. Readable when there is one (see [`AsRawFd`]).
    ///
    /// # Errors
    /// As of `read(2)`.
    pub fn next(&self) -> io::Result<Option<ReceivedSignal>> {
        match self.descriptor.read_signal() {
            Ok(Some(info)) => {
                let number = i32::try_from(info.ssi_signo).map_err(io::Error::other)?;
                let signal = Signal::try_from(number)?;
                Ok(Some(ReceivedSignal {
                    signal,
                    from_terminal: info.ssi_code == libc::SI_KERNEL,
                }))
            }
            Ok(None) | Err(Errno::EINTR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

impl AsRawFd for SignalWatch {
    fn as_raw_fd(&self) -> std::os::fd::RawFd {
        self.descriptor.as_fd().as_raw_fd()
    }
}

impl AsFd for SignalWatch {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}
