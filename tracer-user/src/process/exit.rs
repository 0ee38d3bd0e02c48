//! How the traced command ended and what it used.

use std::io;

use serde::Serialize;

use super::engine_output::output::{OutputReport, monotonic_nanos};

/// Exit code or signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitKind {
    Code(i32),
    Signal {
        number: i32,
        /// Whether a core was dumped.
        core_dumped: bool,
    },
}

impl ExitKind {
    /// What a shell's `$?` would be: the code, or 128 + the signal.
    #[must_use]
    pub fn conventional_code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal { number, .. } => 128 + number,
        }
    }

    /// Whether it exited with 0.
    #[must_use]
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

/// How the command ended. Times and faults are those of the command and of every child that it waited for.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EngineExit {
    /// Exit code or signal.
    pub kind: ExitKind,
    /// `CLOCK_MONOTONIC`, nanoseconds, just before the fork.
    pub started_monotonic_nanos: u64,
    /// `CLOCK_MONOTONIC`, nanoseconds, when the wait returned.
    pub ended_monotonic_nanos: u64,
    /// CPU time in user mode, seconds.
    pub user_seconds: f64,
    /// CPU time in the kernel, seconds.
    pub system_seconds: f64,
    pub minor_faults: u64,
    pub major_faults: u64,
    /// Bytes that were fetched from storage for it, read-ahead included (`ru_inblock`, in units of 512 bytes).
    pub storage_read_bytes: u64,
    /// Largest resident set, bytes. The kernel carries the forking process's own size over into this figure
    /// (`exec_mmap` keeps the old mm's high-water mark in `signal->maxrss`), so it is `None` unless it is above what
    /// the tracer itself ever had.
    pub max_rss_bytes: Option<u64>,
    /// What became of standard output and standard error.
    pub outputs: Vec<OutputReport>,
}

impl EngineExit {
    pub(crate) fn new(
        waited: &Waited,
        started_monotonic_nanos: u64,
        outputs: Vec<OutputReport>,
    ) -> Self {
        let usage = &waited.usage;
        let seconds = |time: libc::timeval| time.tv_sec as f64 + time.tv_usec as f64 / 1e6;
        let max_rss_bytes = u64::try_from(usage.ru_maxrss).ok().map(|kib| kib * 1024);
        Self {
            kind: if libc::WIFSIGNALED(waited.status) {
                ExitKind::Signal {
                    number: libc::WTERMSIG(waited.status),
                    core_dumped: libc::WCOREDUMP(waited.status),
                }
            } else {
                ExitKind::Code(libc::WEXITSTATUS(waited.status))
            },
            started_monotonic_nanos,
            ended_monotonic_nanos: waited.ended_monotonic_nanos,
            user_seconds: seconds(usage.ru_utime),
            system_seconds: seconds(usage.ru_stime),
            minor_faults: usage.ru_minflt.unsigned_abs(),
            major_faults: usage.ru_majflt.unsigned_abs(),
            storage_read_bytes: usage.ru_inblock.unsigned_abs().saturating_mul(512),
            max_rss_bytes: max_rss_bytes.filter(|peak| {
                waited
                    .inherited_rss_bytes
                    .is_some_and(|bound| *peak > bound)
            }),
            outputs,
        }
    }
}

/// What `wait4(2)` gave.
#[derive(Debug)]
pub(crate) struct Waited {
    status: libc::c_int,
    usage: libc::rusage,
    ended_monotonic_nanos: u64,
    inherited_rss_bytes: Option<u64>,
}

/// Waits for a child. `inherited_rss_bytes`: the most that the fork can have put into its resident-set peak.
pub(crate) fn wait4(pid: i32, inherited_rss_bytes: Option<u64>) -> io::Result<Waited> {
    let mut status = 0;
    // SAFETY: all-zero is a valid rusage.
    let mut usage: libc::rusage = unsafe { std::mem::zeroed() };
    loop {
        // SAFETY: two pointers to locals of the right types.
        let result = unsafe { libc::wait4(pid, &mut status, 0, &mut usage) };
        if result == pid {
            return Ok(Waited {
                status,
                usage,
                ended_monotonic_nanos: monotonic_nanos(),
                inherited_rss_bytes,
            });
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// The tracer's own high-water mark of resident memory.
pub(crate) fn own_peak_rss_bytes() -> Option<u64> {
    procfs::process::Process::myself()
        .and_then(|process| process.status())
        .ok()?
        .vmhwm
        .map(|kib| kib * 1024)
}
