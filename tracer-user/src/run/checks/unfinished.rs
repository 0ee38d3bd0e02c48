//! What was not over when the window closed.

use tracer_common::request::state;

use crate::{place::Locator, probe::Aggregates};

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
