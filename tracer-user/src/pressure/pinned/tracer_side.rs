//! The tracer's side of what is pinned.

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, Command, Stdio},
};

use super::PIN_SUBCOMMAND;

/// A part of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinRange {
    pub path: PathBuf,
    pub offset_bytes: u64,
    pub bytes: u64,
}

/// What is to be pinned. Ranges are whole pages, and do not overlap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinRequest {
    /// Which tensors these are, in a word.
    pub what: String,
    /// What they may take at most, bytes.
    pub budget_bytes: u64,
    pub ranges: Vec<PinRange>,
}

impl PinRequest {
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.ranges.iter().map(|range| range.bytes).sum()
    }
}

/// Why nothing could be pinned.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    #[error("cannot start the process that keeps weights in memory: {0}")]
    Start(io::Error),
    #[error(
        "the process that keeps weights in memory ended early: pin less (--pin-budget), or give the engine more memory"
    )]
    Gone,
    #[error(
        "cannot keep weights in memory: {0} (locking memory takes root or a high `ulimit -l`; leave --pin out to go on without)"
    )]
    Refused(String),
}

/// Pages that are held until this is dropped.
#[derive(Debug)]
pub struct Pinned {
    keeper: Child,
    /// Open as long as they are to be held.
    lifeline: Option<ChildStdin>,
}

impl Pinned {
    /// Holds them. `tracer` is the tracer's own program, `procs` the file that a process goes into the engine's cgroup by.
    ///
    /// # Errors
    /// The process cannot be started, or does not get the memory.
    pub fn hold(
        tracer: &Path,
        procs: Option<&Path>,
        request: &PinRequest,
    ) -> Result<Self, PinError> {
        let mut keeper = Command::new(tracer)
            .arg0(PIN_SUBCOMMAND)
            .arg(PIN_SUBCOMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Ctrl-C is for the tracer, which lets go when it reports.
            .process_group(0)
            .spawn()
            .map_err(PinError::Start)?;
        let (lifeline, answers) = (keeper.stdin.take(), keeper.stdout.take());
        let mut pinned = Self { keeper, lifeline };
        let mut text =
            procs.map_or_else(String::new, |procs| format!("group {}\n", procs.display()));
        for range in &request.ranges {
            text += &format!(
                "range {}\t{}\t{}\n",
                range.offset_bytes,
                range.bytes,
                range.path.display()
            );
        }
        text += "lock\n";
        // It says why where it stops listening.
        if let Some(lifeline) = &mut pinned.lifeline {
            let _ = lifeline
                .write_all(text.as_bytes())
                .and_then(|()| lifeline.flush());
        }
        let mut answer = String::new();
        BufReader::new(answers.ok_or(PinError::Gone)?)
            .read_line(&mut answer)
            .map_err(|_| PinError::Gone)?;
        match answer.trim_end().split_once(' ') {
            Some(("locked", bytes)) if bytes.parse() == Ok(request.bytes()) => Ok(pinned),
            Some(("failed", reason)) => Err(PinError::Refused(reason.to_owned())),
            _ => Err(PinError::Gone),
        }
    }

    /// Lets go. Says whether the pages were held until now.
    pub fn end(mut self) -> bool {
        let held = matches!(self.keeper.try_wait(), Ok(None));
        self.close();
        held
    }

    fn close(&mut self) {
        if self.lifeline.take().is_some() {
            let _ = self.keeper.wait();
        }
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        self.close();
    }
}
