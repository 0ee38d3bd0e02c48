//! A run's recording: what is kept beside its events, and its figures computed from it again.

mod error;
mod keep;
mod opened;
mod play;
mod refilled;
mod replay;
mod samples;
mod selection;
mod setup;
mod tensors;
mod validated;

pub use error::ReopenError;
pub use keep::WindowRecording;
pub use play::{PlayEnd, PlayHandle, PlayedMoment, Player, Speed, SpeedError};
pub use replay::{PhasePart, Reopened, reads_again, reopen};
pub use selection::{Selection, TimeSpan};
pub use setup::{Facts, RecordedSetup, load_setup};
pub use validated::{Validated, validate};
