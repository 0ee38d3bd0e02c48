//! A device test as a document.

use crate::{
    schema::{DeviceTestRecord, PatternRecord, SpreadRecord},
    units::{bytes, count, microseconds, rate, share, unobserved},
};

use super::document::{self, Column, Document, Table, Text, Tone};

/// The test in lines of `columns` characters; None where the output is no terminal.
#[must_use]
pub fn device_test(record: &DeviceTestRecord, columns: Option<u16>) -> String {
    let mut document = Document::default();
    subject(&mut document, record);
    trust(&mut document, record);
    document.table(patterns(&record.patterns));
    order(&mut document, record);
    run(&mut document, record);
    if let Some(others) = &record.others {
        document.paragraph(format!(
            "Others meanwhile: {} read, {} written; the test read {}.",
            bytes(others.read_bytes),
            bytes(others.written_bytes),
            bytes(others.own_bytes)
        ));
    }
    for note in &record.notes {
        document.note(Tone::Plain, Text::with_code(&format!("Note: {note}")));
    }
    document::terminal(&document, columns)
}

fn subject(document: &mut Document, record: &DeviceTestRecord) {
    document.paragraph(format!(
        "{} ({}, {} extents, {}) on {}{}",
        record.file.path,
        bytes(record.file.size_bytes),
        count(record.file.extents),
        record.file.filesystem,
        record.device.name,
        record
            .device
            .device_model
            .as_deref()
            .map_or_else(String::new, |model| format!(", {model}")),
    ));
    document.paragraph(format!(
        "{}; {} rounds in {:.1} s. A figure is the median of the rounds, in brackets the smallest and the largest.",
        record.method, record.rounds, record.measured_s
    ));
}

fn trust(document: &mut Document, record: &DeviceTestRecord) {
    for doubt in &record.doubts {
        document.note(Tone::Caution, format!("NOT THE DEVICE ALONE: {doubt}"));
    }
    if record.partial {
        let reason = record.partial_reason.as_deref();
        document.note(
            Tone::Caution,
            format!("PARTIAL: {}", reason.unwrap_or("it was cut short")),
        );
    }
}

fn patterns(patterns: &[PatternRecord]) -> Table {
    Table::new([
        Column::left("order"),
        Column::right("read size"),
        Column::right("in flight"),
        Column::right("bandwidth"),
        Column::right("reads/s"),
        Column::right("median latency"),
    ])
    .with_rows(patterns.iter().map(|pattern| {
        [
            pattern.order.clone(),
            pattern
                .request_bytes
                .map_or_else(|| "the run's".to_owned(), bytes),
            count(pattern.queue_depth),
            spread(pattern.bytes_per_s, |value| rate(Some(value))),
            spread(pattern.reads_per_s, |value| format!("{value:.0}")),
            spread(pattern.median_latency_us, microseconds),
        ]
    }))
}

fn spread(figure: Option<SpreadRecord>, format: impl Fn(f64) -> String) -> String {
    figure.map_or_else(unobserved, |figure| {
        format!(
            "{} ({} – {})",
            format(figure.median),
            format(figure.least),
            format(figure.largest)
        )
    })
}

fn order(document: &mut Document, record: &DeviceTestRecord) {
    let Some(order) = &record.order else {
        return;
    };
    let times = |cost| spread(cost, |value| format!("{value:.3}×"));
    document.paragraph(format!(
        "The order's cost: the run's own reads take {} as long in its order as in the device's, {} at random. In all rounds together {} reads of the list, {}, in each order: of each round some consecutive ones.",
        times(order.recorded_to_sorted),
        times(order.shuffled_to_sorted),
        count(order.window_reads),
        bytes(order.window_bytes)
    ));
}

fn run(document: &mut Document, record: &DeviceTestRecord) {
    if let Some(run) = &record.run {
        document.paragraph(format!(
            "The run in {}: half of its requests up to {}, {} in flight on average, {} while busy, {} on average.",
            run.directory,
            bytes(run.median_request_bytes),
            run.mean_queue_depth
                .map_or_else(unobserved, |depth| format!("{depth:.1}")),
            rate(run.busy_bytes_per_s),
            rate(run.average_bytes_per_s),
        ));
    }
    if let Some(used) = &record.used {
        document.paragraph(format!(
            "It used {} of what the device gives at best ({}) while it was busy, {} on average; {} of what its own reads get without the engine.",
            share(used.busy_share),
            rate(Some(used.best_bytes_per_s)),
            share(used.average_share),
            share(used.busy_share_of_recorded),
        ));
    }
}

#[cfg(test)]
mod tests {
    use crate::schema::{
        DeviceTestRecord, OrderCostRecord, OtherLoadRecord, PatternRecord, SpreadRecord, TestedRun,
        UsedRecord,
    };

    use super::device_test;

    #[test]
    fn figures_stand_with_their_spread() {
        let times = |median| {
            Some(SpreadRecord {
                median,
                least: median / 2.0,
                largest: median * 2.0,
            })
        };
        let record = DeviceTestRecord {
            patterns: vec![PatternRecord {
                order: "random".into(),
                request_bytes: Some(4096),
                queue_depth: 16,
                bytes_per_s: times(1024.0 * 1024.0),
                ..PatternRecord::default()
            }],
            order: Some(OrderCostRecord {
                recorded_to_sorted: times(1.25),
                shuffled_to_sorted: None,
                ..OrderCostRecord::default()
            }),
            run: Some(TestedRun::default()),
            used: Some(UsedRecord {
                best_bytes_per_s: 1024.0,
                busy_share: Some(0.5),
                ..UsedRecord::default()
            }),
            others: Some(OtherLoadRecord::default()),
            ..DeviceTestRecord::default()
        };
        let text = device_test(&record, None);
        for part in [
            "1.00 MiB/s (512.00 KiB/s – 2.00 MiB/s)",
            "1.250× (0.625× – 2.500×)",
            "not observed at random",
            "50.0 %",
            "4.00 KiB",
        ] {
            assert!(text.contains(part), "{part}:\n{text}");
        }
    }

    #[test]
    fn doubts_and_an_early_end_are_shouted() {
        let record = DeviceTestRecord {
            doubts: vec!["others used the device".into()],
            partial: true,
            partial_reason: Some("stopped by a signal after 2 of 6 rounds".into()),
            ..DeviceTestRecord::default()
        };
        let text = device_test(&record, Some(80));
        assert!(text.contains("NOT THE DEVICE ALONE: others used the device"));
        assert!(text.contains("PARTIAL: stopped by a signal after 2 of 6 rounds"));
    }
}
