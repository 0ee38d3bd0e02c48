//! Long steps: a spinner with the step's latest line on a terminal, plain lines elsewhere, and the step's
//! whole output where it fails.

use std::{
    io::{self, BufRead as _, BufReader, IsTerminal as _, Write as _},
    process::Command,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};

use crate::shell;

/// Prints a line that says what happens next.
pub fn say(what: &str) {
    eprintln!("xtask: {what}");
}

/// Runs a command that one has to wait for.
///
/// # Errors
/// The command cannot be started, or fails; what it wrote was printed then.
pub fn step(what: &str, command: &mut Command) -> Result<()> {
    let spinner = io::stderr().is_terminal().then(|| {
        let spinner = ProgressBar::new_spinner();
        if let Ok(style) =
            ProgressStyle::with_template("{spinner} xtask: {prefix} ({elapsed}) {wide_msg}")
        {
            spinner.set_style(style);
        }
        spinner.set_prefix(what.to_owned());
        spinner.enable_steady_tick(Duration::from_millis(100));
        spinner
    });
    if spinner.is_none() {
        say(what);
    }
    let start = Instant::now();
    let result = run(command, |line| {
        if let Some(spinner) = &spinner {
            spinner.set_message(line.trim().to_owned());
        }
    });
    if let Some(spinner) = spinner {
        spinner.finish_and_clear();
    }
    let output =
        result.with_context(|| format!("{what}: {} cannot be run", command_line(command)))?;
    match output {
        Ok(()) => {
            say(&format!(
                "{what}: done in {:.1} s",
                start.elapsed().as_secs_f64()
            ));
            Ok(())
        }
        Err((status, text)) => {
            // Where stderr is gone there is nobody to tell.
            let _gone = io::stderr().write_all(&text);
            bail!(
                "{what} failed: {} ended with {status}",
                command_line(command)
            );
        }
    }
}

type Outcome = Result<(), (std::process::ExitStatus, Vec<u8>)>;

/// Runs a command with its two outputs as one, which is given back where it fails.
fn run(command: &mut Command, mut on_line: impl FnMut(&str)) -> io::Result<Outcome> {
    let (reader, writer) = io::pipe()?;
    command
        .stdin(std::process::Stdio::null())
        .stdout(writer.try_clone()?)
        .stderr(writer);
    let child = command.spawn();
    // The command holds the pipe's other end, and would keep it open.
    command
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    let mut child = child?;
    let mut reader = BufReader::new(reader);
    let mut text = Vec::new();
    loop {
        let start = text.len();
        if reader.read_until(b'\n', &mut text)? == 0 {
            break;
        }
        on_line(&String::from_utf8_lossy(
            text.get(start..).unwrap_or_default(),
        ));
    }
    let status = child.wait()?;
    Ok(if status.success() {
        Ok(())
    } else {
        Err((status, text))
    })
}

/// The command as one would type it.
pub fn command_line(command: &Command) -> String {
    shell::command_line(std::iter::once(command.get_program()).chain(command.get_args()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> (Outcome, Vec<String>) {
        let mut lines = Vec::new();
        let outcome = run(Command::new("sh").args(["-c", script]), |line| {
            lines.push(line.to_owned())
        });
        (outcome.unwrap(), lines)
    }

    #[test]
    fn lines_of_both_outputs_come_in_order() {
        let (outcome, lines) = shell("echo one; echo two >&2; printf three");
        assert!(outcome.is_ok());
        assert_eq!(lines, ["one\n", "two\n", "three"]);
    }

    #[test]
    fn a_failure_has_all_of_the_output() {
        let (status, text) = shell("echo one; echo two >&2; exit 3").0.unwrap_err();
        assert_eq!(
            (status.code(), text.as_slice()),
            (Some(3), b"one\ntwo\n".as_slice())
        );
    }
}
