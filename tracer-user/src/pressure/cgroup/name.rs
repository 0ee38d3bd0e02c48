//! Names of our cgroups, by which those of tracers that died can be told from all others.

use std::fs;
use std::os::linux::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use procfs::ProcError;
use procfs::process::Process;

use super::error::CgroupError;
use super::hierarchy::MemoryHierarchy;
use super::removal::remove_directory;

/// Who owns a cgroup. A process id alone could be another process's by now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) pid: i32,
    /// Start time in clock ticks since boot (field 22 of /proc/PID/stat).
    pub(super) start_time: u64,
    /// Inode of its pid namespace if that is not the machine's first: elsewhere the pid means another process.
    pub(super) pid_namespace: Option<u64>,
}

/// Inode of the first pid namespace (`PROC_PID_INIT_INO`, include/linux/proc_ns.h).
const FIRST_PID_NAMESPACE: u64 = 0xEFFF_FFFC;

impl Owner {
    pub(super) fn this_process() -> Result<Self, CgroupError> {
        let stat_path = Path::new("/proc/self/stat");
        let stat = Process::myself()
            .and_then(|process| process.stat())
            .map_err(std::io::Error::other)
            .map_err(CgroupError::io("read", stat_path))?;
        let namespace_path = Path::new("/proc/self/ns/pid");
        let namespace = fs::metadata(namespace_path)
            .map_err(CgroupError::io("look at", namespace_path))?
            .st_ino();
        Ok(Self {
            pid: stat.pid,
            start_time: stat.starttime,
            pid_namespace: (namespace != FIRST_PID_NAMESPACE).then_some(namespace),
        })
    }

    /// A name that no other cgroup of this process has: `tracer-PID-START_TIME`, then `-SERIAL` from the second on, and
    /// `-nsINODE` in a pid namespace.
    pub(super) fn next_name(&self) -> String {
        static SERIAL: AtomicU32 = AtomicU32::new(0);
        self.name(SERIAL.fetch_add(1, Ordering::Relaxed))
    }

    fn name(&self, serial: u32) -> String {
        let mut name = format!("tracer-{}-{}", self.pid, self.start_time);
        if serial > 0 {
            name.push_str(&format!("-{serial}"));
        }
        if let Some(namespace) = self.pid_namespace {
            name.push_str(&format!("-ns{namespace}"));
        }
        name
    }

    fn of_name(name: &str) -> Option<Self> {
        fn number<T: std::str::FromStr>(text: &str) -> Option<T> {
            (!text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()))
                .then(|| text.parse().ok())?
        }
        let mut parts = name.strip_prefix("tracer-")?.split('-');
        let (pid, start_time) = (number(parts.next()?)?, number(parts.next()?)?);
        let mut rest: Vec<&str> = parts.collect();
        let pid_namespace = match rest.last().and_then(|last| last.strip_prefix("ns")) {
            Some(namespace) => {
                rest.pop();
                Some(number(namespace)?)
            }
            None => None,
        };
        match rest.as_slice() {
            [] => {}
            [serial] => {
                number::<u32>(serial)?;
            }
            _ => return None,
        }
        Some(Self {
            pid,
            start_time,
            pid_namespace,
        })
    }

    /// Whether this process is certainly gone, as seen from the pid namespace of `observer`. In doubt it is not.
    fn is_dead(&self, observer: &Self) -> bool {
        if self.pid_namespace != observer.pid_namespace {
            return false;
        }
        match Process::new(self.pid).and_then(|process| process.stat()) {
            Ok(stat) => stat.starttime != self.start_time || matches!(stat.state, 'Z' | 'X'),
            Err(ProcError::NotFound(_)) => true,
            Err(_) => false,
        }
    }
}

/// What was found of tracers that died.
#[derive(Debug, Default)]
pub struct Leftovers {
    /// Cgroups that were removed.
    pub removed: Vec<PathBuf>,
    /// Cgroups that could not be removed, and why.
    pub failed: Vec<CgroupError>,
}

/// Finds cgroups that tracers left behind which were killed, anywhere in the hierarchy, and removes them; processes still
/// in them are moved to the cgroup above. Those of living tracers, of other pid namespaces, and everybody else's are
/// left alone.
pub fn remove_leftovers() -> Result<Leftovers, CgroupError> {
    let hierarchy = MemoryHierarchy::find()?;
    let observer = Owner::this_process()?;
    let mut leftovers = Leftovers::default();
    let mut found = Vec::new();
    find_dead(&hierarchy.mount_point, &observer, &mut found);
    for directory in found {
        match remove_directory(&hierarchy, &directory) {
            Ok(()) => leftovers.removed.push(directory),
            Err(error) => leftovers.failed.push(error),
        }
    }
    Ok(leftovers)
}

/// Directories that cannot be read, or vanish meanwhile, are none of ours to remove.
fn find_dead(directory: &Path, observer: &Owner, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            continue;
        }
        let name = entry.file_name();
        match name.to_str().and_then(Owner::of_name) {
            Some(owner) if owner.is_dead(observer) => found.push(entry.path()),
            _ => find_dead(&entry.path(), observer, found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_name_tells_its_owner(pid in 1..i32::MAX, start_time: u64, serial: u32, pid_namespace: Option<u64>) {
            let owner = Owner { pid, start_time, pid_namespace };
            prop_assert_eq!(Owner::of_name(&owner.name(serial)), Some(owner));
        }
    }

    #[test]
    fn other_peoples_names_are_not_ours() {
        for name in [
            "tracer",
            "tracer-",
            "tracer-1",
            "tracer-1-",
            "tracer-a-1",
            "tracer-1-2-3-4",
            "tracer-+1-2",
            "tracer-1-2-ns",
            "my-tracer-1-2",
            "tracer-1-2-x",
            "tracer--1-2",
        ] {
            assert_eq!(Owner::of_name(name), None, "{name}");
        }
        assert_eq!(
            Owner {
                pid: 7,
                start_time: 9,
                pid_namespace: None
            }
            .name(0),
            "tracer-7-9"
        );
    }

    #[test]
    fn death_is_judged_by_start_time_and_never_across_pid_namespaces() {
        let me = Owner::this_process().unwrap();
        assert!(!me.is_dead(&me));
        let before_me = Owner {
            start_time: me.start_time - 1,
            ..me
        };
        assert!(before_me.is_dead(&me), "the pid is in use again");
        assert!(
            !Owner {
                pid_namespace: Some(1),
                ..before_me
            }
            .is_dead(&me)
        );
        let gone = Owner {
            pid: i32::MAX,
            ..me
        };
        assert!(gone.is_dead(&me));
    }
}
