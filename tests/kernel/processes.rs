//! Looking at processes from outside.

use std::{fs, path::Path};

/// Children of a process.
pub fn children(process_id: u32) -> Vec<u32> {
    fs::read_dir(format!("/proc/{process_id}/task"))
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|task| fs::read_to_string(task.path().join("children")).ok())
        .flat_map(|text| {
            text.split_whitespace()
                .filter_map(|id| id.parse().ok())
                .collect::<Vec<_>>()
        })
        .collect()
}

/// Whether a process has a file open.
pub fn holds_open(process_id: u32, path: &Path) -> bool {
    fs::read_dir(format!("/proc/{process_id}/fd"))
        .into_iter()
        .flatten()
        .flatten()
        .any(|descriptor| fs::read_link(descriptor.path()).is_ok_and(|target| target == path))
}
