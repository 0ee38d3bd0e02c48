//! `tracer mark`: says which phase begins, to a run that goes on.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::{FileTypeExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
};

use nix::time::{ClockId, clock_gettime};
use procfs::process::Process;
use thiserror::Error;

use crate::{process::monotonic_nanos, stats::phases::given::GivenPhase};

use super::watch::mark_pipe::MARK_PIPE;

/// Why a mark was not given.
#[derive(Debug, Error)]
pub enum GiveMarkError {
    /// No tracer reads the pipe.
    #[error(
        "no run is going on in {directory}: it has no pipe {MARK_PIPE:?} that a tracer reads; name its folder with --run"
    )]
    NoRun { directory: PathBuf },
    /// None of the runs is named, and not exactly one is going on.
    #[error("{found} runs are going on below {below}; name the folder of one with --run{list}")]
    NotOne {
        below: PathBuf,
        found: usize,
        list: String,
    },
    /// It could not be written.
    #[error("cannot write to {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
}

/// Says to the run in a folder that a phase begins now.
///
/// # Errors
/// See [`GiveMarkError`].
pub fn give_mark(directory: &Path, phase: GivenPhase) -> Result<(), GiveMarkError> {
    let path = directory.join(MARK_PIPE);
    let io = |source| GiveMarkError::Io {
        path: path.clone(),
        source,
    };
    let no_run = || GiveMarkError::NoRun {
        directory: directory.to_owned(),
    };
    let mut pipe = match OpenOptions::new()
        .write(true)
        // Nobody who reads: an error, not a wait.
        .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW)
        .open(&path)
    {
        Ok(pipe) => pipe,
        Err(error)
            if error.kind() == io::ErrorKind::NotFound
                || error.raw_os_error() == Some(libc::ENXIO) =>
        {
            return Err(no_run());
        }
        Err(error) => return Err(io(error)),
    };
    if !pipe.metadata().map_err(io)?.file_type().is_fifo() {
        return Err(no_run());
    }
    let line = format!(
        "{} {} {}\n",
        phase.name(),
        monotonic_nanos(),
        nanos_since_start()
    );
    // Less than PIPE_BUF: it is written whole.
    pipe.write_all(line.as_bytes()).map_err(io)
}

/// The only run that goes on below the folder of runs.
///
/// # Errors
/// There is none, or there are several.
pub fn only_run(below: &Path) -> Result<PathBuf, GiveMarkError> {
    let is_live = |directory: &PathBuf| {
        let path = directory.join(MARK_PIPE);
        fs::symlink_metadata(&path).is_ok_and(|found| found.file_type().is_fifo())
            && OpenOptions::new()
                .write(true)
                .custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW)
                .open(&path)
                .is_ok()
    };
    let mut live: Vec<PathBuf> = fs::read_dir(below)
        .into_iter()
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(is_live)
        .collect();
    live.sort();
    match live.as_slice() {
        [only] => Ok(only.clone()),
        several => Err(GiveMarkError::NotOne {
            below: below.to_owned(),
            found: several.len(),
            list: several
                .iter()
                .map(|run| format!("\n  {}", run.display()))
                .collect(),
        }),
    }
}

/// Time since this process was started, nanoseconds: the mark was meant at its start at the earliest. The kernel gives a
/// start in hundredths of a second, cut off.
fn nanos_since_start() -> u64 {
    let started = Process::myself().and_then(|process| process.stat());
    let now = clock_gettime(ClockId::CLOCK_BOOTTIME);
    let (Ok(started), Ok(now)) = (started, now) else {
        // It cannot have been long.
        return 1_000_000_000;
    };
    let now = now.tv_sec().unsigned_abs() * 1_000_000_000 + now.tv_nsec().unsigned_abs();
    let tick = 1_000_000_000 / procfs::ticks_per_second().max(1);
    now.saturating_sub(started.starttime.saturating_mul(tick))
}

#[cfg(test)]
mod tests {
    use super::{GiveMarkError, only_run};

    #[test]
    fn the_only_run_is_found() {
        let folder = tempfile::tempdir().expect("a folder");
        let found = |error: &GiveMarkError| match error {
            GiveMarkError::NotOne { found, .. } => Some(*found),
            _ => None,
        };
        let none = only_run(folder.path()).expect_err("none");
        assert_eq!(found(&none), Some(0));
        let open = |name: &str| {
            let run = folder.path().join(name);
            std::fs::create_dir(&run).expect("a folder");
            let path = run.join("mark");
            nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("a pipe");
            std::fs::OpenOptions::new()
                .read(true)
                .write(true)
                .open(path)
                .expect("opened")
        };
        drop(open("left-by-a-killed-tracer"));
        let first = open("1");
        assert_eq!(
            only_run(folder.path()).expect("one"),
            folder.path().join("1")
        );
        let second = open("2");
        let two = only_run(folder.path()).expect_err("two");
        assert!(
            found(&two) == Some(2) && two.to_string().contains("/2"),
            "{two}"
        );
        drop((first, second));
    }
}
