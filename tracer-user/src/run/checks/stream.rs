//! The records as a whole: how many there are, and where they belong.

use tracer_common::record::Kind;

use crate::{
    probe::{Aggregates, ModelAggregates},
    run::stream::{FinishedStream, RecordCounts},
    schema::Check,
};

/// Checks of the stream as a whole.
#[must_use]
pub fn of_stream(aggregates: &Aggregates, stream: &FinishedStream) -> Vec<Check> {
    let lost = &aggregates.lost_records;
    let RecordCounts {
        issues,
        requeues,
        unseen,
        misplaced,
        ..
    } = stream.counts;
    let sum = |pick: fn(&ModelAggregates) -> u64| aggregates.models.iter().map(pick).sum::<u64>();
    let mut checks = vec![
        issue_records(
            issues + unseen + lost.of(Kind::Issue) + lost.of(Kind::Unseen),
            sum(|model| model.issues.reads + model.issues.reissues),
            sum(|model| model.issues.unseen_completions),
            aggregates.models.len(),
        ),
        Check::equal(
            "both sides find the same model for every read",
            ("reads that the user side places elsewhere", misplaced),
            ("none", 0),
        ),
    ];
    if aggregates.models.len() == 1 {
        checks.push(Check::equal(
            "records of requeues: received + lost = written",
            ("received + lost", requeues + lost.of(Kind::Requeue)),
            ("kernel, requeues", sum(|model| model.requeues.requeues)),
        ));
    }
    checks
}

/// Every record of an issue arrived or was counted as lost. A read that ended unseen gives one record,
/// however many models it touches.
fn issue_records(received_and_lost: u64, written: u64, unseen: u64, models: usize) -> Check {
    let name = "records of issues and unseen ends: received + lost = written";
    let least = if models > 1 {
        written + unseen.min(1)
    } else {
        written + unseen
    };
    Check::within(
        name,
        ("received + lost", received_and_lost),
        (
            "kernel, reads + re-issues + unseen ends",
            least,
            written + unseen,
        ),
    )
}
