//! A file that has no name until it is whole.
//!
//! `O_TMPFILE` (open(2)) makes a file that no directory lists: whatever ends the process, SIGKILL included, the file
//! system gives its blocks back, and nothing has to be looked for at the next start. A file system without it (NFS,
//! FUSE, old overlays) gets a temporary name instead, which goes with the value.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::{
        fd::AsRawFd as _,
        unix::fs::{OpenOptionsExt as _, PermissionsExt as _},
    },
    path::Path,
};

use nix::fcntl::{AT_FDCWD, AtFlags};
use tempfile::TempPath;

/// Mode of a finished file unless another is asked for: it is its owner's alone.
const MODE: u32 = 0o600;

/// A file without a name. Dropped, it is gone.
#[derive(Debug)]
pub struct UnnamedFile {
    file: File,
    /// Its temporary name, where the file system knows no files without one.
    name: Option<TempPath>,
    mode: u32,
}

impl UnnamedFile {
    /// Makes one that will be named in `directory`, or elsewhere on the same file system. A file system that cannot
    /// keep it without a name gives it a temporary one.
    ///
    /// # Errors
    /// The folder cannot be written.
    pub fn create_in(directory: &Path) -> io::Result<Self> {
        match Self::strictly_unnamed(directory) {
            // EISDIR: a kernel or file system that takes it for an attempt to open a directory for writing.
            Err(error)
                if matches!(
                    error.raw_os_error(),
                    Some(libc::EOPNOTSUPP | libc::EISDIR | libc::EINVAL)
                ) =>
            {
                let (file, name) = tempfile::NamedTempFile::new_in(directory)?.into_parts();
                Ok(Self {
                    file,
                    name: Some(name),
                    mode: MODE,
                })
            }
            result => result,
        }
    }

    /// The same, but only without a name.
    ///
    /// # Errors
    /// The folder cannot be written; EOPNOTSUPP: the file system has no such files.
    pub fn strictly_unnamed(directory: &Path) -> io::Result<Self> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .mode(MODE)
            .custom_flags(libc::O_TMPFILE)
            .open(directory)?;
        Ok(Self {
            file,
            name: None,
            mode: MODE,
        })
    }

    #[must_use]
    pub const fn file(&self) -> &File {
        &self.file
    }

    /// The mode that it will have with its name.
    pub const fn set_mode(&mut self, mode: u32) {
        self.mode = mode;
    }

    /// Syncs the file and gives it this name, which nobody may have yet.
    ///
    /// # Errors
    /// `AlreadyExists`; a full disk, a folder that went away, another file system. The file is gone then.
    pub fn name_new(self, path: &Path) -> io::Result<File> {
        self.settle()?;
        match self.name {
            Some(name) => name.persist_noclobber(path).map_err(|error| error.error)?,
            None => link(&self.file, path)?,
        }
        Ok(self.file)
    }

    /// Syncs the file and gives it this name, in the place of a file that has it.
    ///
    /// # Errors
    /// As of [`UnnamedFile::name_new`], but for `AlreadyExists`.
    pub fn name_replacing(self, path: &Path) -> io::Result<File> {
        self.settle()?;
        match self.name {
            Some(name) => name.persist(path).map_err(|error| error.error)?,
            None => match link(&self.file, path) {
                // A link replaces nothing, a rename does.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                    let directory = path.parent().unwrap_or(Path::new("."));
                    let stand_in = tempfile::Builder::new()
                        .make_in(directory, |name| link(&self.file, name))?
                        .into_temp_path();
                    stand_in.persist(path).map_err(|error| error.error)?;
                }
                result => result?,
            },
        }
        Ok(self.file)
    }

    fn settle(&self) -> io::Result<()> {
        // A temporary name comes with a mode for its owner only, and the umask has cut the other's.
        self.file
            .set_permissions(fs::Permissions::from_mode(self.mode))?;
        self.file.sync_all()
    }
}

impl io::Write for UnnamedFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// linkat(2) through /proc, which needs no privilege (open(2), `O_TMPFILE`).
fn link(file: &File, path: &Path) -> io::Result<()> {
    let own = format!("/proc/self/fd/{}", file.as_raw_fd());
    nix::unistd::linkat(
        AT_FDCWD,
        own.as_str(),
        AT_FDCWD,
        path,
        AtFlags::AT_SYMLINK_FOLLOW,
    )
    .map_err(io::Error::from)
}

#[cfg(test)]
mod tests {
    use super::UnnamedFile;
    use std::{
        fs,
        io::{self, Write as _},
    };

    /// With and without a temporary name.
    fn both(directory: &std::path::Path) -> Vec<UnnamedFile> {
        let (file, name) = tempfile::NamedTempFile::new_in(directory)
            .expect("scratch")
            .into_parts();
        let named = UnnamedFile {
            file,
            name: Some(name),
            mode: super::MODE,
        };
        vec![UnnamedFile::create_in(directory).expect("scratch"), named]
    }

    #[test]
    fn a_file_appears_whole_or_not_at_all() {
        let directory = tempfile::tempdir_in("/var/tmp").expect("scratch");
        for (number, mut file) in both(directory.path()).into_iter().enumerate() {
            let path = directory.path().join(number.to_string());
            file.write_all(b"whole").expect("writable");
            assert!(!path.exists());
            file.name_new(&path).expect("free");
            assert_eq!(fs::read(&path).expect("there"), b"whole");
        }
        both(directory.path()).clear();
        let entries = fs::read_dir(directory.path()).expect("a folder").count();
        assert_eq!(entries, 2, "something was left");
    }

    #[test]
    fn a_taken_name_is_refused_or_replaced_as_asked() {
        let directory = tempfile::tempdir_in("/var/tmp").expect("scratch");
        let path = directory.path().join("taken");
        for (file, content) in both(directory.path()).into_iter().zip([b"a", b"b"]) {
            fs::write(&path, "old").expect("writable");
            let refused = file.name_new(&path).expect_err("taken");
            assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
            assert_eq!(fs::read(&path).expect("there"), b"old");
            let mut file = both(directory.path()).swap_remove(usize::from(content == b"b"));
            file.write_all(content).expect("writable");
            file.name_replacing(&path).expect("replaced");
            assert_eq!(fs::read(&path).expect("there"), content);
        }
        let entries = fs::read_dir(directory.path()).expect("a folder").count();
        assert_eq!(entries, 1, "something was left");
    }
}
