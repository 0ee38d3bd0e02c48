//! What of a file is in the page cache.

use std::{fs::File, os::fd::AsRawFd as _, path::Path};

use anyhow::{Context as _, Result, bail};

use super::Mapping;
use crate::environment::page_bytes;

/// Number of cachestat(2), from Linux 6.5 on, on every architecture (`scripts/syscall.tbl`).
const CACHESTAT: libc::c_long = 451;

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

/// Pages of a file that are in the page cache: by cachestat(2), and on older kernels by mincore(2), which
/// tells the truth to the file's owner only.
///
/// # Errors
/// Where the file cannot be opened or asked about.
pub fn resident_pages(path: &Path) -> Result<u64> {
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    let range = CachestatRange {
        offset: 0,
        length: 0,
    };
    let mut counts = Cachestat::default();
    // SAFETY: both structures are laid out as in the kernel's <linux/mman.h> and outlive the call.
    let result = unsafe {
        libc::syscall(
            CACHESTAT,
            file.as_raw_fd(),
            &raw const range,
            &raw mut counts,
            0u32,
        )
    };
    if result == 0 {
        return Ok(counts.cached);
    }
    let error = std::io::Error::last_os_error();
    if error.raw_os_error() == Some(libc::ENOSYS) {
        return resident_pages_by_mincore(&file);
    }
    Err(error).with_context(|| format!("ask what of {} is cached", path.display()))
}

fn resident_pages_by_mincore(file: &File) -> Result<u64> {
    if file.metadata().context("look at the file")?.len() == 0 {
        return Ok(0);
    }
    let pages = Mapping::of(file)?.residency(page_bytes())?;
    Ok(pages.iter().filter(|page| **page & 1 != 0).count() as u64)
}

/// Writes a file back and takes it out of the page cache.
///
/// # Errors
/// Where a page stays, as it does while somebody has it mapped.
pub fn evict(path: &Path) -> Result<()> {
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    file.sync_all()
        .with_context(|| format!("write {} back", path.display()))?;
    let mut resident = 0;
    // Pages in a CPU's own batch of the LRU are busy until it is drained, which the first attempt does.
    for _ in 0..10 {
        // SAFETY: a system call on a descriptor that is open.
        let result =
            unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
        if result != 0 {
            return Err(std::io::Error::from_raw_os_error(result))
                .with_context(|| format!("evict {}", path.display()));
        }
        resident = resident_pages(path)?;
        if resident == 0 {
            return Ok(());
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    bail!(
        "{resident} pages of {} stay in the page cache",
        path.display()
    )
}
