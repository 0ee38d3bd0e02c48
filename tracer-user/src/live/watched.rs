//! A run that somebody looks on at: what it tells, what was seen of it, and its lines where there is no terminal.

use std::{
    io::{self, Write as _},
    os::fd::{AsFd as _, BorrowedFd},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use nix::{
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::eventfd::{EfdFlags, EventFd},
};

use crate::run::onlooker::{EngineNow, RunBegun, RunSoFar};

use super::{
    history::{History, Point},
    lines,
    source::Source,
};

/// How long the figures are waited for: while a window closes nobody answers.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// Time between two lines, where there is no terminal.
const LINE: Duration = Duration::from_secs(1);

/// What the run tells the thread.
pub struct Shared {
    inbox: Mutex<Inbox>,
    wake: EventFd,
}

#[derive(Default)]
pub struct Inbox {
    pub engine: EngineNow,
    /// The last figures of the run.
    pub last: Option<RunSoFar>,
    /// What is to be said at the place of the keys.
    pub message: Option<String>,
    pub over: bool,
}

impl Shared {
    /// Nothing was told yet.
    ///
    /// # Errors
    /// No descriptor left.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            inbox: Mutex::default(),
            wake: EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?,
        })
    }

    /// Readable when something was told.
    pub fn wakes(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }

    pub fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn tell(&self, change: impl FnOnce(&mut Inbox)) {
        change(&mut self.inbox());
        // Full only after 2^64 of them.
        let _ = self.wake.write(1);
    }
}

/// A run and what was seen of it.
pub struct Watched {
    pub run: RunBegun,
    pub source: Source,
    pub history: History,
    pub shared: Arc<Shared>,
}

impl Watched {
    /// Asks for the figures; returns what they took to make.
    pub fn look(&mut self) -> Option<Duration> {
        let engine = self.shared.inbox().engine.clone();
        let points = self.source.points(ANSWER_WITHIN, &engine);
        let took = points.last()?.run.took;
        for point in points {
            self.history.push(point);
        }
        Some(took)
    }

    fn push(&mut self, run: RunSoFar) {
        let engine = self.shared.inbox().engine.clone();
        self.history.push(Point { run, engine });
    }

    /// Clears the wake-up; returns the last figures, where they have come, and whether all is over.
    pub fn told(&mut self) -> (bool, bool) {
        // Nothing to clear is fine.
        let _ = self.shared.wake.read();
        let (last, over) = {
            let mut inbox = self.shared.inbox();
            (inbox.last.take(), inbox.over)
        };
        let has_last = last.is_some();
        if let Some(last) = last {
            self.push(last);
        }
        (has_last, over)
    }

    pub fn write_lines(mut self) {
        let say = |line: &str| {
            // Nobody reads it any more: the run goes on.
            let _ = writeln!(io::stderr(), "tracer: {line}");
        };
        let mut before: Option<Point> = None;
        let mut due = Instant::now() + LINE;
        loop {
            let timeout = due.saturating_duration_since(Instant::now());
            let woken = {
                let mut wake = [PollFd::new(self.shared.wake.as_fd(), PollFlags::POLLIN)];
                poll(&mut wake, milliseconds(timeout)).is_ok_and(|ready| ready > 0)
            };
            if woken {
                let (has_last, over) = self.told();
                if has_last
                    && let Some(latest) = self.history.latest()
                    && let Some(line) = lines::last_line(&self.run, latest)
                {
                    say(&line);
                }
                if over {
                    return;
                }
                continue;
            }
            if Instant::now() < due {
                continue;
            }
            due += LINE;
            if self.look().is_some() {
                if let Some(line) = lines::line(&self.run, before.as_ref(), &self.history) {
                    say(&line);
                }
                before = self.history.latest().cloned();
            }
        }
    }
}

/// The next whole millisecond, for poll(2).
pub fn milliseconds(time: Duration) -> PollTimeout {
    let rounded = time.as_micros().div_ceil(1000);
    PollTimeout::try_from(rounded).unwrap_or(PollTimeout::MAX)
}
