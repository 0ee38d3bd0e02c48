//! A running process, seen through `/proc`: who it is, whether it still is, its faults and its children.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use procfs::ProcError;
use procfs::process::Process;
use serde::Serialize;

/// Why a process cannot be observed.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// There is no such process (any more).
    #[error("process {0} does not exist or has ended")]
    Gone(i32),
    /// Its `/proc` files may not be read.
    #[error(
        "process {pid}: /proc/{pid}/{file} may not be read; run the tracer as root, or as the user that the process belongs to; in a container it needs CAP_SYS_PTRACE as well"
    )]
    NotPermitted { pid: i32, file: &'static str },
    #[error("process {pid}: cannot read /proc/{pid}/{file}: {reason}")]
    Unreadable {
        pid: i32,
        file: &'static str,
        reason: String,
    },
}

/// What tells a process from every other, pids being used again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ProcessIdentity {
    pub pid: i32,
    /// Start time after boot, clock ticks (`/proc/P/stat`, field 22): with the pid it names one process only.
    pub start_time_ticks: u64,
    /// Name of the main thread, at most 15 bytes.
    pub command_name: String,
    /// The arguments; bytes that are no UTF-8 are replaced. Empty for a zombie.
    pub command_line: Vec<String>,
    pub uid: u32,
}

/// Page faults of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct FaultCounts {
    /// Without I/O, of the process itself.
    pub minor: u64,
    /// That needed I/O, of the process itself.
    pub major: u64,
    /// Minor faults of its children that have ended and were waited for.
    pub waited_children_minor: u64,
    /// Major faults of its children that have ended and were waited for.
    pub waited_children_major: u64,
}

/// A process that is being observed. Its `/proc` directory is held open, so everything read here is of this process and
/// never of a later one with the same pid.
#[derive(Debug)]
pub struct ObservedProcess {
    process: Process,
    identity: ProcessIdentity,
    pidfd: OwnedFd,
}

impl ObservedProcess {
    /// Starts to observe a process. It is not stopped, traced or changed.
    ///
    /// # Errors
    /// No such process; a kernel before 5.3 (no pidfd).
    pub fn open(pid: i32) -> Result<Self, ProcessError> {
        let process = Process::new(pid).map_err(|error| classify(pid, "", error))?;
        let pidfd = pidfd_open(pid).map_err(|error| match error.raw_os_error() {
            // EINVAL: the id of a thread that is no process (ENOENT from 6.x on).
            Some(libc::ESRCH | libc::EINVAL | libc::ENOENT) => ProcessError::Gone(pid),
            _ => ProcessError::Unreadable {
                pid,
                file: "",
                reason: format!("pidfd_open: {error}"),
            },
        })?;
        // Read through the directory that was opened before the pidfd: if the pid changed hands in between, this fails.
        let identity = identity_of(&process)?;
        Ok(Self {
            process,
            identity,
            pidfd,
        })
    }

    /// Who it is, as of [`ObservedProcess::open`] (a process may call exec and change name and arguments).
    #[must_use]
    pub fn identity(&self) -> &ProcessIdentity {
        &self.identity
    }

    #[must_use]
    pub fn pid(&self) -> i32 {
        self.identity.pid
    }

    /// A descriptor that becomes readable when the process has ended (for `AsyncFd` or poll).
    #[must_use]
    pub fn exit_descriptor(&self) -> BorrowedFd<'_> {
        use std::os::fd::AsFd;
        self.pidfd.as_fd()
    }

    /// Whether it still runs. A zombie has ended.
    #[must_use]
    pub fn is_running(&self) -> bool {
        self.process.stat().is_ok_and(|stat| {
            stat.starttime == self.identity.start_time_ticks && !matches!(stat.state, 'Z' | 'X')
        })
    }

    /// Faults so far.
    ///
    /// # Errors
    /// The process has ended.
    pub fn faults(&self) -> Result<FaultCounts, ProcessError> {
        let stat = self
            .process
            .stat()
            .map_err(|error| classify(self.pid(), "stat", error))?;
        Ok(FaultCounts {
            minor: stat.minflt,
            major: stat.majflt,
            waited_children_minor: stat.cminflt,
            waited_children_major: stat.cmajflt,
        })
    }

    /// CPU time of all of its threads so far, clock ticks.
    ///
    /// # Errors
    /// The process has ended.
    pub fn cpu_ticks(&self) -> Result<u64, ProcessError> {
        let stat = self
            .process
            .stat()
            .map_err(|error| classify(self.pid(), "stat", error))?;
        Ok(stat.utime + stat.stime)
    }

    /// Sends a signal; never to another process with the same pid.
    ///
    /// # Errors
    /// As of `pidfd_send_signal(2)`: ended, or not ours to signal.
    pub fn send(&self, signal: nix::sys::signal::Signal) -> io::Result<()> {
        pidfd_send_signal(&self.pidfd, signal)
    }

    /// Pids of its children, their children and so on, parents first. A process whose parent ended has moved to init
    /// and is not found.
    ///
    /// # Errors
    /// `/proc` cannot be listed.
    pub fn descendants(&self) -> Result<Vec<i32>, ProcessError> {
        descendants_of(self.pid())
    }

    /// Bytes of a file in its `/proc` directory.
    pub(crate) fn read(&self, file: &'static str) -> Result<Vec<u8>, ProcessError> {
        let mut bytes = Vec::new();
        let mut opened = self.open_relative(file)?;
        opened
            .read_to_end(&mut bytes)
            .map_err(|error| classify_io(self.pid(), file, &error))?;
        Ok(bytes)
    }

    fn open_relative(&self, file: &'static str) -> Result<File, ProcessError> {
        self.process
            .open_relative(file)
            .map_err(|error| classify(self.pid(), file, error))
    }

    pub(crate) fn proc(&self) -> &Process {
        &self.process
    }
}

/// A descriptor of a process, readable once it has ended.
///
/// # Errors
/// As of `pidfd_open(2)`: no such process (ESRCH), or a kernel before 5.3 (ENOSYS).
pub fn pidfd_open(pid: i32) -> io::Result<OwnedFd> {
    // SAFETY: the system call takes two integers and returns a descriptor or -1.
    let descriptor = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    match i32::try_from(descriptor) {
        // SAFETY: the kernel has just given us this descriptor (close-on-exec); nobody else owns it.
        Ok(descriptor) if descriptor >= 0 => Ok(unsafe { OwnedFd::from_raw_fd(descriptor) }),
        _ => Err(io::Error::last_os_error()),
    }
}

pub(crate) fn pidfd_send_signal(
    pidfd: &OwnedFd,
    signal: nix::sys::signal::Signal,
) -> io::Result<()> {
    // SAFETY: a descriptor that we own, a signal number, no siginfo (null), no flags.
    let result = unsafe {
        libc::syscall(
            libc::SYS_pidfd_send_signal,
            pidfd.as_raw_fd(),
            signal as i32,
            std::ptr::null::<libc::siginfo_t>(),
            0,
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}

/// The parent of each process.
///
/// # Errors
/// `/proc` cannot be listed.
pub fn parents() -> Result<HashMap<i32, i32>, ProcessError> {
    let all = procfs::process::all_processes().map_err(|error| classify(0, "..", error))?;
    // One that ends while the list is read has no parent to tell: it is left out.
    Ok(all
        .filter_map(Result::ok)
        .filter_map(|process| process.stat().ok())
        .map(|stat| (stat.pid, stat.ppid))
        .collect())
}

/// Pids of a process's descendants, parents first.
pub(crate) fn descendants_of(pid: i32) -> Result<Vec<i32>, ProcessError> {
    let mut children: HashMap<i32, Vec<i32>> = HashMap::new();
    for (child, parent) in parents()? {
        children.entry(parent).or_default().push(child);
    }
    // As they are listed.
    for of_one in children.values_mut() {
        of_one.sort_unstable();
    }
    let mut found = vec![pid];
    let mut seen: HashSet<i32> = HashSet::from([pid]);
    let mut next = 0;
    while let Some(parent) = found.get(next) {
        // A pid that was used again during the listing could make a circle.
        let new = children.remove(parent).unwrap_or_default();
        found.extend(new.into_iter().filter(|child| seen.insert(*child)));
        next += 1;
    }
    found.remove(0);
    Ok(found)
}

/// Bytes that were fetched from storage for a process and for the children that it waited for, read-ahead included
/// (`read_bytes` of `/proc/P/io`).
///
/// # Errors
/// The process has ended or may not be looked at; a kernel without I/O accounting.
pub fn storage_read_bytes(process: &ObservedProcess) -> Result<u64, ProcessError> {
    let io = process
        .proc()
        .io()
        .map_err(|error| classify(process.pid(), "io", error))?;
    Ok(io.read_bytes)
}

fn identity_of(process: &Process) -> Result<ProcessIdentity, ProcessError> {
    let pid = process.pid;
    let stat = process
        .stat()
        .map_err(|error| classify(pid, "stat", error))?;
    let mut command_line = Vec::new();
    process
        .open_relative("cmdline")
        .map_err(|error| classify(pid, "cmdline", error))?
        .read_to_end(&mut command_line)
        .map_err(|error| classify_io(pid, "cmdline", &error))?;
    let command_line = match command_line.strip_suffix(&[0]).unwrap_or(&command_line) {
        [] => Vec::new(),
        arguments => arguments
            .split(|&byte| byte == 0)
            .map(|argument| String::from_utf8_lossy(argument).into_owned())
            .collect(),
    };
    Ok(ProcessIdentity {
        pid,
        start_time_ticks: stat.starttime,
        command_name: stat.comm,
        command_line,
        uid: process
            .status()
            .map_err(|error| classify(pid, "status", error))?
            .euid,
    })
}

pub(crate) fn classify(pid: i32, file: &'static str, error: ProcError) -> ProcessError {
    match error {
        ProcError::NotFound(_) => ProcessError::Gone(pid),
        ProcError::PermissionDenied(_) => ProcessError::NotPermitted { pid, file },
        ProcError::Io(error, _) => classify_io(pid, file, &error),
        other => ProcessError::Unreadable {
            pid,
            file,
            reason: other.to_string(),
        },
    }
}

pub(crate) fn classify_io(pid: i32, file: &'static str, error: &io::Error) -> ProcessError {
    match error.raw_os_error() {
        Some(libc::ENOENT | libc::ESRCH) => ProcessError::Gone(pid),
        Some(libc::EACCES | libc::EPERM) => ProcessError::NotPermitted { pid, file },
        _ => ProcessError::Unreadable {
            pid,
            file,
            reason: error.to_string(),
        },
    }
}

#[cfg(test)]
mod tests {
    use std::process::{Child, Command, Stdio};
    use std::time::{Duration, Instant};

    use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

    use super::*;

    fn start(program: &str, arguments: &[&str]) -> Child {
        Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect(program)
    }

    #[test]
    fn a_process_and_its_end() {
        let mut sleeper = start("sleep", &["60"]);
        let pid = sleeper.id() as i32;
        // Name and arguments are the test's own until exec, and exec sets them one after the other.
        let start = Instant::now();
        let observed = loop {
            let observed = ObservedProcess::open(pid).expect("open");
            let identity = observed.identity();
            let ready = identity.command_name == "sleep" && identity.command_line.len() == 2;
            if ready || start.elapsed() > Duration::from_secs(5) {
                break observed;
            }
        };
        let identity = observed.identity().clone();
        assert_eq!(
            (identity.pid, identity.command_name.as_str()),
            (pid, "sleep")
        );
        assert_eq!(identity.command_line, ["sleep", "60"]);
        assert_eq!(identity.uid, nix::unistd::Uid::effective().as_raw());
        assert!(identity.start_time_ticks > 0);
        assert!(observed.is_running());
        assert!(observed.faults().expect("faults").minor > 0);
        let ended = |timeout: u16| {
            let mut polled = [PollFd::new(observed.exit_descriptor(), PollFlags::POLLIN)];
            poll(&mut polled, PollTimeout::from(timeout)).expect("poll")
        };
        assert_eq!(ended(10), 0);
        observed
            .send(nix::sys::signal::Signal::SIGKILL)
            .expect("signal");
        assert_eq!(ended(5000), 1);
        assert!(!observed.is_running(), "a zombie has ended");
        sleeper.wait().expect("wait");
        assert!(!observed.is_running());
        assert!(matches!(observed.faults(), Err(ProcessError::Gone(_))));
        assert!(matches!(
            ObservedProcess::open(pid),
            Err(ProcessError::Gone(_))
        ));
        observed
            .send(nix::sys::signal::Signal::SIGKILL)
            .expect_err("gone");
        assert!(matches!(
            ObservedProcess::open(-7),
            Err(ProcessError::Gone(_))
        ));
    }

    #[test]
    fn descendants_of_a_shell() {
        let mut shell = start("sh", &["-c", "sh -c 'sleep 61 & echo ready; wait' & wait"]);
        let mut ready = [0; 6];
        shell
            .stdout
            .as_mut()
            .expect("stdout")
            .read_exact(&mut ready)
            .expect("ready");
        let observed = ObservedProcess::open(shell.id() as i32).expect("open");
        let descendants = observed.descendants().expect("descendants");
        let depth: Vec<_> = descendants
            .iter()
            .map(|pid| {
                ObservedProcess::open(*pid)
                    .expect("child")
                    .identity()
                    .command_line
                    .clone()
            })
            .collect();
        for pid in &descendants {
            let _ = nix::sys::signal::kill(
                nix::unistd::Pid::from_raw(*pid),
                nix::sys::signal::Signal::SIGKILL,
            );
        }
        let _ = shell.kill();
        let _ = shell.wait();
        assert_eq!(depth.len(), 2, "{depth:?}");
        assert_eq!(
            depth
                .first()
                .and_then(|line| line.first())
                .map(String::as_str),
            Some("sh")
        );
        assert!(!descendants.contains(&(std::process::id() as i32)));
    }

    #[test]
    fn major_faults_are_counted_apart() {
        let mut child = start(
            "python3",
            &[
                "-c",
                "b = bytearray(64 << 20); print('ready', flush=True); input()",
            ],
        );
        let mut ready = [0; 6];
        child
            .stdout
            .as_mut()
            .expect("stdout")
            .read_exact(&mut ready)
            .expect("ready");
        let faults = ObservedProcess::open(child.id() as i32).and_then(|process| process.faults());
        let _ = child.kill();
        let _ = child.wait();
        let faults = faults.expect("faults");
        // 64 MiB of zeroed memory: at least one fault per 2 MiB, whatever the page size.
        assert!(faults.minor >= 32, "{faults:?}");
        assert_eq!(faults.waited_children_major, 0);
    }
}
