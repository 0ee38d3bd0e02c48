//! The memory cgroup that a process is in, whoever made it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::storage::MountTable;

use super::{
    error::CgroupError,
    hierarchy::{cgroup_path, memory_mount, visible},
    statistics::{CgroupMemory, limit_bytes},
    version::CgroupVersion,
};

/// A process's memory cgroup, as far as this process can see it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessCgroup {
    version: CgroupVersion,
    path: String,
    directory: PathBuf,
}

impl ProcessCgroup {
    /// Finds it through `/proc/PID/cgroup`. `None` where the machine has no memory controller or does not show it here, where
    /// the cgroup is out of sight (another cgroup namespace, a mount that does not reach it), and where its `memory.stat`
    /// cannot be read: then nothing can be said about it. The top cgroup (`/`) stands for the whole machine.
    ///
    /// # Errors
    /// The process has ended, or /proc cannot be read.
    pub fn of(pid: i32) -> Result<Option<Self>, CgroupError> {
        let read = |path: PathBuf| {
            fs::read_to_string(&path).map_err(|source| CgroupError::io("read", &path)(source))
        };
        let cgroups = read(PathBuf::from(format!("/proc/{pid}/cgroup")))?;
        let controllers = read(PathBuf::from("/proc/cgroups"))?;
        let found = Self::find_in(&MountTable::read()?, &controllers, &cgroups);
        Ok(found.filter(|found| fs::read(found.directory.join("memory.stat")).is_ok()))
    }

    fn find_in(mounts: &MountTable, controllers: &str, cgroups: &str) -> Option<Self> {
        let (version, mount) = memory_mount(mounts, controllers).ok()?;
        let path = cgroup_path(version, cgroups)?;
        Some(Self {
            version,
            path: path.to_owned(),
            directory: visible(mount, Path::new(path))?,
        })
    }

    /// The smallest limit of it and of those above it, as far as they are in sight: a container's may stand above that of its
    /// service. `None` where none has one.
    #[must_use]
    pub fn limit_bytes(&self) -> Option<u64> {
        let name = match self.version {
            CgroupVersion::V1 => "memory.limit_in_bytes",
            CgroupVersion::V2 => "memory.max",
        };
        self.directory
            .ancestors()
            .map(|directory| directory.join(name))
            // The top group of version 2 has no such file, and what lies above the top one is none.
            .take_while(|path| path.exists())
            .filter_map(|path| limit_bytes(&path).ok().flatten())
            .min()
    }

    /// Whether a process is in it now; `None` if that process has ended.
    #[must_use]
    pub fn holds(&self, pid: i32) -> Option<bool> {
        let cgroups = fs::read_to_string(format!("/proc/{pid}/cgroup")).ok()?;
        Some(cgroup_path(self.version, &cgroups) == Some(&self.path))
    }

    /// Version of the hierarchy that it is in.
    #[must_use]
    pub fn version(&self) -> CgroupVersion {
        self.version
    }

    /// Its path in the hierarchy, as `/proc/PID/cgroup` has it.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }

    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// What it holds and has been through, with the cgroups below it.
    ///
    /// # Errors
    /// A file cannot be read, or is not understood.
    pub fn memory(&self) -> Result<CgroupMemory, CgroupError> {
        CgroupMemory::read(self.version, &self.directory)
    }
}

#[cfg(test)]
mod tests {
    use crate::pressure::cgroup::{MemoryCgroup, MemoryLimits};

    use super::*;
    use std::process::{Command, Stdio};

    fn find(mounts: &[u8], controllers: &str, cgroups: &str) -> Option<(CgroupVersion, PathBuf)> {
        let mounts = MountTable::parse(mounts).expect("mounts");
        ProcessCgroup::find_in(&mounts, controllers, cgroups)
            .map(|found| (found.version, found.directory))
    }

    #[test]
    fn both_versions_and_what_is_out_of_sight() {
        let v1 = b"35 31 0:32 / /cg/memory rw - cgroup cgroup rw,memory\n41 31 0:38 / /cg/unified rw - cgroup2 cgroup2 rw\n";
        let v2 = b"41 31 0:38 / /cg rw - cgroup2 cgroup2 rw\n";
        let docker = b"35 31 0:32 /docker/x /cg/memory rw - cgroup cgroup rw,memory\n";
        let hybrid = "5:cpu:/cpu\n4:memory:/a/b\n0::/c\n";
        assert_eq!(
            find(v1, "memory 4 9 1", hybrid),
            Some((CgroupVersion::V1, "/cg/memory/a/b".into()))
        );
        assert_eq!(
            find(v2, "memory 0 9 1", "0::/a.slice/b.scope\n"),
            Some((CgroupVersion::V2, "/cg/a.slice/b.scope".into()))
        );
        assert_eq!(
            find(docker, "memory 4 9 1", "4:memory:/docker/x/sub\n"),
            Some((CgroupVersion::V1, "/cg/memory/sub".into()))
        );
        // Never the mount point in its place: that would be somebody else's memory.
        assert_eq!(find(docker, "memory 4 9 1", "4:memory:/docker/y\n"), None);
        assert_eq!(find(v2, "memory 0 9 1", "0::/../x\n"), None);
        assert_eq!(find(v1, "memory 4 9 1", "5:cpu:/cpu\n"), None);
        assert_eq!(find(v1, "memory 4 9 0", hybrid), None);
        assert_eq!(find(b"", "memory 4 9 1", hybrid), None);
    }

    #[test]
    fn a_process_is_found_in_the_cgroup_that_it_was_put_into() {
        let limits = MemoryLimits {
            max_bytes: 64 << 20,
            high_bytes: None,
        };
        let group = match MemoryCgroup::create(&limits) {
            Ok(group) => group,
            Err(error) => return eprintln!("skipped: {error}"),
        };
        let mut child = Command::new("sleep")
            .arg("60")
            .stdin(Stdio::null())
            .spawn()
            .expect("sleep");
        let pid = i32::try_from(child.id()).expect("pid");
        let before = ProcessCgroup::of(pid);
        std::io::Write::write_all(
            &mut group.open_procs().expect("procs"),
            pid.to_string().as_bytes(),
        )
        .expect("join");
        let after = ProcessCgroup::of(pid);
        let nested = group.path().join("service");
        std::fs::create_dir(&nested).expect("a group below it");
        let below = ProcessCgroup {
            version: group.version(),
            path: "service".into(),
            directory: nested.clone(),
        };
        let limit_above = below.limit_bytes();
        std::fs::remove_dir(nested).expect("remove it");
        assert_eq!(limit_above, Some(64 << 20), "that of the group above it");
        let memory = after
            .as_ref()
            .ok()
            .and_then(|found| found.as_ref()?.memory().ok());
        let moved = before
            .as_ref()
            .ok()
            .and_then(|found| found.as_ref())
            .map(|found| found.holds(pid));
        let _ = child.kill();
        let _ = child.wait();
        let after = after.expect("read").expect("found");
        assert_eq!(
            (after.directory(), after.version()),
            (group.path(), group.version())
        );
        assert_eq!(
            moved.unwrap_or(Some(false)),
            Some(false),
            "it has left the one before"
        );
        assert_eq!(after.holds(pid), None);
        assert_eq!(
            memory.map(|memory| memory.anonymous_bytes.is_some()),
            Some(true)
        );
        assert!(matches!(
            ProcessCgroup::of(pid),
            Err(CgroupError::Io { .. })
        ));
        group.remove().expect("remove");
    }
}
