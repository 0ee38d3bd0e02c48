//! A run's recording, with what was known before its first event.

use std::path::{Path, PathBuf};

use crate::{
    output::{KeptRecordError, load_run},
    place::ModelPieces,
    recording::{RECORDING, Recording, SETUP},
    schema::RunRecord,
    stats::Nanos,
};

use super::{
    error::ReopenError,
    setup::{RecordedSetup, load_setup},
};

/// A recording that can be read.
pub(super) struct OpenedRecording {
    /// The run's.
    pub folder: PathBuf,
    pub recording: Recording,
    pub setup: RecordedSetup,
    /// Of each model.
    pub pieces: Vec<ModelPieces>,
}

impl OpenedRecording {
    /// Opens the recording of the run that is named by its folder, or by a file in it.
    ///
    /// # Errors
    /// There is no recording that this tracer can read.
    pub fn open(run: &Path) -> Result<Self, ReopenError> {
        let folder = match run.parent() {
            Some(parent) if run.is_file() => parent,
            _ => run,
        };
        let recording = Recording::open(&folder.join(RECORDING))?;
        let setup = load_setup(recording.folder())?;
        let pieces = setup
            .pieces()
            .map_err(|error| refused(&recording, &error))?;
        Ok(Self {
            folder: folder.to_owned(),
            recording,
            setup,
            pieces,
        })
    }

    /// The run's record; None where the tracer was killed, so that there is a recording and no record.
    ///
    /// # Errors
    /// It is there and makes no sense.
    pub fn record(&self) -> Result<Option<RunRecord>, ReopenError> {
        match load_run(&self.folder) {
            Ok(record) => Ok(Some(record)),
            Err(KeptRecordError::Missing { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// When the gate opened.
    pub const fn opened(&self) -> Nanos {
        Nanos(self.setup.opened_ns)
    }

    /// What was known before makes no sense.
    pub fn refused(&self, error: &anyhow::Error) -> ReopenError {
        refused(&self.recording, error)
    }
}

fn refused(recording: &Recording, error: &anyhow::Error) -> ReopenError {
    ReopenError::Setup {
        path: recording.folder().join(SETUP),
        why: format!("{error:#}"),
    }
}
