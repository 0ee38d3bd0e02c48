//! A finished run as a trace for Perfetto (`ui.perfetto.dev`): TrackEvent packets.
//!
//! | tracks | from |
//! |---|---|
//! | the run; phases, steps, bandwidth, residency of each model; memory and PSI | `run.json`, or the recording where the tracer was killed |
//! | reads by device | `reads.parquet`, or the recording where there is none |
//! | waits by thread | the recording |
//!
//! Times are nanoseconds since the run began. Events go out as they are read: a long run needs no more memory than a short one.

mod course;
mod lanes;
mod message;
mod places;
mod reads;
#[cfg(test)]
mod tests;
mod waits;
mod writer;

use std::{
    io::{self, Write},
    path::{Path, PathBuf},
};

use thiserror::Error;
use tracer_common::record::Record;

use crate::{
    output::{KeptRecordError, load_run},
    read_list::ReadList,
    recording::{RECORDING, RecordedEvent, Recording},
    run::{PhasePart, ReopenError, Selection, load_setup, reads_again, reopen},
    schema::RunRecord,
    stats::Nanos,
};

use places::Places;
use reads::ReadTracks;
use waits::WaitTracks;
use writer::{TraceWriter, TrackKind};

/// Why a run cannot be exported.
#[derive(Debug, Error)]
pub enum ExportError {
    /// Neither a record nor a recording can be read.
    #[error(transparent)]
    Record(#[from] KeptRecordError),
    #[error(transparent)]
    Reopen(#[from] ReopenError),
    #[error("cannot write the trace: {0}")]
    Write(#[from] io::Error),
}

/// What was exported.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Exported {
    pub reads: u64,
    /// Of the model, in the reads.
    pub read_bytes: u64,
    /// None without a recording.
    pub waits: Option<u64>,
    /// Over all models.
    pub steps: u64,
    /// Why some of the run is not in it.
    pub partial: Vec<String>,
    /// What this run has not, and how to get it.
    pub missing: Vec<String>,
}

/// What a run's folder has.
struct Source {
    folder: PathBuf,
    record: RunRecord,
    /// By model; none without a recording that can be read.
    parts: Option<Vec<Vec<PhasePart>>>,
    partial: Vec<String>,
}

/// Writes a run as a Perfetto trace.
///
/// # Errors
/// The folder holds neither a record nor a recording that can be read; the trace cannot be written. What is damaged or cut is
/// given up to the damage, and said.
pub fn perfetto<W: Write>(run: &Path, out: W) -> Result<Exported, ExportError> {
    let mut source = Source::open(run)?;
    let mut writer = TraceWriter::new(out);
    let mut exported = Exported::default();
    let track = writer.track(None, "run", TrackKind::Plain, None)?;
    for slot in 0..source.record.all_models().count() {
        exported.steps += source.model(&mut writer, slot)?;
    }
    let memory = writer.track(None, "memory", TrackKind::Plain, None)?;
    course::memory(&mut writer, memory, &source.record)?;
    let record = source.record.clone();
    let places: Vec<Places<'_>> = record.all_models().map(Places::of).collect();
    source.reads(&mut writer, &places, &mut exported)?;
    source.waits(&mut writer, &places, &mut exported)?;
    course::run(&mut writer, track, &record, &source.partial)?;
    writer.finish()?;
    exported.partial = source.partial;
    Ok(exported)
}

impl Source {
    fn open(run: &Path) -> Result<Self, ExportError> {
        let folder = if run.is_dir() {
            run.to_owned()
        } else {
            run.parent().unwrap_or(Path::new(".")).to_owned()
        };
        if !folder.join(RECORDING).exists() {
            let record = load_run(&folder)?;
            let partial = reason(&record);
            return Ok(Self {
                folder,
                record,
                parts: None,
                partial,
            });
        }
        match reopen(&folder, &Selection::whole()) {
            Ok(reopened) => Ok(Self {
                partial: reason(&reopened.record),
                record: reopened.record,
                parts: Some(reopened.phase_parts),
                folder,
            }),
            Err(error) => {
                // The record may be whole.
                let Ok(record) = load_run(&folder) else {
                    return Err(error.into());
                };
                let mut partial = reason(&record);
                partial.push(format!("the recording is left out: {error}"));
                Ok(Self {
                    folder,
                    record,
                    parts: None,
                    partial,
                })
            }
        }
    }

    /// A model's tracks. Returns how many steps it has.
    fn model<W: Write>(&self, writer: &mut TraceWriter<W>, slot: usize) -> io::Result<u64> {
        let Some(model) = self.record.all_models().nth(slot) else {
            return Ok(0);
        };
        let path = &model.model.path;
        let name = Path::new(path).file_name().map_or_else(
            || format!("model {slot}"),
            |name| name.to_string_lossy().into_owned(),
        );
        let parent = writer.track(None, &name, TrackKind::Plain, Some(path))?;
        let parts = self.parts.as_ref().and_then(|parts| parts.get(slot));
        let parts = parts.map(Vec::as_slice);
        let steps = course::phases_and_steps(writer, parent, model, parts)?;
        course::bandwidth(writer, parent, model)?;
        course::residency(writer, parent, &self.record, slot)?;
        Ok(steps)
    }

    fn reads<W: Write>(
        &mut self,
        writer: &mut TraceWriter<W>,
        places: &[Places<'_>],
        exported: &mut Exported,
    ) -> Result<(), ExportError> {
        // Removed with the list in it.
        let mut scratch = None;
        let named = self
            .record
            .read_list
            .as_ref()
            .and_then(|list| list.file.as_ref());
        let list = match named {
            Some(name) => ReadList::open(&self.folder.join(name))
                .map_err(|error| format!("{name} is left out: {error}")),
            None => Err(String::new()),
        };
        let list = match list {
            Ok(list) => list,
            Err(_) if self.parts.is_some() => {
                let scratch = scratch.insert(tempfile::tempdir()?);
                let path = reads_again(&self.folder, scratch.path())?;
                ReadList::open(&path).map_err(io::Error::other)?
            }
            Err(why) if why.is_empty() => {
                exported.missing.push(
                    "the reads: the run has no reads.parquet (--no-read-list, or level counts) and no recording (--record)"
                        .to_owned(),
                );
                return Ok(());
            }
            Err(why) => {
                self.partial.push(why);
                return Ok(());
            }
        };
        let mut tracks = ReadTracks::new(writer, list.header(), places)?;
        for row in list.rows() {
            match row {
                Ok(row) => tracks.take(writer, &row)?,
                Err(error) => {
                    self.partial.push(format!(
                        "reads.parquet is damaged after read {}: {error}",
                        tracks.count
                    ));
                    break;
                }
            }
        }
        (exported.reads, exported.read_bytes) = (tracks.count, tracks.bytes);
        Ok(())
    }

    fn waits<W: Write>(
        &mut self,
        writer: &mut TraceWriter<W>,
        places: &[Places<'_>],
        exported: &mut Exported,
    ) -> Result<(), ExportError> {
        if self.parts.is_none() {
            exported.missing.push(
                "stalls by thread: they are in a recording, which `tracer launch --record` makes"
                    .to_owned(),
            );
            return Ok(());
        }
        let recording = Recording::open(&self.folder.join(RECORDING)).map_err(ReopenError::from)?;
        let setup = load_setup(recording.folder())?;
        let command = self.record.command.first().map_or("", String::as_str);
        let program = Path::new(command)
            .file_name()
            .unwrap_or_default()
            .to_string_lossy();
        let mut tracks = WaitTracks::new(&setup, places, (self.record.process.pid, &program));
        let mut written = Ok(());
        let read = recording.for_each(Nanos(setup.opened_ns), |event| {
            if let RecordedEvent::Kernel(Record::Wait(wait)) = event.event
                && written.is_ok()
            {
                written = tracks.take(writer, &wait);
            }
        });
        written?;
        // What is damaged the reopened record has said with the same words.
        if let Err(error) = read
            && self.partial.is_empty()
        {
            self.partial.push(error.to_string());
        }
        exported.waits = Some(tracks.count);
        Ok(())
    }
}

fn reason(record: &RunRecord) -> Vec<String> {
    record
        .partial_reason
        .clone()
        .filter(|_| record.partial)
        .into_iter()
        .collect()
}
