//! Where the points of a course of memory are read: the machine, and the cgroup that the process is in.

use super::{
    cgroup::{CgroupError, CgroupMemory, ProcessCgroup},
    memory::SystemMemory,
    memory_course::{MemoryReading, ProcessPoint},
};

/// Reads the machine's memory and a cgroup's, as often as asked.
///
/// One reading takes about 0.2 ms (/proc/meminfo, /proc/vmstat, two files of PSI, six of a cgroup v1; measured on
/// 6.18), so five a second cost a thousandth of a core.
#[derive(Debug)]
pub struct MemorySources {
    pid: i32,
    cgroup: Option<ProcessCgroup>,
}

impl MemorySources {
    /// For a process that is already in the cgroup in which it will stay.
    ///
    /// # Errors
    /// The process has ended, or /proc cannot be read.
    pub fn of(pid: i32) -> Result<Self, CgroupError> {
        Ok(Self {
            pid,
            cgroup: ProcessCgroup::of(pid)?,
        })
    }

    /// The process's cgroup, if its memory can be read.
    #[must_use]
    pub fn cgroup(&self) -> Option<&ProcessCgroup> {
        self.cgroup.as_ref()
    }

    /// Reads all of it now. What cannot be read is `None`; so is the cgroup once the process has moved to another one. When
    /// the process has ended its cgroup is still read: the cache that it left is charged there.
    #[must_use]
    pub fn read(&self, process: Option<ProcessPoint>) -> MemoryReading {
        let cgroup = self
            .cgroup
            .as_ref()
            .filter(|cgroup| cgroup.holds(self.pid) != Some(false))
            .and_then(|cgroup| cgroup.memory().ok())
            .filter(has_statistics);
        MemoryReading {
            process,
            system: SystemMemory::read().ok(),
            cgroup,
        }
    }
}

/// A cgroup that was removed gives an answer in which everything is missing.
fn has_statistics(memory: &CgroupMemory) -> bool {
    memory.anonymous_bytes.is_some() || memory.file_bytes.is_some()
}

#[cfg(test)]
mod tests {
    use crate::pressure::memory_course::MemoryCourse;

    use super::*;

    #[test]
    fn this_process_has_a_course() {
        let pid = i32::try_from(std::process::id()).expect("pid");
        let sources = MemorySources::of(pid).expect("sources");
        let mut course = MemoryCourse::new(0.2);
        let process = ProcessPoint {
            rss_anonymous_bytes: Some(7),
            ..ProcessPoint::default()
        };
        assert!(course.sample(0.0, &sources.read(Some(process))));
        assert!(course.sample(0.2, &sources.read(None)));
        let points = course.points();
        let [first, last] = points.as_slice() else {
            panic!("{points:?}")
        };
        assert_eq!(first.process, Some(process));
        assert_eq!(last.process, None);
        let system = last.system.expect("system");
        assert!(system.available_bytes.is_some_and(|bytes| bytes > 0));
        assert!(system.cached_bytes.is_some_and(|bytes| bytes > 0));
        assert_eq!(
            std::fs::read("/proc/pressure/memory").is_ok(),
            system.psi_memory_some_us.is_some()
        );
        assert_eq!(sources.cgroup().is_some(), last.cgroup.is_some());
        if let Some(cgroup) = last.cgroup {
            assert!(
                cgroup.usage_bytes.is_some_and(|bytes| bytes > 0),
                "{cgroup:?}"
            );
            assert!(cgroup.page_faults_change.is_some(), "{cgroup:?}");
        }
    }

    #[test]
    fn a_process_that_ended_is_said_to_have() {
        assert!(MemorySources::of(i32::MAX).is_err());
    }
}
