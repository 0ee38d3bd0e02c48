//! A run that this process has made by another process of the tracer.
//!
//! A child, and not a call: a run that hangs can be killed, what it loaded into the kernel ends with it, its memory is its own, and
//! so are its signal mask and its log.

use std::{
    ffi::OsString,
    fs::File,
    io,
    os::{
        fd::BorrowedFd,
        unix::process::{CommandExt as _, ExitStatusExt as _},
    },
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
};

use anyhow::Context as _;
use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use super::observed::ObservedProcess;

/// A run at work. Dropped, it is told to end and waited for.
#[derive(Debug)]
pub struct OwnChild {
    child: Child,
    process: ObservedProcess,
    over: bool,
}

impl OwnChild {
    /// Starts the tracer with these arguments in a working folder; what it says goes to `log`. Call it from a thread that lives as
    /// long as this process: the child gets SIGTERM when its thread ends, and when this process is killed.
    ///
    /// # Errors
    /// No process can be made.
    pub fn start(
        arguments: &[OsString],
        working_directory: &Path,
        input: Stdio,
        log: File,
    ) -> anyhow::Result<Self> {
        // The file that this process was started from, also where another build has taken its name since.
        let mut command = Command::new("/proc/self/exe");
        command
            .arg0("tracer")
            .args(arguments)
            .current_dir(working_directory)
            .stdin(input)
            .stdout(Stdio::null())
            .stderr(log);
        // SAFETY: two system calls, no allocation, no lock.
        unsafe { command.pre_exec(die_with_the_session) };
        let mut child = command
            .spawn()
            .context("cannot start the tracer for a run")?;
        match ObservedProcess::open(child.id() as i32) {
            Ok(process) => Ok(Self {
                child,
                process,
                over: false,
            }),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error).context("cannot watch a run")
            }
        }
    }

    #[must_use]
    pub fn id(&self) -> i32 {
        self.process.pid()
    }

    /// Becomes readable when it has ended.
    #[must_use]
    pub fn exit_descriptor(&self) -> BorrowedFd<'_> {
        self.process.exit_descriptor()
    }

    /// How it ended; None while it is at work.
    ///
    /// # Errors
    /// As of `waitpid(2)`.
    pub fn try_wait(&mut self) -> anyhow::Result<Option<ExitStatus>> {
        let status = self.child.try_wait().context("cannot wait for a run")?;
        self.over |= status.is_some();
        Ok(status)
    }

    /// Sends it a signal. It is not waited for yet, so that its pid is its own.
    ///
    /// # Errors
    /// As of `kill(2)`.
    pub fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        match kill(Pid::from_raw(self.id()), signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error).context("cannot stop a run"),
        }
    }
}

impl Drop for OwnChild {
    fn drop(&mut self) {
        if !self.over {
            let _ = self.signal(Signal::SIGTERM);
            let _ = self.child.wait();
        }
    }
}

/// Between fork and exec: SIGTERM, and not SIGKILL, so that a run whose session was killed stops its engine, removes its cgroup
/// and writes its record.
fn die_with_the_session() -> io::Result<()> {
    // SAFETY: an option and a signal number.
    let result = unsafe {
        libc::prctl(
            libc::PR_SET_PDEATHSIG,
            libc::SIGTERM as libc::c_ulong,
            0,
            0,
            0,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// How a run ended in words, where it left no record.
#[must_use]
pub fn describe_status(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("the tracer exited with status {code}"),
        (None, Some(signal)) => format!(
            "the tracer was ended by signal {signal}{}",
            Signal::try_from(signal).map_or_else(|_| String::new(), |name| format!(" ({name})"))
        ),
        (None, None) => "the tracer ended in an unknown way".to_owned(),
    }
}
