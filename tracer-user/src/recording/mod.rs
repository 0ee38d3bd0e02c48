//! What a run's figures are made of, kept on disk: the folder `recording` beside `run.json`.
//!
//! | file | what is in it |
//! |---|---|
//! | `setup.json` | what was known before the first event: files, extents, tensors, what was in memory |
//! | `events-000000.parquet`, … | the events, in their order; each segment is a complete file |
//! | `end.json` | when the window closed, and how many events there are; missing where the tracer was killed |
//!
//! The events are those that the run's own accumulators took in, in the order in which they did: fed to them again they
//! give the same figures. A segment appears under its name when it is whole, so that whatever ends the tracer, all but the
//! last seconds are there. The columns and their meaning are in `docs/SCHEMA.md`.

mod columns;
mod end;
mod error;
mod event;
mod reader;
mod recorder;
mod segment;
mod segment_reader;
#[cfg(test)]
mod tests;

pub use columns::RECORDING_SCHEMA_VERSION;
pub use end::{END, RecordingEnd};
pub use error::RecordingError;
pub use event::{RecordedEvent, Sample, SampleKind, TimedEvent};
pub use reader::Recording;
pub use recorder::{EventRecorder, GiveFile, RecordingThread, SampleRecorder, require_room};
#[cfg(test)]
pub use {event::Row, reader::segment_name, segment::SegmentWriter};

/// Name of the folder in the run's.
pub const RECORDING: &str = "recording";
/// Name of the file with what was known before.
pub const SETUP: &str = "setup.json";
