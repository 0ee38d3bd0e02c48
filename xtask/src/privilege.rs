//! Raising privileges, for one program only.

use std::{ffi::OsStr, path::Path, process::Command};

/// A command for `program` as root: as it is where we are root, else through sudo. sudo empties the
/// environment, so what the program needs is set by `env`, and it reads the rest of the caller's
/// environment from this process.
pub fn as_root<'a>(
    program: &Path,
    variables: impl IntoIterator<Item = (&'a str, &'a OsStr)>,
) -> Command {
    if nix::unistd::geteuid().is_root() {
        let mut command = Command::new(program);
        command.envs(variables);
        return command;
    }
    let mut command = Command::new("sudo");
    command.arg("--").arg("env");
    for (name, value) in variables {
        let mut assignment = std::ffi::OsString::from(name);
        assignment.push("=");
        assignment.push(value);
        command.arg(assignment);
    }
    command
        .arg(format!("TRACER_CALLER_PID={}", std::process::id()))
        .arg(program);
    command
}
