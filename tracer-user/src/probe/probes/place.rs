//! Places to be probed.

use std::{fs::File, io, path::Path};

use anyhow::anyhow;
use memmap2::{Mmap, MmapOptions};
use tracer_common::mark::BatchAction;

/// One place of a file to be probed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProbePoint {
    /// Number of the function, which its records carry.
    pub symbol: u16,
    /// Where it lies in the file, bytes.
    pub file_offset_bytes: u64,
    /// What it has to do with a batch of tokens.
    pub action: BatchAction,
    /// Whether its return is probed instead of its entry.
    pub returns: bool,
}

/// Longest instruction, bytes, on any architecture with probes: one may lie on two pages.
const LONGEST_INSTRUCTION: u64 = 16;

/// Brings an instruction's page into the page cache, from which nothing takes it while the mapping is there. It is a shared
/// one: in a private one the kernel would put the probe itself, into a copy (`valid_vma` in kernel/events/uprobes.c).
pub fn keep_in_memory(file: &Path, offset_bytes: u64) -> io::Result<Mmap> {
    let file = File::open(file)?;
    let end = (offset_bytes + LONGEST_INSTRUCTION).min(file.metadata()?.len());
    let length = usize::try_from(end.saturating_sub(offset_bytes)).map_err(io::Error::other)?;
    // SAFETY: nothing reads it: the mapping only holds the page.
    let mapping = unsafe {
        MmapOptions::new()
            .offset(offset_bytes)
            .len(length)
            .populate()
            .map(&file)
    }?;
    // Where the limit of locked memory is used up, the page is at least in use.
    let _ = mapping.lock();
    Ok(mapping)
}

/// Where a function of our own lies in our own file, bytes.
pub fn own_offset_bytes() -> anyhow::Result<u64> {
    let address = probed as fn() as usize as u64;
    let maps = procfs::process::Process::myself()?.maps()?;
    let mapping = maps
        .iter()
        .find(|map| (map.address.0..map.address.1).contains(&address))
        .ok_or_else(|| anyhow!("/proc/self/maps does not hold our own code"))?;
    Ok(address - mapping.address.0 + mapping.offset)
}

/// A place to probe; nothing calls it.
#[inline(never)]
fn probed() {
    std::hint::black_box(());
}
