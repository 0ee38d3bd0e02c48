//! The self-checks at the end of every run: two roads to one figure, both sides shown.

pub mod attribution;

use tracer_common::{counters::Operation, gap::SECTOR_BYTES, record::Kind, request::state};

use crate::{
    place::Locator,
    probe::{Aggregates, ModelAggregates, ProgramRun},
    schema::Check,
    stats::ModelFigures,
};

use super::{
    stream::{FinishedStream, RecordCounts},
    window::Bracket,
};

/// What of one model was unfinished when the gate closed, from the table of requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Unfinished {
    /// Reads with the driver.
    pub in_flight: u64,
    /// Bytes of them that had not arrived.
    pub in_flight_bytes: u64,
    /// Reads that were back in the queue.
    pub waiting: u64,
    /// Reads whose completion no program saw.
    pub unseen: u64,
    /// Bytes of them that had not been seen to arrive.
    pub unseen_bytes: u64,
}

/// Sums up the unfinished requests of one model.
#[must_use]
pub fn unfinished(aggregates: &Aggregates, locator: &Locator, model: u16) -> Unfinished {
    let mut sum = Unfinished::default();
    if let Some(kernel) = aggregates.models.get(usize::from(model)) {
        sum.unseen = kernel.issues.unseen_completions;
        sum.unseen_bytes = kernel.issues.unseen_bytes;
    }
    for slot in &aggregates.unseen_at_end {
        let disk = u8::try_from(slot.device).unwrap_or(u8::MAX);
        let bytes = locator.bytes_of(model, disk, slot.next_sector, slot.end_sector);
        sum.unseen += u64::from(bytes > 0);
        sum.unseen_bytes += bytes;
    }
    for slot in &aggregates.unfinished {
        let disk = u8::try_from(slot.device).unwrap_or(u8::MAX);
        let bytes = locator.bytes_of(model, disk, slot.next_sector, slot.end_sector);
        if bytes == 0 {
            continue;
        }
        if slot.state == state::REQUEUED {
            sum.waiting += 1;
        } else {
            sum.in_flight += 1;
            sum.in_flight_bytes += bytes;
        }
    }
    sum
}

/// Checks of one model. With lost records the stream cannot be compared, which is said instead.
#[must_use]
pub fn of_model(
    name: &str,
    kernel: &ModelAggregates,
    stream: &ModelFigures,
    stream_latency: &[u64],
    unfinished: Unfinished,
    absorbed: u64,
    lost_records: u64,
) -> Vec<Check> {
    let title = |what: &str| format!("{name}{what}");
    let total_bytes = kernel.issues.issued_bytes
        - kernel
            .requeues
            .requeued_bytes
            .min(kernel.issues.issued_bytes);
    let mut checks = vec![
        Check::equal(
            title("bytes issued = completed + failed + in flight"),
            ("kernel, issued − requeued", total_bytes),
            (
                "kernel, completed + failed + not seen to complete + table of requests",
                kernel.completes.completed_bytes
                    + kernel.completes.failed_bytes
                    + unfinished.unseen_bytes
                    + unfinished.in_flight_bytes,
            ),
        ),
        Check::within(
            title("every requeued read was issued again, waits, or was merged"),
            ("kernel, requeues", kernel.requeues.requeues),
            (
                "kernel, re-issues + waiting, and at most those that were merged more",
                kernel.issues.reissues + unfinished.waiting,
                kernel.issues.reissues + unfinished.waiting + absorbed,
            ),
        ),
        Check::equal(
            title("gaps + first reads = reads"),
            (
                "kernel, gaps + first reads",
                kernel.issues.gaps.iter().sum::<u64>() + kernel.issues.first_reads,
            ),
            ("kernel, reads", kernel.issues.reads),
        ),
        Check::within(
            title("unique ≤ completed"),
            ("kernel, bitmap of sectors", kernel.unique_bytes),
            (
                "kernel, bytes completed, at most",
                0,
                kernel.completes.completed_bytes + unfinished.unseen_bytes,
            ),
        ),
    ];
    let pairs = [
        ("reads", kernel.issues.reads, stream.requests.reads),
        (
            "unique bytes",
            kernel.unique_bytes,
            stream.reads.unique_bytes,
        ),
        (
            "bytes",
            total_bytes,
            stream
                .requests
                .issued_bytes
                .saturating_sub(stream.requests.requeued_bytes),
        ),
        (
            "bytes completed",
            kernel.completes.completed_bytes,
            stream.requests.completed_bytes,
        ),
        (
            "reads completed",
            kernel.completes.reads,
            stream.requests.completed_reads,
        ),
        (
            "bytes failed",
            kernel.completes.failed_bytes,
            stream.requests.failed_bytes,
        ),
        (
            "requeues",
            kernel.requeues.requeues,
            stream.requests.requeues,
        ),
        (
            "sequential gaps",
            kernel.issues.gaps[0],
            stream.gaps.sequential.count,
        ),
        ("small gaps", kernel.issues.gaps[1], stream.gaps.small.count),
        (
            "medium gaps",
            kernel.issues.gaps[2],
            stream.gaps.medium.count,
        ),
        ("large gaps", kernel.issues.gaps[3], stream.gaps.large.count),
        (
            "backward gaps",
            kernel.issues.gaps[4],
            stream.gaps.backward.count,
        ),
        (
            "bytes not seen to arrive",
            unfinished.unseen_bytes + unfinished.in_flight_bytes,
            stream.requests.in_flight_bytes + stream.requests.missing_bytes,
        ),
    ];
    if lost_records > 0 {
        checks.push(Check::unobserved(
            title("kernel aggregates = stream of records"),
            "kernel aggregates",
            format!("{lost_records} records were lost, so the stream is short of them"),
        ));
        return checks;
    }
    for (what, aggregate, streamed) in pairs {
        checks.push(Check::equal(
            title(&format!("{what}: aggregate = stream")),
            ("kernel aggregate", aggregate),
            ("stream of records", streamed),
        ));
    }
    checks.push(latency_buckets(
        title("latency histogram: aggregate = stream"),
        kernel,
        stream_latency,
    ));
    for device in &stream.devices {
        let kernel_end = kernel
            .last_ends
            .get(usize::from(device.device))
            .copied()
            .flatten();
        checks.push(Check {
            name: title("each end is a predecessor exactly once"),
            holds: Some(device.exchange.holds && device.exchange.last_end == kernel_end),
            left: format!(
                "{} reads, {} without predecessor, {} unknown predecessors, {} ends untaken",
                device.exchange.reads,
                device.exchange.first_reads,
                device.exchange.unknown_predecessors,
                device.exchange.untaken_ends
            ),
            right: format!(
                "last end: stream {:?}, kernel {kernel_end:?}",
                device.exchange.last_end
            ),
        });
    }
    checks.extend(of_records(name, stream, unfinished));
    checks
}

/// The laws that the records obey by themselves.
#[must_use]
pub fn of_records(name: &str, stream: &ModelFigures, unfinished: Unfinished) -> Vec<Check> {
    let title = |what: &str| format!("{name}{what}");
    let mut checks = Vec::with_capacity(stream.laws.len());
    for law in &stream.laws {
        if law.needs_every_completion && unfinished.unseen > 0 {
            checks.push(Check::unobserved(
                title(&format!("stream: {}", law.name)),
                law.left.to_string(),
                format!("{} completions were not seen", unfinished.unseen),
            ));
            continue;
        }
        checks.push(Check {
            name: title(&format!("stream: {}", law.name)),
            holds: Some(law.holds),
            left: law.left.to_string(),
            right: law.right.to_string(),
        });
    }
    checks
}

/// Compares the histograms bucket by bucket; both sides take the same two time stamps.
fn latency_buckets(name: String, kernel: &ModelAggregates, stream: &[u64]) -> Check {
    let different = kernel
        .latency_buckets
        .iter()
        .zip(stream)
        .filter(|(kernel, stream)| kernel != stream)
        .count();
    let equal_length = kernel.latency_buckets.len() == stream.len();
    Check {
        name,
        holds: Some(different == 0 && equal_length),
        left: format!(
            "kernel aggregate: {} reads",
            kernel.latency_buckets.iter().sum::<u64>()
        ),
        right: format!(
            "stream of records: {} reads, {different} buckets differ",
            stream.iter().sum::<u64>()
        ),
    }
}

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

/// Checks of one device against its own counter.
#[must_use]
pub fn of_device(
    name: &str,
    slot: usize,
    aggregates: &Aggregates,
    opening: &Bracket,
    closing: &Bracket,
    device_counts: bool,
) -> Vec<Check> {
    let Some((issues, completes)) = aggregates.devices.get(slot) else {
        return Vec::new();
    };
    let own = |device: u32| device as usize == slot;
    let unseen_at_end: u64 = aggregates
        .unseen_at_end
        .iter()
        .filter(|request| own(request.device))
        .map(|request| request.end_sector - request.next_sector)
        .sum();
    let sectors = (completes.read_bytes + issues.unseen_bytes) / SECTOR_BYTES + unseen_at_end;
    let title = format!("{name}: all sectors read = the device's own counter");
    let road = "kernel, completed reads of the whole device, sectors";
    let mut checks = Vec::new();
    match statistics_window(opening, closing) {
        _ if !device_counts => checks.push(Check::unobserved(
            title,
            format!("{road}: {sectors}"),
            format!("/sys/block/{name}/queue/iostats is 0: the device does not count"),
        )),
        Some((low, high)) => {
            checks.push(Check::within(
                title,
                (road, sectors),
                (&format!("/sys/block/{name}/stat"), low, high),
            ));
            if low > 0 {
                // What ended without being seen was seen before: a driver that passes bios on as they are has them
                // complete on the device below, each and every one.
                let seen = completes.read_events
                    + issues.unseen_completions
                    + aggregates
                        .unseen_at_end
                        .iter()
                        .filter(|request| own(request.device))
                        .count() as u64;
                checks.push(Check {
                    name: format!("{name}: its counter moved, so requests were seen"),
                    holds: Some(seen > 0),
                    left: format!("requests seen: {seen}"),
                    right: format!("sectors by /sys/block/{name}/stat: {low}"),
                });
            }
        }
        None => checks.push(Check::unobserved(
            title,
            format!("{road}: {sectors}"),
            format!("/sys/block/{name}/stat cannot be read"),
        )),
    }
    checks.push(Check::equal(
        format!("{name}: every read has a tag in the table"),
        ("reads without one", issues.untimed_reads),
        ("none", 0),
    ));
    // Before the gate opened there were those in flight at the look before it, and those that began since:
    // they had completed, or were in flight, at the look after it.
    let title = format!("{name}: completions without an issue are of reads from before the window");
    match (&opening.before, &opening.after) {
        (Some(before), Some(after)) if device_counts => checks.push(Check::within(
            title,
            ("completions without an issue", completes.unmatched),
            (
                "in flight when the gate opened, by the device's own counters, at most",
                0,
                before.in_flight
                    + after.in_flight
                    + after.reads_completed.saturating_sub(before.reads_completed),
            ),
        )),
        _ => checks.push(Check::unobserved(
            title,
            format!("completions without an issue: {}", completes.unmatched),
            "the device does not count",
        )),
    }
    checks.push(Check::within(
        format!("{name}: the models' reads are part of all reads"),
        ("kernel, reads that touch a model", issues.model_reads),
        (
            "kernel, all reads, at most",
            0,
            issues.requests[Operation::Read as usize],
        ),
    ));
    checks
}

/// Sectors that the device's counter says were read in the window: the smallest and the largest number,
/// which are the same where nothing was read while the gate moved.
#[must_use]
pub fn statistics_window(opening: &Bracket, closing: &Bracket) -> Option<(u64, u64)> {
    let sectors = |side: &Option<crate::storage::DeviceStatistics>| {
        side.as_ref().map(|statistics| statistics.sectors_read)
    };
    let low = sectors(&closing.before)?.checked_sub(sectors(&opening.after)?)?;
    let high = sectors(&closing.after)?.checked_sub(sectors(&opening.before)?)?;
    Some((low, high))
}

/// The programs saw every event.
#[must_use]
pub fn of_programs(programs: &[ProgramRun]) -> Check {
    let unknown: Vec<&str> = programs
        .iter()
        .filter(|run| run.recursion_misses.is_none())
        .map(|run| run.program.name())
        .collect();
    let name = "no program was skipped by the kernel";
    let missed: u64 = programs.iter().filter_map(|run| run.recursion_misses).sum();
    if unknown.is_empty() || missed > 0 {
        Check::equal(
            name,
            ("recursion misses of all programs", missed),
            ("none", 0),
        )
    } else {
        Check::unobserved(
            name,
            "recursion misses",
            format!("this kernel does not count them for {}", unknown.join(", ")),
        )
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::program::Program;

    use crate::{
        probe::{ModelAggregates, ProgramRun},
        stats::{ModelAccumulator, Nanos},
    };

    use super::{Unfinished, of_model, of_programs};

    fn run(recursion_misses: Option<u64>) -> ProgramRun {
        ProgramRun {
            program: Program::BlockIssue,
            recursion_misses,
            run_time: None,
        }
    }

    #[test]
    fn a_skipped_program_is_a_violation_and_an_uncounted_one_is_unobserved() {
        assert_eq!(of_programs(&[run(Some(0))]).holds, Some(true));
        assert_eq!(
            of_programs(&[run(Some(0)), run(Some(76))]).holds,
            Some(false)
        );
        assert_eq!(of_programs(&[run(None)]).holds, None);
        assert_eq!(of_programs(&[run(None), run(Some(1))]).holds, Some(false));
    }

    #[test]
    fn an_aggregate_that_the_stream_does_not_confirm_is_a_violation() {
        let stream = ModelAccumulator::new(Nanos(0), Vec::new());
        let buckets = stream.latency_buckets().to_vec();
        let figures = stream.finish(Nanos(1));
        let mut kernel = ModelAggregates {
            latency_buckets: buckets.clone(),
            ..Default::default()
        };
        let violated = |kernel: &ModelAggregates, lost| {
            of_model(
                "",
                kernel,
                &figures,
                &buckets,
                Unfinished::default(),
                0,
                lost,
            )
            .into_iter()
            .filter(|check| check.holds == Some(false))
            .count()
        };
        assert_eq!(violated(&kernel, 0), 0);
        kernel.issues.gaps[2] = 1;
        // The class itself, and gaps + first reads = reads.
        assert_eq!(violated(&kernel, 0), 2);
        assert_eq!(violated(&kernel, 1), 1);
    }
}
