//! What a memory cgroup's files say.

use serde::{Deserialize, Serialize};
use std::fs;
use std::io;
use std::path::Path;

use super::error::CgroupError;
use super::version::CgroupVersion;

/// Memory of a cgroup and of those below it. A member is `None` where this kernel does not say; it is never 0 for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupMemory {
    /// Charged now, in bytes.
    pub current_bytes: Option<u64>,
    /// Most that was ever charged, in bytes (v2: from Linux 5.19).
    pub peak_bytes: Option<u64>,
    /// Anonymous memory, in bytes.
    pub anonymous_bytes: Option<u64>,
    /// Page cache, tmpfs included, in bytes.
    pub file_bytes: Option<u64>,
    /// Page cache that is mapped, in bytes.
    pub file_mapped_bytes: Option<u64>,
    /// tmpfs and shared memory, in bytes; part of `file_bytes`.
    pub shared_memory_bytes: Option<u64>,
    /// Page tables, in bytes (v2 only).
    pub page_tables_bytes: Option<u64>,
    pub faults: Option<u64>,
    /// Faults that waited for storage.
    pub major_faults: Option<u64>,
    /// Pages of files that were read again after an eviction which the kernel still remembered.
    pub workingset_refault_file_pages: Option<u64>,
    /// Pages of anonymous memory, likewise.
    pub workingset_refault_anonymous_pages: Option<u64>,
    /// How often a charge ran into the limit (v1 `memory.failcnt` plus `memory.memsw.failcnt`, v2 `max` of
    /// `memory.events`). The two versions count different moments: compare within one machine only.
    pub limit_hits: Option<u64>,
    /// Processes that the OOM killer took in it (v1: from Linux 4.13).
    pub oom_kills: Option<u64>,
}

impl CgroupMemory {
    pub(super) fn read(version: CgroupVersion, directory: &Path) -> Result<Self, CgroupError> {
        let content = |name: &str| optional_content(&directory.join(name));
        let number = |name: &str| -> Result<Option<u64>, CgroupError> {
            let path = directory.join(name);
            optional_content(&path)?
                .map(|content| {
                    content.parse().map_err(|_| CgroupError::Malformed {
                        path: path.clone(),
                        content,
                    })
                })
                .transpose()
        };
        let stat = content("memory.stat")?.unwrap_or_default();
        Ok(match version {
            CgroupVersion::V1 => {
                let total = |name: &str| stat_value(&stat, &format!("total_{name}"));
                let scale = v1_refault_scale(
                    &stat,
                    kernel_version().unwrap_or((u32::MAX, 0)),
                    procfs::page_size(),
                );
                Self {
                    current_bytes: number("memory.usage_in_bytes")?,
                    peak_bytes: number("memory.max_usage_in_bytes")?,
                    anonymous_bytes: total("rss"),
                    file_bytes: total("cache"),
                    file_mapped_bytes: total("mapped_file"),
                    shared_memory_bytes: total("shmem"),
                    page_tables_bytes: None,
                    faults: total("pgfault"),
                    major_faults: total("pgmajfault"),
                    workingset_refault_file_pages: total("workingset_refault_file")
                        .map(|n| n / scale),
                    workingset_refault_anonymous_pages: total("workingset_refault_anon")
                        .map(|n| n / scale),
                    // An attempt that fails on memory and swap together is not tried on memory alone
                    // (try_charge_memcg, mm/memcontrol.c), and with equal limits that is every one of them.
                    // An attempt that fails on memory and swap together is not tried on memory alone
                    // (try_charge_memcg, mm/memcontrol.c): none is in both.
                    limit_hits: match number("memory.failcnt")? {
                        Some(hits) => Some(hits + number("memory.memsw.failcnt")?.unwrap_or(0)),
                        None => None,
                    },
                    oom_kills: content("memory.oom_control")?
                        .and_then(|text| stat_value(&text, "oom_kill")),
                }
            }
            CgroupVersion::V2 => {
                let events = content("memory.events")?.unwrap_or_default();
                let value = |name: &str| stat_value(&stat, name);
                Self {
                    current_bytes: number("memory.current")?,
                    peak_bytes: number("memory.peak")?,
                    anonymous_bytes: value("anon"),
                    file_bytes: value("file"),
                    file_mapped_bytes: value("file_mapped"),
                    shared_memory_bytes: value("shmem"),
                    page_tables_bytes: value("pagetables"),
                    faults: value("pgfault"),
                    major_faults: value("pgmajfault"),
                    workingset_refault_file_pages: value("workingset_refault_file"),
                    workingset_refault_anonymous_pages: value("workingset_refault_anon"),
                    limit_hits: stat_value(&events, "max"),
                    oom_kills: stat_value(&events, "oom_kill"),
                }
            }
        })
    }
}

/// What v1's refault counts must be divided by. Kernels before 6.8 multiplied every line of v1's memory.stat by
/// the page size, counts of events too, until the units were sorted out (`memcg_page_state_output_unit`,
/// mm/memcontrol.c). Which stable kernels took that over is not known, so the figures are asked as well: bytes divide by the
/// page size.
fn v1_refault_scale(stat: &str, kernel: (u32, u32), page_bytes: u64) -> u64 {
    let all_divide = ["", "total_"]
        .iter()
        .flat_map(|prefix| {
            ["file", "anon"].map(|kind| format!("{prefix}workingset_refault_{kind}"))
        })
        .filter_map(|name| stat_value(stat, &name))
        .all(|value| value.is_multiple_of(page_bytes));
    if kernel < (6, 8) && all_divide {
        page_bytes
    } else {
        1
    }
}

fn kernel_version() -> Option<(u32, u32)> {
    let release = fs::read_to_string("/proc/sys/kernel/osrelease").ok()?;
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(str::parse);
    Some((numbers.next()?.ok()?, numbers.next()?.ok()?))
}

/// Value of a line `name value`.
pub(super) fn stat_value(text: &str, name: &str) -> Option<u64> {
    text.lines().find_map(|line| {
        line.split_once(' ')
            .filter(|(found, _)| *found == name)?
            .1
            .trim()
            .parse()
            .ok()
    })
}

/// A file's content without white space around it; `None` if the kernel has no such file.
pub(super) fn optional_content(path: &Path) -> Result<Option<String>, CgroupError> {
    match fs::read_to_string(path) {
        Ok(content) => Ok(Some(content.trim().to_owned())),
        Err(error)
            if error.kind() == io::ErrorKind::NotFound
                || error.raw_os_error() == Some(libc::EOPNOTSUPP) =>
        {
            Ok(None)
        }
        Err(source) => Err(CgroupError::io("read", path)(source)),
    }
}

/// A limit, in bytes; `None` if there is no such file or no limit (v2 `max`, v1 the largest number of pages).
pub(super) fn limit_bytes(path: &Path) -> Result<Option<u64>, CgroupError> {
    match optional_content(path)? {
        None => Ok(None),
        Some(content) if content == "max" => Ok(None),
        Some(content) => match content.parse::<u64>() {
            // PAGE_COUNTER_MAX: LONG_MAX rounded down to pages, whatever their size.
            Ok(bytes) if bytes >= i64::MAX as u64 & !0xf_ffff => Ok(None),
            Ok(bytes) => Ok(Some(bytes)),
            Err(_) => Err(CgroupError::Malformed {
                path: path.to_owned(),
                content,
            }),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn v2_files_are_read_and_missing_ones_are_not_zero() {
        let group = tempfile::tempdir().unwrap();
        let write =
            |name: &str, content: &str| fs::write(group.path().join(name), content).unwrap();
        write("memory.current", "4096\n");
        write(
            "memory.stat",
            "anon 1\nfile 2\nfile_mapped 3\npgmajfault 4\nworkingset_refault_file 5\n",
        );
        write(
            "memory.events",
            "low 0\nhigh 0\nmax 7\noom 1\noom_kill 1\noom_group_kill 0\n",
        );
        let found = CgroupMemory::read(CgroupVersion::V2, group.path()).unwrap();
        assert_eq!(
            (
                found.anonymous_bytes,
                found.file_bytes,
                found.file_mapped_bytes
            ),
            (Some(1), Some(2), Some(3))
        );
        assert_eq!(
            (found.major_faults, found.workingset_refault_file_pages),
            (Some(4), Some(5))
        );
        assert_eq!(
            (found.limit_hits, found.oom_kills, found.peak_bytes),
            (Some(7), Some(1), None)
        );
        write("memory.peak", "many\n");
        assert!(matches!(
            CgroupMemory::read(CgroupVersion::V2, group.path()),
            Err(CgroupError::Malformed { .. })
        ));
    }

    #[test]
    fn v1_totals_are_taken_and_old_kernels_bytes_become_pages() {
        let group = tempfile::tempdir().unwrap();
        let write =
            |name: &str, content: &str| fs::write(group.path().join(name), content).unwrap();
        write(
            "memory.stat",
            "cache 1\nrss 2\ntotal_cache 10\ntotal_rss 20\ntotal_workingset_refault_file 997\n",
        );
        write(
            "memory.oom_control",
            "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n",
        );
        write("memory.failcnt", "2\n");
        write("memory.memsw.failcnt", "4\n");
        let found = CgroupMemory::read(CgroupVersion::V1, group.path()).unwrap();
        assert_eq!(
            (found.anonymous_bytes, found.file_bytes),
            (Some(20), Some(10))
        );
        assert_eq!((found.oom_kills, found.limit_hits), (Some(3), Some(6)));
        assert_eq!(found.workingset_refault_file_pages, Some(997));
        let bytes = "workingset_refault_anon 0\nworkingset_refault_file 8192\ntotal_workingset_refault_file 12288\n";
        assert_eq!(v1_refault_scale(bytes, (6, 1), 4096), 4096);
        assert_eq!(v1_refault_scale(bytes, (6, 12), 4096), 1);
        assert_eq!(
            v1_refault_scale("workingset_refault_file 8193\n", (6, 1), 4096),
            1
        );
    }
}
