//! Where this machine's memory controller is, and where below it a cgroup can be made.

use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::storage::{Mount, MountTable};

use super::error::CgroupError;
use super::statistics::{limit_bytes, optional_content, stat_value};
use super::version::CgroupVersion;

/// The hierarchy with the memory controller, as this process sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MemoryHierarchy {
    pub(super) version: CgroupVersion,
    pub(super) mount_point: PathBuf,
    /// Directory of the cgroup that this process is in; the mount point where that is out of sight.
    pub(super) own: PathBuf,
}

/// Which version this machine's memory controller is in.
pub fn memory_cgroup_version() -> Result<CgroupVersion, CgroupError> {
    MemoryHierarchy::find().map(|hierarchy| hierarchy.version)
}

impl MemoryHierarchy {
    pub(super) fn find() -> Result<Self, CgroupError> {
        let read =
            |path: &str| fs::read_to_string(path).map_err(CgroupError::io("read", Path::new(path)));
        let found = Self::find_in(
            &MountTable::read()?,
            &read("/proc/cgroups")?,
            &read("/proc/self/cgroup")?,
        )?;
        if found.version == CgroupVersion::V2
            && !has_word(&found.mount_point.join("cgroup.controllers"), "memory")?
        {
            return Err(CgroupError::NoController(
                "neither cgroup v1 nor cgroup.controllers of v2 lists it",
            ));
        }
        Ok(found)
    }

    /// From the texts of /proc/cgroups (`name hierarchy number enabled`) and /proc/self/cgroup (`id:controllers:path`).
    /// Newer kernels list a controller in /proc/cgroups only if it can be in v1.
    fn find_in(
        mounts: &MountTable,
        controllers: &str,
        own_cgroups: &str,
    ) -> Result<Self, CgroupError> {
        let (version, mount) = memory_mount(mounts, controllers)?;
        let own = cgroup_path(version, own_cgroups)
            .and_then(|path| visible(mount, Path::new(path)))
            .unwrap_or_else(|| mount.mount_point.clone());
        Ok(Self {
            version,
            mount_point: mount.mount_point.clone(),
            own,
        })
    }

    /// Directories in which the engine's cgroup may be made, the best first.
    ///
    /// v1: below our own cgroup, so that limits above us hold for the engine too.
    /// v2: a cgroup with processes cannot hand controllers down (the no-internal-process rule), and we are in ours. So
    /// it becomes a sibling of ours, in the nearest ancestor that hands `memory` down already: a delegated subtree if
    /// there is one, a slice of systemd's otherwise. The top is the last resort, and the only one where handing down is
    /// switched on: anywhere between, that would be a change to somebody else's configuration.
    pub(super) fn places(&self) -> Vec<PathBuf> {
        let mut places: Vec<PathBuf> = match self.version {
            CgroupVersion::V1 => vec![self.own.clone()],
            CgroupVersion::V2 => self
                .own
                .ancestors()
                .skip(1)
                .take_while(|directory| directory.starts_with(&self.mount_point))
                .filter(|directory| {
                    has_word(&directory.join("cgroup.subtree_control"), "memory").unwrap_or(false)
                })
                .map(Path::to_owned)
                .collect(),
        };
        if !places.contains(&self.mount_point) {
            places.push(self.mount_point.clone());
        }
        places
    }
}

/// Version and mount of the hierarchy that holds the memory controller.
pub(super) fn memory_mount<'a>(
    mounts: &'a MountTable,
    controllers: &str,
) -> Result<(CgroupVersion, &'a Mount), CgroupError> {
    let row: Option<Vec<&str>> = controllers
        .lines()
        .map(|line| line.split_ascii_whitespace().collect::<Vec<_>>())
        .find(|fields| fields.first() == Some(&"memory"));
    let (hierarchy, enabled) = match row.as_deref() {
        Some([_, hierarchy, _, enabled, ..]) => (*hierarchy, *enabled != "0"),
        _ => ("0", true),
    };
    if !enabled {
        return Err(CgroupError::NoController("it is disabled in /proc/cgroups"));
    }
    let version = if hierarchy == "0" {
        CgroupVersion::V2
    } else {
        CgroupVersion::V1
    };
    let is_it = |mount: &&Mount| match version {
        CgroupVersion::V1 => mount.file_system_type == "cgroup" && mount.has_super_option("memory"),
        CgroupVersion::V2 => mount.file_system_type == "cgroup2",
    };
    let name = match version {
        CgroupVersion::V1 => "v1",
        CgroupVersion::V2 => "v2",
    };
    let mount = mounts
        .mounts
        .iter()
        .find(is_it)
        .ok_or(CgroupError::NotMounted(name))?;
    Ok((version, mount))
}

/// The path of a process's cgroup in that hierarchy, from the text of its /proc/PID/cgroup.
pub(super) fn cgroup_path(version: CgroupVersion, cgroups: &str) -> Option<&str> {
    cgroups.lines().find_map(|line| {
        let (_, rest) = line.split_once(':')?;
        let (names, path) = rest.split_once(':')?;
        let is_it = match version {
            CgroupVersion::V1 => names.split(',').any(|name| name == "memory"),
            CgroupVersion::V2 => names.is_empty(),
        };
        is_it.then_some(path)
    })
}

/// The directory of a cgroup under a mount; `None` if the mount does not reach it (another cgroup namespace).
pub(super) fn visible(mount: &Mount, path: &Path) -> Option<PathBuf> {
    let below = path.strip_prefix(&mount.root).ok()?;
    below
        .components()
        .all(|part| matches!(part, Component::Normal(_)))
        .then(|| mount.mount_point.join(below))
}

pub(super) fn has_word(path: &Path, word: &str) -> Result<bool, CgroupError> {
    let content = fs::read_to_string(path).map_err(CgroupError::io("read", path))?;
    Ok(content.split_ascii_whitespace().any(|found| found == word))
}

/// Bytes that this process's memory cgroup and those above it could still give, page cache of files counted as
/// reclaimable; `None` where none has a limit or the machine has no memory cgroups.
pub fn own_memory_headroom_bytes() -> io::Result<Option<u64>> {
    let hierarchy = match MemoryHierarchy::find() {
        Ok(hierarchy) => hierarchy,
        Err(CgroupError::NoController(_) | CgroupError::NotMounted(_)) => return Ok(None),
        Err(error) => return Err(io::Error::other(error)),
    };
    let mut least: Option<u64> = None;
    for directory in hierarchy
        .own
        .ancestors()
        .take_while(|directory| directory.starts_with(&hierarchy.mount_point))
    {
        if let Some(headroom) = headroom(hierarchy.version, directory).map_err(io::Error::other)? {
            least = Some(least.map_or(headroom, |least| least.min(headroom)));
        }
    }
    Ok(least)
}

fn headroom(version: CgroupVersion, directory: &Path) -> Result<Option<u64>, CgroupError> {
    let (limit, usage, prefix) = match version {
        CgroupVersion::V1 => ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_"),
        CgroupVersion::V2 => ("memory.max", "memory.current", ""),
    };
    // The root of v2 has neither file.
    let Some(limit_bytes) = limit_bytes(&directory.join(limit))? else {
        return Ok(None);
    };
    let Some(usage) =
        optional_content(&directory.join(usage))?.and_then(|text| text.parse::<u64>().ok())
    else {
        return Ok(None);
    };
    let stat = optional_content(&directory.join("memory.stat"))?.unwrap_or_default();
    let file = |name: &str| stat_value(&stat, &format!("{prefix}{name}")).unwrap_or(0);
    let reclaimable = file("inactive_file").saturating_add(file("active_file"));
    Ok(Some(
        limit_bytes.saturating_sub(usage.saturating_sub(reclaimable)),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOTH: &[u8] = b"31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw\n\
        35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n\
        34 31 0:31 / /sys/fs/cgroup/cpuset rw - cgroup cgroup rw,cpuset\n\
        41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n";

    fn find(mounts: &[u8], controllers: &str, own: &str) -> Result<MemoryHierarchy, CgroupError> {
        MemoryHierarchy::find_in(&MountTable::parse(mounts).unwrap(), controllers, own)
    }

    #[test]
    fn a_hybrid_machine_has_memory_in_v1() {
        let found = find(
            BOTH,
            "#subsys_name\thierarchy\nmemory\t4\t12\t1\n",
            "4:memory:/a/b\n0::/c\n",
        )
        .unwrap();
        assert_eq!(
            (found.version, found.own.to_str()),
            (CgroupVersion::V1, Some("/sys/fs/cgroup/memory/a/b"))
        );
        assert_eq!(
            found.places(),
            [
                PathBuf::from("/sys/fs/cgroup/memory/a/b"),
                PathBuf::from("/sys/fs/cgroup/memory")
            ]
        );
    }

    #[test]
    fn a_unified_machine_has_memory_in_v2_also_where_proc_cgroups_is_silent() {
        let mounts = b"41 31 0:38 / /sys/fs/cgroup rw - cgroup2 cgroup2 rw,nsdelegate\n";
        for controllers in [
            "#subsys_name\nmemory\t0\t12\t1\n",
            "#subsys_name\ncpuset\t0\t1\t1\n",
        ] {
            let found = find(mounts, controllers, "0::/user.slice/session.scope\n").unwrap();
            assert_eq!(found.version, CgroupVersion::V2);
            assert_eq!(
                found.own,
                Path::new("/sys/fs/cgroup/user.slice/session.scope")
            );
        }
    }

    #[test]
    fn inside_a_container_the_mounts_root_is_taken_off_and_what_is_out_of_sight_is_not_guessed() {
        let mounts = b"35 31 0:32 /docker/x /cg/memory rw - cgroup cgroup rw,memory\n";
        let own = |path: &str| {
            find(mounts, "memory 4 1 1", &format!("4:memory:{path}\n"))
                .unwrap()
                .own
        };
        assert_eq!(own("/docker/x/sub"), Path::new("/cg/memory/sub"));
        assert_eq!(own("/docker/x"), Path::new("/cg/memory"));
        assert_eq!(own("/elsewhere"), Path::new("/cg/memory"));
        let mounts = b"35 31 0:32 / /cg/memory rw - cgroup cgroup rw,memory\n";
        assert_eq!(
            find(mounts, "memory 4 1 1", "4:memory:/../other\n")
                .unwrap()
                .own,
            Path::new("/cg/memory")
        );
    }

    #[test]
    fn what_is_missing_is_named() {
        assert!(matches!(
            find(BOTH, "memory 4 1 0", "4:memory:/\n"),
            Err(CgroupError::NoController(_))
        ));
        assert!(matches!(
            find(b"", "memory 4 1 1", "4:memory:/\n"),
            Err(CgroupError::NotMounted("v1"))
        ));
        assert!(matches!(
            find(b"", "memory 0 1 1", "0::/\n"),
            Err(CgroupError::NotMounted("v2"))
        ));
    }

    #[test]
    fn in_v2_only_ancestors_that_hand_memory_down_and_the_top_are_places() {
        let top = tempfile::tempdir().unwrap();
        let own = top.path().join("a.slice/b.slice/c.scope");
        fs::create_dir_all(&own).unwrap();
        fs::write(own.join("cgroup.subtree_control"), "memory\n").unwrap();
        fs::write(
            top.path().join("a.slice/b.slice/cgroup.subtree_control"),
            "cpu memory\n",
        )
        .unwrap();
        fs::write(
            top.path().join("a.slice/cgroup.subtree_control"),
            "cpu memory_not\n",
        )
        .unwrap();
        let hierarchy = MemoryHierarchy {
            version: CgroupVersion::V2,
            mount_point: top.path().to_owned(),
            own,
        };
        assert_eq!(
            hierarchy.places(),
            [top.path().join("a.slice/b.slice"), top.path().to_owned()]
        );
    }

    #[test]
    fn headroom_counts_cache_as_reclaimable() {
        let group = tempfile::tempdir().unwrap();
        let write =
            |name: &str, content: &str| fs::write(group.path().join(name), content).unwrap();
        assert_eq!(headroom(CgroupVersion::V2, group.path()).unwrap(), None);
        write("memory.max", "max\n");
        write("memory.current", "700\n");
        write(
            "memory.stat",
            "anon 300\ninactive_file 250\nactive_file 50\n",
        );
        assert_eq!(headroom(CgroupVersion::V2, group.path()).unwrap(), None);
        write("memory.max", "1000\n");
        assert_eq!(
            headroom(CgroupVersion::V2, group.path()).unwrap(),
            Some(600)
        );
        write("memory.limit_in_bytes", "9223372036854771712\n");
        assert_eq!(
            headroom(CgroupVersion::V1, group.path()).unwrap(),
            None,
            "v1's word for no limit"
        );
    }
}
