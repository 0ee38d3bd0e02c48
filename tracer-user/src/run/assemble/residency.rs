//! Residency over the run → the record.

use crate::{
    run::watch::residency_moments::ResidencyMoment,
    schema::ResidencyPointRecord,
    stats::{Nanos, formulas::seconds},
};

/// Residency of the models over the run.
#[derive(Clone, Debug, Default)]
pub struct ResidencyCourse {
    pub before: ResidencyMoment,
    /// When loading ended, where that was noticed.
    pub load_end: Option<ResidencyMoment>,
    /// When the engine printed its timings, where that was noticed.
    pub last_token: Option<ResidencyMoment>,
    pub after: ResidencyMoment,
    pub others: Vec<ResidencyMoment>,
}

/// Residency over time: by the events, and by the kernel's own count where it was asked.
pub fn residency_course(
    by_events: &[(Nanos, Vec<Option<u64>>)],
    course: &ResidencyCourse,
    opened_nanos: u64,
    page_bytes: u64,
) -> Vec<ResidencyPointRecord> {
    let at_s = |nanos: u64| seconds(nanos.saturating_sub(opened_nanos));
    let mut points: Vec<ResidencyPointRecord> = by_events
        .iter()
        .map(|(time, pages)| ResidencyPointRecord {
            at_s: at_s(time.0),
            by_events_bytes: pages
                .iter()
                .map(|pages| pages.map(|pages| pages * page_bytes))
                .collect(),
            ..ResidencyPointRecord::default()
        })
        .collect();
    let moments = std::iter::once(&course.before)
        .chain(&course.load_end)
        .chain(&course.last_token)
        .chain(&course.others)
        .chain(std::iter::once(&course.after))
        // Of a part of a run, or one whose tracer was killed, not all were taken.
        .filter(|moment| moment.at_nanos != 0);
    points.extend(moments.map(|moment| ResidencyPointRecord {
        at_s: at_s(moment.at_nanos),
        by_events_bytes: Vec::new(),
        by_cachestat_bytes: Some(moment.bytes.clone()),
        dirty_bytes: Some(moment.dirty_bytes.clone()),
        recently_evicted_bytes: Some(moment.recently_evicted_bytes.clone()),
    }));
    points.sort_by(|one, other| one.at_s.total_cmp(&other.at_s));
    points
}
