//! What was lost, and what tracing cost → the record.

use tracer_common::{counters::LostRecords, record::Kind};

use crate::{
    probe::{Aggregates, ProgramRun},
    run::stream::FinishedStream,
    schema::{LossRecord, OverheadRecord, ProgramOverhead},
};

/// Lost records of reads' ends, those that no program saw among them: the program on issues notices these, but they are no
/// issues.
const fn losses_of_ends(lost: &LostRecords) -> u64 {
    lost.of(Kind::Complete) + lost.of(Kind::Unseen)
}

/// Lost records of reads.
pub(super) const fn losses_of_reads(lost: &LostRecords) -> u64 {
    lost.of(Kind::Issue) + losses_of_ends(lost) + lost.of(Kind::Requeue)
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
        ring_buffer_records: lost.total(),
        ring_buffer_issues: lost.of(Kind::Issue),
        ring_buffer_completions: losses_of_ends(lost),
        ring_buffer_requeues: lost.of(Kind::Requeue),
        ring_buffer_pages: lost.of(Kind::Page),
        ring_buffer_waits: lost.of(Kind::Wait),
        ring_buffer_marks: lost.of(Kind::Mark),
        ring_buffer_stages: lost.of(Kind::Stage),
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
        budget: None,
        tracer_cpu_s,
        ring_buffer_records: stream.counts.total(),
        programs: programs
            .iter()
            .filter_map(|run| {
                let run_time = run.run_time?;
                Some(ProgramOverhead {
                    program: run.program.name().to_owned(),
                    calls: run_time.calls,
                    total_ns: u64::try_from(run_time.time.as_nanos()).unwrap_or(u64::MAX),
                })
            })
            .collect(),
    }
}
