//! Settings of the machine that hold for one run, and are put back whatever happens.
//!
//! A process of its own changes them and puts them back ([`keeper_main`]): when the tracer says so, and when the tracer is gone,
//! also by SIGKILL. Where that process is killed as well, the next one puts back what it finds noted below `/run`.

mod keeper;
mod leftovers;
mod queue;
mod read_ahead;
mod tracer_side;

pub use keeper::keeper_main;
pub use leftovers::put_back_leftovers;
pub use queue::QueueSetting;
pub use read_ahead::{ReadAhead, check_read_ahead};
pub use tracer_side::{KeptSettings, SettingError};
