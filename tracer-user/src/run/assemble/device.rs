//! A device → the record.

use tracer_common::counters::Operation;

use crate::{place::Subject, probe::Aggregates, schema::DeviceRecord};

/// What a device was and did; `statistics` is what its own counter says, at least and at most.
pub(super) fn device(
    subject: &Subject,
    slot: usize,
    aggregates: &Aggregates,
    statistics: Option<(u64, u64)>,
) -> DeviceRecord {
    let Some(disk) = subject.disks.get(slot) else {
        return DeviceRecord::default();
    };
    let (issues, _) = aggregates.devices.get(slot).copied().unwrap_or_default();
    let of = |operation: Operation| {
        (
            issues.requests[operation as usize],
            issues.bytes[operation as usize],
        )
    };
    let (reads, read_bytes) = of(Operation::Read);
    let (writes, write_bytes) = of(Operation::Write);
    DeviceRecord {
        name: disk.name.clone(),
        number: disk.device.to_string(),
        device_model: disk.model.clone(),
        scheduler: disk.queue.scheduler.clone(),
        read_ahead_kb: disk.queue.read_ahead_kib,
        max_sectors_kb: disk.queue.max_sectors_kib,
        rotational: disk.queue.rotational,
        loop_direct_io: disk.loop_direct_io,
        reads,
        read_bytes,
        other_reads: reads.saturating_sub(issues.model_reads),
        other_read_bytes: read_bytes.saturating_sub(issues.model_bytes),
        metadata_reads: issues.metadata_reads,
        writes,
        write_bytes,
        flushes: of(Operation::Flush).0,
        discards: of(Operation::Discard).0,
        other_requests: of(Operation::Other).0,
        statistics_sectors_read: statistics
            .filter(|(low, high)| low == high)
            .map(|(low, _)| low),
    }
}
