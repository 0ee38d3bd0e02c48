//! What is brought below `target/tools` for builds, tests and checks.

pub mod deny;
mod from_crates_io;
pub mod linker;
pub mod programs_of_tests;
pub mod python;
pub mod pytorch;
pub mod spark;
mod starter;
