//! The conditions of a run: what is done to the memory before the engine starts, and undone afterwards.
//!
//! The two kinds of pressure are different experiments. The balloon takes memory from the whole machine, so
//! that kswapd and every task's direct reclaim work; the cgroup limits the engine alone. A page that was
//! cached before is charged to whoever read it first, so a cgroup run starts with the model uncached.
//! Read-ahead is taken over when a file is opened, so it is set before the engine starts.

use std::os::fd::OwnedFd;

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};

use crate::{
    place::Subject,
    pressure::{
        Balloon, BalloonSize, CgroupVersion, DropCaches, MemoryCgroup, MemoryLimits, PinRequest,
        Pinned, drop_caches, evict_file, largest_balloon, memory_cgroup_version, remove_leftovers,
    },
    schema::{CgroupRecord, PinnedRecord, PressureRecord, SetQueueRecord, SetReadAheadRecord},
    setting::{KeptSettings, QueueSetting, ReadAhead, check_read_ahead, put_back_leftovers},
};

/// What to do to the memory.
#[derive(Clone, Debug, Default)]
pub struct ConditionsRequest {
    /// Memory to lock away.
    pub balloon: Option<BalloonSize>,
    /// Limits of the engine's memory cgroup.
    pub cgroup: Option<MemoryLimits>,
    /// Drop the machine's page cache.
    pub drop_caches: bool,
    /// Drop the models' files from the page cache.
    pub evict_model: bool,
    /// Read-ahead of the models' disks, bytes.
    pub read_ahead_bytes: Option<u64>,
    /// Settings of the queues of the models' disks, in the order in which they are set.
    pub queues: Vec<(QueueSetting, String)>,
    /// Parts of the model to keep in memory.
    pub pinned: Option<PinRequest>,
}

/// What the engine is left beside what is pinned, at least: its own memory, and the weights of a step.
const LEAST_BESIDE_PINNED_BYTES: u64 = 16 << 20;

/// Below this the kernel kills a process before it has run its first instructions.
const LEAST_CGROUP_BYTES: u64 = 4 << 20;

/// Conditions in force; dropping them undoes what can be undone.
#[derive(Debug, Default)]
pub struct Conditions {
    balloon: Option<Balloon>,
    pinned: Option<Pinned>,
    cgroup: Option<MemoryCgroup>,
    settings: Option<KeptSettings>,
    high_bytes: Option<u64>,
    record: PressureRecord,
    notes: Vec<String>,
}

impl Conditions {
    /// Says what cannot be done, before anything is touched.
    ///
    /// # Errors
    /// More memory to lock than fits, a limit that nothing could run in.
    pub fn check(request: &ConditionsRequest) -> anyhow::Result<()> {
        if let Some(limits) = request.cgroup {
            let version = memory_cgroup_version()?;
            if limits.max_bytes < LEAST_CGROUP_BYTES {
                bail!(
                    "no process starts in {}; choose --memory-max of at least {}",
                    crate::units::bytes(limits.max_bytes),
                    crate::units::bytes(LEAST_CGROUP_BYTES)
                );
            }
            if let Some(high_bytes) = limits.high_bytes {
                if version == CgroupVersion::V1 {
                    bail!(
                        "--memory-high needs the memory controller of cgroup v2, and on this machine it is in v1; leave --memory-high out"
                    );
                }
                if high_bytes > limits.max_bytes {
                    bail!(
                        "--memory-high {} lies above --memory-max {} and would do nothing; choose less",
                        crate::units::bytes(high_bytes),
                        crate::units::bytes(limits.max_bytes)
                    );
                }
            }
        }
        if let Some(bytes) = request.read_ahead_bytes {
            check_read_ahead(bytes)?;
        }
        if let (Some(pinned), Some(limits)) = (&request.pinned, request.cgroup) {
            let rest = limits.max_bytes.saturating_sub(pinned.bytes());
            if rest < LEAST_BESIDE_PINNED_BYTES {
                bail!(
                    "{} are to be kept in memory, which leaves the engine {} of its limit of {}; choose a --pin-budget that leaves more",
                    crate::units::bytes(pinned.bytes()),
                    crate::units::bytes(rest),
                    crate::units::bytes(limits.max_bytes)
                );
            }
        }
        if let Some(size) = request.balloon {
            size.check().context("cannot take memory away")?;
        }
        Ok(())
    }

    /// Brings the conditions about: caches first, so that the balloon need not push them out.
    ///
    /// # Errors
    /// What could not be done; what had been done is undone.
    pub fn apply(request: &ConditionsRequest, subject: &mut Subject) -> anyhow::Result<Self> {
        let mut conditions = Self::default();
        conditions.notes.extend(put_back_leftovers());
        if let Some(bytes) = request.read_ahead_bytes {
            conditions.read_ahead(bytes, subject)?;
        }
        for (setting, value) in &request.queues {
            conditions.queue(*setting, value, subject)?;
        }
        if request.drop_caches {
            drop_caches(DropCaches::PageCache)?;
            conditions.record.dropped_caches = true;
        }
        // Pages that are cached already would count where they were read.
        if request.evict_model || request.cgroup.is_some() || request.pinned.is_some() {
            for file in &subject.files {
                evict_file(&file.evictable_path)?;
            }
            conditions.record.evicted_model = true;
        }
        if let Some(size) = request.balloon {
            // Now, since what was dropped from the caches is available.
            conditions.inflate(size.bytes(largest_balloon()?)?)?;
            if let BalloonSize::LeaveFree(bytes) = size {
                conditions.record.leave_free_bytes = Some(bytes);
            }
        }
        if let Some(limits) = request.cgroup {
            for failed in remove_leftovers()?.failed {
                conditions.notes.push(format!(
                    "a cgroup that a dead tracer left behind stays: {failed}"
                ));
            }
            conditions.cgroup = Some(MemoryCgroup::create(&limits)?);
            conditions.high_bytes = limits.high_bytes;
        }
        if let Some(request) = &request.pinned {
            conditions.pin(request)?;
        }
        Ok(conditions)
    }

    fn pin(&mut self, request: &PinRequest) -> anyhow::Result<()> {
        let tracer = std::env::current_exe().context("cannot find the tracer's own program")?;
        let procs = self
            .cgroup
            .as_ref()
            .map(|cgroup| cgroup.path().join("cgroup.procs"));
        self.pinned = Some(Pinned::hold(&tracer, procs.as_deref(), request)?);
        self.record.pinned = Some(PinnedRecord {
            what: request.what.clone(),
            budget_bytes: request.budget_bytes,
            bytes: request.bytes(),
            ranges: request.ranges.len() as u64,
            held: true,
        });
        Ok(())
    }

    /// The process that keeps settings; one for all of them.
    fn kept_settings(&mut self) -> anyhow::Result<&mut KeptSettings> {
        let settings = match self.settings.take() {
            Some(settings) => settings,
            None => {
                let tracer =
                    std::env::current_exe().context("cannot find the tracer's own program")?;
                KeptSettings::begin(&tracer)?
            }
        };
        Ok(self.settings.insert(settings))
    }

    fn queue(
        &mut self,
        setting: QueueSetting,
        value: &str,
        subject: &mut Subject,
    ) -> anyhow::Result<()> {
        for disk in &mut subject.disks {
            let before = setting.set(self.kept_settings()?, disk, value)?;
            match setting {
                QueueSetting::Scheduler => disk.queue.scheduler = Some(value.to_owned()),
                QueueSetting::Requests => disk.queue.nr_requests = value.parse().ok(),
            }
            self.record.queues.push(SetQueueRecord {
                device: disk.name.clone(),
                setting: setting.name().to_owned(),
                set: value.to_owned(),
                before,
            });
        }
        Ok(())
    }

    fn read_ahead(&mut self, bytes: u64, subject: &mut Subject) -> anyhow::Result<()> {
        if let Some(file) = subject.files.iter().find(|file| file.disk().is_none()) {
            bail!(
                "the read-ahead of {} cannot be set, since it lies on no single disk; leave --read-ahead out",
                file.path.display()
            );
        }
        for disk in &mut subject.disks {
            let set = ReadAhead::set(self.kept_settings()?, disk, bytes)?;
            disk.queue.read_ahead_kib = Some(set.set_kb);
            self.record.read_ahead.push(SetReadAheadRecord {
                device: set.device,
                set_kb: set.set_kb,
                before_kb: set.before_kb,
            });
        }
        Ok(())
    }

    fn inflate(&mut self, bytes: u64) -> anyhow::Result<()> {
        let tracer = std::env::current_exe().context("cannot find the tracer's own program")?;
        let progress = bytes_progress(bytes, "locking memory");
        let balloon = Balloon::inflate(&tracer, bytes, |locked| progress.set_position(locked))?;
        progress.finish_and_clear();
        self.record.locked_bytes = balloon.verify()?;
        self.balloon = Some(balloon);
        Ok(())
    }

    /// What the engine writes itself into before it starts.
    ///
    /// # Errors
    /// The cgroup went away.
    pub fn cgroup_descriptors(&self) -> anyhow::Result<Vec<OwnedFd>> {
        let descriptor = self
            .cgroup
            .as_ref()
            .map(MemoryCgroup::open_procs)
            .transpose()?;
        Ok(descriptor.into_iter().map(OwnedFd::from).collect())
    }

    /// Takes the last readings and undoes everything. Returns the record and what a reader should know.
    #[must_use]
    pub fn end(mut self) -> (PressureRecord, Vec<String>) {
        if let Some(balloon) = self.balloon.take() {
            // Whether the memory was locked to the end is part of the result.
            if let Err(error) = balloon.deflate() {
                self.notes.push(format!(
                    "the memory was not locked to the end of the run: {error}"
                ));
            }
        }
        if let (Some(pinned), Some(record)) = (self.pinned.take(), &mut self.record.pinned) {
            record.held = pinned.end();
            if !record.held {
                self.notes.push(
                    "the process that kept weights in memory ended before the run did: they were not held to its end"
                        .to_owned(),
                );
            }
        }
        if let Some(cgroup) = self.cgroup.take() {
            let memory = cgroup.memory().ok();
            self.record.cgroup = Some(CgroupRecord {
                version: match cgroup.version() {
                    CgroupVersion::V1 => 1,
                    CgroupVersion::V2 => 2,
                },
                limit_bytes: cgroup.max_bytes(),
                high_bytes: self.high_bytes,
                peak_bytes: memory.as_ref().and_then(|memory| memory.peak_bytes),
                oom_kills: memory.as_ref().and_then(|memory| memory.oom_kills),
                workingset_refault_file: memory
                    .as_ref()
                    .and_then(|memory| memory.workingset_refault_file_pages),
            });
            if let Err(error) = cgroup.remove() {
                self.notes
                    .push(format!("the engine's cgroup stays behind: {error}"));
            }
        }
        if let Some(settings) = self.settings.take() {
            self.notes.extend(settings.end());
        }
        (self.record, self.notes)
    }
}

/// A progress bar over bytes; hidden where standard error is no terminal.
#[must_use]
pub fn bytes_progress(total_bytes: u64, what: &'static str) -> ProgressBar {
    let progress = ProgressBar::new(total_bytes).with_message(what);
    // The template is a constant; where it were wrong, the plain bar would do.
    if let Ok(style) = ProgressStyle::with_template(
        "{msg} {wide_bar} {binary_bytes} of {binary_total_bytes}, {eta} left",
    ) {
        progress.set_style(style);
    }
    if progress.is_hidden() {
        eprintln!("tracer: {what}, {}", crate::units::bytes(total_bytes));
    }
    progress
}
