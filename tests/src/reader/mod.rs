//! A reader that does exactly the reads of a plan: the program `scripted_reader`, how it is called, and
//! what it reports.

mod command;
mod program;
mod read;
mod report;
mod sleeps;

pub use command::ReaderCommand;
pub use program::{Finished, RunningProgram};
pub use read::{ReadMode, ReadTotals, Reader, read_plan};
pub use report::{Identity, Period, ReaderReport};
pub use sleeps::SleepRecorder;
