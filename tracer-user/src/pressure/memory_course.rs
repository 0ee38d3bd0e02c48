//! How memory went over a run: points over time, at most 600 of them however long the run is.
//!
//! Plain data, without a clock and without I/O ([`MemorySources`](super::MemorySources) reads; the process's own figures
//! come from the caller). A run of unknown length is sampled at a fixed interval; when the course is full, the interval
//! doubles and every second point goes. So from the 300th interval on there are always 300 to 600 points, evenly spaced,
//! and they depend on the samples alone, not on when the course became full.

use serde::{Deserialize, Serialize};

use super::{cgroup::CgroupMemory, memory::SystemMemory};

/// Most points of a course.
pub const LONGEST_COURSE_POINTS: usize = 600;

/// Most doublings: 2^40 intervals are centuries.
const MOST_DOUBLINGS: u32 = 40;

/// A process's memory, from `/proc/PID/status`, in bytes. `None` where the kernel does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ProcessPoint {
    /// `RssAnon`: anonymous memory (KV cache, repacked weights, weights read without mmap).
    pub rss_anonymous_bytes: Option<u64>,
    /// `RssFile`: pages of mapped files.
    pub rss_file_bytes: Option<u64>,
    /// `RssShmem`: shared memory.
    pub rss_shared_memory_bytes: Option<u64>,
    /// `VmSwap`: swapped out.
    pub swap_bytes: Option<u64>,
    /// `VmPTE`: page tables.
    pub page_table_bytes: Option<u64>,
}

/// The machine's memory. `None` where this kernel does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemPoint {
    /// `MemAvailable`, bytes.
    pub available_bytes: Option<u64>,
    /// `Cached`, bytes.
    pub cached_bytes: Option<u64>,
    /// `Dirty`, bytes.
    pub dirty_bytes: Option<u64>,
    /// `workingset_refault_file` of /proc/vmstat: pages, since the first sample.
    pub workingset_refault_file_pages_change: Option<u64>,
    /// Time that at least one task waited for memory, microseconds since the first sample.
    pub psi_memory_some_us: Option<u64>,
    /// Time that all tasks that could have run waited for memory, microseconds since the first sample.
    pub psi_memory_full_us: Option<u64>,
    /// Time that at least one task waited for storage, microseconds since the first sample.
    pub psi_io_some_us: Option<u64>,
    /// Time that all tasks that could have run waited for storage, microseconds since the first sample.
    pub psi_io_full_us: Option<u64>,
}

/// The memory of the cgroup that the process is in, with the cgroups below it. `None` where this kernel does not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CgroupPoint {
    /// Charged now, bytes.
    pub usage_bytes: Option<u64>,
    /// Anonymous memory, bytes.
    pub anonymous_bytes: Option<u64>,
    /// Page cache, tmpfs included, bytes.
    pub file_bytes: Option<u64>,
    /// Page cache that is mapped, bytes.
    pub file_mapped_bytes: Option<u64>,
    /// Page tables, bytes (v2 only).
    pub page_table_bytes: Option<u64>,
    /// Pages of files read again after an eviction that the kernel remembered, since the first sample.
    pub workingset_refault_file_pages_change: Option<u64>,
    /// Faults since the first sample.
    pub page_faults_change: Option<u64>,
    /// Faults that waited for storage (`pgmajfault`), since the first sample.
    pub major_faults_change: Option<u64>,
    /// Charges that ran into the limit, since the first sample.
    pub limit_hits_change: Option<u64>,
}

/// Memory at one moment of a run.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MemoryPoint {
    /// Seconds on the caller's clock.
    pub at_seconds: f64,
    /// The process; `None` once it has ended.
    pub process: Option<ProcessPoint>,
    /// The machine; `None` if it could not be read.
    pub system: Option<SystemPoint>,
    /// The process's cgroup; `None` if there is none that can be read.
    pub cgroup: Option<CgroupPoint>,
}

/// What was read for one point: counters still as the kernel has them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct MemoryReading {
    /// The process, from the caller.
    pub process: Option<ProcessPoint>,
    pub system: Option<SystemMemory>,
    pub cgroup: Option<CgroupMemory>,
}

/// A point and the number of the interval that it is in, counted from the first sample in intervals of the start.
#[derive(Debug, Clone, Copy)]
struct Placed {
    interval: u64,
    point: MemoryPoint,
}

/// Points over time, at most [`LONGEST_COURSE_POINTS`], the first and the last sample among them.
#[derive(Debug, Clone)]
pub struct MemoryCourse {
    start_interval_seconds: f64,
    doublings: u32,
    /// The first sample: what changes are counted from.
    first: Option<(f64, MemoryReading)>,
    /// The first sample of each interval of the present length that had one.
    kept: Vec<Placed>,
    latest: Option<Placed>,
}

impl MemoryCourse {
    /// A course without points. `interval_seconds` is the interval at the start, above 0 (0.2 in a run).
    #[must_use]
    pub fn new(interval_seconds: f64) -> Self {
        Self {
            start_interval_seconds: if interval_seconds > 0.0 && interval_seconds.is_finite() {
                interval_seconds
            } else {
                0.2
            },
            doublings: 0,
            first: None,
            kept: Vec::new(),
            latest: None,
        }
    }

    /// Seconds between two points as it is now. To sample more often changes nothing but the last point.
    #[must_use]
    pub fn interval_seconds(&self) -> f64 {
        self.start_interval_seconds * (1_u64 << self.doublings) as f64
    }

    /// Takes a sample. False, and nothing is taken, if its time is not finite or before an earlier sample's.
    pub fn sample(&mut self, at_seconds: f64, reading: &MemoryReading) -> bool {
        let in_order = self
            .latest
            .is_none_or(|latest| at_seconds >= latest.point.at_seconds);
        if !at_seconds.is_finite() || !in_order {
            return false;
        }
        let (first_at, first) = *self.first.get_or_insert((at_seconds, *reading));
        // To the nearest: a timer that is a little early or late stays in its own interval.
        let interval = ((at_seconds - first_at) / self.start_interval_seconds).round() as u64;
        let placed = Placed {
            interval,
            point: point(at_seconds, &first, reading),
        };
        self.latest = Some(placed);
        let doublings = self.doublings;
        let has_a_point = |kept: &Placed| kept.interval >> doublings == interval >> doublings;
        if !self.kept.last().is_some_and(has_a_point) {
            self.kept.push(placed);
        }
        while self.kept.len() >= LONGEST_COURSE_POINTS && self.doublings < MOST_DOUBLINGS {
            self.doublings += 1;
            let doublings = self.doublings;
            self.kept.dedup_by_key(|kept| kept.interval >> doublings);
        }
        true
    }

    /// The latest sample.
    #[must_use]
    pub fn latest(&self) -> Option<MemoryPoint> {
        self.latest.map(|placed| placed.point)
    }

    /// The points, in the order of time. The last one is the latest sample, so it may follow sooner than the others.
    #[must_use]
    pub fn points(&self) -> Vec<MemoryPoint> {
        let latest = self.latest.filter(|latest| {
            self.kept
                .last()
                .is_none_or(|kept| kept.point.at_seconds < latest.point.at_seconds)
        });
        self.kept
            .iter()
            .chain(&latest)
            .map(|placed| placed.point)
            .collect()
    }
}

fn point(at_seconds: f64, first: &MemoryReading, now: &MemoryReading) -> MemoryPoint {
    MemoryPoint {
        at_seconds,
        process: now.process,
        system: now
            .system
            .as_ref()
            .map(|system| system_point(first.system.as_ref(), system)),
        cgroup: now
            .cgroup
            .as_ref()
            .map(|cgroup| cgroup_point(first.cgroup.as_ref(), cgroup)),
    }
}

/// A counter's change. `None` where one of the two is missing, and where the counter ran backwards: then it is another one.
fn change(first: Option<u64>, now: Option<u64>) -> Option<u64> {
    now?.checked_sub(first?)
}

fn system_point(first: Option<&SystemMemory>, now: &SystemMemory) -> SystemPoint {
    let since =
        |counter: fn(&SystemMemory) -> Option<u64>| change(first.and_then(counter), counter(now));
    SystemPoint {
        available_bytes: now.available_bytes,
        cached_bytes: Some(now.cached_bytes),
        dirty_bytes: Some(now.dirty_bytes),
        workingset_refault_file_pages_change: since(|system| system.workingset_refault_file_pages),
        psi_memory_some_us: since(|system| Some(system.pressure?.some.total_microseconds)),
        psi_memory_full_us: since(|system| Some(system.pressure?.full.total_microseconds)),
        psi_io_some_us: since(|system| Some(system.io_pressure?.some.total_microseconds)),
        psi_io_full_us: since(|system| Some(system.io_pressure?.full.total_microseconds)),
    }
}

fn cgroup_point(first: Option<&CgroupMemory>, now: &CgroupMemory) -> CgroupPoint {
    let since =
        |counter: fn(&CgroupMemory) -> Option<u64>| change(first.and_then(counter), counter(now));
    CgroupPoint {
        usage_bytes: now.current_bytes,
        anonymous_bytes: now.anonymous_bytes,
        file_bytes: now.file_bytes,
        file_mapped_bytes: now.file_mapped_bytes,
        page_table_bytes: now.page_tables_bytes,
        workingset_refault_file_pages_change: since(|cgroup| cgroup.workingset_refault_file_pages),
        page_faults_change: since(|cgroup| cgroup.faults),
        major_faults_change: since(|cgroup| cgroup.major_faults),
        limit_hits_change: since(|cgroup| cgroup.limit_hits),
    }
}

#[cfg(test)]
mod tests;
