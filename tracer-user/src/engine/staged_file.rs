//! A file that appears under its name only when it is complete.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{FallocateFlags, fallocate};

/// Written as `.NAME.partial` beside the target; renamed by [`StagedFile::publish`], removed when dropped before that.
/// A killed writer leaves the partial file, which the next writer of the same name takes over.
pub(super) struct StagedFile {
    file: File,
    partial: PathBuf,
    target: PathBuf,
    published: bool,
}

impl StagedFile {
    /// Opens and locks the partial file and reserves `size_bytes` for it, in one extent where the file system can.
    ///
    /// # Errors
    /// `ResourceBusy` if another process is writing the same target; any other I/O error, such as a full disk.
    pub(super) fn create(target: &Path, size_bytes: u64) -> io::Result<Self> {
        let name = target.file_name().ok_or(io::ErrorKind::IsADirectory)?;
        let mut partial_name = OsString::from(".");
        partial_name.push(name);
        partial_name.push(".partial");
        let partial = target.with_file_name(partial_name);
        let file = lock(&partial)?;
        let staged = Self {
            file,
            partial,
            target: target.to_path_buf(),
            published: false,
        };
        staged.file.set_len(0)?;
        let length = i64::try_from(size_bytes).map_err(|_| io::ErrorKind::FileTooLarge)?;
        match fallocate(&staged.file, FallocateFlags::empty(), 0, length) {
            // Not every file system can reserve; the blocks then come as they are written.
            Ok(()) | Err(Errno::EOPNOTSUPP | Errno::ENOSYS) => Ok(staged),
            Err(errno) => Err(errno.into()),
        }
    }

    /// The file to write to.
    pub(super) fn file(&self) -> &File {
        &self.file
    }

    /// Brings the content to the disk and gives the file its name.
    pub(super) fn publish(mut self) -> io::Result<()> {
        self.file.sync_all()?;
        fs::rename(&self.partial, &self.target)?;
        self.published = true;
        let directory = match self.target.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        // The rename itself must survive a crash, too.
        File::open(directory)?.sync_all()
    }
}

impl Drop for StagedFile {
    fn drop(&mut self) {
        if !self.published {
            // Nothing can be done about a failure here; the next writer takes the file over.
            let _ = fs::remove_file(&self.partial);
        }
    }
}

/// Opens `partial` and holds its lock. A writer that published between our open and our lock has renamed the file that
/// we opened, so the name is checked again under the lock.
fn lock(partial: &Path) -> io::Result<File> {
    loop {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(partial)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(io::ErrorKind::ResourceBusy.into()),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        let ours = file.metadata()?;
        match fs::symlink_metadata(partial) {
            Ok(named) if (named.dev(), named.ino()) == (ours.dev(), ours.ino()) => return Ok(file),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::{self, Write};

    use super::StagedFile;

    #[test]
    fn the_name_appears_only_when_published() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("model");
        let staged = StagedFile::create(&target, 4).unwrap();
        staged.file().write_all(b"done").unwrap();
        assert!(!target.exists());
        let busy = StagedFile::create(&target, 4)
            .err()
            .map(|error| error.kind());
        assert_eq!(busy, Some(io::ErrorKind::ResourceBusy));
        staged.publish().unwrap();
        assert_eq!(fs::read(&target).unwrap(), b"done");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn dropped_it_leaves_nothing_and_takes_over_what_a_killed_writer_left() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("model");
        fs::write(
            directory.path().join(".model.partial"),
            b"left behind, and longer",
        )
        .unwrap();
        let staged = StagedFile::create(&target, 4).unwrap();
        staged.file().write_all(b"done").unwrap();
        assert_eq!(staged.file().metadata().unwrap().len(), 4);
        drop(staged);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
