//! One test at a time on the whole machine.

use std::{fs::File, os::fd::AsRawFd as _};

use anyhow::{Context as _, Result};

/// Held by a test that changes or measures what belongs to the whole machine: the current ftrace tracer,
/// the page cache, the counts of eBPF programs.
#[derive(Debug)]
pub struct MachineLock {
    _directory: File,
}

impl MachineLock {
    /// Waits until no other process holds it. The lock is one on a directory of the kernel's own file
    /// system, so that it is the same for every checkout and user, leaves no file behind, and ends with its
    /// holder.
    ///
    /// # Errors
    /// Where the directory cannot be opened or locked.
    pub fn acquire() -> Result<Self> {
        let directory = File::open("/sys/kernel").context("open /sys/kernel")?;
        loop {
            // SAFETY: a system call on a descriptor that is open.
            if unsafe { libc::flock(directory.as_raw_fd(), libc::LOCK_EX) } == 0 {
                return Ok(Self {
                    _directory: directory,
                });
            }
            let error = std::io::Error::last_os_error();
            if error.kind() != std::io::ErrorKind::Interrupted {
                return Err(error).context("lock /sys/kernel, by which tests take turns");
            }
        }
    }
}
