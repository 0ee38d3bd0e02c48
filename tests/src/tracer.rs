//! Running the tracer as a user does.

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};

use crate::{
    environment::{Scratch, unavailable},
    reader::{Finished, ReaderCommand, RunningProgram},
    run_record::RunRecord,
    terminal::Terminal,
};

/// Longest that a traced run of a test may take.
const LIMIT: Duration = Duration::from_secs(300);

/// Names a process that a test started, and all that it starts ([`crate::surroundings`]).
pub const ENVIRONMENT_MARK: &str = "TRACER_TESTS_MARK";

/// Finds the binary: `TRACER_BINARY`, else `release/tracer` in the target folder of this test's binary.
///
/// # Errors
/// [`crate::environment::Unavailable`] where it is not built.
pub fn binary() -> Result<PathBuf> {
    if let Some(path) = env::var_os("TRACER_BINARY") {
        let path = PathBuf::from(path);
        if !path.is_file() {
            bail!(
                "TRACER_BINARY is {}, where there is no file",
                path.display()
            );
        }
        return path.canonicalize().context("find TRACER_BINARY");
    }
    let this = env::current_exe().context("find this test's own binary")?;
    // target/PROFILE/deps/kernel-HASH
    this.ancestors()
        .nth(3)
        .map(|target| target.join("release/tracer"))
        .filter(|path| path.is_file())
        .ok_or_else(|| {
            unavailable(
                "the tracer is not built (cargo build --release --package tracer-user), and TRACER_BINARY is not set",
            )
        })
}

/// A call of the tracer.
#[derive(Debug)]
pub struct TracerCall<'scratch> {
    scratch: &'scratch Scratch,
    directory: PathBuf,
    command: Command,
}

#[derive(Debug)]
pub struct TracedRun {
    /// How the tracer ended, and what it (and the engine, whose output it passes on) printed.
    pub finished: Finished,
    /// The folder of the run.
    pub directory: PathBuf,
}

impl TracedRun {
    /// Its record.
    ///
    /// # Errors
    /// Where there is none, with what the tracer printed.
    pub fn record(&self) -> Result<RunRecord> {
        RunRecord::load(&self.directory).with_context(|| {
            format!(
                "the tracer ended with {} and printed\n{}\n{}",
                self.finished.code(),
                self.finished.output.trim_end(),
                self.finished.errors.trim_end()
            )
        })
    }
}

impl<'scratch> TracerCall<'scratch> {
    /// A call with these arguments and nothing more.
    ///
    /// # Errors
    /// [`crate::environment::Unavailable`] where the tracer is not built.
    pub fn bare(scratch: &'scratch Scratch, arguments: &[&str]) -> Result<Self> {
        let mut command = Command::new(binary()?);
        command
            .args(arguments)
            .env(ENVIRONMENT_MARK, std::process::id().to_string());
        // Whoever started the tests with sudo is not the one the engine must run as.
        for name in ["SUDO_UID", "SUDO_GID", "SUDO_USER", "SUDO_COMMAND"] {
            command.env_remove(name);
        }
        Ok(Self {
            scratch,
            directory: scratch.fresh_path("run"),
            command,
        })
    }

    /// A call of a copy of the tracer, by whoever `command` makes it run as, with the run in `directory`.
    #[must_use]
    pub fn of_copy(scratch: &'scratch Scratch, mut command: Command, directory: PathBuf) -> Self {
        command.env(ENVIRONMENT_MARK, std::process::id().to_string());
        Self {
            scratch,
            directory,
            command,
        }
        .out()
    }

    /// `launch` of a model, without a recording unless it is asked for.
    ///
    /// # Errors
    /// [`crate::environment::Unavailable`] where the tracer is not built.
    pub fn launch(scratch: &'scratch Scratch, model: &Path) -> Result<Self> {
        Ok(Self::bare(scratch, &["launch"])?
            .out()
            .flag("--no-record")
            .option("--model", model))
    }

    /// `attach` to a process.
    ///
    /// # Errors
    /// [`crate::environment::Unavailable`] where the tracer is not built.
    pub fn attach(scratch: &'scratch Scratch, process_id: u32) -> Result<Self> {
        Ok(Self::bare(scratch, &["attach"])?
            .out()
            .option("--pid", process_id.to_string()))
    }

    fn out(self) -> Self {
        let directory = self.directory.clone();
        self.option("--out", directory)
    }

    /// Adds an option with its value.
    #[must_use]
    pub fn option(mut self, option: &str, value: impl Into<OsString>) -> Self {
        self.command.arg(option).arg(value.into());
        self
    }

    /// Adds an option without value.
    #[must_use]
    pub fn flag(mut self, flag: &str) -> Self {
        self.command.arg(flag);
        self
    }

    /// Adds the engine, here a reader.
    #[must_use]
    pub fn reader(self, reader: &ReaderCommand) -> Self {
        self.engine(reader.program(), reader.arguments())
    }

    #[must_use]
    pub fn engine<A: AsRef<std::ffi::OsStr>>(mut self, program: &Path, arguments: &[A]) -> Self {
        self.command.arg("--").arg(program).args(arguments);
        self
    }

    /// Lets a test change what cannot be said by options: environment, user, capabilities.
    #[must_use]
    pub fn adjusted(mut self, adjust: impl FnOnce(&mut Command)) -> Self {
        adjust(&mut self.command);
        self
    }

    /// The folder of the run.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Starts it on a terminal of its own.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start_on_terminal(self, columns: u16, rows: u16) -> Result<Terminal> {
        Terminal::start(self.command, columns, rows)
    }

    /// Starts it.
    ///
    /// # Errors
    /// Where it cannot be started.
    pub fn start(self) -> Result<RunningProgram> {
        RunningProgram::start(self.scratch, self.command)
    }

    /// Runs it to its end, whatever its status.
    ///
    /// # Errors
    /// Where it cannot be started or does not end.
    pub fn run(self) -> Result<TracedRun> {
        let directory = self.directory.clone();
        let finished = self.start()?.finish(LIMIT)?;
        Ok(TracedRun {
            finished,
            directory,
        })
    }
}
