//! Going first on a machine that others use.

use std::{fs, io};

use anyhow::{Context as _, Result};

use crate::environment::{Cleanup, on_exit};

/// This process, what it starts, and the kernel's workers that serve loop devices run before everything that has no
/// real-time priority, until it is dropped.
#[derive(Debug)]
pub struct GoFirst {
    _restore: Cleanup,
}

impl GoFirst {
    /// Takes the priority. Threads and processes that were started before do not get it.
    ///
    /// # Errors
    /// Without root.
    pub fn take() -> Result<Self> {
        let restore = on_exit(|| {
            for worker in workers() {
                // One that is gone needs nothing.
                let _ = set_policy(worker, libc::SCHED_OTHER, 0);
            }
            let _ = set_policy(0, libc::SCHED_OTHER, 0);
        });
        set_policy(0, libc::SCHED_RR, 1).context("take a real-time priority")?;
        give_to_workers();
        Ok(Self { _restore: restore })
    }
}

/// The kernel starts and ends workers as it likes, so each turn begins with this where this process goes first.
pub(super) fn keep_first() {
    if goes_first() {
        give_to_workers();
    }
}

/// Whether this thread goes first.
pub(super) fn goes_first() -> bool {
    // SAFETY: asks about this thread.
    (unsafe { libc::syscall(libc::SYS_sched_getscheduler, 0) })
        == libc::c_long::from(libc::SCHED_RR)
}

fn give_to_workers() {
    for worker in workers() {
        // One that is gone needs nothing.
        let _ = set_policy(worker, libc::SCHED_RR, 1);
    }
}

/// Workers that are bound to no CPU.
fn workers() -> Vec<libc::pid_t> {
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .flatten()
        .filter(|entry| {
            fs::read_to_string(entry.path().join("comm"))
                .is_ok_and(|name| name.starts_with("kworker/u"))
        })
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok())
        .collect()
}

/// By the system call: musl's function refuses.
fn set_policy(thread: libc::pid_t, policy: libc::c_int, priority: libc::c_int) -> io::Result<()> {
    // `struct sched_param` of the kernel.
    let priority = [priority];
    // SAFETY: the structure outlives the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_sched_setscheduler,
            thread,
            policy,
            priority.as_ptr(),
        )
    };
    if result == 0 {
        Ok(())
    } else {
        Err(io::Error::last_os_error())
    }
}
