//! One run, made: a `tracer launch` as a child, watched for its end, its time and our signals.
//! What it says goes to `tracer.log`.

use std::{
    fs::File,
    io,
    path::Path,
    process::ExitStatus,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::Signal,
};

use crate::{
    output::FolderLock,
    process::{OwnChild, SignalWatch},
};

use super::server::{Answer, Conversation, Request};

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
    pub fn make(self, lock: &FolderLock, signals: &SignalWatch) -> anyhow::Result<Ended> {
        let log = self.directory.join(LOG_FILE);
        let log = File::create(&log).with_context(|| format!("cannot make {}", log.display()))?;
        let input = lock.as_input().context("no descriptor is left")?;
        let started = Instant::now();
        let mut child = OwnChild::start(self.arguments, self.working_directory, input, log)?;
        let conversation = self
            .request
            .map(|request| Conversation::start(request, child.id(), self.time_limit))
            .transpose()?;
        let watched = watch(&mut child, signals, started + self.time_limit)?;
        Ok(Ended {
            status: watched.status,
            time_is_over: watched.time_is_over,
            interrupted: watched.interrupted,
            answer: conversation.map(Conversation::finish),
            wall: started.elapsed(),
        })
    }
}

struct Watched {
    status: ExitStatus,
    time_is_over: bool,
    interrupted: bool,
}

fn watch(
    child: &mut OwnChild,
    signals: &SignalWatch,
    time_limit: Instant,
) -> anyhow::Result<Watched> {
    let mut deadline = time_limit;
    let mut asked_to_stop = false;
    let mut time_is_over = false;
    let mut interrupted = false;
    loop {
        wait_for_either(child, signals, deadline).context("cannot wait for a run")?;
        while let Some(received) = signals.next().context("cannot read signals")? {
            // From the terminal the run, in the same process group, has got it as well.
            if !received.from_terminal {
                child.signal(received.signal)?;
            }
            if !interrupted {
                interrupted = true;
                deadline = deadline.min(Instant::now() + STOP_PATIENCE);
            }
            asked_to_stop = true;
        }
        if let Some(status) = child.try_wait()? {
            return Ok(Watched {
                status,
                time_is_over,
                interrupted,
            });
        }
        if Instant::now() >= deadline {
            if asked_to_stop {
                child.signal(Signal::SIGKILL)?;
            } else {
                time_is_over = true;
                child.signal(Signal::SIGTERM)?;
            }
            asked_to_stop = true;
            deadline = Instant::now() + STOP_PATIENCE;
        }
    }
}

/// Returns at the latest at the deadline.
fn wait_for_either(child: &OwnChild, signals: &SignalWatch, deadline: Instant) -> io::Result<()> {
    use std::os::fd::AsFd as _;
    let mut descriptors = [
        PollFd::new(child.exit_descriptor(), PollFlags::POLLIN),
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
