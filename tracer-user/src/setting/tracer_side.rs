//! The tracer's side of the keeper.

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
};

use super::leftovers::KEEPER_SUBCOMMAND;

/// Why a setting could not be changed.
#[derive(Debug, thiserror::Error)]
pub enum SettingError {
    #[error("cannot start the process that puts settings back: {0}")]
    Start(io::Error),
    #[error("the process that puts settings back is gone")]
    Gone,
    #[error("cannot set {} to {value}: {reason} (settings of the machine take root; leave the option out to go on as it is)", path.display())]
    Refused {
        path: PathBuf,
        value: String,
        reason: String,
    },
}

/// Settings that hold until this is dropped or ended.
#[derive(Debug)]
pub struct KeptSettings {
    keeper: Child,
    /// Open as long as the settings shall hold.
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl KeptSettings {
    /// Starts the keeper. `tracer` is the tracer's own program.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn begin(tracer: &Path) -> Result<Self, SettingError> {
        let mut keeper = Command::new(tracer)
            .arg0(KEEPER_SUBCOMMAND)
            .arg(KEEPER_SUBCOMMAND)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            // Ctrl-C is for the tracer, which ends the settings when it reports.
            .process_group(0)
            .spawn()
            .map_err(SettingError::Start)?;
        let (requests, answers) = (keeper.stdin.take(), keeper.stdout.take());
        Ok(Self {
            keeper,
            requests,
            answers: BufReader::new(answers.ok_or(SettingError::Gone)?),
        })
    }

    /// Sets a file of the kernel; returns what it was.
    ///
    /// # Errors
    /// It cannot be set; then it is as it was.
    pub fn set(&mut self, path: &Path, value: &str) -> Result<String, SettingError> {
        let requests = self.requests.as_mut().ok_or(SettingError::Gone)?;
        writeln!(requests, "{value}\t{}", path.display())
            .and_then(|()| requests.flush())
            .map_err(|_| SettingError::Gone)?;
        let mut answer = String::new();
        self.answers
            .read_line(&mut answer)
            .map_err(|_| SettingError::Gone)?;
        match answer.trim_end().split_once(' ') {
            Some(("was", before)) => Ok(before.to_owned()),
            Some((_, reason)) => Err(SettingError::Refused {
                path: path.to_owned(),
                value: value.to_owned(),
                reason: reason.to_owned(),
            }),
            None => Err(SettingError::Gone),
        }
    }

    /// Puts all back. Returns what could not be put back, in words.
    #[must_use]
    pub fn end(mut self) -> Vec<String> {
        self.close()
    }

    fn close(&mut self) -> Vec<String> {
        if self.requests.take().is_none() {
            return Vec::new();
        }
        let mut left = Vec::new();
        let mut line = String::new();
        while self
            .answers
            .read_line(&mut line)
            .is_ok_and(|length| length > 0)
        {
            if let Some(reason) = line.trim_end().strip_prefix("left ") {
                left.push(reason.to_owned());
            }
            line.clear();
        }
        match self.keeper.wait() {
            Ok(status) if status.success() || !left.is_empty() => {}
            _ => left.push(
                "the process that puts settings back was killed; the next run of the tracer puts them back"
                    .to_owned(),
            ),
        }
        left
    }
}

impl Drop for KeptSettings {
    fn drop(&mut self) {
        let _ = self.close();
    }
}
