//! How much of a file is in the page cache.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::fd::AsRawFd;

use memmap2::MmapOptions;

use super::filesystem::{FileSystem, is_on_overlay};

/// Where a figure of residency comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ResidencyMethod {
    /// cachestat(2), Linux 6.5.
    Cachestat,
    /// mincore(2) over a mapping of our own.
    Mincore,
}

/// Pages of a range that are in the page cache. Bytes: times [`ResidentPages::page_bytes`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ResidentPages {
    /// How it was found out.
    pub method: ResidencyMethod,
    /// Pages in the range asked for (its first and last page count whole).
    pub range_pages: u64,
    /// Pages of the range in the page cache.
    pub resident_pages: u64,
    /// Of these, changed and not yet written; `None` where the method does not tell.
    pub dirty_pages: Option<u64>,
    /// Of these, being written; `None` where the method does not tell.
    pub writeback_pages: Option<u64>,
    /// Pages of the range that were evicted and of which the kernel still remembers it; `None` where the method does
    /// not tell.
    pub evicted_pages: Option<u64>,
    /// Of the evicted, those that would count as refaults of the working set; `None` where the method does not tell.
    pub recently_evicted_pages: Option<u64>,
    /// Size of a page, in bytes.
    pub page_bytes: u64,
}

impl ResidentPages {
    /// Resident bytes, whole pages: up to a page less one byte more than the file holds.
    pub fn resident_bytes(&self) -> u64 {
        self.resident_pages.saturating_mul(self.page_bytes)
    }
}

/// Why residency cannot be observed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnobservedReason {
    /// Neither call would tell the truth.
    #[error(
        "this kernel lets only a file's owner, or who may write it, see what is cached (mincore tells others that everything is); run as root or as the owner"
    )]
    NotPermitted,
    /// The file system keeps nothing in the page cache that the calls could see.
    #[error("{0} does not support looking into the page cache")]
    NotSupported(String),
}

/// What could be seen of a range's residency.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Residency {
    Observed(ResidentPages),
    /// Not seen, which is not the same as 0.
    Unobserved(UnobservedReason),
}

impl Residency {
    /// The figures, if there are any.
    pub fn observed(&self) -> Option<&ResidentPages> {
        match self {
            Self::Observed(pages) => Some(pages),
            Self::Unobserved(_) => None,
        }
    }
}

/// Residency of a whole file. Walks the page cache: about 8 ms a GiB in pages of 4 KiB.
pub fn residency(file: &File) -> io::Result<Residency> {
    residency_of_range(file, 0..file.metadata()?.len())
}

/// Residency of a byte range of a file; what lies beyond its end is left out.
///
/// Through overlayfs cachestat sees the overlay's own inode, which has no pages, and says 0; mincore looks at the file
/// that is really mapped. On other file systems cachestat is asked first, and mincore only of those to whom it
/// tells the truth (`can_do_mincore`, mm/mincore.c: owner, or may write).
pub fn residency_of_range(file: &File, range: Range<u64>) -> io::Result<Residency> {
    let range = range.start..range.end.min(file.metadata()?.len());
    let name = || {
        FileSystem::of(file).map_or_else(
            |_| "this file system".to_owned(),
            |file_system| file_system.name().to_owned(),
        )
    };
    if !is_on_overlay(file)? {
        match cachestat(file, &range) {
            Ok(pages) => return Ok(Residency::Observed(pages)),
            Err(error) => match error.raw_os_error() {
                Some(libc::ENOSYS | libc::EPERM) => {}
                Some(libc::EOPNOTSUPP) => {
                    return Ok(Residency::Unobserved(
                        UnobservedReason::NotSupported(name()),
                    ));
                }
                _ => return Err(error),
            },
        }
    }
    if !mincore_is_truthful(file)? {
        return Ok(Residency::Unobserved(UnobservedReason::NotPermitted));
    }
    match mincore(file, &range) {
        Ok(pages) => Ok(Residency::Observed(pages)),
        Err(error) if error.raw_os_error() == Some(libc::ENODEV) => Ok(Residency::Unobserved(
            UnobservedReason::NotSupported(name()),
        )),
        Err(error) => Err(error),
    }
}

fn page_bytes() -> u64 {
    // SAFETY: sysconf takes a number and returns one.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(size).unwrap_or(4096)
}

/// Whole pages that `range` touches, as page numbers.
fn pages_of(range: &Range<u64>, page_bytes: u64) -> Range<u64> {
    if range.is_empty() {
        0..0
    } else {
        range.start / page_bytes..range.end.div_ceil(page_bytes)
    }
}

/// cachestat(2): the same number on every architecture but alpha (include/uapi/asm-generic/unistd.h).
const SYS_CACHESTAT: libc::c_long = 451;

#[repr(C)]
struct CachestatRange {
    offset: u64,
    length: u64,
}

#[repr(C)]
#[derive(Default)]
struct Cachestat {
    cached: u64,
    dirty: u64,
    writeback: u64,
    evicted: u64,
    recently_evicted: u64,
}

fn cachestat(file: &File, range: &Range<u64>) -> io::Result<ResidentPages> {
    let page_bytes = page_bytes();
    let pages = pages_of(range, page_bytes);
    let mut answer = Cachestat::default();
    // A length of 0 would mean "to the end", and count pages that large folios hold beyond the end of the file.
    let asked = CachestatRange {
        offset: range.start,
        length: range.end.saturating_sub(range.start),
    };
    if asked.length > 0 {
        // SAFETY: the two pointers are to structures of the layout in include/uapi/linux/mman.h, alive over the call.
        let result = unsafe {
            libc::syscall(
                SYS_CACHESTAT,
                file.as_raw_fd(),
                &raw const asked,
                &raw mut answer,
                0,
            )
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(ResidentPages {
        method: ResidencyMethod::Cachestat,
        range_pages: pages.end - pages.start,
        resident_pages: answer.cached,
        dirty_pages: Some(answer.dirty),
        writeback_pages: Some(answer.writeback),
        evicted_pages: Some(answer.evicted),
        recently_evicted_pages: Some(answer.recently_evicted),
        page_bytes,
    })
}

/// Whether mincore tells this process the truth about the file: we own it, or may write it, whatever mode it was
/// opened in. On a file system mounted read-only nobody may write, so that this errs on the safe side.
fn mincore_is_truthful(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    if file.metadata()?.uid() == nix::unistd::geteuid().as_raw() {
        return Ok(true);
    }
    let path = format!("/proc/self/fd/{}", file.as_raw_fd());
    let access = nix::unistd::faccessat(
        nix::fcntl::AT_FDCWD,
        path.as_str(),
        nix::unistd::AccessFlags::W_OK,
        nix::fcntl::AtFlags::AT_EACCESS,
    );
    Ok(access.is_ok())
}

/// Which pages of a file are in the page cache: bit `p % 64` of word `p / 64` for page `p`. `None` where that cannot
/// be observed.
///
/// # Errors
/// As for [`residency`].
pub fn resident_page_bitmap(file: &File) -> io::Result<Option<Vec<u64>>> {
    let range = 0..file.metadata()?.len();
    let page_bytes = page_bytes();
    let mut bitmap = vec![0u64; (range.end.div_ceil(page_bytes).div_ceil(64)) as usize];
    match residency_of_range(file, range.clone())? {
        Residency::Unobserved(_) => return Ok(None),
        // The usual case of a cold start, without a walk over all pages.
        Residency::Observed(pages) if pages.resident_pages == 0 => return Ok(Some(bitmap)),
        Residency::Observed(_) => {}
    }
    if !mincore_is_truthful(file)? {
        return Ok(None);
    }
    visit_pages(file, &range, |page, is_resident| {
        if let Some(word) = bitmap.get_mut((page / 64) as usize) {
            *word |= u64::from(is_resident) << (page % 64);
        }
    })?;
    Ok(Some(bitmap))
}

fn mincore(file: &File, range: &Range<u64>) -> io::Result<ResidentPages> {
    let pages = pages_of(range, page_bytes());
    let mut resident_pages = 0;
    visit_pages(file, range, |_, is_resident| {
        resident_pages += u64::from(is_resident)
    })?;
    Ok(ResidentPages {
        method: ResidencyMethod::Mincore,
        range_pages: pages.end - pages.start,
        resident_pages,
        dirty_pages: None,
        writeback_pages: None,
        evicted_pages: None,
        recently_evicted_pages: None,
        page_bytes: page_bytes(),
    })
}

/// Asks mincore(2) for each page of a range.
fn visit_pages(
    file: &File,
    range: &Range<u64>,
    mut visit: impl FnMut(u64, bool),
) -> io::Result<()> {
    /// Bytes looked at with one mapping: a vector of 262,144 bytes with pages of 4 KiB.
    const WINDOW_BYTES: u64 = 1 << 30;
    let page_bytes = page_bytes();
    let pages = pages_of(range, page_bytes);
    let window_pages = WINDOW_BYTES / page_bytes;
    let mut first = pages.start;
    while first < pages.end {
        let count = window_pages.min(pages.end - first);
        let too_large = |_| io::Error::from(io::ErrorKind::OutOfMemory);
        let length = usize::try_from(count * page_bytes).map_err(too_large)?;
        // SAFETY: the mapping is never read through, so that a change or cut of the file by others cannot be seen.
        let mapping = unsafe {
            MmapOptions::new()
                .offset(first * page_bytes)
                .len(length)
                .map(file)
        }?;
        let mut vector = vec![0_u8; usize::try_from(count).map_err(too_large)?];
        // SAFETY: address and length are the mapping's; the vector has one byte for each of its pages.
        let result = unsafe {
            libc::mincore(
                mapping.as_ptr().cast_mut().cast(),
                length,
                vector.as_mut_ptr(),
            )
        };
        if result != 0 {
            return Err(io::Error::last_os_error());
        }
        for (page, found) in (first..).zip(&vector) {
            visit(page, found & 1 == 1);
        }
        first += count;
    }
    Ok(())
}

/// Tests that count on pages staying cached hold this for reading, and those that drop caches for writing.
#[cfg(test)]
pub(crate) static CACHES_IN_USE: std::sync::RwLock<()> = std::sync::RwLock::new(());

#[cfg(test)]
pub(crate) fn keep_caches() -> std::sync::RwLockReadGuard<'static, ()> {
    CACHES_IN_USE
        .read()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use crate::storage::test_disk::TestDisk;

    use super::*;
    use std::io::Write;
    use std::os::unix::fs::FileExt;

    fn advise(file: &File, advice: libc::c_int) {
        // SAFETY: posix_fadvise takes a descriptor and numbers.
        let result = unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, advice) };
        assert_eq!(result, 0);
    }

    fn evict(file: &File) {
        file.sync_all().unwrap();
        advise(file, libc::POSIX_FADV_DONTNEED);
    }

    fn without_readahead(file: &File) {
        advise(file, libc::POSIX_FADV_RANDOM);
    }

    fn cachestat_or_skip(file: &File, range: Range<u64>) -> Option<ResidentPages> {
        match cachestat(file, &range) {
            Err(error) if error.raw_os_error() == Some(libc::ENOSYS) => {
                eprintln!("skipped: this kernel has no cachestat");
                None
            }
            result => Some(result.unwrap()),
        }
    }

    #[test]
    fn cachestat_and_mincore_agree_page_for_page() {
        let _caches = keep_caches();
        let mut file = tempfile::tempfile_in("/var/tmp").unwrap();
        file.write_all(&vec![5; 100 * 4096 + 17]).unwrap();
        evict(&file);
        without_readahead(&file);
        let mut byte = [0];
        for page in [3_u64, 4, 50, 100] {
            file.read_exact_at(&mut byte, page * 4096).unwrap();
        }
        let size = file.metadata().unwrap().len();
        for range in [
            0..size,
            0..4 * 4096,
            4 * 4096 - 1..4 * 4096 + 1,
            409_600..size,
            5 * 4096..50 * 4096,
            7..7,
        ] {
            let Some(seen) = cachestat_or_skip(&file, range.clone()) else {
                return;
            };
            let other = mincore(&file, &range).unwrap();
            assert_eq!(
                (seen.resident_pages, seen.range_pages),
                (other.resident_pages, other.range_pages),
                "{range:?}"
            );
        }
        let whole = residency(&file).unwrap();
        let whole = whole.observed().unwrap();
        assert_eq!((whole.range_pages, whole.resident_pages), (101, 4));
    }

    #[test]
    fn written_pages_are_dirty_until_synced() {
        let _caches = keep_caches();
        let mut file = tempfile::tempfile_in("/var/tmp").unwrap();
        let Some(empty) = cachestat_or_skip(&file, 0..0) else {
            return;
        };
        assert_eq!((empty.range_pages, empty.resident_pages), (0, 0));
        file.write_all(&[1; 64 * 4096]).unwrap();
        file.sync_all().unwrap();
        let synced = cachestat_or_skip(&file, 0..64 * 4096).unwrap();
        assert_eq!((synced.resident_pages, synced.dirty_pages), (64, Some(0)));
        file.write_all_at(&[2; 10 * 4096], 0).unwrap();
        let changed = cachestat_or_skip(&file, 0..64 * 4096).unwrap();
        assert!(changed.dirty_pages.unwrap() + changed.writeback_pages.unwrap() >= 1);
    }

    #[test]
    fn a_range_beyond_the_end_is_cut_there() {
        let _caches = keep_caches();
        let mut file = tempfile::tempfile_in("/var/tmp").unwrap();
        file.write_all(&[1; 10_000]).unwrap();
        let pages = *residency_of_range(&file, 0..u64::MAX)
            .unwrap()
            .observed()
            .unwrap();
        assert_eq!((pages.range_pages, pages.resident_pages), (3, 3));
        assert_eq!(
            residency_of_range(&file, 50_000..60_000)
                .unwrap()
                .observed()
                .unwrap()
                .range_pages,
            0
        );
    }

    #[test]
    fn through_overlay_the_layers_pages_are_seen() {
        let _caches = keep_caches();
        let Some(disk) = TestDisk::new("ext4", 64 << 20, false) else {
            return;
        };
        let Some(merged) = disk.overlay() else { return };
        let file = File::open(merged.join("models/model.bin")).unwrap();
        evict(&file);
        let before = *residency(&file).unwrap().observed().unwrap();
        let mut content = vec![0; 200_000];
        file.read_exact_at(&mut content, 0).unwrap();
        let after = *residency(&file).unwrap().observed().unwrap();
        assert_eq!(after.method, ResidencyMethod::Mincore);
        assert_eq!((before.resident_pages, after.resident_pages), (0, 49));
    }

    #[test]
    fn mincore_is_not_believed_by_strangers() {
        if !nix::unistd::geteuid().is_root() {
            return eprintln!("skipped: needs root to become a stranger");
        }
        let path = tempfile::NamedTempFile::new_in("/var/tmp").unwrap();
        std::fs::set_permissions(
            path.path(),
            std::os::unix::fs::PermissionsExt::from_mode(0o644),
        )
        .unwrap();
        let file = File::open(path.path()).unwrap();
        assert!(mincore_is_truthful(&file).unwrap());
        // Credentials are a thread's at this level, so that other tests keep theirs.
        let stranger = std::thread::spawn(move || {
            // SAFETY: raw system calls that change this thread's ids only.
            unsafe {
                assert_eq!(libc::syscall(libc::SYS_setresgid, 65534, 65534, 65534), 0);
                assert_eq!(libc::syscall(libc::SYS_setresuid, 65534, 65534, 65534), 0);
            }
            // /proc/self/fd may be out of reach too; both are "not believed".
            !mincore_is_truthful(&file).unwrap_or(false)
        });
        assert!(stranger.join().unwrap());
    }
}
