//! What the causes look at: one model of a record, and the time that the question is about.

use serde::Serialize;

use tracer_common::page::USUAL_PAGE_BYTES;

use crate::{
    schema::{DeviceRecord, DeviceTestRecord, ModelRecord, PhaseRecord, RunRecord, WaitRecord},
    stats::formulas::{quotient, ratio},
};

use super::Answer;

/// Phases in which tokens come, the one that says most first.
const DECODING: [&str; 3] = ["generation", "mixed", "inference"];

/// One model of a record.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub run: &'a RunRecord,
    pub model: &'a ModelRecord,
    /// The device that the model's reads went to: with several, the one that read most for models.
    pub device: Option<&'a DeviceRecord>,
    /// What the device can do on the model's file, where that was measured.
    pub device_test: Option<&'a DeviceTestRecord>,
    /// The time that the question is about. None where page-cache events were only counted: there are no phases then.
    pub span: Option<Span>,
}

/// Generation, or the whole run where no decode step was seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Span {
    pub unit: Unit,
    pub duration_s: f64,
    pub waits: WaitRecord,
    pub read_bytes: Option<u64>,
    pub inserted_bytes: Option<u64>,
    pub refaulted_bytes: Option<u64>,
    pub evicted_bytes: Option<u64>,
    pub faults: Option<u64>,
}

/// What a time is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Decode steps, of which there are so many.
    Token {
        steps: u64,
    },
    Run,
}

impl Unit {
    /// As it follows a time.
    #[must_use]
    pub const fn words(self) -> &'static str {
        match self {
            Self::Token { .. } => "a token",
            Self::Run => "in this run",
        }
    }
}

impl Span {
    fn of(model: &ModelRecord) -> Option<Self> {
        let phases = model.phases.as_ref().filter(|phases| !phases.is_empty())?;
        let decoding = DECODING
            .iter()
            .find_map(|name| phases.iter().find(|phase| phase.phase == *name))
            .filter(|phase| phase.steps > 0);
        match decoding {
            Some(phase) => Some(Self::over(
                std::slice::from_ref(phase),
                Unit::Token { steps: phase.steps },
            )),
            None => Some(Self::over(phases, Unit::Run)),
        }
    }

    /// Sums over phases. A sum with a null in it is null.
    fn over(phases: &[PhaseRecord], unit: Unit) -> Self {
        let bytes = |pick: fn(&PhaseRecord) -> Option<u64>| phases.iter().map(pick).sum();
        let wait = |pick: fn(&WaitRecord) -> Option<f64>| {
            phases.iter().map(|phase| pick(&phase.waits)).sum()
        };
        Self {
            unit,
            duration_s: phases.iter().map(|phase| phase.duration_s).sum(),
            waits: WaitRecord {
                stall_s: wait(|waits| waits.stall_s),
                reclaim_s: wait(|waits| waits.reclaim_s),
                lock_s: wait(|waits| waits.lock_s),
                other_io_s: wait(|waits| waits.other_io_s),
                stall_threads_s: wait(|waits| waits.stall_threads_s),
                other_io_threads_s: wait(|waits| waits.other_io_threads_s),
                reclaim_threads_s: wait(|waits| waits.reclaim_threads_s),
                lock_threads_s: wait(|waits| waits.lock_threads_s),
            },
            read_bytes: bytes(|phase| phase.read_bytes),
            inserted_bytes: bytes(|phase| phase.inserted_bytes),
            refaulted_bytes: bytes(|phase| phase.refaulted_bytes),
            evicted_bytes: bytes(|phase| phase.evicted_bytes),
            faults: bytes(|phase| phase.faults),
        }
    }

    /// Seconds of this span for each token, or for the run.
    #[must_use]
    pub fn each(&self, seconds: f64) -> f64 {
        match self.unit {
            Unit::Token { steps } => seconds / steps as f64,
            Unit::Run => seconds,
        }
    }
}

/// The engine's memory cgroup: one that the tracer made, or one that it found the engine in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Group {
    pub limit_bytes: u64,
    /// Whether the tracer made it.
    pub own: bool,
    /// The most that was used of it, bytes. Of one that was found by samples; null where it was not seen.
    pub most_bytes: Option<u64>,
    /// The member that says so.
    pub member: &'static str,
}

impl<'a> Facts<'a> {
    #[must_use]
    pub fn new(
        run: &'a RunRecord,
        model: &'a ModelRecord,
        device_test: Option<&'a DeviceTestRecord>,
    ) -> Self {
        let device = run
            .devices
            .iter()
            .max_by_key(|device| device.read_bytes.saturating_sub(device.other_read_bytes));
        Self {
            run,
            model,
            device,
            device_test,
            span: Span::of(model),
        }
    }

    /// The limit that the engine's memory has. None where none is known.
    #[must_use]
    pub fn group(&self) -> Option<Group> {
        if let Some(group) = &self.run.pressure.cgroup {
            return Some(Group {
                limit_bytes: group.high_bytes.unwrap_or(group.limit_bytes),
                own: true,
                most_bytes: group.peak_bytes,
                member: "pressure.cgroup.peak_bytes",
            });
        }
        let used = self
            .run
            .memory_course
            .iter()
            .filter_map(|point| point.cgroup?.usage_bytes);
        Some(Group {
            limit_bytes: self.run.process.memory_limit_bytes?,
            own: false,
            most_bytes: used.max(),
            member: "memory_course[].cgroup.usage_bytes",
        })
    }

    /// Seconds a token (or in the run) in which a thread waited for the model.
    #[must_use]
    pub fn stall(&self) -> Option<f64> {
        let span = self.span?;
        Some(span.each(span.waits.stall_s?))
    }

    /// What reading costs, seconds a token (or in the run): waits for the model, and the time in which none of the engine's
    /// threads waits so but one frees memory for it.
    #[must_use]
    pub fn reading(&self) -> Option<f64> {
        let span = self.span?;
        let (stall, reclaim) = (span.waits.stall_s?, span.waits.reclaim_s?);
        Some(span.each(stall + reclaim))
    }

    /// That time, by a share of the bytes.
    #[must_use]
    pub fn reading_by(&self, share: f64) -> Option<f64> {
        Some(self.reading()? * share.clamp(0.0, 1.0))
    }

    #[must_use]
    pub fn unit(&self) -> Unit {
        self.span.map_or(Unit::Run, |span| span.unit)
    }

    /// Of the bytes that entered the page cache in the run, the share that certainly was not used before it left.
    #[must_use]
    pub fn unused_share(&self) -> Option<f64> {
        let pages = self.model.page_cache?;
        ratio(pages.unused_at_least_bytes?, pages.inserted_bytes)
    }

    /// Of the bytes that entered the page cache in the span, the share that had been thrown out before.
    #[must_use]
    pub fn refault_share(&self) -> Option<f64> {
        let span = self.span?;
        match span.inserted_bytes? {
            0 => Some(0.0),
            inserted => ratio(span.refaulted_bytes?, inserted),
        }
    }

    /// Most of the model that was in memory at once, bytes, and the member of the record that says so.
    #[must_use]
    pub fn most_resident(&self) -> Option<(u64, &'static str)> {
        let slot = self
            .run
            .all_models()
            .position(|model| std::ptr::eq(model, self.model))?;
        self.run
            .residency_course
            .iter()
            .filter_map(|point| *point.by_events_bytes.get(slot)?)
            .map(|bytes| (bytes, "residency_course[].by_events_bytes"))
            .chain(
                self.model
                    .cache
                    .last_token_bytes
                    .map(|bytes| (bytes, "cache.last_token_bytes")),
            )
            .chain(
                self.model
                    .cache
                    .after_bytes
                    .map(|bytes| (bytes, "cache.after_bytes")),
            )
            .max_by_key(|(bytes, _)| *bytes)
    }

    /// Bytes of weights that a step of the span uses, on average. None where it is not known for each.
    #[must_use]
    pub fn need_bytes(&self) -> Option<f64> {
        let Unit::Token { steps } = self.unit() else {
            return None;
        };
        let needs: Option<Vec<u64>> = self
            .model
            .tokens
            .iter()
            .flatten()
            .filter(|token| DECODING.contains(&token.phase.as_str()))
            .map(|token| token.need_bytes)
            .collect();
        let needs = needs.filter(|needs| needs.len() as u64 == steps)?;
        quotient(needs.iter().sum::<u64>() as f64, steps as f64)
    }

    /// Bytes of a page on the machine of the run.
    #[must_use]
    pub fn page_bytes(&self) -> u64 {
        self.run.machine.page_bytes.unwrap_or(USUAL_PAGE_BYTES)
    }

    /// The answer where a figure is null.
    #[must_use]
    pub fn missing(&self, figure: &str, member: &str) -> Answer {
        let why = if self.run.detail.as_deref() == Some("counts") {
            format!(
                "{figure} is not known (`{member}` is null): the level `counts` does not record it. `--detail events` shows it."
            )
        } else if let Some(why) = &self.model.model.without_sectors {
            format!(
                "{figure} is not known (`{member}` is null). The sectors of the model are not known: {why}. A copy on a local file system may show it."
            )
        } else {
            format!(
                "{figure} is not known: `{member}` is null. The notes of the run and docs/LIMITS.md say why; a new run with `--detail events` shows it where the kernel can."
            )
        };
        Answer::NotDecided(why)
    }
}
