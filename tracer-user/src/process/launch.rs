//! Starts the traced command as the calling user.
//!
//! The child gives up every privilege before it runs a byte of the command, gets the caller's environment and the
//! caller's `PATH`, and dies with the tracer (`PR_SET_PDEATHSIG`). Its standard input is ours, or empty; its outputs go through
//! pipes that [`super::engine_output::output`] copies on. A program that looks whether its output is a terminal sees a pipe: no colours,
//! and its C library buffers standard output by the block.
//!
//! **Signals.** The child stays in our process group, or it could not read from the terminal. Ctrl-C therefore reaches
//! the tracer and the command at the same time, and nothing needs to be forwarded. A signal that came to the tracer alone
//! (`kill`, a supervisor) does not: forward it with [`EngineSignals::interrupt`] or [`EngineSignals::terminate`].
//! [`super::SignalWatch`] tells the two apart.
//!
//! **Threads.** The kernel sends the parent-death signal when the *thread* that forked ends, so a thread of our own forks,
//! waits for the child and ends only then. [`launch`] may be called from any thread.
//!
//! **Memory.** fork copies the tracer's page tables: memory that the tracer has locked must be marked `MADV_DONTFORK`, or
//! be locked after the launch.

use std::ffi::{OsStr, OsString};
use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt as _;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, mpsc};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use nix::fcntl::OFlag;
use nix::unistd::Uid;

use super::{
    caller::Caller,
    child_setup::{ChildPlan, SetupStep},
    engine_output::output::{self, Drain, OutputLine, OutputReport, OutputStream},
    exit::{self, EngineExit, Waited},
    observed::pidfd_open,
    program::{ProgramError, resolve},
    signals::EngineSignals,
};

/// How long the outputs are read on after the command has ended and was waited for, while some process still holds them
/// open.
pub const LINGER: Duration = Duration::from_secs(1);

/// Why a command could not be started.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The program is not there or cannot be run.
    #[error(transparent)]
    Program(#[from] ProgramError),
    /// We are not root and the caller is someone else.
    #[error("cannot start a command as uid {wanted}: the tracer runs as uid {own}, not as root")]
    CannotBecome { wanted: u32, own: u32 },
    /// An output file could not be made.
    #[error("cannot write {path}: {source}; choose another output directory", path = path.display())]
    OutputFile { path: PathBuf, source: io::Error },
    /// The child could not be made ready.
    #[error("cannot start {program:?}: {step} failed in the new process: {source}")]
    Setup {
        program: OsString,
        /// What was being done.
        step: SetupStep,
        source: io::Error,
    },
    /// A pipe, a thread or the new process could not be made.
    #[error("cannot start {program:?}: {what}: {source}")]
    System {
        program: OsString,
        /// What was being made.
        what: &'static str,
        source: io::Error,
    },
}

/// Receives the lines of both outputs, from two threads. It must return soon: while it runs, that output is not read.
pub type OnLine = Arc<dyn Fn(OutputLine) + Send + Sync>;

/// What to start, and how.
pub struct LaunchRequest<'a> {
    pub command: &'a [OsString],
    /// It may read our standard input; else it finds that at its end.
    pub gives_input: bool,
    /// As whom, and in which environment.
    pub caller: &'a Caller,
    /// Where `engine.stdout` and `engine.stderr` are kept, if anywhere. The directory must exist.
    pub output_directory: Option<&'a Path>,
    /// Opened `cgroup.procs` (v2) or `tasks` (v1) files that the child writes itself into while it is still privileged.
    pub cgroup_procs: Vec<OwnedFd>,
    /// Where standard output is copied to; `None` copies nowhere.
    pub stdout_copy: Option<OwnedFd>,
    /// Where standard error is copied to; `None` copies nowhere.
    pub stderr_copy: Option<OwnedFd>,
    pub on_line: OnLine,
}

impl<'a> LaunchRequest<'a> {
    /// A command with its outputs copied to our own, nothing kept and no cgroup joined.
    #[must_use]
    pub fn new(command: &'a [OsString], caller: &'a Caller, on_line: OnLine) -> Self {
        Self {
            command,
            gives_input: true,
            caller,
            output_directory: None,
            cgroup_procs: Vec::new(),
            // Where our own output is closed there is nothing to copy to.
            stdout_copy: output::own_output(OutputStream::Stdout).ok(),
            stderr_copy: output::own_output(OutputStream::Stderr).ok(),
            on_line,
        }
    }
}

/// A command that was started. Dropping it kills the command.
#[derive(Debug)]
pub struct LaunchedProcess {
    pid: i32,
    started_monotonic_nanos: u64,
    signals: EngineSignals,
    keeper: Option<JoinHandle<io::Result<Waited>>>,
    drains: Vec<JoinHandle<OutputReport>>,
    /// While it is open the outputs are read to their ends, also those of processes that the command left behind.
    reads_outputs: Option<OwnedFd>,
}

/// Starts a command.
///
/// # Errors
/// See [`LaunchError`]; nothing is left running.
pub fn launch(request: LaunchRequest<'_>) -> Result<LaunchedProcess, LaunchError> {
    let program = resolve(request.command, request.caller)?;
    let name = request.command.first().cloned().unwrap_or_default();
    let system = |what| {
        let program = name.clone();
        move |source: io::Error| LaunchError::System {
            program,
            what,
            source,
        }
    };
    let own = Uid::effective();
    if !own.is_root() && own != request.caller.uid {
        return Err(LaunchError::CannotBecome {
            wanted: request.caller.uid.as_raw(),
            own: own.as_raw(),
        });
    }
    let kept = |name: &str| {
        request
            .output_directory
            .map(|directory| kept_file(directory, name, request.caller))
            .transpose()
    };
    let (stdout_file, stderr_file) = (kept("engine.stdout")?, kept("engine.stderr")?);
    let pipe = || pipe_for(request.caller).map_err(system("no pipe"));
    let (stdout_read, stdout_write) = pipe()?;
    let (stderr_read, stderr_write) = pipe()?;
    let (failure_read, failure_write) = nix::unistd::pipe2(OFlag::O_CLOEXEC)
        .map_err(io::Error::from)
        .map_err(system("no pipe"))?;

    let mut command = Command::new(&program);
    command
        .arg0(&name)
        .args(request.command.iter().skip(1))
        .env_clear();
    command.envs(
        request
            .caller
            .environment
            .iter()
            .map(|(name, value)| (name, value)),
    );
    command
        .stdin(if request.gives_input {
            Stdio::inherit()
        } else {
            Stdio::null()
        })
        .stdout(stdout_write)
        .stderr(stderr_write);
    let plan = ChildPlan::new(request.caller, request.cgroup_procs, failure_write);
    // SAFETY: `ChildPlan::apply` only makes system calls on values that were prepared here; it takes no lock and
    // allocates nothing, as is required between fork and exec of a process with several threads.
    unsafe { command.pre_exec(move || plan.apply()) };

    let (sender, receiver) = mpsc::sync_channel(1);
    let keeper = thread::Builder::new()
        .name("engine-keeper".to_owned())
        .spawn(move || keep(command, &sender))
        .map_err(system("no thread"))?;
    let started = receiver
        .recv()
        .unwrap_or_else(|_| Err(io::Error::other("the starting thread ended")));
    let Started {
        pid,
        pidfd,
        started_monotonic_nanos,
    } = match started {
        Ok(started) => started,
        Err(source) => {
            let _ = keeper.join();
            return Err(match failed_step(failure_read) {
                Some(step) => LaunchError::Setup {
                    program: name,
                    step,
                    source,
                },
                None => ProgramError::from_exec(&program, &source)
                    .map_or_else(|| system("no process")(source), LaunchError::Program),
            });
        }
    };
    let signals = EngineSignals::new(pid, pidfd);
    let mut launched = LaunchedProcess {
        pid,
        started_monotonic_nanos,
        signals,
        keeper: Some(keeper),
        drains: Vec::new(),
        reads_outputs: None,
    };
    // From here on an early return drops `launched`, which kills the child.
    let (no_longer_read, reads_outputs) = nix::unistd::pipe2(OFlag::O_CLOEXEC)
        .map_err(io::Error::from)
        .map_err(system("no pipe"))?;
    launched.reads_outputs = Some(reads_outputs);
    let streams = [
        (
            OutputStream::Stdout,
            stdout_read,
            stdout_file,
            request.stdout_copy,
        ),
        (
            OutputStream::Stderr,
            stderr_read,
            stderr_file,
            request.stderr_copy,
        ),
    ];
    for (stream, pipe, file, passthrough) in streams {
        let last_call = no_longer_read
            .try_clone()
            .map_err(system("no descriptor"))?;
        let drain = Drain {
            stream,
            pipe,
            last_call,
            linger: LINGER,
            passthrough,
            file,
        };
        let on_line = Arc::clone(&request.on_line);
        let thread = thread::Builder::new()
            .name(format!("engine-{stream:?}").to_lowercase())
            .spawn(move || drain.run(&*on_line))
            .map_err(system("no thread"))?;
        launched.drains.push(thread);
    }
    Ok(launched)
}

impl LaunchedProcess {
    /// Process id of the command (of the shell, where the command is one).
    #[must_use]
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// `CLOCK_MONOTONIC`, nanoseconds, just before the fork.
    #[must_use]
    pub fn started_monotonic_nanos(&self) -> u64 {
        self.started_monotonic_nanos
    }

    /// For signals and for waiting by poll; stays valid while [`LaunchedProcess::wait`] blocks elsewhere.
    #[must_use]
    pub fn signals(&self) -> EngineSignals {
        self.signals.clone()
    }

    /// Waits for the command's end and for the end of its outputs (at most [`LINGER`] longer). Blocks: in async code, call
    /// it on a blocking thread once the [exit descriptor](EngineSignals::exit_descriptor) is readable, or from the start.
    /// Until it is called, the outputs are read on, also where processes write to them that the command left behind.
    ///
    /// # Errors
    /// `wait4(2)` failed: someone else waited for the child.
    pub fn wait(mut self) -> io::Result<EngineExit> {
        self.finish()
    }

    fn finish(&mut self) -> io::Result<EngineExit> {
        let keeper = self
            .keeper
            .take()
            .ok_or_else(|| io::Error::other("waited for already"))?;
        let waited = keeper
            .join()
            .map_err(|_| io::Error::other("the waiting thread panicked"))?;
        self.reads_outputs = None;
        let outputs = self
            .drains
            .drain(..)
            .filter_map(|thread| thread.join().ok())
            .collect();
        Ok(EngineExit::new(
            &waited?,
            self.started_monotonic_nanos,
            outputs,
        ))
    }
}

impl Drop for LaunchedProcess {
    fn drop(&mut self) {
        if self.keeper.is_some() {
            let _ = self.signals.kill();
            let _ = self.finish();
        }
    }
}

struct Started {
    pid: i32,
    pidfd: OwnedFd,
    started_monotonic_nanos: u64,
}

/// Forks, tells how it went, and waits for the child.
fn keep(
    mut command: Command,
    started: &mpsc::SyncSender<io::Result<Started>>,
) -> io::Result<Waited> {
    let started_monotonic_nanos = output::monotonic_nanos();
    let spawned = command.spawn().and_then(|mut child| {
        let pid = i32::try_from(child.id()).map_err(io::Error::other)?;
        // Not waited for yet, so the pid is still the child's.
        pidfd_open(pid)
            .map(|pidfd| Started {
                pid,
                pidfd,
                started_monotonic_nanos,
            })
            .inspect_err(|_| {
                let _ = child.kill();
                let _ = child.wait();
            })
    });
    // Our copies of the pipes' write ends go with it, or the outputs would never end.
    drop(command);
    match spawned {
        Ok(child) => {
            let pid = child.pid;
            let bound = exit::own_peak_rss_bytes();
            let _ = started.send(Ok(child));
            exit::wait4(pid, bound)
        }
        Err(error) => {
            let copy = error.raw_os_error().map_or_else(
                || io::Error::other(error.to_string()),
                io::Error::from_raw_os_error,
            );
            let _ = started.send(Err(error));
            Err(copy)
        }
    }
}

fn failed_step(pipe: OwnedFd) -> Option<SetupStep> {
    // The write end is closed by now, in us and in the child: this cannot block.
    let mut step = [0];
    File::from(pipe).read_exact(&mut step).ok()?;
    let [step] = step;
    SetupStep::from_code(step)
}

/// A pipe whose write end the caller may open again by `/dev/stdout`: a pipe belongs to who made it, mode 0600.
fn pipe_for(caller: &Caller) -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = nix::unistd::pipe2(OFlag::O_CLOEXEC)?;
    let write = File::from(write);
    caller.give_file(&write)?;
    Ok((read, write.into()))
}

/// A new file, the caller's. One of the same name is removed, never written through: it could be a link.
fn kept_file(directory: &Path, name: &str, caller: &Caller) -> Result<File, LaunchError> {
    let path = directory.join(OsStr::new(name));
    let make = || {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(&path)?;
        caller.give_file(&file)?;
        Ok(file)
    };
    make().map_err(|source| LaunchError::OutputFile {
        path: path.clone(),
        source,
    })
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod life_tests;
