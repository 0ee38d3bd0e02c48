//! The engine while it runs: memory samples, descendants, the log, and what is looked at when loading ends
//! and when the last token is there.

use std::{collections::BTreeSet, os::fd::OwnedFd, time::Duration};

use crate::{
    place::Subject,
    pressure::{MemoryCourse, MemoryPoint, MemorySources, ProcessCgroup, ProcessPoint},
    process::{
        EngineSignals, Family, FaultCounts, MappingTable, MemorySample, MemoryUse, ObservedProcess,
        PeakMemory, ProcessStarts, memory_rollup, monotonic_nanos,
    },
    schema::{
        CgroupPointRecord, MappingRecord, MappingsRecord, MemoryPointRecord, PeakMemoryRecord,
        ProcessPointRecord, ProcessRecord, RollupRecord, SystemPointRecord,
    },
};

use super::{
    files::FilesWatch,
    log::SharedLog,
    residency_moments::{ResidencyMoment, residency_now},
    samples::{MomentName, RunSamples},
};

/// Mappings that the report lists.
const LARGEST_MAPPINGS: usize = 12;

/// A point of the course, as the record has it.
pub fn memory_point(point: &MemoryPoint) -> MemoryPointRecord {
    MemoryPointRecord {
        at_s: point.at_seconds,
        process: point.process.map(|process| ProcessPointRecord {
            anonymous_bytes: process.rss_anonymous_bytes,
            file_bytes: process.rss_file_bytes,
            shared_memory_bytes: process.rss_shared_memory_bytes,
            swap_bytes: process.swap_bytes,
            page_table_bytes: process.page_table_bytes,
        }),
        system: point.system.map(|system| SystemPointRecord {
            available_bytes: system.available_bytes,
            cached_bytes: system.cached_bytes,
            dirty_bytes: system.dirty_bytes,
            workingset_refault_file_pages: system.workingset_refault_file_pages_change,
            psi_memory_some_us: system.psi_memory_some_us,
            psi_memory_full_us: system.psi_memory_full_us,
            psi_io_some_us: system.psi_io_some_us,
            psi_io_full_us: system.psi_io_full_us,
        }),
        cgroup: point.cgroup.map(|cgroup| CgroupPointRecord {
            usage_bytes: cgroup.usage_bytes,
            anonymous_bytes: cgroup.anonymous_bytes,
            file_bytes: cgroup.file_bytes,
            file_mapped_bytes: cgroup.file_mapped_bytes,
            workingset_refault_file_pages: cgroup.workingset_refault_file_pages_change,
            major_faults: cgroup.major_faults_change,
        }),
    }
}

/// What was seen of the engine.
pub struct EngineWatch {
    /// None for an engine that had ended before it could be looked at.
    process: Option<ObservedProcess>,
    pid: i32,
    exit: OwnedFd,
    /// Where its descendants are found.
    family: Family,
    /// Whether there is anything new to be found.
    starts: ProcessStarts,
    /// When they may be listed again, nanoseconds.
    next_family_nanos: u64,
    /// Looked at less often while it does nothing; none where it is not.
    rest: Option<Rest>,
    /// The engine and its descendants, by process id.
    pub process_ids: BTreeSet<u32>,
    /// What they have open or mapped.
    pub files: FilesWatch,
    peak: PeakMemory,
    at_load_end: Option<(String, MappingTable, Option<MemoryUse>)>,
    latest: Option<(MappingTable, Option<MemoryUse>)>,
    /// When the mappings are to be looked at again, nanoseconds.
    next_mappings_nanos: u64,
    /// Least time between two looks at the memory, nanoseconds.
    memory_interval_nanos: u64,
    /// When the memory is to be looked at again, nanoseconds.
    next_memory_nanos: u64,
    load_end_seen: Option<u64>,
    /// Residency when loading ended.
    pub load_end: Option<ResidencyMoment>,
    /// Residency when the engine printed its timings.
    pub last_token: Option<ResidencyMoment>,
    /// Residency at other moments.
    pub residency: Vec<ResidencyMoment>,
    /// When residency is to be looked at again, nanoseconds.
    next_residency_nanos: u64,
    sources: Option<MemorySources>,
    /// The limit of its memory cgroup when it was last looked at: after its end the cgroup may be gone.
    limit_seen_bytes: Option<u64>,
    course: MemoryCourse,
}

/// Least time between two looks at the residency of all files, which costs about 8 ms a GiB.
const RESIDENCY_INTERVAL_NANOS: u64 = 30_000_000_000;
/// And so many times what the last look took: 0.4 % of a core.
const RESIDENCY_COST_FACTOR: u64 = 250;
/// Time between two points of the course of memory at the start, seconds.
pub const COURSE_INTERVAL_SECONDS: f64 = 0.2;

/// Least time between two looks at all mappings.
const MAPPINGS_INTERVAL_NANOS: u64 = 2_000_000_000;
/// And so many times what the last look took, 0.1 % of a core: of a large model that is mapped the kernel walks all page tables,
/// and holds up who maps something meanwhile.
const MAPPINGS_COST_FACTOR: u64 = 1_000;

/// The processes of a family that was there before are listed at most so seldom, as a multiple of what the last list took: 0.1 % of
/// a core. Their waits count from the start all the same, which the kernel side sees to.
const FAMILY_COST_FACTOR: u64 = 1_000;
/// And so often at least, where processes are started all the time.
const FAMILY_INTERVAL_NANOS: u64 = 5_000_000_000;

/// An engine that does nothing is looked at so often.
const REST_NANOS: u64 = 5_000_000_000;

/// Whether an engine does nothing.
#[derive(Clone, Copy, Debug, Default)]
struct Rest {
    /// CPU time that it had spent at the last look.
    cpu_ticks: Option<u64>,
    /// When it is looked at all the same, nanoseconds.
    until_nanos: u64,
}

impl Rest {
    /// It has spent so much CPU time now. True where that is what it had spent, and the time is not up.
    fn goes_on(&mut self, cpu_ticks: Option<u64>, now_nanos: u64) -> bool {
        let same = cpu_ticks.is_some() && cpu_ticks == self.cpu_ticks;
        self.cpu_ticks = cpu_ticks;
        if same && now_nanos < self.until_nanos {
            return true;
        }
        self.until_nanos = now_nanos + REST_NANOS;
        false
    }
}

impl EngineWatch {
    /// Watches a process that is there, and its family.
    ///
    /// # Errors
    /// No descriptor left.
    pub fn of_process(process: ObservedProcess, family: Family) -> std::io::Result<Self> {
        let (pid, exit) = (
            process.pid(),
            process.exit_descriptor().try_clone_to_owned()?,
        );
        let mut watch = Self::new(Some(process), pid, exit, family);
        watch.take_in_family();
        Ok(watch)
    }

    /// Watches an engine that was just started, and may have ended since: then only its end is seen.
    ///
    /// # Errors
    /// No descriptor left.
    pub fn of_engine(pid: i32, engine: &EngineSignals, family: Family) -> std::io::Result<Self> {
        let exit = engine.exit_descriptor().try_clone_to_owned()?;
        Ok(Self::new(
            ObservedProcess::open(pid).ok(),
            pid,
            exit,
            family,
        ))
    }

    fn take_in_family(&mut self) {
        let now = monotonic_nanos();
        if now < self.next_family_nanos || !self.starts.are_new() {
            return;
        }
        // Without a list of processes those that are known stay.
        let members = self.family.members().unwrap_or_default();
        if matches!(self.family, Family::Of(_)) {
            let took = monotonic_nanos().saturating_sub(now);
            self.next_family_nanos = now
                + took
                    .saturating_mul(FAMILY_COST_FACTOR)
                    .min(FAMILY_INTERVAL_NANOS);
        }
        self.process_ids.extend(
            members
                .into_iter()
                .filter_map(|pid| u32::try_from(pid).ok()),
        );
    }

    /// Goes on with another process of the family, where the one that was watched has ended.
    ///
    /// # Errors
    /// No descriptor left.
    pub fn go_on_with(&mut self, process: ObservedProcess) -> std::io::Result<()> {
        self.exit = process.exit_descriptor().try_clone_to_owned()?;
        self.process = Some(process);
        Ok(())
    }

    /// The process whose memory is looked at.
    #[must_use]
    pub const fn watched(&self) -> Option<&ObservedProcess> {
        self.process.as_ref()
    }

    /// Processes of the family that run.
    #[must_use]
    pub fn running(&self) -> Vec<ObservedProcess> {
        self.family.running()
    }

    fn new(process: Option<ObservedProcess>, pid: i32, exit: OwnedFd, family: Family) -> Self {
        let own = u32::try_from(pid).ok();
        Self {
            process,
            pid,
            exit,
            family,
            starts: ProcessStarts::default(),
            next_family_nanos: 0,
            rest: None,
            process_ids: own.into_iter().collect(),
            files: FilesWatch::default(),
            peak: PeakMemory::default(),
            at_load_end: None,
            latest: None,
            next_mappings_nanos: 0,
            memory_interval_nanos: 0,
            next_memory_nanos: 0,
            load_end_seen: None,
            load_end: None,
            last_token: None,
            residency: Vec::new(),
            next_residency_nanos: monotonic_nanos() + RESIDENCY_INTERVAL_NANOS,
            sources: MemorySources::of(pid).ok(),
            limit_seen_bytes: None,
            course: MemoryCourse::new(COURSE_INTERVAL_SECONDS),
        }
    }

    /// Page faults of the process so far, where it can be looked at.
    #[must_use]
    pub fn faults(&self) -> Option<FaultCounts> {
        self.process.as_ref()?.faults().ok()
    }

    /// Becomes readable when the process has ended.
    ///
    /// # Errors
    /// No descriptor left.
    pub fn exit_descriptor(&self) -> std::io::Result<OwnedFd> {
        self.exit.try_clone()
    }

    /// Looks at the process, and at the page cache if the log says that a phase has ended. An engine that has
    /// just ended gives nothing, and what was seen before stays.
    pub fn sample(
        &mut self,
        log: &SharedLog,
        subject: &Subject,
        opened_nanos: u64,
        samples: &RunSamples,
    ) {
        let now = monotonic_nanos();
        if self.rests(now) {
            return;
        }
        if now >= self.next_memory_nanos {
            self.sample_memory(now, opened_nanos, samples);
        }
        if now >= self.next_residency_nanos {
            let moment = residency_now(subject);
            samples.residency(MomentName::Other, &moment);
            self.residency.push(moment);
            let took = monotonic_nanos().saturating_sub(now);
            self.next_residency_nanos =
                now + RESIDENCY_INTERVAL_NANOS.max(took.saturating_mul(RESIDENCY_COST_FACTOR));
        }
        self.take_in_family();
        self.files.sample(&self.process_ids, subject);
        // A better mark, or a later one of the same kind, replaces what an earlier one showed.
        if let Some(timed) = log
            .load_end()
            .filter(|timed| self.load_end_seen != Some(timed.at_nanos))
        {
            self.load_end_seen = Some(timed.at_nanos);
            let moment = residency_now(subject);
            samples.residency(MomentName::LoadEnd, &moment);
            self.load_end = Some(moment);
            if let Some((table, rollup)) = self.look_at_mappings() {
                let when = format!("at the end of loading (log: {})", timed.mark.basis);
                self.at_load_end = Some((when, table, rollup));
            }
        }
        if self.last_token.is_none() && log.said_timings() {
            let moment = residency_now(subject);
            samples.residency(MomentName::LastToken, &moment);
            self.last_token = Some(moment);
        }
        if self.at_load_end.is_none() && now >= self.next_mappings_nanos {
            let begun = monotonic_nanos();
            self.latest = self.look_at_mappings().or(self.latest.take());
            let took = monotonic_nanos().saturating_sub(begun);
            self.next_mappings_nanos =
                now + MAPPINGS_INTERVAL_NANOS.max(took.saturating_mul(MAPPINGS_COST_FACTOR));
        }
    }

    /// The memory is looked at no more often than this.
    pub const fn look_at_memory_every(&mut self, interval: Duration) {
        self.memory_interval_nanos = interval.as_nanos() as u64;
    }

    /// It is looked at less often while it does nothing. Not where a log says when to look.
    pub fn rests_with_engine(&mut self) {
        self.rest = Some(Rest::default());
    }

    fn rests(&mut self, now: u64) -> bool {
        // Of several processes another one may work.
        let (Some(rest), Some(process), 1) =
            (&mut self.rest, &self.process, self.process_ids.len())
        else {
            return false;
        };
        rest.goes_on(process.cpu_ticks().ok(), now)
    }

    /// The next sample is the last one, and has the memory in it.
    pub const fn ends(&mut self) {
        self.next_memory_nanos = 0;
        self.rest = None;
    }

    fn sample_memory(&mut self, now: u64, opened_nanos: u64, samples: &RunSamples) {
        let sample = self
            .process
            .as_ref()
            .and_then(|process| MemorySample::read(process).ok());
        if let Some(sample) = &sample {
            self.peak.add(sample);
        }
        if let Some(sources) = &self.sources {
            let at_seconds = now.saturating_sub(opened_nanos) as f64 / 1e9;
            let process = sample.map(|sample| ProcessPoint {
                rss_anonymous_bytes: sample.anonymous_bytes,
                rss_file_bytes: sample.file_bytes,
                rss_shared_memory_bytes: sample.shared_memory_bytes,
                swap_bytes: sample.swap_bytes,
                page_table_bytes: sample.page_table_bytes,
            });
            let reading = sources.read(process);
            // Where it is not in that cgroup any more, its limit is another one.
            if reading.cgroup.is_some() {
                self.limit_seen_bytes = sources.cgroup().and_then(ProcessCgroup::limit_bytes);
            }
            self.course.sample(at_seconds, &reading);
            samples.memory(now, &reading);
        }
        // A timer that is a little early is in time.
        self.next_memory_nanos = now + self.memory_interval_nanos / 10 * 9;
    }

    #[must_use]
    pub fn memory_course(&self) -> Vec<MemoryPointRecord> {
        self.course.points().iter().map(memory_point).collect()
    }

    /// The latest sample of memory.
    #[must_use]
    pub fn memory_now(&self) -> Option<MemoryPoint> {
        self.course.latest()
    }

    /// Limit of the memory cgroup that it is in, where that has one.
    #[must_use]
    pub fn memory_limit_bytes(&self) -> Option<u64> {
        self.sources.as_ref()?.cgroup()?.limit_bytes()
    }

    #[must_use]
    pub fn process_id(&self) -> u32 {
        u32::try_from(self.pid).unwrap_or_default()
    }

    fn look_at_mappings(&self) -> Option<(MappingTable, Option<MemoryUse>)> {
        let process = self.process.as_ref()?;
        let table = MappingTable::read(process, LARGEST_MAPPINGS).ok()?;
        // A process that is ending has no mappings left.
        if table.largest.is_empty() {
            return None;
        }
        Some((table, memory_rollup(process).ok()))
    }

    /// The record of the process, without its faults.
    #[must_use]
    pub fn record(&self) -> ProcessRecord {
        let taken = self
            .at_load_end
            .as_ref()
            .map(|(when, table, rollup)| (when.clone(), table, rollup))
            .or_else(|| {
                self.latest.as_ref().map(|(table, rollup)| {
                    let when = "at the last look before the end (no line of the log marked the end of loading)";
                    (when.to_owned(), table, rollup)
                })
            });
        ProcessRecord {
            pid: self.process_id(),
            major_faults: None,
            minor_faults: None,
            peak: self.peak.at_peak.as_ref().map(|peak| PeakMemoryRecord {
                rss_bytes: peak.rss_bytes,
                anonymous_bytes: peak.anonymous_bytes,
                file_bytes: peak.file_bytes,
                shared_memory_bytes: peak.shared_memory_bytes,
                page_table_bytes: peak.page_table_bytes,
            }),
            peak_rss_bytes: self.peak.rss_high_water_bytes,
            memory_limit_bytes: self.limit_seen_bytes,
            rollup: taken.as_ref().and_then(|(_, _, rollup)| {
                rollup.as_ref().map(|rollup| RollupRecord {
                    rss_bytes: rollup.rss_bytes,
                    pss_bytes: rollup.pss_bytes,
                    anonymous_bytes: rollup.anonymous_bytes,
                    locked_bytes: rollup.locked_bytes,
                })
            }),
            mappings: taken.map(|(taken_at, table, _)| MappingsRecord {
                taken_at,
                largest: table
                    .largest
                    .iter()
                    .map(|row| MappingRecord {
                        address: format!("{:x}", row.start),
                        permissions: row.permissions.clone(),
                        size_bytes: row.end.saturating_sub(row.start),
                        rss_bytes: row.memory.rss_bytes,
                        anonymous_bytes: row.memory.anonymous_bytes,
                        locked_bytes: row.memory.locked_bytes,
                        path: row.name.clone(),
                    })
                    .collect(),
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{REST_NANOS, Rest};

    #[test]
    fn an_engine_that_works_is_looked_at_each_time() {
        let mut rest = Rest::default();
        for look in 0..10 {
            assert!(!rest.goes_on(Some(look), look * 1_000_000_000));
        }
        // It cannot be told.
        assert!(!rest.goes_on(None, 0) && !rest.goes_on(None, 1));
    }

    #[test]
    fn one_that_does_nothing_is_looked_at_now_and_then() {
        let mut rest = Rest::default();
        let looked: Vec<u64> = (0..12)
            .filter(|second| !rest.goes_on(Some(7), second * 1_000_000_000))
            .collect();
        assert_eq!(looked, [0, 5, 10]);
        // At once, when it works.
        assert!(!rest.goes_on(Some(8), 11_000_000_001));
        assert!(rest.goes_on(Some(8), 11_000_000_000 + REST_NANOS));
        assert!(!rest.goes_on(Some(8), 11_000_000_001 + REST_NANOS));
    }
}
