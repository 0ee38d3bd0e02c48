//! What the reads were for, counted on another road: the kernel's aggregates against the stream's sums.

use crate::{
    probe::{FileAggregates, ModelAggregates},
    schema::{Check, DeviceShareRecord},
    stats::phases::{attribution::AttributionFigures, steps::EventCounts},
};

/// Checks of one model. `road`: what the figures are the sum of. With lost records the two roads cannot be compared, which is said instead.
#[must_use]
pub fn of_model(
    name: &str,
    kernel: &ModelAggregates,
    files: &[FileAggregates],
    figures: &AttributionFigures,
    road: &str,
    lost_records: u64,
) -> Vec<Check> {
    let total_bytes = kernel
        .issues
        .issued_bytes
        .saturating_sub(kernel.requeues.requeued_bytes);
    let by_piece: u64 = figures
        .piece_reads
        .iter()
        .map(|piece| piece.read_bytes)
        .sum();
    let by_phase: u64 = figures.phases.values().map(|phase| phase.total_bytes).sum();
    let mut by_segment = EventCounts::default();
    // What went back in another step than it was issued in is the excess of that one.
    let mut excess_bytes = 0;
    for segment in &figures.segments {
        by_segment.merge(&segment.counts);
        excess_bytes += segment.excess_requeued_bytes;
    }
    let by_kind: Option<u64> = figures
        .segments
        .iter()
        .map(|segment| {
            let pieces = segment.pieces.as_ref()?;
            Some(pieces.iter().map(|(_, bytes)| bytes).sum::<u64>())
        })
        .sum();
    let sum =
        |pick: fn(&FileAggregates) -> Option<u64>| -> Option<u64> { files.iter().map(pick).sum() };
    let pages = &figures.pages;
    let pairs = [
        ("bytes read, by tensor", Some(total_bytes), by_piece),
        ("bytes read, by phase", Some(total_bytes), by_phase),
        (
            "bytes read, by step",
            Some(total_bytes),
            by_segment.read_bytes.saturating_sub(excess_bytes),
        ),
        // Where something went back in another step, the kinds of that step are short of it.
        (
            "bytes read, by kind of tensor in each step",
            by_kind.filter(|_| excess_bytes == 0).map(|_| total_bytes),
            by_kind.unwrap_or(0),
        ),
        (
            "pages inserted",
            sum(|file| file.inserts.map(|inserts| inserts.pages)),
            pages.inserted_pages + pages.pages_beyond_end,
        ),
        (
            "pages refaulted",
            sum(|file| file.reinserted_pages),
            pages.refaulted_pages,
        ),
        (
            "pages evicted",
            sum(|file| file.evictions.map(|evictions| evictions.pages.iter().sum())),
            pages.evicted_pages + pages.evicted_beyond_end_pages,
        ),
        (
            "page faults, by step",
            sum(|file| file.faults.map(|faults| faults.faults)),
            by_segment.faults,
        ),
        (
            "major faults, by step",
            sum(|file| file.inserts.map(|inserts| inserts.by_fault)),
            by_segment.major_faults,
        ),
    ];
    let mut checks: Vec<Check> = pairs
        .into_iter()
        .filter_map(|(what, kernel, stream)| {
            let title = format!("{name}{what}: kernel aggregates = {road}, summed");
            let kernel = kernel?;
            Some(if lost_records == 0 {
                Check::equal(
                    title,
                    ("kernel aggregate", kernel),
                    (&format!("{road}, summed"), stream),
                )
            } else {
                Check::unobserved(
                    title,
                    format!("kernel aggregate: {kernel}"),
                    format!(
                        "{lost_records} records were lost, so that the sum of {stream} is short"
                    ),
                )
            })
        })
        .collect();
    let worse = figures
        .piece_reads
        .iter()
        .filter(|piece| piece.readahead_bytes > piece.read_bytes)
        .count();
    checks.push(Check::equal(
        format!("{name}no tensor has more bytes by read-ahead than bytes read"),
        ("tensors that have", worse as u64),
        ("none", 0),
    ));
    if let Some(contradicting) = pages.cache.contradicting_pages.filter(|pages| *pages > 0) {
        checks.push(Check::unobserved(
            format!("{name}each page enters and leaves the page cache in turn"),
            format!(
                "pages inserted while resident, or evicted while absent: {}",
                contradicting
            ),
            "none, unless pages changed while the start was looked at".to_owned(),
        ));
    }
    checks
}

/// The classes of a device's reads sum to all of its reads. `lost_records`: of issues that no other count makes up for.
#[must_use]
pub fn of_share(share: &DeviceShareRecord, lost_records: u64) -> Check {
    let name = format!("{}: classes of reads sum to all reads", share.device);
    let of_classes: u64 = share.classes.iter().map(|class| class.bytes).sum();
    if lost_records > 0 {
        return Check::unobserved(
            name,
            format!("bytes of all reads: {}", share.read_bytes),
            format!(
                "{lost_records} records were lost, so that the classes' {of_classes} are short"
            ),
        );
    }
    Check::equal(
        name,
        ("bytes of all classes", of_classes),
        ("bytes of all reads", share.read_bytes),
    )
}
