//! A recording, played: what was shown while its run went on, at any speed.
//!
//! The events go through the accumulators of the run as in [`reopen`](super::reopen), but each only when its time has come.
//! Whoever looks on asks with a [`PlayHandle`] and is given every moment since it asked before, so that what it draws over
//! time does not depend on how fast the recording is played.

mod clock;
mod moments;

use std::{
    ops::ControlFlow,
    path::Path,
    sync::mpsc::{
        Receiver, RecvTimeoutError, Sender, SyncSender, TryRecvError, channel, sync_channel,
    },
    time::{Duration, Instant},
};

pub use clock::{Speed, SpeedError};
pub use moments::PlayedMoment;

use crate::{
    probe::Detail,
    recording::{RecordedEvent, Recording, TimedEvent},
    run::{onlooker::RunBegun, stream::Stream},
    stats::{Nanos, formulas::seconds},
};

use super::{error::ReopenError, opened::OpenedRecording, replay::stream, validated::incomplete};

use clock::PlayClock;
use moments::Moments;

/// A moment is kept at least so often, as while a run goes on, nanoseconds of the run …
const MOMENT_NS: f64 = 250e6;

/// … but where it is played fast, making them may take a tenth of the time.
const PATIENCE: u32 = 10;

/// Moments that wait to be asked for; the oldest go.
const MOST_MOMENTS: usize = 2400;

/// So many events may come before it is looked whether anybody asks.
const EVENTS_BETWEEN_LOOKS: u32 = 1024;

/// So long nobody looks whether it is to end.
const LONGEST_WAIT: Duration = Duration::from_millis(50);

/// What whoever looks on asks for.
enum Request {
    Moments(SyncSender<Vec<PlayedMoment>>),
    Speed(Speed),
    Pause(bool),
}

/// A recording that is played, from outside. When the last one is gone, playing ends.
pub struct PlayHandle(Sender<Request>);

impl PlayHandle {
    /// The moments since the last call; none where it does not answer within that time.
    #[must_use]
    pub fn moments(&self, patience: Duration) -> Vec<PlayedMoment> {
        let (sender, answer) = sync_channel(1);
        if self.0.send(Request::Moments(sender)).is_err() {
            return Vec::new();
        }
        answer.recv_timeout(patience).unwrap_or_default()
    }

    /// Plays on at another speed.
    pub fn set_speed(&self, speed: Speed) {
        // A recording that is over does not go faster.
        let _ = self.0.send(Request::Speed(speed));
    }

    /// Stops, or goes on.
    pub fn set_paused(&self, paused: bool) {
        let _ = self.0.send(Request::Pause(paused));
    }
}

/// How playing ended.
pub struct PlayEnd {
    /// The last figures; None where it was left before.
    pub last: Option<PlayedMoment>,
    /// Why events are missing, where that is so.
    pub incomplete: Option<String>,
}

/// A recording, ready to be played.
pub struct Player {
    recording: Recording,
    opened: Nanos,
    begun: RunBegun,
    play: Play,
}

/// What happens while it is played.
struct Play {
    stream: Stream,
    moments: Moments,
    requests: Receiver<Request>,
    clock: PlayClock,
    /// What the clock goes by.
    started: Instant,
    opened: Nanos,
    /// The latest event that was taken, nanoseconds since the gate opened.
    reached_ns: f64,
    next_moment_ns: f64,
    next_moment_at: Instant,
    kept: Vec<PlayedMoment>,
    events_until_look: u32,
}

impl Player {
    /// Opens the recording of a run. Playing begins at `from`; what came before is taken in at once.
    ///
    /// # Errors
    /// There is no recording that this tracer can read.
    pub fn open(
        run: &Path,
        from: Duration,
        speed: Speed,
    ) -> Result<(Self, PlayHandle), ReopenError> {
        let own = OpenedRecording::open(run)?;
        let record = own.record()?;
        let opened = own.opened();
        let mut stream = stream(&own.setup, &own.pieces, opened, None, None)
            .map_err(|error| own.refused(&error))?;
        stream.look_on(opened);
        let moments = Moments::new(&own.setup, &own.pieces, record.as_ref());
        let OpenedRecording {
            folder, recording, ..
        } = own;
        let (sender, requests) = channel();
        let now = Instant::now();
        let begun = RunBegun {
            directory: folder,
            detail: Detail::Events,
            models: moments.models(),
            recorded_s: Some(recording.end.as_ref().map_or_else(
                || record.as_ref().map_or(0.0, |record| record.time.wall_s),
                |end| seconds(end.closed_ns),
            ))
            .filter(|length_s| *length_s > 0.0),
        };
        let play = Play {
            stream,
            moments,
            requests,
            clock: PlayClock::starting_at(from, speed, Duration::ZERO),
            started: now,
            opened,
            reached_ns: 0.0,
            next_moment_ns: 0.0,
            next_moment_at: now,
            kept: Vec::new(),
            events_until_look: 0,
        };
        let player = Self {
            recording,
            opened,
            begun,
            play,
        };
        Ok((player, PlayHandle(sender)))
    }

    /// What the run is, as whoever looks on is told.
    #[must_use]
    pub const fn begun(&self) -> &RunBegun {
        &self.begun
    }

    /// Plays it to its end, or until every handle is gone, or `stop` says so.
    #[must_use]
    pub fn play(self, mut stop: impl FnMut() -> bool) -> PlayEnd {
        let Self {
            recording,
            opened,
            mut play,
            ..
        } = self;
        play.started = Instant::now();
        let mut goes_on = ControlFlow::Continue(());
        let read = recording.for_each_until(opened, |event| {
            goes_on = play.take(event, &mut stop);
            goes_on
        });
        let reached_ns = play.reached_ns as u64;
        let end = recording.end.as_ref();
        let closed_ns = end.map_or(reached_ns, |end| end.closed_ns);
        if goes_on.is_continue() && read.is_ok() {
            goes_on = play.go_on_to(closed_ns as f64, &mut stop);
        }
        if goes_on.is_break() {
            return PlayEnd {
                last: None,
                incomplete: None,
            };
        }
        let missing = match read {
            Err(error) => Some(error.to_string()),
            Ok(_) => incomplete(&recording, reached_ns),
        };
        let closed = Nanos(opened.0.saturating_add(closed_ns));
        PlayEnd {
            last: Some(play.moments.moment(&mut play.stream, closed, true)),
            incomplete: missing,
        }
    }
}

impl Play {
    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Takes an event when its time has come.
    fn take(&mut self, event: TimedEvent, stop: &mut impl FnMut() -> bool) -> ControlFlow<()> {
        // What began before the gate opened is there from the start. Samples come past events that wait to be written.
        let is_sample = matches!(event.event, RecordedEvent::Sample(_));
        let moment_ns = event.time_ns.max(0) as f64;
        if !is_sample {
            self.go_on_to(moment_ns, stop)?;
        }
        if self.moments.look(&event.event) {
            self.stream.take_recorded(event.event);
        }
        ControlFlow::Continue(())
    }

    /// Waits until a moment of the run is reached, and notes what is known of those before it.
    fn go_on_to(&mut self, moment_ns: f64, stop: &mut impl FnMut() -> bool) -> ControlFlow<()> {
        while self.next_moment_ns <= moment_ns {
            self.wait_for(self.next_moment_ns, stop)?;
            self.reached_ns = self.reached_ns.max(self.next_moment_ns);
            self.keep_moment();
            self.next_moment_ns += MOMENT_NS;
        }
        self.wait_for(moment_ns, stop)?;
        self.reached_ns = self.reached_ns.max(moment_ns);
        ControlFlow::Continue(())
    }

    /// Notes the figures of the moment that is reached, where there was time to.
    fn keep_moment(&mut self) {
        let begun = Instant::now();
        if begun < self.next_moment_at {
            return;
        }
        let moment = self.moment();
        self.kept.push(moment);
        if self.kept.len() > MOST_MOMENTS {
            self.kept.drain(..MOST_MOMENTS / 2);
        }
        self.next_moment_at = begun + begun.elapsed() * PATIENCE;
    }

    fn moment(&mut self) -> PlayedMoment {
        let now = Nanos(self.opened.0.saturating_add(self.reached_ns as u64));
        self.moments.moment(&mut self.stream, now, false)
    }

    /// Waits until a moment of the run is due, and answers meanwhile.
    fn wait_for(&mut self, moment_ns: f64, stop: &mut impl FnMut() -> bool) -> ControlFlow<()> {
        if self.events_until_look > 0
            && self.clock.until(moment_ns, self.now()) == Some(Duration::ZERO)
        {
            self.events_until_look -= 1;
            return ControlFlow::Continue(());
        }
        self.events_until_look = EVENTS_BETWEEN_LOOKS;
        loop {
            loop {
                match self.requests.try_recv() {
                    Ok(request) => self.answer(request, moment_ns),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return ControlFlow::Break(()),
                }
            }
            if stop() {
                return ControlFlow::Break(());
            }
            let left = self.clock.until(moment_ns, self.now());
            if left == Some(Duration::ZERO) {
                return ControlFlow::Continue(());
            }
            let wait = left.map_or(LONGEST_WAIT, |left| left.min(LONGEST_WAIT));
            match self.requests.recv_timeout(wait) {
                Ok(request) => self.answer(request, moment_ns),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return ControlFlow::Break(()),
            }
        }
    }

    /// `next_ns`: when the event is that comes next; all before it have been taken.
    fn answer(&mut self, request: Request, next_ns: f64) {
        let now = self.now();
        match request {
            Request::Speed(speed) => self.clock.set_speed(speed, self.reached_ns, now),
            Request::Pause(paused) => self.clock.set_paused(paused, self.reached_ns, now),
            Request::Moments(answer) => {
                // Nothing happens until then: the time goes on all the same.
                let position_ns = self.clock.position_ns(now).min(next_ns);
                self.reached_ns = self.reached_ns.max(position_ns);
                let latest = self.moment();
                let mut moments = std::mem::take(&mut self.kept);
                moments.push(latest);
                // Who asked may have lost patience.
                let _ = answer.send(moments);
            }
        }
    }
}

#[cfg(test)]
mod tests;
