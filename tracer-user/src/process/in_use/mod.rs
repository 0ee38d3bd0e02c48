//! What processes have open or mapped: files, models among them, and which processes those are.

mod files;
mod holders;
mod large_files;
mod listening;
mod open_models;

pub use files::{FileInUse, files_in_use};
pub use holders::{
    ModelHolder, all_processes, holders_among, processes_named, processes_of_container,
    with_descendants,
};
pub use large_files::LargeFiles;
pub use listening::Listeners;
pub use open_models::{OpenModel, OpenModelFile, OpenModels, RefusedFile, RefusedReason};
