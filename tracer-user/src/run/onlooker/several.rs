//! Several who look on at one run.

use std::{os::fd::OwnedFd, path::PathBuf, sync::Arc};

use super::{EngineNow, Onlook, RunBegun, RunHandle, RunSoFar};

/// All of them, told in this order.
pub struct Several(pub Vec<Arc<dyn Onlook>>);

impl Onlook for Several {
    fn begun(&self, run: RunBegun, handle: RunHandle) {
        for onlooker in &self.0 {
            onlooker.begun(run.clone(), handle.clone());
        }
    }

    fn engine_outputs(&self) -> [Option<OwnedFd>; 2] {
        let mut all = self.0.iter().map(|onlooker| onlooker.engine_outputs());
        // The first who wants them has them.
        all.find(|outputs| outputs.iter().any(Option::is_some))
            .unwrap_or_default()
    }

    fn engine(&self, engine: EngineNow) {
        for onlooker in &self.0 {
            onlooker.engine(engine.clone());
        }
    }

    fn reported(&self, folder: Result<PathBuf, String>) {
        for onlooker in &self.0 {
            onlooker.reported(folder.clone());
        }
    }

    fn closed(&self, last: RunSoFar) {
        for onlooker in &self.0 {
            onlooker.closed(last.clone());
        }
    }
}
