//! One device against its own counter.

use tracer_common::{counters::Operation, gap::SECTOR_BYTES};

use crate::{probe::Aggregates, run::window::Bracket, schema::Check};

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
