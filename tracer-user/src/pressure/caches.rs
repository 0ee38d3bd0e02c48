//! Emptying the page cache: of the whole machine, or of one file.
//!
//! Neither call removes pages that somebody has mapped, and neither says so. Hence the check afterwards.

use std::collections::BTreeSet;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use memmap2::MmapOptions;
use procfs::process::Process;
use thiserror::Error;

use crate::storage::{Residency, UnobservedReason, residency};

/// What drop_caches drops (Documentation/admin-guide/sysctl/vm.rst).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DropCaches {
    /// 1: the page cache. Directory entries and inodes stay, so that finding and opening the model costs no reads.
    PageCache,
    /// 3: page cache, directory entries and inodes, as most published experiments do. The first open then also reads
    /// metadata, which shows up as the device's other traffic; and all other programs on the machine pay for it.
    Everything,
}

/// Why caches were not dropped.
#[derive(Debug, Error)]
pub enum CachesError {
    /// Not allowed, or no /proc.
    #[error(
        "cannot drop the machine's caches through /proc/sys/vm/drop_caches: {0} (needs root; in a container use eviction of the model file instead)"
    )]
    Write(#[from] io::Error),
}

/// Writes everything back (dirty pages cannot be dropped) and drops the machine's caches. Mapped pages stay.
pub fn drop_caches(what: DropCaches) -> Result<(), CachesError> {
    nix::unistd::sync();
    let digit: &[u8] = match what {
        DropCaches::PageCache => b"1",
        DropCaches::Everything => b"3",
    };
    OpenOptions::new()
        .write(true)
        .open("/proc/sys/vm/drop_caches")?
        .write_all(digit)?;
    Ok(())
}

/// A process that has a file mapped.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct MappingProcess {
    pub pid: i32,
    pub comm: String,
}

impl fmt::Display for MappingProcess {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} ({})", self.pid, self.comm)
    }
}

/// Why a file is not out of the page cache.
#[derive(Debug, Error)]
pub enum EvictError {
    /// Opening, syncing or advising failed.
    #[error("cannot evict {path} from the page cache: {source}")]
    Io { path: PathBuf, source: io::Error },
    /// Somebody has it mapped: mapped pages cannot be evicted.
    #[error("{resident_pages} pages of {path} stay in the page cache because it is mapped by {}; stop {} first", list(holders), if holders.len() == 1 { "it" } else { "them" })]
    Mapped {
        path: PathBuf,
        /// Pages left.
        resident_pages: u64,
        /// Who has it mapped.
        holders: Vec<MappingProcess>,
    },
    /// Pages stay, and nobody was seen to have them mapped.
    #[error(
        "{resident_pages} pages of {path} stay in the page cache, mapped by no process that could be looked into ({unreadable_processes} could not); somebody may be reading it right now"
    )]
    StillResident {
        path: PathBuf,
        /// Pages left.
        resident_pages: u64,
        /// Processes whose maps could not be read.
        unreadable_processes: u64,
    },
    /// Eviction was asked for, but nobody can tell whether it worked.
    #[error("cannot tell whether {path} is out of the page cache: {reason}")]
    Unverified {
        path: PathBuf,
        reason: UnobservedReason,
    },
}

fn list(holders: &[MappingProcess]) -> String {
    holders
        .iter()
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join(", ")
}

/// Evicts a file from the page cache and makes sure that no page of it is left.
///
/// POSIX_FADV_DONTNEED drains the CPUs' folio batches itself when it meets a page that it cannot free
/// (mm/fadvise.c), but pages may be busy for other passing reasons, so it is tried several times.
pub fn evict_file(path: &Path) -> Result<(), EvictError> {
    const TRIES: u32 = 8;
    let failed = |source| EvictError::Io {
        path: path.to_owned(),
        source,
    };
    let file = File::open(path).map_err(failed)?;
    let mut left = 0;
    for attempt in 0..TRIES {
        file.sync_all().map_err(failed)?;
        // SAFETY: posix_fadvise takes a descriptor and numbers. Length 0 means up to the end.
        let result =
            unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
        if result != 0 {
            return Err(failed(io::Error::from_raw_os_error(result)));
        }
        match residency(&file).map_err(failed)? {
            Residency::Observed(pages) if pages.resident_pages == 0 => return Ok(()),
            Residency::Observed(pages) => left = pages.resident_pages,
            Residency::Unobserved(reason) => {
                return Err(EvictError::Unverified {
                    path: path.to_owned(),
                    reason,
                });
            }
        }
        std::thread::sleep(Duration::from_millis(5 << attempt.min(6)));
    }
    let (holders, unreadable_processes) = processes_mapping(&file).map_err(failed)?;
    let (path, resident_pages) = (path.to_owned(), left);
    Err(if holders.is_empty() {
        EvictError::StillResident {
            path,
            resident_pages,
            unreadable_processes,
        }
    } else {
        EvictError::Mapped {
            path,
            resident_pages,
            holders,
        }
    })
}

/// Processes that have the file mapped, by process id, and how many processes could not be looked into.
///
/// Mappings are compared by device and inode as /proc/*/maps shows them, which on btrfs and overlay are not those of
/// stat(2): a mapping of our own tells which they are.
pub fn processes_mapping(file: &File) -> io::Result<(Vec<MappingProcess>, u64)> {
    if file.metadata()?.len() == 0 {
        return Ok((Vec::new(), 0)); // Nothing to map, nothing to hold.
    }
    let identity = identity_in_maps(file)?;
    let mut holders = BTreeSet::new();
    let mut unreadable_processes = 0;
    for process in procfs::process::all_processes().map_err(io::Error::other)? {
        let Ok(process) = process else { continue }; // Ended meanwhile.
        match process.maps() {
            Ok(maps) => {
                if maps.iter().any(|map| (map.dev, map.inode) == identity) {
                    let comm = std::fs::read_to_string(format!("/proc/{}/comm", process.pid))
                        .unwrap_or_default();
                    holders.insert(MappingProcess {
                        pid: process.pid,
                        comm: comm.trim_end().to_owned(),
                    });
                }
            }
            Err(procfs::ProcError::NotFound(_)) => {}
            Err(_) if !process.is_alive() => {}
            Err(_) => unreadable_processes += 1,
        }
    }
    Ok((holders.into_iter().collect(), unreadable_processes))
}

/// Device and inode under which /proc/*/maps lists the file.
pub(super) fn identity_in_maps(file: &File) -> io::Result<((i32, i32), u64)> {
    // SAFETY: never read through; only its line in maps is looked at. Dropped before this function returns.
    let mapping = unsafe { MmapOptions::new().len(1).map(file) }?;
    let address = mapping.as_ptr() as u64;
    let maps = Process::myself()
        .and_then(|process| process.maps())
        .map_err(io::Error::other)?;
    maps.iter()
        .find(|map| (map.address.0..map.address.1).contains(&address))
        .map(|map| (map.dev, map.inode))
        .ok_or_else(|| io::Error::other("a mapping just made is not in /proc/self/maps"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::{CACHES_IN_USE, keep_caches};
    use std::os::unix::fs::FileExt;

    fn cached_file(bytes: usize) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new_in("/var/tmp").unwrap();
        std::fs::write(file.path(), vec![9; bytes]).unwrap();
        file
    }

    fn resident_pages(file: &File) -> u64 {
        residency(file).unwrap().observed().unwrap().resident_pages
    }

    #[test]
    fn a_freshly_written_file_is_evicted_whole() {
        let _caches = keep_caches();
        let file = cached_file(3_000_001);
        assert_eq!(resident_pages(file.as_file()), 733);
        evict_file(file.path()).unwrap();
        assert_eq!(resident_pages(file.as_file()), 0);
        evict_file(file.path()).unwrap();
        let empty = cached_file(0);
        evict_file(empty.path()).unwrap();
    }

    #[test]
    fn whoever_keeps_it_mapped_is_named() {
        let _caches = keep_caches();
        let file = cached_file(100 * 4096);
        // SAFETY: nobody else changes the file.
        let mapping = unsafe { MmapOptions::new().map(file.as_file()) }.unwrap();
        assert_eq!(mapping[5 * 4096], 9);
        let me = i32::try_from(std::process::id()).unwrap();
        match evict_file(file.path()) {
            Err(EvictError::Mapped {
                holders,
                resident_pages,
                ..
            }) => {
                // A child that another test has just forked holds it too, until it executes its program.
                let own = holders.iter().find(|holder| holder.pid == me);
                assert!(own.is_some_and(|own| !own.comm.is_empty()), "{holders:?}");
                assert!((1..=100).contains(&resident_pages));
            }
            other => panic!("{other:?}"),
        }
        drop(mapping);
        let holders = processes_mapping(file.as_file()).unwrap().0;
        assert!(holders.iter().all(|holder| holder.pid != me), "{holders:?}");
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = evict_file(Path::new("/nowhere/model.gguf")).unwrap_err();
        assert!(error.to_string().contains("/nowhere/model.gguf"));
    }

    #[test]
    fn dropping_the_page_cache_drops_a_file_of_it() {
        let _alone = CACHES_IN_USE
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let file = cached_file(50 * 4096);
        let mut byte = [0];
        file.as_file().read_exact_at(&mut byte, 0).unwrap();
        match drop_caches(DropCaches::PageCache) {
            Err(error) => eprintln!("skipped: {error}"),
            Ok(()) => assert_eq!(resident_pages(file.as_file()), 0),
        }
    }
}
