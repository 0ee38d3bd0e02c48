//! Long steps: a spinner on a terminal, a plain line elsewhere; the output of a failed step is shown.

use std::{
    io::Read as _,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};

/// Runs a command as a step.
///
/// # Errors
/// The command failed; its output is printed first.
pub fn step(what: &str, command: &mut Command) -> anyhow::Result<()> {
    let spinner = ProgressBar::new_spinner().with_message(what.to_owned());
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        spinner.set_style(style);
    }
    if spinner.is_hidden() {
        eprintln!("xtask: {what}");
    }
    spinner.enable_steady_tick(Duration::from_millis(120));
    let start = Instant::now();
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {:?}", command.get_program()))?;
    let mut output = Vec::new();
    if let Some(mut stderr) = child.stderr.take() {
        stderr.read_to_end(&mut output)?;
    }
    let status = child.wait()?;
    spinner.finish_and_clear();
    if !status.success() {
        eprintln!("{}", String::from_utf8_lossy(&output));
        bail!("{what} failed ({status})");
    }
    let seconds = start.elapsed().as_secs();
    if seconds > 2 {
        eprintln!("xtask: {what}: done in {seconds} s");
    }
    Ok(())
}
