//! When which engine is recorded: conditions on what its window counts, and whose turn it is.

mod condition;
mod growth;
mod sentinel;
mod turns;

pub use condition::Condition;
pub use sentinel::Sentinel;
pub use turns::{Recordings, Why};
