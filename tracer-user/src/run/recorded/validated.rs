//! A recording, read to its end.

use std::path::Path;

use crate::{
    recording::{RecordedEvent, Recording},
    stats::{Nanos, formulas::seconds},
};

use super::{error::ReopenError, opened::OpenedRecording};

/// A recording that can be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Validated {
    pub events: u64,
    pub segments: u64,
    /// Why events are missing at its end, where that is so.
    pub incomplete: Option<String>,
}

/// Reads all of a run's recording.
///
/// # Errors
/// What is wrong, with the place.
pub fn validate(run: &Path) -> Result<Validated, ReopenError> {
    let OpenedRecording {
        recording, setup, ..
    } = OpenedRecording::open(run)?;
    let mut latest_ns = 0;
    let events = recording.for_each(Nanos(setup.opened_ns), |event| {
        if !matches!(event.event, RecordedEvent::Sample(_)) {
            latest_ns = latest_ns.max(u64::try_from(event.time_ns).unwrap_or(0));
        }
    })?;
    Ok(Validated {
        events,
        segments: recording.segment_count() as u64,
        incomplete: incomplete(&recording, latest_ns),
    })
}

/// Why events are missing at the end of a recording, where that is so.
pub(super) fn incomplete(recording: &Recording, latest_ns: u64) -> Option<String> {
    match &recording.end {
        None => Some(format!(
            "the recording has no end, so the tracer was killed; it reaches to {:.2} s",
            seconds(latest_ns)
        )),
        Some(end) => end.error.clone(),
    }
}
