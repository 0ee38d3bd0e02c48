//! `cargo xtask run`: the tracer, built as the user and run as root.

use std::{
    convert::Infallible,
    ffi::OsString,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Command, ExitCode},
};

use anyhow::{Context as _, Result};

use crate::{
    caller_environment, cargo,
    privilege::Elevation,
    progress,
    setup::{self, Ready},
    supervise,
};

/// First argument of the xtask that runs the tracer; the second is the tracer's path.
pub const SECOND_STAGE: &str = "run-built-tracer";

/// The tracer reads its caller's environment from the process that this variable names, since sudo clears it.
const CALLER_PID_VARIABLE: &str = "TRACER_CALLER_PID";

/// What the tracer too exits with when it is the tracer that failed.
const FAILED: u8 = 125;

/// Sets up, builds the tracer and runs it. Returns only where that fails: its status is the process's.
pub fn run(arguments: Vec<OsString>) -> ExitCode {
    match prepare_and_start_over(arguments) {
        Ok(never) => match never {},
        Err(error) => fail(&error),
    }
}

fn prepare_and_start_over(arguments: Vec<OsString>) -> Result<Infallible> {
    let ready = setup::setup()?;
    let tracer = build_tracer(&ready)?;
    let arguments = or_demo(arguments, &ready.workspace.target);
    // The path, should cargo replace the file just now, still names this very program.
    let mut again = Command::new("/proc/self/exe");
    again
        .arg0("xtask")
        .arg(SECOND_STAGE)
        .arg(tracer)
        .args(arguments);
    caller_environment::restore(&mut again, &ready.workspace.target);
    let error = again.exec();
    Err(error).context("xtask cannot start itself again")
}

/// Builds the tracer, and says where it is.
///
/// # Errors
/// The build fails.
pub fn build_tracer(ready: &Ready) -> Result<PathBuf> {
    let mut build = cargo::cargo(&ready.workspace, &ready.toolchain);
    build.args([
        "build",
        "--release",
        "--package",
        "tracer-user",
        "--bin",
        "tracer",
    ]);
    progress::say("building the tracer");
    Ok(cargo::build(&mut build, "tracer")?.executable)
}

/// The demo, where there are no arguments. Its folder is below the target folder.
fn or_demo(arguments: Vec<OsString>, target: &Path) -> Vec<OsString> {
    if arguments.is_empty() {
        vec![
            "demo".into(),
            "--directory".into(),
            target.join("demo").into(),
        ]
    } else {
        arguments
    }
}

/// Runs the tracer, with our process as the caller's.
pub fn second_stage(arguments: Vec<OsString>) -> ExitCode {
    let mut arguments = arguments.into_iter();
    let result = arguments
        .next()
        .context("the path of the tracer is missing")
        .and_then(|tracer| trace(Path::new(&tracer), &arguments.collect::<Vec<_>>()));
    match result {
        Ok(code) => code.into(),
        Err(error) => fail(&error),
    }
}

fn trace(tracer: &Path, arguments: &[OsString]) -> Result<u8> {
    if only_asks_for_help(arguments) {
        let status = Command::new(tracer)
            .args(arguments)
            .status()
            .context("cannot run the tracer")?;
        return Ok(supervise::exit_code(status));
    }
    let by_hand =
        std::iter::once(tracer.as_os_str()).chain(arguments.iter().map(OsString::as_os_str));
    let elevation = Elevation::find(by_hand)?;
    let mut variables = Vec::new();
    if let Elevation::Sudo(_) = elevation {
        variables.push((CALLER_PID_VARIABLE, std::process::id().to_string().into()));
    }
    let mut command = elevation.command(tracer, arguments, &variables);
    Ok(supervise::exit_code(supervise::run(
        &mut command,
        &elevation,
    )?))
}

/// Whether the tracer will print its help or version and end, for which nobody should give a password. What
/// follows `--` is an engine's.
fn only_asks_for_help(arguments: &[OsString]) -> bool {
    let of_the_tracer = || arguments.iter().take_while(|argument| *argument != "--");
    arguments
        .first()
        .is_some_and(|first| first == "help" || first == "--version" || first == "-V")
        || of_the_tracer().any(|argument| argument == "--help" || argument == "-h")
}

fn fail(error: &anyhow::Error) -> ExitCode {
    eprintln!("xtask: {error:#}");
    FAILED.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<OsString> {
        line.split_whitespace().map(OsString::from).collect()
    }

    #[test]
    fn help_needs_no_root_and_an_engines_help_does() {
        for line in [
            "--help",
            "-h",
            "help launch",
            "--version",
            "-V",
            "launch --help",
            "attach --pid 1 -h",
        ] {
            assert!(only_asks_for_help(&words(line)), "{line}");
        }
        for line in [
            "",
            "demo",
            "launch --model m -- llama-cli --help",
            "-- --help",
            "launch help",
        ] {
            assert!(!only_asks_for_help(&words(line)), "{line}");
        }
    }

    #[test]
    fn no_arguments_mean_the_demo_and_others_stay() {
        assert_eq!(
            or_demo(vec![], Path::new("/t")),
            words("demo --directory /t/demo")
        );
        assert_eq!(or_demo(words("--"), Path::new("/t")), words("--"));
        assert_eq!(or_demo(vec!["".into()], Path::new("/t")), [""]);
    }
}
