//! What a command leaves on disk: its folder, and files that a reader finds whole or not at all.

mod folder;
mod folder_lock;
mod kept_record;
mod whole_file;

pub use folder::{AUDIT_RECORD, RECORD, RUNS_FOLDER, RunDirectory, TRACE_RECORD};
pub use folder_lock::FolderLock;
pub use kept_record::{KeptRecordError, load_device_test, load_run};
pub use whole_file::write_whole_file;
