//! A run's recording: what is kept beside its events, and its figures computed from it again.

mod keep;
mod replay;
mod selection;
mod setup;

pub use keep::WindowRecording;
pub use replay::{ReopenError, Reopened, Validated, reopen, validate};
pub use selection::Selection;
pub use setup::{Facts, RecordedSetup};
