//! A disk without room for another run.

use std::path::PathBuf;

/// The disk of the experiment is full.
#[derive(Debug, thiserror::Error)]
#[error(
    "the disk that holds {} is full: free some space, then go on with `tracer experiment resume {}`; the runs that were made are kept",
    directory.display(),
    directory.display()
)]
pub struct DiskFull {
    pub directory: PathBuf,
}
