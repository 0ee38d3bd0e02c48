//! The self-checks at the end of every run: two roads to one figure, both sides shown.

pub mod attribution;
mod device;
mod model;
mod programs;
mod stream;
mod unfinished;

pub use device::{of_device, statistics_window};
pub use model::{ModelSides, of_records};
pub use programs::of_programs;
pub use stream::of_stream;
pub use unfinished::{Unfinished, unfinished};
