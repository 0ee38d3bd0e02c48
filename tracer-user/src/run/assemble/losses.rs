//! What was lost, and what tracing cost → the record.

use tracer_common::counters::LostRecords;

use crate::{
    probe::{Aggregates, ProgramRun},
    run::stream::FinishedStream,
    schema::{LossRecord, OverheadRecord, ProgramOverhead},
};

/// Lost records of page-cache events.
const fn losses_of_pages(lost: &LostRecords) -> u64 {
    lost.inserts + lost.evictions + lost.faults + lost.map_windows + lost.lookups
}

/// Lost records of everything but reads.
pub(super) const fn losses_of_events(lost: &LostRecords) -> u64 {
    losses_of_pages(lost)
        + lost.waits
        + lost.reclaims
        + lost.mark_entries
        + lost.mark_returns
        + losses_of_stages(lost)
}

/// Lost records of the audit.
const fn losses_of_stages(lost: &LostRecords) -> u64 {
    lost.stage_queues + lost.stage_requests + lost.stage_inserts + lost.stage_remaps
}

pub(super) fn losses(aggregates: &Aggregates, programs: &[ProgramRun]) -> LossRecord {
    let lost = &aggregates.lost_records;
    let over_devices = |pick: fn(&tracer_common::counters::DeviceIssueCounters) -> u64| {
        aggregates
            .devices
            .iter()
            .map(|(issues, _)| pick(issues))
            .sum()
    };
    LossRecord {
        ring_buffer_records: lost.issues
            + lost.completions
            + lost.requeues
            + losses_of_events(lost),
        ring_buffer_issues: lost.issues,
        ring_buffer_completions: lost.completions,
        ring_buffer_requeues: lost.requeues,
        ring_buffer_pages: losses_of_pages(lost),
        ring_buffer_waits: lost.waits + lost.reclaims,
        ring_buffer_marks: lost.mark_entries + lost.mark_returns,
        ring_buffer_stages: losses_of_stages(lost),
        recursion_misses: programs.iter().map(|run| run.recursion_misses).sum(),
        unseen_completions: over_devices(|issues| issues.unseen_completions)
            + aggregates.unseen_at_end.len() as u64,
        unseen_at_end: aggregates.unseen_at_end.len() as u64,
        untimed_reads: over_devices(|issues| issues.untimed_reads),
        late_issues: aggregates.late_issues,
    }
}

pub(super) fn overhead(
    programs: &[ProgramRun],
    stream: &FinishedStream,
    tracer_cpu_s: f64,
) -> OverheadRecord {
    OverheadRecord {
        tracer_cpu_s,
        ring_buffer_records: stream.counts.total(),
        programs: programs
            .iter()
            .filter_map(|run| {
                let run_time = run.run_time?;
                Some(ProgramOverhead {
                    program: run.program.to_owned(),
                    calls: run_time.calls,
                    total_ns: u64::try_from(run_time.time.as_nanos()).unwrap_or(u64::MAX),
                })
            })
            .collect(),
    }
}
