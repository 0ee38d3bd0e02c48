//! Where the figures on the screen come from.

use std::time::Duration;

use crate::run::{
    PlayHandle, Speed,
    onlooker::{Ask, EngineNow, RunHandle},
};

use super::history::Point;

/// What is looked on at.
pub enum Source {
    /// A run that goes on.
    Run(RunHandle),
    /// The recording of one that is over.
    Recording(PlayHandle),
}

impl Source {
    /// What is new, the latest last. `engine`: the engine, as it was looked at last. Nothing where there is no answer within
    /// that time.
    pub fn points(&self, patience: Duration, engine: &EngineNow) -> Vec<Point> {
        match self {
            Self::Run(run) => {
                let figures = run.figures(patience).into_iter();
                let point = |run| Point {
                    run,
                    engine: engine.clone(),
                };
                figures.map(point).collect()
            }
            Self::Recording(recording) => {
                let moments = recording.moments(patience).into_iter();
                let point = |moment: crate::run::PlayedMoment| Point {
                    run: moment.run,
                    engine: moment.engine,
                };
                moments.map(point).collect()
            }
        }
    }

    /// A run that goes on; nothing can be asked of one that is over.
    pub const fn run(&self) -> Option<&RunHandle> {
        match self {
            Self::Run(run) => Some(run),
            Self::Recording(_) => None,
        }
    }

    /// Asks a run for something.
    pub fn ask(&self, ask: Ask) {
        if let Some(run) = self.run() {
            run.ask(ask);
        }
    }

    /// The screen stands still. A run goes on all the same, a recording does not.
    pub fn set_paused(&self, paused: bool) {
        if let Self::Recording(recording) = self {
            recording.set_paused(paused);
        }
    }

    /// A recording is played faster or slower.
    pub fn set_speed(&self, speed: Speed) {
        if let Self::Recording(recording) = self {
            recording.set_speed(speed);
        }
    }
}
