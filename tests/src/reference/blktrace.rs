//! The program blktrace beside the tracer: what it records, and the text that blkparse makes of it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;

use super::{
    blkparse,
    records::{BlkRecord, BlkTrace},
};
use crate::{
    disk::MountedDisk,
    environment::{MachineLock, Scratch},
    reader::RunningProgram,
};

/// Name of the recording: the files are `NAME.blktrace.CPU`.
const NAME: &str = "t";

/// Longest that blktrace may take to begin or end, and blkparse for its text.
const LIMIT: Duration = Duration::from_secs(120);

/// blktrace on one whole disk. A disk has room for one of them, and for no `blk` tracer beside it: hence the lock.
#[derive(Debug)]
pub struct Blktrace<'lock> {
    program: RunningProgram,
    directory: PathBuf,
    device: String,
    _lock: &'lock MachineLock,
}

/// A recording that has ended, from which nothing was lost.
#[derive(Debug)]
pub struct BlktraceRecording {
    /// What blkparse says of it.
    pub trace: BlkTrace,
    /// What the recording's files are called without `.blktrace.CPU`.
    pub files: PathBuf,
    pub text: PathBuf,
}

impl<'lock> Blktrace<'lock> {
    /// Starts recording all that a disk does.
    ///
    /// # Errors
    /// [`crate::environment::Unavailable`] where blktrace is not installed; where it does not begin, as under lockdown.
    pub fn start(scratch: &Scratch, disk: &MountedDisk, lock: &'lock MachineLock) -> Result<Self> {
        let directory = scratch.fresh_directory("blktrace")?;
        let mut command = Command::new("blktrace");
        command
            .arg("-d")
            .arg(disk.node())
            .arg("-D")
            .arg(&directory)
            .args(["-o", NAME])
            // KiB of a buffer, and buffers of a processor.
            .args(["-b", "2048", "-n", "8"]);
        let program = RunningProgram::start(scratch, command)?;
        let first = directory.join(format!("{NAME}.blktrace.0"));
        program.wait_until("it has made its files", LIMIT, |_| first.exists())?;
        // The last thing before it records is to make its files. Were this too short, records would be missing,
        // and no figure of a test would be equal.
        thread::sleep(Duration::from_millis(500));
        ensure!(
            program.is_running()?,
            "blktrace ended: {}",
            program.errors_so_far().trim_end()
        );
        let number = disk.number();
        Ok(Self {
            program,
            directory,
            device: format!("{},{}", number.major, number.minor),
            _lock: lock,
        })
    }

    /// Stops recording.
    ///
    /// # Errors
    /// Where a record was lost, or blkparse's text has an unknown form.
    pub fn finish(self) -> Result<BlktraceRecording> {
        self.program.signal(Signal::SIGINT)?;
        let finished = self.program.finish(LIMIT)?;
        let summary = finished.succeeded().context("blktrace")?;
        check_nothing_dropped(summary).with_context(|| format!("blktrace says {summary:?}"))?;
        let output = Command::new("blkparse")
            .args(["-i", NAME])
            .current_dir(&self.directory)
            .output()
            .context("run blkparse")?;
        ensure!(
            output.status.success(),
            "blkparse ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
        let text = self.directory.join("text");
        fs::write(&text, &output.stdout).with_context(|| format!("write {}", text.display()))?;
        Ok(BlktraceRecording {
            trace: blkparse::parse(&String::from_utf8_lossy(&output.stdout), &self.device)?,
            files: self.directory.join(NAME),
            text,
        })
    }
}

/// Reads blktrace's last words: ` Total:  1234 events (dropped 0),  62 KiB data`.
fn check_nothing_dropped(summary: &str) -> Result<()> {
    let total = summary
        .lines()
        .find(|line| line.trim_start().starts_with("Total:"))
        .context("it has no line of totals")?;
    let dropped = total
        .split_once("(dropped ")
        .and_then(|(_, rest)| rest.split_once(')'))
        .map(|(number, _)| number)
        .context("it does not say what it dropped")?;
    if dropped != "0" {
        bail!("it dropped {dropped} records");
    }
    Ok(())
}

impl BlktraceRecording {
    /// The recording as the tracer is given it: all files by one name.
    #[must_use]
    pub fn files(&self) -> &Path {
        &self.files
    }

    #[must_use]
    pub fn records(&self) -> &[BlkRecord] {
        &self.trace.records
    }
}

#[cfg(test)]
mod tests {
    use super::check_nothing_dropped;

    #[test]
    fn what_was_dropped_is_an_error_and_so_is_not_knowing() {
        let summary = |dropped: &str| {
            format!(
                "=== vda ===\n  CPU  0:                   12 events,        1 KiB data\n  Total:                    12 events (dropped {dropped}),        1 KiB data\n"
            )
        };
        check_nothing_dropped(&summary("0")).expect("nothing is missing");
        assert!(check_nothing_dropped(&summary("7")).is_err());
        assert!(check_nothing_dropped("").is_err());
    }
}
