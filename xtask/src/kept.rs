//! Small files that are kept below the target folder.

use std::{
    fs,
    io::Write as _,
    path::Path,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, Result};

/// For so long nobody looks for a newer package.
const FRESH: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether a file was written so lately that what it says is taken as it is.
pub fn is_fresh(file: &Path) -> bool {
    fs::metadata(file)
        .and_then(|metadata| metadata.modified())
        .is_ok_and(|written| {
            // A time in the future is an error, and not fresh.
            SystemTime::now()
                .duration_since(written)
                .is_ok_and(|age| age < FRESH)
        })
}

/// Writes a file, and the folder it is in, so that it appears whole or not at all.
///
/// # Errors
/// It cannot be written.
pub fn write(path: &Path, content: &[u8]) -> Result<()> {
    let write = || -> Result<()> {
        let folder = path.parent().context("it has no folder")?;
        fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(content)?;
        file.as_file().sync_all()?;
        file.persist(path)?;
        Ok(())
    };
    write().with_context(|| format!("cannot write {}", path.display()))
}
