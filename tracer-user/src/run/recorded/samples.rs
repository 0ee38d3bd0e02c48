//! What was looked at beside the events → the courses over time.

use crate::{
    pressure::{MemoryCourse, MemoryReading},
    recording::{Sample, SampleKind},
    run::{
        assemble::{ResidencyCourse, residency_course},
        watch::{
            engine::{COURSE_INTERVAL_SECONDS, memory_point},
            residency_moments::ResidencyMoment,
            samples::{MomentName, NamedMoment},
        },
    },
    schema::{ModelRecord, RunRecord},
    stats::Nanos,
};

use super::selection::TimeSpan;

/// The samples of a recording, of a part of its time where one is looked at.
pub struct Samples {
    opened: Nanos,
    time: Option<TimeSpan>,
    memory: MemoryCourse,
    residency: ResidencyCourse,
    count: u64,
    /// What is wrong with the first one that makes no sense.
    pub damage: Option<String>,
}

impl Samples {
    pub fn new(opened: Nanos, time: Option<TimeSpan>) -> Self {
        Self {
            opened,
            time,
            memory: MemoryCourse::new(COURSE_INTERVAL_SECONDS),
            residency: ResidencyCourse::default(),
            count: 0,
            damage: None,
        }
    }

    /// Takes in a sample.
    pub fn take(&mut self, sample: &Sample) {
        let since_ns = sample.time.since(self.opened);
        let at_ns = since_ns.and_then(|at| i64::try_from(at).ok()).unwrap_or(-1);
        if self.time.is_some_and(|time| !time.holds(at_ns)) {
            return;
        }
        self.count += 1;
        let taken = match sample.kind {
            SampleKind::Memory => serde_json::from_str(&sample.text)
                .map(|reading: MemoryReading| self.memory(since_ns.unwrap_or(0), &reading)),
            SampleKind::Residency => serde_json::from_str(&sample.text)
                .map(|named: NamedMoment| self.residency(sample.time, named)),
        };
        if let Err(error) = taken {
            self.damage.get_or_insert_with(|| {
                format!(
                    "the sample at {:.3} s makes no sense: {error}",
                    at_ns as f64 / 1e9
                )
            });
        }
    }

    fn memory(&mut self, since_ns: u64, reading: &MemoryReading) {
        self.memory.sample(since_ns as f64 / 1e9, reading);
    }

    fn residency(&mut self, time: Nanos, named: NamedMoment) {
        let moment = ResidencyMoment {
            at_nanos: time.0,
            ..named.seen
        };
        match named.moment {
            MomentName::Before => self.residency.before = moment,
            MomentName::LoadEnd => self.residency.load_end = Some(moment),
            MomentName::LastToken => self.residency.last_token = Some(moment),
            MomentName::Other => self.residency.others.push(moment),
            MomentName::After => self.residency.after = moment,
        }
    }

    /// Puts the courses into the record of a whole run or of a part of its time; `by_events` is what was resident by the
    /// events. A recording of the first version has no samples, and what the record had stays.
    pub fn fill(
        &self,
        record: &mut RunRecord,
        by_events: &[(Nanos, Vec<Option<u64>>)],
        page_bytes: u64,
    ) {
        if self.count == 0 {
            return;
        }
        let points = self.memory.points();
        record.memory_course = points.iter().map(memory_point).collect();
        record.residency_course =
            residency_course(by_events, &self.residency, self.opened.0, page_bytes);
    }

    /// What the page cache held at certain moments, of a run that has no record.
    pub fn fill_cache(&self, slot: usize, model: &mut ModelRecord) {
        let bytes = |moment: &ResidencyMoment| moment.bytes.get(slot).copied().flatten();
        let course = &self.residency;
        model.cache.before_bytes = bytes(&course.before);
        model.cache.load_end_bytes = course.load_end.as_ref().and_then(bytes);
        model.cache.last_token_bytes = course.last_token.as_ref().and_then(bytes);
        if let Some(method) = course.before.methods.get(slot) {
            model.cache.residency_method.clone_from(method);
        }
    }
}
