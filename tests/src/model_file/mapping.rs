//! A whole file in this process's memory.

use std::{fs::File, os::fd::AsRawFd as _};

use anyhow::{Context as _, Result};

/// A mapping of a file, shared and only read, for as long as this lives.
#[derive(Debug)]
pub struct Mapping {
    address: *mut libc::c_void,
    length: usize,
}

// SAFETY: memory that is only read, from whatever thread.
unsafe impl Send for Mapping {}
// SAFETY: as above.
unsafe impl Sync for Mapping {}

impl Mapping {
    /// # Errors
    /// Where the file is empty or cannot be mapped.
    pub fn of(file: &File) -> Result<Self> {
        let length = usize::try_from(file.metadata().context("look at the file")?.len())
            .context("the file does not fit into the address space")?;
        // SAFETY: a new mapping at an address of the kernel's choice, which this value alone refers to.
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
            return Err(std::io::Error::last_os_error()).context("map the file");
        }
        Ok(Self { address, length })
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        // SAFETY: mapped for as long as `self` lives; the tests' files do not change while they are read.
        unsafe { std::slice::from_raw_parts(self.address.cast(), self.length) }
    }

    /// Tells the kernel something about its pages (madvise(2)).
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn advise(&self, advice: libc::c_int) -> Result<()> {
        // SAFETY: the range is the mapping's own, which is shared and only read: pages that go come again.
        let result = unsafe { libc::madvise(self.address, self.length, advice) };
        answer(result).with_context(|| format!("madvise({advice})"))
    }

    /// Brings its pages into memory and locks them there.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn lock(&self) -> Result<()> {
        // SAFETY: the range is the mapping's own.
        answer(unsafe { libc::mlock(self.address, self.length) }).context("mlock")
    }

    /// Which of its pages are in the page cache (mincore(2)): the lowest bit of a byte for each.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn residency(&self, page_bytes: u64) -> Result<Vec<u8>> {
        let mut pages = vec![0u8; self.length.div_ceil(usize::try_from(page_bytes)?)];
        // SAFETY: the range is the mapping's own, and there is a byte for each of its pages.
        answer(unsafe { libc::mincore(self.address, self.length, pages.as_mut_ptr()) })
            .context("ask mincore what is cached")?;
        Ok(pages)
    }
}

fn answer(result: libc::c_int) -> std::io::Result<()> {
    if result == 0 {
        Ok(())
    } else {
        Err(std::io::Error::last_os_error())
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the range is the mapping's own, and no reference into it outlives `self`.
        unsafe { libc::munmap(self.address, self.length) };
    }
}
