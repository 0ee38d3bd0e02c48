//! One device against its own counter.

use tracer_common::{counters::Operation, gap::SECTOR_BYTES, request::state};

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
            let unknown = sectors_not_seen_to_end(aggregates, slot);
            checks.push(Check::intervals_meet(
                title,
                (road, sectors, sectors + unknown),
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

/// Sectors of reads that were with the driver by all that was seen, of a device that was not idle after they began: each may
/// be in flight, or have ended without any program seeing it.
fn sectors_not_seen_to_end(aggregates: &Aggregates, slot: usize) -> u64 {
    aggregates
        .unfinished
        .iter()
        .filter(|request| request.device as usize == slot && request.state == state::ISSUED)
        .map(|request| request.end_sector - request.next_sector)
        .sum()
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

#[cfg(test)]
mod tests {
    use tracer_common::request::{RequestSlot, state};

    use crate::{probe::Aggregates, run::window::Bracket, storage::DeviceStatistics};

    use super::of_device;

    fn bracket(sectors_read: u64) -> Bracket {
        let line = format!("1 0 {sectors_read} 0 0 0 0 0 0 0 0");
        let at: Option<DeviceStatistics> = line.parse().ok();
        Bracket {
            before: at,
            after: at,
        }
    }

    #[test]
    fn a_read_that_was_not_seen_to_end_may_be_in_the_devices_counter_and_no_more() {
        let request = |state| RequestSlot {
            state,
            next_sector: 100,
            end_sector: 132,
            ..RequestSlot::default()
        };
        let holds = |requests: &[RequestSlot], counter| {
            let aggregates = Aggregates {
                devices: vec![Default::default()],
                unfinished: requests.to_vec(),
                ..Aggregates::default()
            };
            let checks = of_device("sda", 0, &aggregates, &bracket(0), &bracket(counter), true);
            checks[0].holds
        };
        assert_eq!(holds(&[], 0), Some(true));
        assert_eq!(holds(&[], 32), Some(false));
        let issued = request(state::ISSUED);
        assert_eq!(holds(&[issued], 0), Some(true));
        assert_eq!(holds(&[issued], 32), Some(true));
        assert_eq!(holds(&[issued], 33), Some(false));
        // What is back in the queue has not been read.
        assert_eq!(holds(&[request(state::REQUEUED)], 32), Some(false));
    }
}
