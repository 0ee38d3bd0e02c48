//! One run, made: a `tracer launch` as a child, watched for its end, its time and our signals.
//!
//! A child, and not a call of [`crate::run::run_launch`]: a run that hangs can be killed, what it loaded into the kernel, its
//! cgroup and its balloon end with it, its memory is no part of the next one's, and it has a peak, a signal mask and a
//! terminal of its own. What it says goes to `tracer.log`.

use std::{
    fs::File,
    io,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::Path,
    process::{Child, Command, ExitStatus, Stdio},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::process::{ObservedProcess, SignalWatch};

use super::{
    lock::ExperimentLock,
    server::{Answer, Conversation, Request},
};

/// What the run said of itself: the engine's standard error, and the tracer's messages.
pub const LOG_FILE: &str = "tracer.log";

/// What a launch may take, once it was asked to stop, to stop the engine, to undo the conditions and to write the record.
const STOP_PATIENCE: Duration = Duration::from_secs(60);

/// A run to make.
pub struct Attempt<'a> {
    /// Arguments of the tracer.
    pub arguments: &'a [std::ffi::OsString],
    /// Working folder of the engine.
    pub working_directory: &'a Path,
    /// Where the log goes.
    pub directory: &'a Path,
    /// Longest that it may take.
    pub time_limit: Duration,
    /// What to ask the server, where the engine is one.
    pub request: Option<Request>,
}

/// How a run ended.
#[derive(Debug)]
pub struct Ended {
    /// Status of the tracer that made it.
    pub status: ExitStatus,
    /// It was stopped since its time was over.
    pub time_is_over: bool,
    /// A signal told this session to stop.
    pub interrupted: bool,
    /// What the server answered, or why it did not.
    pub answer: Option<Result<Answer, String>>,
    /// How long it took.
    pub wall: Duration,
}

impl Attempt<'_> {
    /// Makes the run. Call it from the thread that lives as long as the session: the child ends with its thread.
    ///
    /// # Errors
    /// No process could be made, or it could not be waited for; nothing is left running.
    pub fn make(self, lock: &ExperimentLock, signals: &SignalWatch) -> anyhow::Result<Ended> {
        let log = self.directory.join(LOG_FILE);
        let log = File::create(&log).with_context(|| format!("cannot make {}", log.display()))?;
        // The file that this process was started from, also where another build has taken its name since.
        let mut command = Command::new("/proc/self/exe");
        command
            .arg0("tracer")
            .args(self.arguments)
            .current_dir(self.working_directory)
            .stdin(lock.as_input().context("no descriptor is left")?)
            .stdout(Stdio::null())
            .stderr(log);
        // SAFETY: two system calls, no allocation, no lock.
        unsafe { command.pre_exec(die_with_the_session) };
        let started = Instant::now();
        let child = command
            .spawn()
            .context("cannot start the tracer for a run")?;
        let mut child = Running { child, over: false };
        let launch = ObservedProcess::open(child.id()).context("cannot watch a run")?;
        let conversation = self
            .request
            .map(|request| Conversation::start(request, child.id(), self.time_limit))
            .transpose()?;
        let watched = child.watch(&launch, signals, started + self.time_limit)?;
        Ok(Ended {
            status: watched.status,
            time_is_over: watched.time_is_over,
            interrupted: watched.interrupted,
            answer: conversation.map(Conversation::finish),
            wall: started.elapsed(),
        })
    }
}

/// Between fork and exec: SIGTERM, and not SIGKILL, so that a launch whose session was killed stops its engine and removes
/// its cgroup.
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

/// How a launch in words, where it left no record.
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

struct Watched {
    status: ExitStatus,
    time_is_over: bool,
    interrupted: bool,
}

/// A child that is killed where nobody has waited for it.
struct Running {
    child: Child,
    over: bool,
}

impl Running {
    fn id(&self) -> i32 {
        // A pid is a positive i32.
        self.child.id() as i32
    }

    fn watch(
        &mut self,
        launch: &ObservedProcess,
        signals: &SignalWatch,
        time_limit: Instant,
    ) -> anyhow::Result<Watched> {
        let mut deadline = time_limit;
        let mut asked_to_stop = false;
        let mut time_is_over = false;
        let mut interrupted = false;
        loop {
            wait_for_either(launch, signals, deadline).context("cannot wait for a run")?;
            while let Some(received) = signals.next().context("cannot read signals")? {
                // From the terminal the run, in the same process group, has got it as well.
                if !received.from_terminal {
                    self.signal(received.signal)?;
                }
                if !interrupted {
                    interrupted = true;
                    deadline = deadline.min(Instant::now() + STOP_PATIENCE);
                }
                asked_to_stop = true;
            }
            if let Some(status) = self.child.try_wait().context("cannot wait for a run")? {
                self.over = true;
                return Ok(Watched {
                    status,
                    time_is_over,
                    interrupted,
                });
            }
            if Instant::now() >= deadline {
                if asked_to_stop {
                    self.signal(Signal::SIGKILL)?;
                } else {
                    time_is_over = true;
                    self.signal(Signal::SIGTERM)?;
                }
                asked_to_stop = true;
                deadline = Instant::now() + STOP_PATIENCE;
            }
        }
    }

    /// The child is not waited for yet, so that its pid is its own.
    fn signal(&self, signal: Signal) -> anyhow::Result<()> {
        match kill(Pid::from_raw(self.id()), signal) {
            Ok(()) | Err(Errno::ESRCH) => Ok(()),
            Err(error) => Err(error).context("cannot stop a run"),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.over {
            let _ = self.signal(Signal::SIGTERM);
            let _ = self.child.wait();
        }
    }
}

/// Returns at the latest at the deadline.
fn wait_for_either(
    launch: &ObservedProcess,
    signals: &SignalWatch,
    deadline: Instant,
) -> io::Result<()> {
    use std::os::fd::AsFd as _;
    let mut descriptors = [
        PollFd::new(launch.exit_descriptor(), PollFlags::POLLIN),
        PollFd::new(signals.as_fd(), PollFlags::POLLIN),
    ];
    match poll(&mut descriptors, until(deadline)) {
        Ok(_) | Err(Errno::EINTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Waits, unless a signal comes. True: a signal came.
///
/// # Errors
/// As of poll(2).
pub fn rest(time: Duration, signals: &SignalWatch) -> io::Result<bool> {
    use std::os::fd::AsFd as _;
    let deadline = Instant::now() + time;
    loop {
        if signals.next()?.is_some() {
            return Ok(true);
        }
        if Instant::now() >= deadline {
            return Ok(false);
        }
        match poll(
            &mut [PollFd::new(signals.as_fd(), PollFlags::POLLIN)],
            until(deadline),
        ) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

fn until(deadline: Instant) -> PollTimeout {
    let left = deadline.saturating_duration_since(Instant::now());
    // A moment more, so that the deadline is over afterwards.
    PollTimeout::try_from(left.as_millis().saturating_add(1)).unwrap_or(PollTimeout::MAX)
}
