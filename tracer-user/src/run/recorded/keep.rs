//! The recording of a window while it is open. What goes wrong with it is noted in the record: it takes no figure away.

use std::{fs, os::unix::fs::DirBuilderExt as _, path::PathBuf};

use crate::{
    output::{RunDirectory, write_whole_file},
    process::Caller,
    recording::{
        END, EventRecorder, RECORDING, RecordingError, RecordingThread, SETUP, require_room,
    },
    schema::{RecordingRecord, RunRecord},
    stats::Nanos,
};

use super::setup::RecordedSetup;

/// A recording that has begun.
pub struct WindowRecording {
    folder: PathBuf,
    thread: Option<RecordingThread>,
}

impl WindowRecording {
    /// Makes the folder, writes what is known before, and starts to record.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn begin(
        directory: &RunDirectory,
        caller: &Caller,
        setup: &RecordedSetup,
    ) -> Result<EventRecorder, RecordingError> {
        // Where there is none, nothing is left that looks like a recording.
        require_room(directory.path())?;
        let folder = directory.path().join(RECORDING);
        let refused = |error: &dyn std::fmt::Display| RecordingError::Write(error.to_string());
        fs::DirBuilder::new()
            .mode(0o700)
            .create(&folder)
            .map_err(|error| refused(&error))?;
        caller.give_path(&folder).map_err(|error| refused(&error))?;
        let text = serde_json::to_vec(setup).map_err(|error| refused(&error))?;
        write_whole_file(&folder.join(SETUP), &text, caller).map_err(|error| refused(&error))?;
        let owner = caller.clone();
        EventRecorder::start(
            &folder,
            Nanos(setup.opened_ns),
            Box::new(move |file| owner.give_file(file)),
        )
    }

    /// The recording whose thread this is; none where nothing is recorded.
    #[must_use]
    pub fn of(directory: &RunDirectory, thread: Option<RecordingThread>) -> Self {
        Self {
            folder: directory.path().join(RECORDING),
            thread,
        }
    }

    /// Takes away a recording that holds a part of the window only.
    pub fn remove(directory: &RunDirectory, thread: RecordingThread) {
        let _ = thread.finish(0);
        // What cannot be removed has no end, and is called unfinished by who opens it.
        let _ = fs::remove_dir_all(directory.path().join(RECORDING));
    }

    /// Waits for the last segment and writes how it ended. Call it when the stream is finished.
    pub fn finish(self, closed_ns: u64, caller: &Caller, record: &mut RunRecord) {
        let Some(thread) = self.thread else {
            return;
        };
        let end = thread.finish(closed_ns);
        let written = serde_json::to_vec(&end)
            .map_err(anyhow::Error::from)
            .and_then(|text| Ok(write_whole_file(&self.folder.join(END), &text, caller)?));
        let error = end
            .error
            .or_else(|| written.err().map(|error| error.to_string()));
        if let Some(error) = &error {
            record
                .notes
                .push(format!("the recording is not whole: {error}"));
        }
        record.recording = Some(RecordingRecord {
            folder: RECORDING.to_owned(),
            events: end.events,
            error,
        });
    }
}
