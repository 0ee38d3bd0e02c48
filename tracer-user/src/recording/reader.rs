//! A recording, opened again.

use std::{
    fs, io,
    num::NonZero,
    ops::ControlFlow,
    path::{Path, PathBuf},
    sync::mpsc::sync_channel,
    thread,
};

use crate::stats::Nanos;

use super::{
    columns::RECORDING_SCHEMA_VERSION,
    end::{END, RecordingEnd},
    error::RecordingError,
    event::TimedEvent,
    segment_reader::{Share, decode},
};

/// Groups of rows that each decoder has ready for who takes them, about 6 MB each.
const GROUPS_AHEAD: usize = 1;
/// To decode takes three times as long as to take in; more than this many would wait for who takes.
const MOST_DECODERS: usize = 4;

/// The file of a segment.
pub fn segment_name(number: u64) -> String {
    format!("events-{number:06}.parquet")
}

/// The events of a run.
#[derive(Debug)]
pub struct Recording {
    folder: PathBuf,
    /// How it ended; none where the tracer was killed.
    pub end: Option<RecordingEnd>,
    segments: Vec<PathBuf>,
}

impl Recording {
    /// Opens the recording in this folder. No event is read yet.
    ///
    /// # Errors
    /// There is none, one of a newer tracer, or a segment is missing in the middle.
    pub fn open(folder: &Path) -> Result<Self, RecordingError> {
        let unreadable = |path: &Path, source| RecordingError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let listed = fs::read_dir(folder).map_err(|source| match source.kind() {
            io::ErrorKind::NotFound => {
                RecordingError::Missing(folder.parent().unwrap_or(folder).to_owned())
            }
            _ => unreadable(folder, source),
        })?;
        let mut found: Vec<PathBuf> = listed
            .filter_map(Result::ok)
            .map(|entry| entry.path())
            .filter(|path| {
                path.extension()
                    .is_some_and(|extension| extension == "parquet")
            })
            .collect();
        found.sort();
        let end = match fs::read(folder.join(END)) {
            Ok(text) => Some(end(&folder.join(END), &text)?),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(source) => return Err(unreadable(&folder.join(END), source)),
        };
        let last = end.as_ref().map_or(found.len() as u64, |end| end.segments);
        let segments: Vec<PathBuf> = (0..last.max(found.len() as u64))
            .map(|number| folder.join(segment_name(number)))
            .collect();
        if let Some(missing) = segments.iter().find(|path| !found.contains(path)) {
            return Err(RecordingError::Gap(missing.clone()));
        }
        Ok(Self {
            folder: folder.to_owned(),
            end,
            segments,
        })
    }

    /// Its folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// How many segments there are.
    #[must_use]
    pub const fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// Reads every event in order and hands it on; a few groups of rows are in memory at a time, which other threads decode.
    /// Returns how many there were.
    ///
    /// # Errors
    /// A damaged segment, with the place; what came before it has been handed on.
    pub fn for_each(
        &self,
        opened: Nanos,
        mut take: impl FnMut(TimedEvent),
    ) -> Result<u64, RecordingError> {
        self.for_each_until(opened, |event| {
            take(event);
            ControlFlow::Continue(())
        })
    }

    /// As [`Recording::for_each`], until `take` has enough.
    ///
    /// # Errors
    /// As of [`Recording::for_each`].
    pub fn for_each_until(
        &self,
        opened: Nanos,
        mut take: impl FnMut(TimedEvent) -> ControlFlow<()>,
    ) -> Result<u64, RecordingError> {
        let mut has_enough = false;
        let count = thread::scope(|scope| {
            let mut decoded = Vec::new();
            let decoders = thread::available_parallelism().map_or(1, NonZero::get);
            let decoders = decoders.clamp(1, MOST_DECODERS) as u64;
            for decoder in 0..decoders {
                let (sender, receiver) = sync_channel(GROUPS_AHEAD);
                let share = Share { decoder, decoders };
                let give = move |group| sender.send(group).is_ok();
                thread::Builder::new()
                    .name("recording".to_owned())
                    .spawn_scoped(scope, move || decode(&self.segments, opened, share, give))
                    .map_err(|source| RecordingError::Unreadable {
                        path: self.folder.clone(),
                        source,
                    })?;
                decoded.push(receiver);
            }
            let mut count = 0;
            for receiver in decoded.iter().cycle() {
                // Who has no next group has ended, and so have all others: groups go round.
                let Ok((events, damage)) = receiver.recv() else {
                    break;
                };
                count += events.len() as u64;
                if events.into_iter().try_for_each(&mut take).is_break() {
                    has_enough = true;
                    break;
                }
                damage.map_or(Ok(()), Err)?;
            }
            Ok(count)
        })?;
        if let Some(end) = &self.end
            && !has_enough
            && end.events != count
        {
            return Err(RecordingError::Short {
                path: self.folder.clone(),
                found: count,
                expected: end.events,
            });
        }
        Ok(count)
    }
}

fn end(path: &Path, text: &[u8]) -> Result<RecordingEnd, RecordingError> {
    let end: RecordingEnd =
        serde_json::from_slice(text).map_err(|error| RecordingError::Foreign {
            path: path.to_owned(),
            why: error.to_string(),
        })?;
    if end.schema_version > RECORDING_SCHEMA_VERSION {
        return Err(RecordingError::Newer {
            path: path.to_owned(),
            found: end.schema_version,
            known: RECORDING_SCHEMA_VERSION,
        });
    }
    Ok(end)
}
