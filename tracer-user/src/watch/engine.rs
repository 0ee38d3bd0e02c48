//! Which engine is meant, over restarts of it, of the service and of the machine; and what it has open.

use std::{collections::BTreeSet, fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

/// A process of this boot: its id is used again, with its start it is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct EngineKey {
    /// Start after boot, clock ticks. First, so that the order is that of the starts.
    pub start_time_ticks: u64,
    pub pid: i32,
}

impl fmt::Display for EngineKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "process {}", self.pid)
    }
}

/// A file, by device and inode.
pub type FileKey = (u64, u64);

/// A model that an engine has open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenedModel {
    pub name: String,
    /// All of its files.
    pub files: BTreeSet<FileKey>,
    /// Its first file, as the engine sees it. None where it has no name any more.
    pub path: Option<PathBuf>,
    /// The same, as we can open it.
    pub openable_path: PathBuf,
}

/// An engine, with all models that it and its descendants have open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeenEngine {
    pub key: EngineKey,
    pub name: String,
    pub command_line: Vec<String>,
    pub models: Vec<OpenedModel>,
    /// `tracer attach` would find just these by itself.
    pub found_by_attach: bool,
}
