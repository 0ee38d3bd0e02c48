//! The machine's memory as it is now.

use procfs::{Current, Meminfo, ProcError};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Why the machine's memory cannot be read.
#[derive(Debug, Error)]
pub enum MemoryError {
    /// A file under /proc is missing or not understood.
    #[error("cannot read /proc/{file}: {source}")]
    Proc {
        file: &'static str,
        source: ProcError,
    },
}

/// Time that tasks lost waiting for memory (Documentation/accounting/psi.rst).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct PressureShare {
    /// Share of the last 10 seconds, in percent (0 – 100).
    pub percent_of_10_seconds: f32,
    /// Total since boot, in microseconds.
    pub total_microseconds: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MemoryPressure {
    /// At least one task waited.
    pub some: PressureShare,
    /// All tasks that could have run waited.
    pub full: PressureShare,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct IoPressure {
    /// At least one task waited.
    pub some: PressureShare,
    /// All tasks that could have run waited.
    pub full: PressureShare,
}

#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct SystemMemory {
    /// `MemTotal`, in bytes.
    pub total_bytes: u64,
    /// `MemAvailable`, in bytes: what new work can get without swapping. This, and not total − locked, is the "free
    /// memory" of a run. `None` before Linux 3.14.
    pub available_bytes: Option<u64>,
    /// `MemFree`, in bytes: unused, so that a full page cache makes it small.
    pub free_bytes: u64,
    /// `Cached`, in bytes: page cache of all files, tmpfs included.
    pub cached_bytes: u64,
    /// `Dirty`, in bytes: page cache that waits to be written.
    pub dirty_bytes: u64,
    /// Swap in use, in bytes.
    pub swap_used_bytes: u64,
    /// Pages of files, read again since boot after an eviction that the kernel still remembered
    /// (`workingset_refault_file` of /proc/vmstat). `None` before Linux 5.9, which counts anonymous pages in.
    pub workingset_refault_file_pages: Option<u64>,
    /// PSI; `None` where the kernel has none or has it switched off (`psi=0`).
    pub pressure: Option<MemoryPressure>,
    /// PSI of storage, likewise.
    pub io_pressure: Option<IoPressure>,
}

impl SystemMemory {
    pub fn read() -> Result<Self, MemoryError> {
        let failed = |file| move |source| MemoryError::Proc { file, source };
        let memory = Meminfo::current().map_err(failed("meminfo"))?;
        let vmstat = procfs::vmstat().map_err(failed("vmstat"))?;
        Ok(Self {
            total_bytes: memory.mem_total,
            available_bytes: memory.mem_available,
            free_bytes: memory.mem_free,
            cached_bytes: memory.cached,
            dirty_bytes: memory.dirty,
            swap_used_bytes: memory.swap_total.saturating_sub(memory.swap_free),
            workingset_refault_file_pages: vmstat
                .get("workingset_refault_file")
                .and_then(|pages| u64::try_from(*pages).ok()),
            pressure: pressure()?,
            io_pressure: io_pressure()?,
        })
    }
}

fn pressure() -> Result<Option<MemoryPressure>, MemoryError> {
    let found = where_there_is_any("pressure/memory", procfs::MemoryPressure::current())?;
    Ok(found.map(|found| MemoryPressure {
        some: share(&found.some),
        full: share(&found.full),
    }))
}

fn io_pressure() -> Result<Option<IoPressure>, MemoryError> {
    let found = where_there_is_any("pressure/io", procfs::IoPressure::current())?;
    Ok(found.map(|found| IoPressure {
        some: share(&found.some),
        full: share(&found.full),
    }))
}

fn share(record: &procfs::PressureRecord) -> PressureShare {
    PressureShare {
        percent_of_10_seconds: record.avg10,
        total_microseconds: record.total,
    }
}

fn where_there_is_any<T>(
    file: &'static str,
    read: Result<T, ProcError>,
) -> Result<Option<T>, MemoryError> {
    match read {
        Ok(found) => Ok(Some(found)),
        Err(ProcError::NotFound(_)) => Ok(None),
        // With psi=0 the file is there and cannot be read.
        Err(ProcError::Io(error, _)) if error.raw_os_error() == Some(libc::EOPNOTSUPP) => Ok(None),
        Err(source) => Err(MemoryError::Proc { file, source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_bytes_and_agree_with_the_files() {
        let memory = SystemMemory::read().unwrap();
        let text = std::fs::read_to_string("/proc/meminfo").unwrap();
        let kib: u64 = text
            .lines()
            .next()
            .unwrap()
            .split_ascii_whitespace()
            .nth(1)
            .unwrap()
            .parse()
            .unwrap();
        assert_eq!(memory.total_bytes, kib * 1024);
        assert!(
            memory
                .available_bytes
                .is_none_or(|bytes| bytes <= memory.total_bytes)
        );
        assert!(memory.free_bytes <= memory.total_bytes);
        let vmstat = std::fs::read_to_string("/proc/vmstat").unwrap();
        assert_eq!(
            vmstat.contains("workingset_refault_file "),
            memory.workingset_refault_file_pages.is_some()
        );
        assert_eq!(
            std::fs::read("/proc/pressure/memory").is_ok(),
            memory.pressure.is_some()
        );
        assert_eq!(
            std::fs::read("/proc/pressure/io").is_ok(),
            memory.io_pressure.is_some()
        );
        assert!(memory.dirty_bytes <= memory.total_bytes);
    }
}
