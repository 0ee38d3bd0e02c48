//! Whoever looks on while a run goes on: what it is told, and what it can ask for.

mod collect;
mod figures;
mod groups;
mod handle;
mod report;
mod several;

use std::{os::fd::OwnedFd, path::PathBuf, sync::Arc};

pub use collect::Collector;
pub use figures::{
    EngineNow, LossesSoFar, ModelBegun, ModelFiguresSoFar, PagesSoFar, PartBytes, PartsSoFar,
    ReadsSoFar, RunBegun, RunSoFar, WaitSeconds,
};
pub use handle::{Ask, RunHandle};
pub use several::Several;
pub(in crate::run) use {collect::recorded_reads, groups::PieceGroups};

/// Looks on while a run goes on. Each call must return soon.
pub trait Onlook: Send + Sync {
    /// The window is open.
    fn begun(&self, run: RunBegun, handle: RunHandle);
    /// Where the engine's standard output and its standard error go beside their files, if elsewhere than to our own.
    fn engine_outputs(&self) -> [Option<OwnedFd>; 2];
    /// The engine and the machine were looked at.
    fn engine(&self, engine: EngineNow);
    /// A report that was asked for is in this folder, or could not be written.
    fn reported(&self, folder: Result<PathBuf, String>);
    /// The window is closed; these are its last figures.
    fn closed(&self, last: RunSoFar);
}

/// An onlooker that options can carry.
#[derive(Clone)]
pub struct Onlooker(pub Arc<dyn Onlook>);

impl std::fmt::Debug for Onlooker {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Onlooker")
    }
}
