//! The kernel's page, the unit of its page cache.

/// Bytes of a page of this kernel: 4 KiB on x86-64; 64-bit Arm has kernels with 16 and 64 KiB.
///
/// # Panics
/// Where the C library does not know, which no Linux does.
#[must_use]
pub fn page_bytes() -> u64 {
    // SAFETY: no pointers.
    let bytes = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    u64::try_from(bytes).expect("every kernel has a size of page")
}
