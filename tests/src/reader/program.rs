//! Programs that a test runs: always stopped, never waited for without end.

use std::{
    fs::{self, File},
    io::Write as _,
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    path::PathBuf,
    process::{Child, ChildStdin, Command, ExitStatus, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};

use crate::environment::{Cleanup, Scratch, on_exit, unavailable};

/// A program that runs. Dropped, it is asked to end (SIGTERM) and then made to.
#[derive(Debug)]
pub struct RunningProgram {
    name: String,
    process_id: u32,
    child: Arc<Mutex<Child>>,
    input: Option<ChildStdin>,
    output_path: PathBuf,
    errors_path: PathBuf,
    // Last, so that the input is closed before.
    _cleanup: Cleanup,
}

/// A program that ended.
#[derive(Clone, Debug)]
pub struct Finished {
    pub status: ExitStatus,
    pub output: String,
    /// What it printed on standard error.
    pub errors: String,
}

impl Finished {
    /// Its exit code as a shell shows it: 128 + n where signal n ended it.
    #[must_use]
    pub fn code(&self) -> i32 {
        self.status
            .code()
            .unwrap_or_else(|| 128 + self.status.signal().unwrap_or(0))
    }

    /// Its output, where it succeeded.
    ///
    /// # Errors
    /// Where it failed, with what it printed.
    pub fn succeeded(&self) -> Result<&str> {
        if !self.status.success() {
            bail!(
                "it failed ({}):\n{}\n{}",
                self.status,
                self.output.trim_end(),
                self.errors.trim_end()
            );
        }
        Ok(&self.output)
    }
}

fn lock(child: &Mutex<Child>) -> MutexGuard<'_, Child> {
    child.lock().unwrap_or_else(PoisonError::into_inner)
}

fn stop(child: &Mutex<Child>) {
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut asked = false;
    while Instant::now() < deadline {
        let mut child = lock(child);
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        if !asked {
            asked = true;
            let _ = kill(Pid::from_raw(child.id().cast_signed()), Signal::SIGTERM);
        }
        drop(child);
        thread::sleep(Duration::from_millis(5));
    }
    let mut child = lock(child);
    let _ = child.kill();
    let _ = child.wait();
}

impl RunningProgram {
    /// Starts a program, with its output kept in files of the scratch folder and a pipe to its input.
    /// If this process is killed, it gets SIGTERM.
    ///
    /// # Errors
    /// [`crate::environment::Unavailable`] where there is no such program.
    pub fn start(scratch: &Scratch, mut command: Command) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let output_path = scratch.fresh_path("output");
        let errors_path = scratch.fresh_path("errors");
        command
            .stdin(Stdio::piped())
            .stdout(File::create(&output_path).context("make a file for the output")?)
            .stderr(File::create(&errors_path).context("make a file for the errors")?);
        // SAFETY: prctl is async-signal-safe.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGTERM);
                Ok(())
            })
        };
        let mut child = match command.spawn() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(unavailable(format!("there is no program {name}")));
            }
            child => child.with_context(|| format!("start {name}"))?,
        };
        let input = child.stdin.take();
        let process_id = child.id();
        let child = Arc::new(Mutex::new(child));
        let cleanup = on_exit({
            let child = Arc::clone(&child);
            move || stop(&child)
        });
        Ok(Self {
            name,
            process_id,
            child,
            input,
            output_path,
            errors_path,
            _cleanup: cleanup,
        })
    }

    #[must_use]
    pub const fn process_id(&self) -> u32 {
        self.process_id
    }

    /// Whether it still runs.
    ///
    /// # Errors
    /// Where it cannot be asked.
    pub fn is_running(&self) -> Result<bool> {
        let ended = lock(&self.child)
            .try_wait()
            .with_context(|| format!("ask whether {} runs", self.name))?;
        Ok(ended.is_none())
    }

    /// Writes a line to its input.
    ///
    /// # Errors
    /// Where it has closed its input.
    pub fn send_line(&mut self, line: &str) -> Result<()> {
        let input = self.input.as_mut().context("its input is closed")?;
        writeln!(input, "{line}").with_context(|| format!("write to {}", self.name))
    }

    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// Where it has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        if !self.is_running()? {
            bail!("{} has ended before it was sent {signal}", self.name);
        }
        kill(Pid::from_raw(self.process_id.cast_signed()), signal)
            .with_context(|| format!("send {signal} to {}", self.name))
    }

    /// What it has printed on standard error so far.
    #[must_use]
    pub fn errors_so_far(&self) -> String {
        read_lossy(&self.errors_path)
    }

    /// What it has printed so far.
    #[must_use]
    pub fn output_so_far(&self) -> String {
        read_lossy(&self.output_path)
    }

    /// Waits until something holds of it.
    ///
    /// # Errors
    /// Where it does not hold in time, or the program ends before; with what the program printed.
    pub fn wait_until(
        &self,
        what: &str,
        limit: Duration,
        holds: impl Fn(&Self) -> bool,
    ) -> Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            let running = self.is_running()?;
            if holds(self) {
                return Ok(());
            }
            if !running || Instant::now() > deadline {
                bail!(
                    "{}: {what}: not so {}; it printed\n{}\n{}",
                    self.name,
                    if running {
                        format!("after {limit:?}")
                    } else {
                        "when it ended".into()
                    },
                    self.output_so_far().trim_end(),
                    self.errors_so_far().trim_end()
                );
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Closes its input and waits for its end.
    ///
    /// # Errors
    /// Where it does not end within the limit; it is stopped then.
    pub fn finish(mut self, limit: Duration) -> Result<Finished> {
        self.close_input();
        self.ended(limit)
    }

    /// Waits for its end, with its input left open.
    ///
    /// # Errors
    /// Where it does not end within the limit; it is stopped then.
    pub fn ended(self, limit: Duration) -> Result<Finished> {
        let deadline = Instant::now() + limit;
        loop {
            let ended = lock(&self.child)
                .try_wait()
                .with_context(|| format!("wait for {}", self.name))?;
            if let Some(status) = ended {
                return Ok(Finished {
                    status,
                    output: self.output_so_far(),
                    errors: self.errors_so_far(),
                });
            }
            if Instant::now() > deadline {
                bail!(
                    "{} does not end within {limit:?}; it printed\n{}\n{}",
                    self.name,
                    self.output_so_far().trim_end(),
                    self.errors_so_far().trim_end()
                );
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

/// What a program wrote to a file of ours; nothing where the file is gone, which only a test's end removes.
fn read_lossy(path: &PathBuf) -> String {
    fs::read(path)
        .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
        .unwrap_or_default()
}
