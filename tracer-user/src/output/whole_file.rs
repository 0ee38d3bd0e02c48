//! Files that a reader finds whole or not at all.

use std::{
    fs::File,
    io::{self, Write as _},
    path::Path,
};

use crate::process::Caller;

/// Writes a file of the calling user, which nobody else may read: paths, command lines and a model's layout are in it. To a temporary file beside it, synced, renamed, and the folder synced. Replaces
/// what is there.
///
/// # Errors
/// As of the system calls: a full disk, a folder that went away. What was there before is then unchanged.
pub fn write_whole_file(path: &Path, content: &[u8], caller: &Caller) -> io::Result<()> {
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(content)?;
    file.as_file().sync_all()?;
    caller.give_file(file.as_file())?;
    file.persist(path)?;
    File::open(folder)?.sync_all()
}
