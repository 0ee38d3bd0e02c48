//! What an onlooker can ask a run for.

use std::{sync::mpsc, time::Duration};

use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use crate::{
    process::monotonic_nanos,
    run::watch::{
        marks::{GivenBy, GivenMark, SharedMarks},
        probe_finder::SessionRequest,
    },
    stats::{Nanos, phases::given::GivenPhase},
};

use super::figures::RunSoFar;

/// What the run itself is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ask {
    /// End the run, as a signal would; the engine runs on where it was there before.
    End,
    /// Write a report of the run so far.
    Report,
}

/// A run that goes on, from outside.
#[derive(Clone)]
pub struct RunHandle {
    requests: UnboundedSender<SessionRequest>,
    asks: UnboundedSender<Ask>,
    marks: SharedMarks,
}

impl RunHandle {
    /// A handle, and where what it asks for comes out.
    #[must_use]
    pub fn new(
        requests: UnboundedSender<SessionRequest>,
        marks: SharedMarks,
    ) -> (Self, UnboundedReceiver<Ask>) {
        let (asks, asked) = unbounded_channel();
        let handle = Self {
            requests,
            asks,
            marks,
        };
        (handle, asked)
    }

    /// The figures now. None where the run is closing, or too busy to say within that time.
    #[must_use]
    pub fn figures(&self, patience: Duration) -> Option<RunSoFar> {
        let (sender, answer) = mpsc::sync_channel(1);
        self.requests.send(SessionRequest::Figures(sender)).ok()?;
        answer.recv_timeout(patience).ok()
    }

    /// A phase begins now.
    pub fn mark(&self, phase: GivenPhase) {
        self.marks.give(GivenMark {
            phase,
            by: GivenBy::Screen,
            at: Nanos(monotonic_nanos()),
            uncertainty_nanos: 0,
        });
    }

    /// Asks for something; it is done soon.
    pub fn ask(&self, ask: Ask) {
        // A run that is over does nothing any more.
        let _ = self.asks.send(ask);
    }
}
