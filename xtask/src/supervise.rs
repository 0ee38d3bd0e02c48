//! A child that has to end in its own time.
//!
//! The tracer and the tests on the kernel clean up when they are interrupted. Ctrl-C reaches them from the
//! terminal, as it does us; we stay to pass their status on, and the tracer reads our environment.

use std::{
    os::unix::process::{CommandExt as _, ExitStatusExt as _},
    process::{Command, ExitStatus, Stdio},
    thread,
};

use anyhow::{Context as _, Result};
use nix::{
    errno::Errno,
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use signal_hook::{
    consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM},
    iterator::Signals,
};

use crate::{privilege::Elevation, progress};

/// Runs the child to its end. SIGINT, SIGQUIT and SIGHUP, which a terminal sends to the child as well, do
/// nothing to us; SIGTERM is passed on.
///
/// # Errors
/// The child cannot be started.
pub fn run(command: &mut Command, elevation: &Elevation) -> Result<ExitStatus> {
    let ignored = std::fs::read_to_string("/proc/self/status")
        .map(|status| ignored_signals(&status))
        .unwrap_or_default();
    // A handler would end with exec what our caller wants the child to ignore (nohup).
    let handled = [SIGINT, SIGQUIT, SIGHUP, SIGTERM]
        .into_iter()
        .filter(|signal| !ignored.contains(signal));
    let mut signals = Signals::new(handled).context("cannot take over the handling of signals")?;
    let handle = signals.handle();
    let mut child = command
        .spawn()
        .with_context(|| format!("cannot run {}", progress::command_line(command)))?;
    let pid = child.id();
    thread::scope(|scope| {
        scope.spawn(move || {
            for signal in signals.forever() {
                if signal == SIGTERM {
                    terminate(pid, elevation);
                }
            }
        });
        let status = child.wait();
        handle.close();
        status.with_context(|| format!("cannot wait for {}", progress::command_line(command)))
    })
}

fn terminate(pid: u32, elevation: &Elevation) {
    let Ok(number) = i32::try_from(pid) else {
        return;
    };
    let result = kill(Pid::from_raw(number), Signal::SIGTERM);
    match (result, elevation) {
        (Ok(()) | Err(Errno::ESRCH), _) => {}
        (Err(Errno::EPERM), Elevation::Sudo(sudo)) => {
            // sudo belongs to root; it passes a signal on unless it comes from its own process group.
            let sent = Command::new(sudo)
                .args(["-n", "--", "kill", "-TERM", &pid.to_string()])
                .process_group(0)
                .stdin(Stdio::null())
                .status();
            if !sent.is_ok_and(|status| status.success()) {
                progress::say(&format!(
                    "cannot pass SIGTERM on to process {pid}, which is root's: sudo kill {pid}"
                ));
            }
        }
        (Err(error), _) => {
            progress::say(&format!("cannot pass SIGTERM on to process {pid}: {error}"))
        }
    }
}

/// The status as a shell would have it: 128 + n where signal n ended the child.
pub fn exit_code(status: ExitStatus) -> u8 {
    let code = status
        .code()
        .or_else(|| status.signal().map(|signal| 128 + signal));
    code.and_then(|code| u8::try_from(code).ok())
        .unwrap_or(u8::MAX)
}

/// The signals that `SigIgn` of a /proc/PID/status names.
fn ignored_signals(status: &str) -> Vec<i32> {
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok())
        .unwrap_or(0);
    (1..=64)
        .filter(|signal| mask >> (signal - 1) & 1 == 1)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_passed_on_as_a_shell_does() {
        assert_eq!(exit_code(ExitStatus::from_raw(0)), 0);
        assert_eq!(exit_code(ExitStatus::from_raw(125 << 8)), 125);
        assert_eq!(exit_code(ExitStatus::from_raw(9)), 137);
        // With a core file.
        assert_eq!(exit_code(ExitStatus::from_raw(11 | 0x80)), 139);
    }

    #[test]
    fn ignored_signals_are_read_from_the_kernels_mask() {
        let status =
            "Name:\tx\nSigBlk:\tffffffffffffffff\nSigIgn:\t8000000000001001\nSigCgt:\t02\n";
        assert_eq!(ignored_signals(status), [1, 13, 64]);
        assert_eq!(ignored_signals("Name:\tx\n"), [0; 0]);
    }

    #[test]
    fn a_child_ends_with_its_own_status() {
        let status = |script: &str| {
            let status = run(Command::new("sh").args(["-c", script]), &Elevation::Root).unwrap();
            exit_code(status)
        };
        assert_eq!(status("exit 41"), 41);
        assert_eq!(status("kill -USR1 $$"), 138);
        run(&mut Command::new("/no/such/program"), &Elevation::Root).unwrap_err();
    }
}
