//! What is served at this moment: the runs, and what the service says of itself.

use std::{
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};

use super::service::ServiceFigure;

/// A run that is served elsewhere.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    /// Value of the label `engine`.
    pub engine: String,
    pub socket: PathBuf,
}

/// What is served at this moment.
#[derive(Clone, Debug, Default)]
pub struct Sources {
    pub runs: Vec<Source>,
    pub own: Vec<(ServiceFigure, f64)>,
}

/// The same, for whoever changes it and for whoever answers.
#[derive(Clone, Debug, Default)]
pub struct SharedSources(Arc<Mutex<Sources>>);

impl SharedSources {
    /// From now on it is these.
    pub fn set(&self, sources: Sources) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = sources;
    }

    /// What it is now.
    #[must_use]
    pub fn now(&self) -> Sources {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}
