//! What a guest is to do.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use crate::shell;

/// A command for the guest.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Job {
    /// Program and arguments.
    pub command: Vec<OsString>,
    /// Added to its environment.
    pub environment: Vec<(String, String)>,
    /// Files of this machine that are in the guest by the same path.
    pub files: Vec<PathBuf>,
    /// Size of the person's terminal, rows and columns; `None` for a job without a person.
    pub terminal: Option<(u16, u16)>,
}

impl Job {
    /// The script that the guest runs.
    ///
    /// # Errors
    /// A word of the command is no UTF-8.
    pub fn script(&self) -> Result<String> {
        let mut script = String::from("#!/bin/sh\n");
        for (name, value) in &self.environment {
            let value = shell::command_line([value]);
            script.push_str(&format!("export {name}={value}\n"));
        }
        let words = self
            .command
            .iter()
            .map(|word| {
                word.to_str()
                    .with_context(|| format!("{} is no UTF-8", word.display()))
            })
            .collect::<Result<Vec<_>>>()?;
        script.push_str(&format!("exec {}\n", shell::command_line(words)));
        Ok(script)
    }

    /// What `stty` is told of the person's terminal.
    pub fn terminal_settings(&self) -> Option<String> {
        self.terminal
            .map(|(rows, columns)| format!("rows {rows} cols {columns}\n"))
    }

    /// A job that runs this command, and nothing more.
    pub fn of(command: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self {
            command: command.into_iter().map(Into::into).collect(),
            ..Self::default()
        }
    }

    /// Adds a variable whose value is a path.
    #[must_use]
    pub fn with_path(mut self, name: &str, path: &Path) -> Self {
        let value = path.to_string_lossy().into_owned();
        self.environment.push((name.to_owned(), value));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_values_pass_the_shell_as_they_are() {
        let mut job = Job::of(["sh", "-c", "echo $0 'x'", ""]);
        job.environment.push(("A".into(), "b c$d".into()));
        assert_eq!(
            job.script().unwrap(),
            "#!/bin/sh\nexport A='b c$d'\nexec sh -c 'echo $0 '\\''x'\\''' ''\n"
        );
    }

    #[test]
    fn only_a_person_has_a_terminal() {
        let mut job = Job::of(["sh"]);
        assert_eq!(job.terminal_settings(), None);
        job.terminal = Some((24, 80));
        assert_eq!(
            job.terminal_settings().as_deref(),
            Some("rows 24 cols 80\n")
        );
    }
}
