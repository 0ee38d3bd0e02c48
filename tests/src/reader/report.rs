//! What the reader reports, one line of JSON.

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

/// What a reader read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReaderReport {
    pub reads: u64,
    /// Bytes that they brought.
    pub bytes: u64,
    /// Sum of the hashes of all reads ([`crate::model_file::Checksum`]).
    pub checksum: u64,
    /// Times that the plan was read from its start to its end.
    pub rounds: u64,
    /// Sleeps of the main thread within the rounds, where asked for; it reads where there are no others.
    pub sleeps: Vec<Period>,
    /// As whom, where asked.
    pub identity: Option<Identity>,
}

/// A time, in nanoseconds of the monotonic clock.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Period {
    pub start_ns: u64,
    pub end_ns: u64,
}

impl Period {
    /// The time now.
    ///
    /// # Errors
    /// Where the clock cannot be read.
    pub fn clock_ns() -> Result<u64> {
        let clock = nix::time::clock_gettime(nix::time::ClockId::CLOCK_MONOTONIC)
            .context("read the clock")?;
        u64::try_from(std::time::Duration::from(clock).as_nanos()).context("the clock")
    }

    /// Whether another lies in it.
    #[must_use]
    pub const fn holds(&self, other: &Self) -> bool {
        self.start_ns <= other.start_ns && other.end_ns <= self.end_ns
    }

    /// How long it is.
    #[must_use]
    pub const fn length_ns(&self) -> u64 {
        self.end_ns.saturating_sub(self.start_ns)
    }
}

/// As whom a process runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    pub uid: u32,
    pub gid: u32,
    pub groups: Vec<u32>,
    /// `CapEff` of `/proc/self/status`.
    pub effective_capabilities: String,
    /// `NoNewPrivs` of `/proc/self/status`.
    pub no_new_privileges: String,
}

impl Identity {
    /// That of this process.
    ///
    /// # Errors
    /// Where `/proc/self/status` cannot be read.
    pub fn of_this_process() -> Result<Self> {
        let status =
            std::fs::read_to_string("/proc/self/status").context("read /proc/self/status")?;
        let field = |name: &str| {
            status
                .lines()
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))
                .map(|value| value.trim().to_owned())
                .with_context(|| format!("/proc/self/status has no {name}"))
        };
        Ok(Self {
            uid: nix::unistd::geteuid().as_raw(),
            gid: nix::unistd::getegid().as_raw(),
            groups: nix::unistd::getgroups()
                .context("ask for the groups")?
                .into_iter()
                .map(nix::unistd::Gid::as_raw)
                .collect(),
            effective_capabilities: field("CapEff")?,
            no_new_privileges: field("NoNewPrivs")?,
        })
    }
}

impl ReaderReport {
    /// Finds the report in a program's output, in which other lines may stand before it.
    ///
    /// # Errors
    /// Where there is none.
    pub fn find_in(output: &str) -> Result<Self> {
        output
            .lines()
            .rev()
            .find_map(|line| serde_json::from_str(line).ok())
            .with_context(|| format!("the reader's output has no report: {output:?}"))
    }
}

#[cfg(test)]
mod tests {
    use super::ReaderReport;

    #[test]
    fn the_report_is_found_among_other_lines() {
        let report = ReaderReport {
            reads: 3,
            checksum: u64::MAX,
            ..ReaderReport::default()
        };
        let line = serde_json::to_string(&report).expect("plain numbers");
        assert_eq!(
            ReaderReport::find_in(&format!("before\n{line}\n")).expect("it is there"),
            report
        );
        assert!(ReaderReport::find_in("no report").is_err());
    }
}
