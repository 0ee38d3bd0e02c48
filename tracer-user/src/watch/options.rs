//! What to watch, and what to do with it.

use std::{path::PathBuf, time::Duration};

use crate::outward::HttpUrl;

use super::recordings::Condition;

/// Which processes are engines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineChoice {
    /// By the names of their programs.
    pub names: Vec<String>,
    /// By parts of the path of their control group: a service of systemd, the id of a container.
    pub cgroups: Vec<String>,
    /// Whatever has a model open.
    pub any_model: bool,
}

/// How to watch.
#[derive(Clone, Debug)]
pub struct WatchOptions {
    pub engines: EngineChoice,
    /// Where windows go, as `host=…/date=…/run=…`.
    pub directory: PathBuf,
    /// Length of a window.
    pub every: Duration,
    /// More engines than these are named and not followed.
    pub engines_at_most: usize,
    /// An engine is recorded where one of these holds.
    pub record_on: Vec<Condition>,
    /// How long it is recorded then.
    pub record_for: Duration,
    /// Least time from the end of an engine's recording to the beginning of its next.
    pub record_pause: Duration,
    /// Where the engine serves its own metrics.
    pub engine_metrics: Option<HttpUrl>,
    /// Somebody looks at the figures while they are counted.
    pub serves: bool,
}
