//! The named pipe in a run's folder through which scripts say which phase begins: `echo generation > DIR/mark`.
//!
//! The tracer holds both ends, so a writer's open never waits for a reader while the run goes on, and the pipe is emptied
//! at once. A line is a phase, or what `tracer mark` writes: the phase, its own time, and how much earlier it was started.

use std::{
    fs::{self, File, OpenOptions, Permissions},
    io,
    os::unix::fs::{FileTypeExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
};

use nix::sys::stat::Mode;

use crate::{
    process::{Caller, Followed, OutputLine, monotonic_nanos},
    stats::{Nanos, phases::given::GivenPhase},
};

use super::marks::{GivenBy, GivenMark, SharedMarks};

/// Name of the pipe in the run's folder.
pub const MARK_PIPE: &str = "mark";

/// Longest line that is read, bytes.
const LONGEST_LINE_BYTES: usize = 256;

/// Whoever may enter the folder may mark.
const MODE: u32 = 0o622;

/// The pipe of a run, which goes when this is dropped.
#[derive(Debug)]
pub struct MarkPipe {
    path: PathBuf,
    identity: (u64, u64),
    followed: Option<Followed>,
    refused: Arc<Mutex<Refused>>,
}

/// Lines that are no phases.
#[derive(Debug, Default)]
struct Refused {
    count: u64,
    first: Option<String>,
}

impl MarkPipe {
    /// Makes the pipe in a run's folder and reads it from now on. One that a killed tracer left behind is replaced.
    ///
    /// # Errors
    /// There is something else of that name, or the file system has no pipes.
    pub fn make(directory: &Path, caller: &Caller, shared: SharedMarks) -> io::Result<Self> {
        let path = directory.join(MARK_PIPE);
        if fs::symlink_metadata(&path).is_ok_and(|left| left.file_type().is_fifo()) {
            fs::remove_file(&path)?;
        }
        nix::unistd::mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR)?;
        let opened = Self::open(&path, caller);
        let file = opened.inspect_err(|_| {
            // What was just made here.
            let _ = fs::remove_file(&path);
        })?;
        let metadata = file.metadata()?;
        let refused = Arc::new(Mutex::new(Refused::default()));
        let (own_refused, made_at) = (Arc::clone(&refused), Nanos(monotonic_nanos()));
        let followed = Followed::start(file, move |line| match given(&line, made_at) {
            Ok(Some(mark)) => shared.give(mark),
            Ok(None) => {}
            Err(why) => {
                let mut refused = own_refused.lock().unwrap_or_else(PoisonError::into_inner);
                refused.count += 1;
                refused.first.get_or_insert(why);
            }
        })?;
        Ok(Self {
            path,
            identity: (metadata.dev(), metadata.ino()),
            followed: Some(followed),
            refused,
        })
    }

    /// Both ends, so that no writer waits for a reader and no end of file comes.
    fn open(path: &Path, caller: &Caller) -> io::Result<File> {
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW)
            .open(path)?;
        if !file.metadata()?.file_type().is_fifo() {
            return Err(io::Error::other("somebody replaced it"));
        }
        caller.give_file(&file)?;
        file.set_permissions(Permissions::from_mode(MODE))?;
        Ok(file)
    }

    /// Reads what was written until now and takes the pipe away. Returns what is to be said of lines that were no phases.
    #[must_use]
    pub fn end(mut self) -> Option<String> {
        drop(self.followed.take());
        let refused = self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let first = refused.first.as_ref()?;
        Some(format!(
            "{} lines written to {} are no marks: {first}",
            refused.count,
            self.path.display()
        ))
    }
}

impl Drop for MarkPipe {
    fn drop(&mut self) {
        drop(self.followed.take());
        let same = fs::symlink_metadata(&self.path)
            .is_ok_and(|found| (found.dev(), found.ino()) == self.identity);
        if same {
            // A folder that went away took the pipe with it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// What a line says; `None` for an empty one.
fn given(line: &OutputLine, made_at: Nanos) -> Result<Option<GivenMark>, String> {
    let shown =
        || String::from_utf8_lossy(line.bytes.get(..80).unwrap_or(&line.bytes)).into_owned();
    if line.bytes.len() > LONGEST_LINE_BYTES {
        return Err(format!("{:?}… is too long", shown()));
    }
    let text = String::from_utf8_lossy(&line.bytes);
    let mut words = text.split_whitespace();
    let Some(phase) = words.next() else {
        return Ok(None);
    };
    let phase: GivenPhase = phase.parse()?;
    let arrived = line.monotonic_nanos;
    let by_pipe = GivenMark {
        phase,
        by: GivenBy::Pipe,
        at: Nanos(arrived),
        uncertainty_nanos: arrived.saturating_sub(line.empty_nanos),
    };
    let numbers: Vec<u64> = words.map_while(|word| word.parse().ok()).collect();
    match numbers.as_slice() {
        // A time from another clock (a container may have its own) is none.
        [at, uncertainty_nanos] if (made_at.0..=arrived).contains(at) => Ok(Some(GivenMark {
            phase,
            by: GivenBy::Command,
            at: Nanos(*at),
            uncertainty_nanos: *uncertainty_nanos,
        })),
        [] if text.split_whitespace().count() > 1 => Err(format!("{:?} is not one phase", shown())),
        _ => Ok(Some(by_pipe)),
    }
}

#[cfg(test)]
mod tests;
