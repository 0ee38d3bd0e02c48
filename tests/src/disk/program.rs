//! Programs that make and unmake disks.

use std::{ffi::OsStr, process::Command};

use anyhow::{Context as _, Result, bail};

use crate::environment::unavailable;

/// Runs a program; its output, or an error with what it said.
pub(super) fn run<'a>(
    program: &str,
    arguments: impl IntoIterator<Item = &'a OsStr>,
) -> Result<String> {
    let output = match Command::new(program).args(arguments).output() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(unavailable(format!("{program} is not installed")));
        }
        output => output.with_context(|| format!("run {program}"))?,
    };
    if !output.status.success() {
        bail!(
            "{program} failed ({}): {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
