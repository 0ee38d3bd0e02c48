//! Where a thread's time went, by the kernel.

use std::fs;

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// Times of a thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ThreadTimes {
    /// On the clock, nanoseconds.
    pub wall_ns: u64,
    /// On a processor, nanoseconds (`/proc/thread-self/schedstat`).
    pub running_ns: u64,
    /// Waiting for block I/O, clock ticks (`delayacct_blkio_ticks`, proc_pid_stat(5)); 0 where the kernel does not
    /// account for it.
    pub block_io_delay_ticks: u64,
}

impl ThreadTimes {
    /// Those of the calling thread since its start, and the monotonic clock.
    ///
    /// # Errors
    /// Where /proc does not say.
    pub fn now() -> Result<Self> {
        let clock = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)
            .context("read the clock")?;
        let wall_ns = std::time::Duration::from(clock).as_nanos();
        let read = |name: &str| {
            let path = format!("/proc/thread-self/{name}");
            fs::read_to_string(&path).with_context(|| format!("read {path}"))
        };
        let scheduler = read("schedstat")?;
        let running_ns = scheduler
            .split_whitespace()
            .next()
            .and_then(|field| field.parse().ok())
            .with_context(|| format!("/proc/thread-self/schedstat holds {scheduler:?}"))?;
        let status = read("stat")?;
        // The command, in parentheses, may hold anything; the state behind it is field 3.
        let block_io_delay_ticks = status
            .rsplit_once(')')
            .and_then(|(_, fields)| fields.split_whitespace().nth(42 - 3))
            .and_then(|field| field.parse().ok())
            .with_context(|| format!("/proc/thread-self/stat has no field 42: {status:?}"))?;
        Ok(Self {
            wall_ns: u64::try_from(wall_ns).context("the clock")?,
            running_ns,
            block_io_delay_ticks,
        })
    }

    /// What passed since an earlier look.
    #[must_use]
    pub const fn since(&self, earlier: &Self) -> Self {
        Self {
            wall_ns: self.wall_ns.saturating_sub(earlier.wall_ns),
            running_ns: self.running_ns.saturating_sub(earlier.running_ns),
            block_io_delay_ticks: self
                .block_io_delay_ticks
                .saturating_sub(earlier.block_io_delay_ticks),
        }
    }
}
