//! Root for one program.

use std::{
    ffi::{OsStr, OsString},
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Result, bail};

use crate::{executable, shell};

/// How a program becomes root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Elevation {
    /// It is, with us.
    Root,
    Sudo(PathBuf),
}

impl Elevation {
    /// How it goes here. `by_hand` is what the user should run as root where it does not.
    ///
    /// # Errors
    /// We are not root, and there is no sudo.
    pub fn find<S: AsRef<OsStr>>(by_hand: impl IntoIterator<Item = S>) -> Result<Self> {
        if nix::unistd::geteuid().is_root() {
            return Ok(Self::Root);
        }
        match executable::find("sudo") {
            Some(sudo) => Ok(Self::Sudo(sudo)),
            None => bail!(
                "this needs root, and there is no sudo here. The build is done; run as root:\n  {}",
                shell::command_line(by_hand)
            ),
        }
    }

    /// The program as root, with `variables` added to our environment; sudo leaves it little more than them.
    pub fn command(
        &self,
        program: &Path,
        arguments: &[OsString],
        variables: &[(&str, OsString)],
    ) -> Command {
        match self {
            Self::Root => {
                let mut command = Command::new(program);
                command
                    .args(arguments)
                    .envs(variables.iter().map(|(name, value)| (name, value)));
                command
            }
            Self::Sudo(sudo) => {
                let mut command = Command::new(sudo);
                command.args(["--", "env"]);
                for (name, value) in variables {
                    let mut assignment = OsString::from(name);
                    assignment.push("=");
                    assignment.push(value);
                    command.arg(assignment);
                }
                command.arg(program).args(arguments);
                command
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt as _;

    use super::*;

    fn arguments() -> Vec<OsString> {
        let mut arguments: Vec<OsString> = ["--", "--help", "", "A=B", "-n", "a b"]
            .map(OsString::from)
            .into();
        arguments.push(OsString::from_vec(vec![b'x', 0xff]));
        arguments
    }

    #[test]
    fn arguments_pass_sudo_as_they_are() {
        let sudo = Elevation::Sudo("/usr/bin/sudo".into());
        let command = sudo.command(
            Path::new("/t/tracer"),
            &arguments(),
            &[("CALLER", "12".into())],
        );
        assert_eq!(command.get_program(), "/usr/bin/sudo");
        let mut expected: Vec<OsString> = ["--", "env", "CALLER=12", "/t/tracer"]
            .map(OsString::from)
            .into();
        expected.extend(arguments());
        assert_eq!(command.get_args().collect::<Vec<_>>(), expected);
    }

    #[test]
    fn root_needs_no_sudo() {
        let command = Elevation::Root.command(
            Path::new("/t/tracer"),
            &arguments(),
            &[("STRICT", "1".into())],
        );
        assert_eq!(command.get_program(), "/t/tracer");
        assert_eq!(command.get_args().collect::<Vec<_>>(), arguments());
        assert!(
            command
                .get_envs()
                .eq([(OsStr::new("STRICT"), Some(OsStr::new("1")))])
        );
    }
}
