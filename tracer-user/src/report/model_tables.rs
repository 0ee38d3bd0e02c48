//! Tables of a model's reads and of its devices, as a run and an old trace both have them.

use crate::{
    figures::gaps,
    schema::{DeviceRecord, GapsRecord, ModelRecord, SizeCount},
    stats::formulas::{quotient, ratio},
    units::{bytes, count, observed_count, share, unobserved},
};

use super::document::{Column, Table};

/// The classes of gaps, each by reads, by bytes, and by the order in the file.
pub(super) fn gaps(model: &ModelRecord) -> Table {
    let in_file = gaps::CLASSES.iter().map(|class| class.in_file.value(model));
    let all: f64 = in_file.flatten().sum();
    let rows = gaps::CLASSES.iter().map(|class| {
        let in_file = class.in_file.value(model);
        [
            class.name.to_owned(),
            class.count.show(model),
            class.share.show(model),
            class.share_of_bytes.show(model),
            share(in_file.and_then(|gaps| quotient(gaps, all))),
        ]
    });
    Table::new([
        Column::left("gap"),
        Column::right("reads"),
        Column::right("share"),
        Column::right("share of bytes"),
        Column::right("share by file offset"),
    ])
    .captioned(format!(
        "{} gaps; {} of the backward reads overlap the read before them. {} of the reads continue one of the last 32 reads (their own stream).",
        gaps::COUNT.show(model),
        gaps::BACKWARD_OVERLAPPING.show(model),
        gaps::STREAM_SEQUENTIAL_SHARE.show(model),
    ))
    .with_rows(rows)
}

/// How far the gaps jump.
pub(super) fn distances(gaps: &GapsRecord) -> Table {
    let rows = gaps.distances.iter().flatten().map(|bucket| {
        [
            bucket.from_bytes.to_string(),
            bucket.to_bytes.to_string(),
            count(bucket.count),
            share(bucket.cumulative_share),
            bucket
                .mean_queue_depth
                .map_or_else(unobserved, |depth| format!("{depth:.1}")),
        ]
    });
    Table::new(
        [
            "from, bytes",
            "to, bytes",
            "gaps",
            "cumulative",
            "queue depth",
        ]
        .map(Column::right),
    )
    .captioned("Signed distances.")
    .with_rows(rows)
}

/// How large the requests were, in powers of two: each row holds the sizes above the row before it.
pub(super) fn sizes<'a>(sizes: impl IntoIterator<Item = &'a SizeCount>) -> Table {
    let mut classes: std::collections::BTreeMap<u64, (u64, u64)> =
        std::collections::BTreeMap::new();
    for size in sizes {
        let class = size.bytes.checked_next_power_of_two().unwrap_or(u64::MAX);
        let (reads, sum) = classes.entry(class).or_default();
        *reads += size.count;
        *sum += size.count.saturating_mul(size.bytes);
    }
    let all: u64 = classes.values().map(|(reads, _)| reads).sum();
    let rows = classes.into_iter().map(|(class, (reads, sum))| {
        [
            bytes(class),
            count(reads),
            share(ratio(reads, all)),
            bytes(sum),
        ]
    });
    Table::new(["size, up to", "reads", "share of reads", "bytes"].map(Column::right))
        .with_rows(rows)
}

/// The block devices and what they read and wrote.
pub(super) fn devices(devices: &[DeviceRecord]) -> Table {
    let text_or = |value: &Option<String>| value.clone().unwrap_or_else(unobserved);
    let amount = |requests: u64, sum: u64| format!("{} ({})", count(requests), bytes(sum));
    let rows = devices.iter().map(|device| {
        [
            format!("{} ({})", device.name, device.number),
            text_or(&device.device_model),
            text_or(&device.scheduler),
            observed_count(device.read_ahead_kb),
            observed_count(device.max_sectors_kb),
            amount(device.reads, device.read_bytes),
            amount(device.other_reads, device.other_read_bytes),
            amount(device.writes, device.write_bytes),
        ]
    });
    Table::new([
        Column::left("device"),
        Column::left("model"),
        Column::left("scheduler"),
        Column::right("read_ahead_kb"),
        Column::right("max_sectors_kb"),
        Column::right("reads"),
        Column::right("of them no model's"),
        Column::right("writes"),
    ])
    .with_rows(rows)
}

#[cfg(test)]
mod tests {
    use crate::{
        report::document::{Document, markdown},
        schema::SizeCount,
    };

    use super::sizes;

    #[test]
    fn sizes_are_counted_by_the_power_of_two_above_them() {
        let made = [(4096, 3), (8192, 1), (5120, 2), (1 << 20, 4)]
            .map(|(bytes, count)| SizeCount { bytes, count });
        let mut document = Document::default();
        document.table(sizes(&made));
        let text = markdown(&document);
        for row in [
            "| 4.00 KiB | 3 | 30.0 % | 12.00 KiB |",
            "| 8.00 KiB | 3 | 30.0 % | 18.00 KiB |",
            "| 1.00 MiB | 4 | 40.0 % | 4.00 MiB |",
        ] {
            assert!(text.contains(row), "{row}\n{text}");
        }
    }
}
