//! How the reader is called.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

use super::read::ReadMode;
use crate::{environment::Scratch, plan::ReadPlan};

/// A call of `scripted_reader`, as a list of program and arguments that another program can be given.
#[derive(Clone, Debug)]
pub struct ReaderCommand {
    program: PathBuf,
    arguments: Vec<OsString>,
}

impl ReaderCommand {
    /// Reads of a file by a plan, which is written into the scratch folder.
    ///
    /// # Errors
    /// Where the plan cannot be written.
    pub fn new(
        program: &Path,
        scratch: &Scratch,
        file: &Path,
        plan: &ReadPlan,
        mode: ReadMode,
    ) -> Result<Self> {
        let plan_path = scratch.fresh_path("plan");
        fs::write(&plan_path, plan.to_text())
            .with_context(|| format!("write {}", plan_path.display()))?;
        let mode = match mode {
            ReadMode::Buffered => "buffered",
            ReadMode::Direct => "direct",
            ReadMode::Mmap => "mmap",
        };
        Ok(Self {
            program: program.to_owned(),
            arguments: vec![
                file.into(),
                "--plan".into(),
                plan_path.into(),
                "--mode".into(),
                mode.into(),
            ],
        })
    }

    /// The same by another program, which runs the reader: its arguments name it.
    #[must_use]
    pub fn of(program: &Path, arguments: Vec<OsString>) -> Self {
        Self {
            program: program.to_owned(),
            arguments,
        }
    }

    /// Adds an option as it is.
    #[must_use]
    pub fn option(mut self, option: &str) -> Self {
        self.arguments.push(option.into());
        self
    }

    /// Adds an option with a value.
    #[must_use]
    pub fn option_with(mut self, option: &str, value: impl ToString) -> Self {
        self.arguments.push(option.into());
        self.arguments.push(value.to_string().into());
        self
    }

    #[must_use]
    pub fn program(&self) -> &Path {
        &self.program
    }

    #[must_use]
    pub fn arguments(&self) -> &[OsString] {
        &self.arguments
    }
}
