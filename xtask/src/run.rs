//! `cargo xtask run`: set up, build as the user, run the tracer as root.

use std::{
    ffi::{OsStr, OsString},
    os::unix::process::ExitStatusExt as _,
    path::PathBuf,
    process::{Command, ExitStatus},
};

use anyhow::Context as _;

use crate::{
    privilege::as_root,
    progress::step,
    setup::setup,
    workspace::{cargo, root, target_directory},
};

/// Builds the tracer and returns its path.
///
/// # Errors
/// The set-up or the build failed.
pub fn build_tracer() -> anyhow::Result<PathBuf> {
    setup()?;
    step(
        "building the tracer (the first time takes a few minutes)",
        cargo().args(["build", "--release", "--package", "tracer-user"]),
    )?;
    Ok(target_directory()?.join("release/tracer"))
}

/// Runs the tracer; returns its status.
///
/// # Errors
/// It could not be built or started.
pub fn run(arguments: &[OsString]) -> anyhow::Result<i32> {
    let tracer = build_tracer()?;
    let demo: Vec<OsString> = vec![
        "demo".into(),
        "--directory".into(),
        root().join("target/demo").into(),
    ];
    let arguments = if arguments.is_empty() {
        &demo
    } else {
        arguments
    };
    let mut command = if needs_no_root(arguments) {
        Command::new(&tracer)
    } else {
        as_root(&tracer, [])
    };
    command.args(arguments);
    let mut child = command.spawn().with_context(|| {
        format!(
            "cannot start {:?}; where there is no sudo, run {} as root",
            command.get_program(),
            tracer.display()
        )
    })?;
    // Ctrl-C reaches the tracer as well, which ends in its own time and still reports; its status counts.
    // SAFETY: ignoring a signal installs no handler.
    unsafe {
        nix::sys::signal::signal(
            nix::sys::signal::Signal::SIGINT,
            nix::sys::signal::SigHandler::SigIgn,
        )
    }?;
    Ok(conventional(child.wait()?))
}

/// Asking for help or the version takes no rights.
fn needs_no_root(arguments: &[OsString]) -> bool {
    let own = arguments
        .split(|argument| argument == OsStr::new("--"))
        .next()
        .unwrap_or_default();
    own.iter().any(|argument| {
        ["--help", "-h", "--version", "-V"]
            .iter()
            .any(|flag| argument == OsStr::new(flag))
    })
}

/// A process's status as a shell gives it.
pub fn conventional(status: ExitStatus) -> i32 {
    status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal))
        .unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::needs_no_root;
    use std::ffi::OsString;

    #[test]
    fn help_for_the_engine_is_not_help_for_the_tracer() {
        let arguments = |text: &str| text.split(' ').map(OsString::from).collect::<Vec<_>>();
        assert!(needs_no_root(&arguments("launch --help")));
        assert!(!needs_no_root(&arguments(
            "launch --model m -- engine --help"
        )));
        assert!(!needs_no_root(&arguments("doctor")));
    }
}
