//! The processes that come from one: its children, theirs, and those whose parents have ended meanwhile.

use std::collections::BTreeSet;
use std::io;

use procfs::{Current as _, LoadAverage};

use super::observed::{ObservedProcess, ProcessError, descendants_of};

/// Where processes that belong together are found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Family {
    /// Some processes and their descendants. Those of a child that ended are lost: init adopts them.
    Of(Vec<i32>),
    /// What this process starts, and what that starts.
    StartedHere {
        own: i32,
        /// Descendants of this process that are of another family.
        strangers: BTreeSet<i32>,
    },
}

impl Family {
    /// All that this process starts from now on, and what that starts: where a parent ends, this process adopts its
    /// children (`PR_SET_CHILD_SUBREAPER`), so that none is lost.
    ///
    /// # Errors
    /// The kernel refuses to make it the adopter; `/proc` cannot be listed.
    pub fn started_from_now_on() -> io::Result<Self> {
        // SAFETY: an option and a number.
        if unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) } != 0 {
            return Err(io::Error::last_os_error());
        }
        let own = i32::try_from(std::process::id()).map_err(io::Error::other)?;
        Ok(Self::StartedHere {
            own,
            strangers: descendants_of(own)
                .map_err(io::Error::other)?
                .into_iter()
                .collect(),
        })
    }

    /// Its members, each once, ended ones too that nobody has waited for.
    ///
    /// # Errors
    /// `/proc` cannot be listed.
    pub fn members(&self) -> Result<Vec<i32>, ProcessError> {
        match self {
            Self::Of(roots) => {
                let mut members = roots.clone();
                for root in roots {
                    members.extend(descendants_of(*root)?);
                }
                members.sort_unstable();
                members.dedup();
                Ok(members)
            }
            Self::StartedHere { own, strangers } => {
                let mut members = descendants_of(*own)?;
                members.retain(|pid| !strangers.contains(pid));
                Ok(members)
            }
        }
    }

    /// Its members that run.
    #[must_use]
    pub fn running(&self) -> Vec<ObservedProcess> {
        self.members()
            .unwrap_or_default()
            .into_iter()
            .filter_map(|pid| ObservedProcess::open(pid).ok())
            .filter(ObservedProcess::is_running)
            .collect()
    }
}

/// Whether processes have been started: to list all of them takes milliseconds, on a large machine tens of them.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessStarts {
    latest_pid: Option<u32>,
}

impl ProcessStarts {
    /// Whether a process or a thread has been started since the last call, in this namespace or one inside it: whether the
    /// id that was given out last is another one. Yes the first time, and where that cannot be read.
    pub fn are_new(&mut self) -> bool {
        let latest_pid = LoadAverage::current().ok().map(|load| load.latest_pid);
        let are_new = latest_pid.is_none() || latest_pid != self.latest_pid;
        self.latest_pid = latest_pid;
        are_new
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_process_that_was_started_is_new_once() {
        let mut starts = ProcessStarts::default();
        assert!(starts.are_new());
        // Others start processes too: in one of many looks nobody has.
        assert!((0..1000).any(|_| !starts.are_new()));
        Command::new("true").status().expect("true");
        assert!(starts.are_new());
    }

    #[test]
    fn a_child_whose_parent_has_ended_stays_in_the_family() {
        let before = Command::new("sleep").arg("60").spawn().expect("sleep");
        let family = Family::started_from_now_on().expect("adopter");
        let mut shell = Command::new("sh")
            .args(["-c", "sleep 61 >/dev/null & echo started"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("sh");
        let mut said = String::new();
        shell
            .stdout
            .take()
            .expect("stdout")
            .read_to_string(&mut said)
            .expect("output");
        shell.wait().expect("wait");
        let orphans: Vec<ObservedProcess> = family
            .running()
            .into_iter()
            .filter(|process| process.identity().command_line == ["sleep", "61"])
            .collect();
        let members = family.members().expect("members");
        for process in &orphans {
            process
                .send(nix::sys::signal::Signal::SIGKILL)
                .expect("signal");
        }
        let mut before = before;
        let _ = before.kill();
        let _ = before.wait();
        assert_eq!(orphans.len(), 1, "{members:?}");
        assert!(!members.contains(&(before.id() as i32)), "{members:?}");
    }
}
