//! Throwing parts of a file out of memory while another process has them mapped, so that its next use of them shows.
//!
//! `process_madvise(MADV_PAGEOUT)`, Linux 5.10. What it returns says only what was asked for: pages that a second process maps,
//! that are locked, or that are being read stay, so whoever asks looks afterwards.

use std::{
    fs::File,
    io,
    ops::Range,
    os::fd::{AsRawFd as _, BorrowedFd},
};

use procfs::process::Process;

use super::caches::identity_in_maps;

/// Ranges that the kernel takes in one call (`UIO_MAXIOV`).
const MOST_RANGES: usize = 1024;

/// Where a process has parts of a file mapped: the addresses of the pages that these parts touch. Parts that it has not
/// mapped are left out.
///
/// # Errors
/// The process has ended, or may not be looked at.
pub fn addresses_of(
    process_id: i32,
    file: &File,
    parts: &[Range<u64>],
) -> io::Result<Vec<Range<u64>>> {
    let identity = identity_in_maps(file)?;
    let maps = Process::new(process_id)
        .and_then(|process| process.maps())
        .map_err(io::Error::other)?;
    let page_bytes = procfs::page_size();
    let of_map = |map: &procfs::process::MemoryMap| {
        let (start, end) = map.address;
        let offset = map.offset;
        let mapped = offset..offset + (end - start);
        let in_map = parts.iter().filter_map(move |part| {
            let from = (part.start / page_bytes * page_bytes).max(mapped.start);
            let to = part.end.next_multiple_of(page_bytes).min(mapped.end);
            (from < to).then(|| start + (from - offset)..start + (to - offset))
        });
        in_map.collect::<Vec<_>>()
    };
    Ok(maps
        .iter()
        .filter(|map| (map.dev, map.inode) == identity)
        .flat_map(of_map)
        .collect())
}

/// Asks the kernel to reclaim these addresses of a process now. With no range it only says whether it may be asked.
///
/// # Errors
/// As of `process_madvise(2)`: EPERM without CAP_SYS_NICE or the right to look into the process, ENOSYS before Linux 5.10.
pub fn page_out(process: BorrowedFd<'_>, addresses: &[Range<u64>]) -> io::Result<()> {
    let ranges: Vec<libc::iovec> = addresses
        .iter()
        .map(|range| libc::iovec {
            iov_base: range.start as *mut libc::c_void,
            iov_len: (range.end - range.start) as usize,
        })
        .collect();
    let mut rest = ranges.as_slice();
    loop {
        let (now, later) = rest.split_at(rest.len().min(MOST_RANGES));
        // SAFETY: a descriptor, and an array of that length, whose addresses are another process's and are not read here.
        let asked = unsafe {
            libc::syscall(
                libc::SYS_process_madvise,
                process.as_raw_fd(),
                now.as_ptr(),
                now.len(),
                libc::MADV_PAGEOUT,
                0,
            )
        };
        if asked < 0 {
            return Err(io::Error::last_os_error());
        }
        if later.is_empty() {
            return Ok(());
        }
        rest = later;
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::{AsFd as _, FromRawFd as _, OwnedFd};

    use memmap2::MmapOptions;

    use crate::storage::{keep_caches, residency_of_range};

    use super::{addresses_of, page_out};

    const PAGE: u64 = 4096;

    /// Of a mapping from the third page on: only what lies in it has an address.
    #[test]
    fn parts_have_addresses_where_they_are_mapped() {
        let file = tempfile::NamedTempFile::new_in("/var/tmp").expect("a file");
        std::fs::write(file.path(), vec![7; 10 * PAGE as usize]).expect("written");
        // SAFETY: nobody changes the file.
        let mapping =
            unsafe { MmapOptions::new().offset(2 * PAGE).map(file.as_file()) }.expect("mapped");
        let start = mapping.as_ptr() as u64;
        let own = i32::try_from(std::process::id()).expect("an id");
        let found = addresses_of(
            own,
            file.as_file(),
            &[0..PAGE, PAGE..3 * PAGE, 4 * PAGE + 5..5 * PAGE + 1],
        );
        assert_eq!(
            found.expect("ours"),
            [start..start + PAGE, start + 2 * PAGE..start + 4 * PAGE]
        );
    }

    /// Pages of a CPU's batch, and what is being written, stay; they go a moment later.
    #[test]
    fn what_is_paged_out_is_not_in_memory_and_the_rest_is() {
        let _caches = keep_caches();
        let file = tempfile::NamedTempFile::new_in("/var/tmp").expect("a file");
        std::fs::write(file.path(), vec![7; 1024 * PAGE as usize]).expect("written");
        file.as_file().sync_all().expect("on the disk");
        // SAFETY: nobody changes the file.
        let mapping = unsafe { MmapOptions::new().populate().map(file.as_file()) }.expect("mapped");
        assert_eq!(mapping[1023 * PAGE as usize], 7);
        let own = i32::try_from(std::process::id()).expect("an id");
        // SAFETY: a new descriptor of this process, which nobody else has.
        let process = unsafe {
            OwnedFd::from_raw_fd(
                libc::syscall(libc::SYS_pidfd_open, own, 0)
                    .try_into()
                    .expect("a descriptor"),
            )
        };
        let part = 512 * PAGE..1024 * PAGE;
        let parts = [part.clone()];
        let addresses = addresses_of(own, file.as_file(), &parts).expect("mapped");
        if let Err(error) = page_out(process.as_fd(), &[]) {
            eprintln!("skipped: {error}");
            return;
        }
        let pages = |range| {
            let residency = residency_of_range(file.as_file(), range).expect("our file");
            residency.observed().expect("observed").resident_pages
        };
        for _ in 0..100 {
            page_out(process.as_fd(), &addresses).expect("a kernel that may be asked");
            if pages(part.clone()) < 16 {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        assert!(pages(part.clone()) < 16, "{} stay", pages(part));
        assert_eq!(pages(0..512 * PAGE), 512);
    }
}
