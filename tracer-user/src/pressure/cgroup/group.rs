//! One memory cgroup: made, limited, filled, removed.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::{
    error::CgroupError,
    hierarchy::{MemoryHierarchy, has_word},
    name::Owner,
    removal::{processes, remove_directory, write},
    statistics::{CgroupMemory, limit_bytes},
    version::CgroupVersion,
};

/// Limits of a cgroup. Swap is always off in it: a limit that can be evaded into swap is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemoryLimits {
    /// Most memory, page cache included, in bytes; rounded down to pages by the kernel. Beyond it pages are reclaimed, and
    /// if that is not enough the OOM killer comes.
    pub max_bytes: u64,
    /// Where throttling begins, in bytes (`memory.high`, v2 only).
    pub high_bytes: Option<u64>,
}

/// More than one charge asks for at once: 64 pages, or a folio of 2 MiB.
const SWAP_MARGIN_BYTES: u64 = 4 << 20;

/// A memory cgroup of the tracer's own. Dropping it removes it; use [`MemoryCgroup::remove`] to learn whether that worked.
#[derive(Debug)]
pub struct MemoryCgroup {
    hierarchy: MemoryHierarchy,
    directory: PathBuf,
    max_bytes: u64,
    removed: bool,
}

impl MemoryCgroup {
    /// Makes a cgroup with these limits, in whichever version this machine has the memory controller.
    pub fn create(limits: &MemoryLimits) -> Result<Self, CgroupError> {
        let hierarchy = MemoryHierarchy::find()?;
        if hierarchy.version == CgroupVersion::V1 && limits.high_bytes.is_some() {
            return Err(CgroupError::HighUnsupported);
        }
        let name = Owner::this_process()?.next_name();
        let mut reasons = Vec::new();
        for place in hierarchy.places() {
            match make_directory(&hierarchy, &place, &name) {
                Ok(directory) => {
                    // From here on dropping removes the directory, also if a limit is refused.
                    let mut group = Self {
                        hierarchy,
                        directory,
                        max_bytes: 0,
                        removed: false,
                    };
                    group.max_bytes = group.limit(limits)?;
                    return Ok(group);
                }
                Err(error) => reasons.push(error.to_string()),
            }
        }
        Err(CgroupError::NoPlace(reasons.join("; ")))
    }

    fn limit(&self, limits: &MemoryLimits) -> Result<u64, CgroupError> {
        let file = |name: &str| self.directory.join(name);
        match self.hierarchy.version {
            CgroupVersion::V1 => {
                let max = file("memory.limit_in_bytes");
                let taken = set_limit(&max, limits.max_bytes)?;
                // Memory and swap together (absent with swapaccount=0); must not be below the limit
                // of memory alone, so it comes second. A little above it: charges are tried on this
                // counter first, and recent kernels count failures (failcnt) of the other one only
                // (`track_failcnt` in mem_cgroup_css_alloc, mm/memcontrol.c).
                let with_swap = file("memory.memsw.limit_in_bytes");
                if with_swap.exists() {
                    set_limit(&with_swap, taken.saturating_add(SWAP_MARGIN_BYTES))?;
                }
                // Of that margin nothing is used: 0 keeps the reclaim of a limited v1 cgroup away from
                // anonymous pages altogether (get_scan_count, mm/vmscan.c).
                let swappiness = file("memory.swappiness");
                if swappiness.exists() {
                    write(&swappiness, "0")?;
                }
                Ok(taken)
            }
            CgroupVersion::V2 => {
                let swap = file("memory.swap.max");
                if swap.exists() {
                    write(&swap, "0")?;
                }
                if let Some(high_bytes) = limits.high_bytes {
                    set_limit(&file("memory.high"), high_bytes)?;
                }
                set_limit(&file("memory.max"), limits.max_bytes)
            }
        }
    }

    /// Its directory.
    pub fn path(&self) -> &Path {
        &self.directory
    }

    /// Version of the hierarchy that it is in.
    pub fn version(&self) -> CgroupVersion {
        self.hierarchy.version
    }

    /// The limit as the kernel took it, in bytes.
    pub fn max_bytes(&self) -> u64 {
        self.max_bytes
    }

    /// `cgroup.procs`, open for writing and closed on exec. Whoever writes `0` into it joins the cgroup; a launcher's
    /// child does so after fork and before it gives up privileges and execs, so that not one page of the engine is
    /// charged elsewhere.
    pub fn open_procs(&self) -> Result<File, CgroupError> {
        let path = self.directory.join("cgroup.procs");
        OpenOptions::new()
            .write(true)
            .open(&path)
            .map_err(CgroupError::io("open", &path))
    }

    /// Processes in it now.
    pub fn processes(&self) -> Result<Vec<i32>, CgroupError> {
        processes(&self.directory)
    }

    /// What it holds and has been through.
    pub fn memory(&self) -> Result<CgroupMemory, CgroupError> {
        CgroupMemory::read(self.hierarchy.version, &self.directory)
    }

    /// Removes it. Processes that are still in it after a moment are moved out, not killed. Page cache charged to it
    /// stays cached.
    pub fn remove(mut self) -> Result<(), CgroupError> {
        self.removed = true;
        remove_directory(&self.hierarchy, &self.directory)
    }
}

impl Drop for MemoryCgroup {
    fn drop(&mut self) {
        if !self.removed {
            // What stays is found by its name at the next start.
            let _ = remove_directory(&self.hierarchy, &self.directory);
        }
    }
}

fn make_directory(
    hierarchy: &MemoryHierarchy,
    place: &Path,
    name: &str,
) -> Result<PathBuf, CgroupError> {
    if hierarchy.version == CgroupVersion::V2 {
        let control = place.join("cgroup.subtree_control");
        if !has_word(&control, "memory")? {
            // Only at the top (see `places`). EBUSY inside a container: its processes are in the top cgroup.
            write(&control, "+memory")?;
        }
    }
    let directory = place.join(name);
    fs::create_dir(&directory).map_err(CgroupError::io("create", &directory))?;
    let limit = directory.join(match hierarchy.version {
        CgroupVersion::V1 => "memory.limit_in_bytes",
        CgroupVersion::V2 => "memory.max",
    });
    if !limit.exists() {
        let _ = fs::remove_dir(&directory);
        return Err(CgroupError::io("find", &limit)(
            io::ErrorKind::NotFound.into(),
        ));
    }
    Ok(directory)
}

/// Sets a limit and returns what the kernel made of it: the same, rounded down to pages.
fn set_limit(path: &Path, bytes: u64) -> Result<u64, CgroupError> {
    write(path, &bytes.to_string())?;
    let asked_bytes = bytes - bytes % procfs::page_size();
    match limit_bytes(path)? {
        Some(taken) if taken == asked_bytes => Ok(taken),
        taken => Err(CgroupError::LimitNotTaken {
            path: path.to_owned(),
            asked_bytes,
            taken_bytes: taken.unwrap_or(u64::MAX),
        }),
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        pressure::{cgroup::name::remove_leftovers, evict_file},
        storage::keep_caches,
    };

    use super::*;
    use std::os::fd::AsRawFd;
    use std::os::unix::process::CommandExt;
    use std::process::{Command, Stdio};

    const MIB: u64 = 1 << 20;

    fn create_or_skip(max_bytes: u64) -> Option<MemoryCgroup> {
        match MemoryCgroup::create(&MemoryLimits {
            max_bytes,
            high_bytes: None,
        }) {
            Ok(group) => Some(group),
            Err(error)
                if nix::unistd::geteuid().is_root()
                    && !matches!(
                        error,
                        CgroupError::NoController(_) | CgroupError::NotMounted(_)
                    ) =>
            {
                panic!("{error}")
            }
            Err(error) => {
                eprintln!("skipped: {error}");
                None
            }
        }
    }

    fn inside(group: &MemoryCgroup, program: &str, arguments: &[&str]) -> Command {
        let procs = group.open_procs().unwrap();
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        // SAFETY: write(2) is async-signal-safe, and the descriptor lives in the closure.
        unsafe {
            command.pre_exec(move || {
                if libc::write(procs.as_raw_fd(), c"0".as_ptr().cast(), 1) == 1 {
                    Ok(())
                } else {
                    Err(io::Error::last_os_error())
                }
            });
        }
        command
    }

    #[test]
    fn page_cache_beyond_the_limit_is_reclaimed_and_counted() {
        let _caches = keep_caches();
        let Some(group) = create_or_skip(24 * MIB) else {
            return;
        };
        assert_eq!(group.max_bytes(), 24 * MIB);
        let file = tempfile::NamedTempFile::new_in("/var/tmp").unwrap();
        fs::write(file.path(), vec![1; 96 << 20]).unwrap();
        evict_file(file.path()).unwrap();
        let source = format!("if={}", file.path().display());
        // Twice: what the second pass wants was evicted by the first, and the kernel remembers.
        for _ in 0..2 {
            assert!(
                inside(&group, "dd", &[&source, "of=/dev/null", "bs=1M"])
                    .status()
                    .unwrap()
                    .success()
            );
        }
        let memory = group.memory().unwrap();
        assert!(
            memory
                .peak_bytes
                .is_none_or(|peak| peak <= 24 * MIB && peak > 20 * MIB),
            "{memory:?}"
        );
        assert!(
            memory.file_bytes.unwrap() > 10 * MIB && memory.file_bytes.unwrap() <= 24 * MIB,
            "{memory:?}"
        );
        assert!(memory.limit_hits.unwrap() > 0, "{memory:?}");
        assert_eq!(memory.oom_kills, Some(0));
        assert!(
            memory
                .workingset_refault_file_pages
                .is_none_or(|pages| pages > 0),
            "{memory:?}"
        );
        let path = group.path().to_owned();
        group.remove().unwrap();
        assert!(!path.exists());
    }

    #[test]
    fn anonymous_memory_beyond_the_limit_is_killed_and_counted() {
        let Some(group) = create_or_skip(16 * MIB) else {
            return;
        };
        let status = inside(
            &group,
            "dd",
            &["if=/dev/zero", "of=/dev/null", "bs=64M", "count=1"],
        )
        .status()
        .unwrap();
        assert_eq!(
            std::os::unix::process::ExitStatusExt::signal(&status),
            Some(libc::SIGKILL)
        );
        assert_eq!(group.memory().unwrap().oom_kills, Some(1));
    }

    #[test]
    fn dropping_removes_it_and_moves_a_process_that_stays_out() {
        let Some(group) = create_or_skip(64 * MIB) else {
            return;
        };
        let mut child = inside(&group, "sleep", &["60"]).spawn().unwrap();
        let path = group.path().to_owned();
        assert_eq!(
            group.processes().unwrap(),
            [i32::try_from(child.id()).unwrap()]
        );
        drop(group);
        assert!(!path.exists());
        assert!(child.try_wait().unwrap().is_none(), "moved, not killed");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    #[test]
    fn two_at_a_time_have_two_names_and_odd_limits_are_rounded_down() {
        let (Some(one), Some(two)) = (create_or_skip(10 * MIB + 4095), create_or_skip(20 * MIB))
        else {
            return;
        };
        assert_ne!(one.path(), two.path());
        assert_eq!(one.max_bytes(), 10 * MIB);
    }

    #[test]
    fn leftovers_of_the_dead_are_removed_and_nothing_else() {
        let Some(mine) = create_or_skip(64 * MIB) else {
            return;
        };
        let parent = mine.path().parent().unwrap();
        let mut past = Command::new("true").spawn().unwrap();
        let dead_pid = past.id();
        past.wait().unwrap();
        let dead = parent.join(format!("tracer-{dead_pid}-1"));
        // A living process with another start time: the pid was used again.
        let reused = parent.join(format!("tracer-{}-1-5", std::process::id()));
        let elsewhere = parent.join(format!("tracer-{dead_pid}-1-ns77"));
        let foreign = parent.join(format!("not-tracer-{dead_pid}-1"));
        for directory in [&dead, &reused, &elsewhere, &foreign] {
            fs::create_dir(directory).unwrap();
        }
        // With a process in it, which a killed tracer leaves.
        let mut orphan = Command::new("sleep").arg("60").spawn().unwrap();
        write(&dead.join("cgroup.procs"), &orphan.id().to_string()).unwrap();
        let leftovers = remove_leftovers().unwrap();
        orphan.kill().unwrap();
        orphan.wait().unwrap();
        let left: Vec<bool> = [
            &dead,
            &reused,
            &elsewhere,
            &foreign,
            &mine.path().to_owned(),
        ]
        .iter()
        .map(|d| d.exists())
        .collect();
        for directory in [&elsewhere, &foreign] {
            fs::remove_dir(directory).unwrap();
        }
        assert_eq!(left, [false, false, true, true, true], "{leftovers:?}");
        assert!(leftovers.removed.contains(&dead) && leftovers.removed.contains(&reused));
        assert!(leftovers.failed.is_empty(), "{leftovers:?}");
    }

    #[test]
    fn high_is_refused_where_only_v1_has_memory() {
        let limits = MemoryLimits {
            max_bytes: 64 * MIB,
            high_bytes: Some(32 * MIB),
        };
        match super::super::hierarchy::memory_cgroup_version() {
            Ok(CgroupVersion::V1) => {
                assert!(matches!(
                    MemoryCgroup::create(&limits),
                    Err(CgroupError::HighUnsupported)
                ));
            }
            other => eprintln!("skipped: the memory controller is not in v1 ({other:?})"),
        }
    }
}
