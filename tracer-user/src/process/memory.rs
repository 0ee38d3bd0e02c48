//! Memory of a running process: samples cheap enough for five a second, and their peak.
//!
//! The kernel keeps the resident-set counters per thread or per CPU and adds them up late: a figure may be off by some
//! hundred KiB with many threads.

use procfs::process::Process;
use serde::Serialize;

use super::{
    mappings::MemoryUse,
    output::monotonic_nanos,
    process::{ObservedProcess, ProcessError, classify},
};

/// From `/proc/P/status`, bytes. `None` where the kernel or the process (a zombie) has no such line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct MemorySample {
    /// `CLOCK_MONOTONIC`, nanoseconds, after the reading.
    pub monotonic_nanos: u64,
    /// `VmRSS`: resident now; the sum of the next three.
    pub rss_bytes: Option<u64>,
    /// `RssAnon`: anonymous memory (KV cache, repacked weights, weights read without mmap).
    pub anonymous_bytes: Option<u64>,
    /// `RssFile`: pages of mapped files (mapped weights, libraries). A page in the cache that is not mapped is not here.
    pub file_bytes: Option<u64>,
    /// `RssShmem`: shared memory.
    pub shared_memory_bytes: Option<u64>,
    /// `VmHWM`: the kernel's own high-water mark of `VmRSS`, since the program was started.
    pub rss_high_water_bytes: Option<u64>,
    /// `VmPTE`: page tables, which are not part of the resident set.
    pub page_table_bytes: Option<u64>,
    /// `VmLck`: locked (size of the mappings, resident or not).
    pub locked_bytes: Option<u64>,
    /// `VmSwap`: swapped out.
    pub swap_bytes: Option<u64>,
}

impl MemorySample {
    /// Reads one.
    ///
    /// # Errors
    /// The process has ended.
    pub fn read(process: &ObservedProcess) -> Result<Self, ProcessError> {
        Self::of(process.pid(), process.proc())
    }

    fn of(pid: i32, process: &Process) -> Result<Self, ProcessError> {
        let status = process
            .status()
            .map_err(|error| classify(pid, "status", error))?;
        let bytes = |kib: Option<u64>| kib.and_then(|kib| kib.checked_mul(1024));
        Ok(Self {
            monotonic_nanos: monotonic_nanos(),
            rss_bytes: bytes(status.vmrss),
            anonymous_bytes: bytes(status.rssanon),
            file_bytes: bytes(status.rssfile),
            shared_memory_bytes: bytes(status.rssshmem),
            rss_high_water_bytes: bytes(status.vmhwm),
            page_table_bytes: bytes(status.vmpte),
            locked_bytes: bytes(status.vmlck),
            swap_bytes: bytes(status.vmswap),
        })
    }
}

/// The peak over many samples.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PeakMemory {
    /// Samples that had a resident set.
    pub samples: u64,
    /// The sample with the largest resident set, with its split at that moment. A peak between two samples is missed.
    pub at_peak: Option<MemorySample>,
    /// The largest `VmHWM` seen: misses no peak up to the last sample, but has no split.
    pub rss_high_water_bytes: Option<u64>,
    /// The largest `VmPTE` seen, bytes.
    pub page_table_bytes: Option<u64>,
}

impl PeakMemory {
    /// Takes a sample into account.
    pub fn add(&mut self, sample: &MemorySample) {
        self.rss_high_water_bytes = self.rss_high_water_bytes.max(sample.rss_high_water_bytes);
        self.page_table_bytes = self.page_table_bytes.max(sample.page_table_bytes);
        if sample.rss_bytes.is_none() {
            return;
        }
        self.samples += 1;
        if self
            .at_peak
            .is_none_or(|peak| peak.rss_bytes < sample.rss_bytes)
        {
            self.at_peak = Some(*sample);
        }
    }
}

/// Sums over all mappings, from `/proc/P/smaps_rollup`. Walks the page tables: milliseconds per GiB.
///
/// # Errors
/// The process has ended or may not be read (it needs ptrace rights over the process).
pub fn memory_rollup(process: &ObservedProcess) -> Result<MemoryUse, ProcessError> {
    Ok(MemoryUse::from_smaps(&process.read("smaps_rollup")?))
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader, Write};
    use std::process::{Command, Stdio};

    use crate::process::mappings::MappingTable;

    use super::*;

    #[test]
    fn the_peak_keeps_its_split_and_the_high_water_mark() {
        let sample = |rss, anonymous, high_water| MemorySample {
            rss_bytes: rss,
            anonymous_bytes: anonymous,
            rss_high_water_bytes: high_water,
            page_table_bytes: high_water,
            ..MemorySample::default()
        };
        let mut peak = PeakMemory::default();
        assert_eq!(peak.at_peak, None);
        for (rss, anonymous, high_water) in [(10, 1, 10), (30, 7, 30), (30, 9, 45), (5, 5, 45)] {
            peak.add(&sample(Some(rss), Some(anonymous), Some(high_water)));
        }
        peak.add(&sample(None, None, None));
        assert_eq!(
            (
                peak.samples,
                peak.rss_high_water_bytes,
                peak.page_table_bytes
            ),
            (4, Some(45), Some(45))
        );
        assert_eq!(
            peak.at_peak.and_then(|sample| sample.anonymous_bytes),
            Some(7)
        );
    }

    #[test]
    fn a_real_process_with_a_mapped_file_and_anonymous_memory() {
        const FILE: u64 = 32 << 20;
        const ANONYMOUS: u64 = 64 << 20;
        let directory = tempfile::tempdir().expect("directory");
        let path = directory.path().join("a model.gguf");
        std::fs::File::create(&path)
            .and_then(|mut file| file.write_all(&vec![7; FILE as usize]))
            .expect("file");
        let script = format!(
            "import mmap, sys
f = open(sys.argv[1], 'rb'); m = mmap.mmap(f.fileno(), 0, mmap.MAP_SHARED, mmap.PROT_READ)
s = sum(m[i] for i in range(0, len(m), 4096))
b = b'x' * {ANONYMOUS}
print('ready', flush=True); input()"
        );
        let mut child = Command::new("python3")
            .args(["-c", &script])
            .arg(&path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python3");
        let mut line = String::new();
        BufReader::new(child.stdout.take().expect("stdout"))
            .read_line(&mut line)
            .expect("line");
        let process = ObservedProcess::open(child.id() as i32).expect("open");
        let sample = MemorySample::read(&process);
        let rollup = memory_rollup(&process);
        let table = MappingTable::read(&process, 3);
        process
            .send(nix::sys::signal::Signal::SIGKILL)
            .expect("kill");
        child.wait().expect("wait");
        assert!(matches!(
            MemorySample::read(&process),
            Err(ProcessError::Gone(_))
        ));
        assert!(matches!(
            memory_rollup(&process),
            Err(ProcessError::Gone(_))
        ));

        let (sample, rollup, table) = (
            sample.expect("sample"),
            rollup.expect("rollup"),
            table.expect("table"),
        );
        let near = |found: Option<u64>, least: u64| {
            found.is_some_and(|found| (least..least + (48 << 20)).contains(&found))
        };
        assert!(near(sample.anonymous_bytes, ANONYMOUS), "{sample:?}");
        assert!(near(sample.file_bytes, FILE), "{sample:?}");
        assert!(near(sample.rss_bytes, FILE + ANONYMOUS), "{sample:?}");
        assert!(
            sample.rss_high_water_bytes >= sample.rss_bytes,
            "{sample:?}"
        );
        assert!(
            sample
                .page_table_bytes
                .is_some_and(|bytes| bytes > 0 && bytes < 8 << 20),
            "{sample:?}"
        );
        assert!(near(rollup.rss_bytes, FILE + ANONYMOUS), "{rollup:?}");
        assert!(near(rollup.anonymous_bytes, ANONYMOUS), "{rollup:?}");
        assert_eq!(rollup.locked_bytes, Some(0));

        assert_eq!(table.largest.len(), 3);
        assert!(table.mapping_count > 3);
        let largest = table.largest.first().expect("largest");
        assert!(
            near(largest.memory.anonymous_bytes, ANONYMOUS),
            "{largest:?}"
        );
        let model = table
            .by_name
            .iter()
            .find(|entry| entry.name == path.to_string_lossy())
            .expect("model");
        assert_eq!(
            (model.memory.rss_bytes, model.memory.size_bytes),
            (Some(FILE), Some(FILE)),
            "{model:?}"
        );
        assert_eq!(model.memory.anonymous_bytes, Some(0));
        // The table's sum is the rollup, but for what happened between the two readings.
        let (sum, rollup) = (
            table.total.rss_bytes.expect("sum"),
            rollup.rss_bytes.expect("rollup"),
        );
        assert!(sum.abs_diff(rollup) < 1 << 20, "{sum} {rollup}");
    }
}
