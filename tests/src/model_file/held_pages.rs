//! A file that stays in the page cache.

use std::{fs::File, os::fd::AsRawFd as _, path::Path};

use anyhow::{Context as _, Result};

/// A file's pages, brought into memory and locked there for as long as this lives. A machine that reclaims idle page
/// cache by itself (DAMON's does) would else take pages that nobody maps from under a test.
pub struct HeldPages {
    address: *mut libc::c_void,
    length: usize,
}

impl HeldPages {
    /// # Errors
    /// Where the file cannot be opened, is empty, or cannot be locked in memory.
    pub fn of(path: &Path) -> Result<Self> {
        let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
        let length = usize::try_from(file.metadata().context("look at the file")?.len())
            .context("the file does not fit into the address space")?;
        // SAFETY: a new mapping of a file, read only; nothing refers to it but this value, which unmaps it.
        let address = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                length,
                libc::PROT_READ,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if address == libc::MAP_FAILED {
            return Err(std::io::Error::last_os_error())
                .with_context(|| format!("map {}", path.display()));
        }
        let held = Self { address, length };
        // SAFETY: the mapping was just made, of this length.
        if unsafe { libc::mlock(held.address, held.length) } != 0 {
            return Err(std::io::Error::last_os_error())
                .with_context(|| format!("lock {} in memory", path.display()));
        }
        Ok(held)
    }
}

impl Drop for HeldPages {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's own, and nobody has a reference into it.
        unsafe { libc::munmap(self.address, self.length) };
    }
}
