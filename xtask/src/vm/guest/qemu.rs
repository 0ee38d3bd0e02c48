//! QEMU as a process: run to its end, or to a limit, and never left behind.

use std::{
    io::{self, BufRead as _, Write as _},
    os::unix::process::CommandExt as _,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::{sys::signal::Signal, unistd::Pid};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};

use crate::progress;

use super::ending::Ended;

/// Longest that QEMU may take to end when it is asked to.
const GRACE: Duration = Duration::from_secs(5);

/// Runs QEMU to its end.
pub fn wait(command: &mut Command, limit: Option<Duration>) -> Result<Ended> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let mut registered = Vec::new();
    for signal in [SIGINT, SIGTERM, SIGHUP, SIGQUIT] {
        let id = signal_hook::flag::register(signal, Arc::clone(&interrupted))
            .context("cannot take over the handling of signals")?;
        registered.push(id);
    }
    let _registered = Registered(registered);
    let interactive = command_is_interactive(command);
    if interactive {
        command.stdin(Stdio::inherit()).stdout(Stdio::inherit());
    } else {
        command.stdin(Stdio::null()).stdout(Stdio::piped());
    }
    // SAFETY: prctl is async-signal-safe.
    unsafe {
        command
            .pre_exec(|| nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(io::Error::from))
    };
    let child = command
        .spawn()
        .with_context(|| format!("cannot run {}", progress::command_line(command)))?;
    let mut machine = Running(child);
    let output = machine.0.stdout.take();
    let printing = output.map(|output| thread::spawn(move || pass_on(output)));
    let start = Instant::now();
    let ended = loop {
        if let Some(status) = machine.0.try_wait().context("cannot wait for QEMU")? {
            ensure!(
                status.success() || interrupted.load(Ordering::Relaxed),
                "QEMU ended with {status}"
            );
            break Ended::ByItself;
        }
        if interrupted.load(Ordering::Relaxed) {
            break Ended::ByItself;
        }
        if let Some(limit) = limit
            && start.elapsed() > limit
        {
            break Ended::OutOfTime(limit);
        }
        thread::sleep(Duration::from_millis(20));
    };
    drop(machine);
    if let Some(printing) = printing {
        // A thread that only copies does not panic.
        let _ended = printing.join();
    }
    if interrupted.load(Ordering::Relaxed) {
        bail!("interrupted");
    }
    Ok(ended)
}

/// Whether a person sits at the guest: its command line says so.
pub fn command_is_interactive(command: &Command) -> bool {
    command
        .get_args()
        .any(|argument| argument.to_string_lossy().starts_with("stdio,signal=off"))
}

/// Signal handlers, taken away on drop.
struct Registered(Vec<signal_hook::SigId>);

impl Drop for Registered {
    fn drop(&mut self) {
        for id in self.0.drain(..) {
            signal_hook::low_level::unregister(id);
        }
    }
}

/// A running QEMU, ended on drop: it puts the terminal back where it is given the time.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let deadline = Instant::now() + GRACE;
        let pid = i32::try_from(self.0.id()).map(Pid::from_raw);
        let mut asked = false;
        while let Ok(None) = self.0.try_wait() {
            if Instant::now() > deadline {
                // It has ended meanwhile, or is ended now.
                let _gone = self.0.kill();
                let _gone = self.0.wait();
                return;
            }
            if let (Ok(pid), false) = (pid, asked) {
                let _gone = nix::sys::signal::kill(pid, Signal::SIGTERM);
                asked = true;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Line by line, since another machine may print as well.
fn pass_on(output: impl io::Read) {
    let mut output = io::BufReader::new(output);
    let mut line = Vec::new();
    while output
        .read_until(b'\n', &mut line)
        .is_ok_and(|length| length > 0)
    {
        let mut stdout = io::stdout().lock();
        // Where our output is gone, the job goes on.
        let _gone = stdout.write_all(&line).and_then(|()| stdout.flush());
        line.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_ends_the_machine_and_all_of_it() {
        let mut command = Command::new("sleep");
        command.arg("100");
        let start = Instant::now();
        let limit = Duration::from_millis(50);
        assert_eq!(
            wait(&mut command, Some(limit)).unwrap(),
            Ended::OutOfTime(limit)
        );
        assert!(start.elapsed() < Duration::from_secs(50));
        wait(Command::new("sh").args(["-c", "exit 3"]), None).unwrap_err();
        assert_eq!(
            wait(&mut Command::new("true"), None).unwrap(),
            Ended::ByItself
        );
    }
}
