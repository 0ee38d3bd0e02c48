//! 8. Does what CHEOPS'25 found of offloading hold here?
//!
//! Ren, Doekemeijer and others, "An I/O Characterizing Study of Offloading LLM Models and KV Caches to NVMe SSD" (CHEOPS'25,
//! doi 10.1145/3719330.3721230), by its abstract: reads of 128 KiB dominate; the device is not saturated; a KV cache on the
//! device is read at 2.0 GiB/s and written at 11.0 MiB/s.

use crate::{
    figures::Unit,
    report::experiment::groups::{Group, Traced},
    schema::{DeviceRecord, DeviceTestRecord, GapsRecord, SizeCount},
    stats::{
        experiment::bootstrap::median,
        formulas::{quotient, ratio},
    },
    units::{bytes, share, unobserved},
};

use super::{missing::Missing, question::Answer};

/// The size that dominates there.
const THEIR_BYTES: u64 = 128 << 10;
/// Read / written there: 2.0 GiB/s and 11.0 MiB/s.
const THEIR_READS_A_WRITE: f64 = 2.0 * 1024.0 / 11.0;
/// Share of the bytes from which a size dominates.
const DOMINATES: f64 = 0.5;
/// Share of the device's best rate from which it is saturated, as the cause `device_at_limit` has it.
const SATURATED: f64 = 0.8;
/// A run that gets more than this of a device's best shows that it is not its best: rounds of a test differ by some per cent.
const IMPOSSIBLE: f64 = 1.1;

fn sizes<'a>(run: &Traced<'a>) -> Option<&'a [SizeCount]> {
    let sizes = run.model.reads.as_ref()?.sizes.as_deref()?;
    (!sizes.is_empty()).then_some(sizes)
}

fn in_size(size: &SizeCount) -> u64 {
    size.bytes.saturating_mul(size.count)
}

/// Share of the bytes that came in reads of their size.
fn of_their_size(run: &Traced<'_>) -> Option<f64> {
    let sizes = sizes(run)?;
    let theirs = sizes.iter().filter(|size| size.bytes == THEIR_BYTES);
    ratio(
        theirs.map(in_size).sum(),
        sizes.iter().map(in_size).sum::<u64>(),
    )
}

/// The size in which most bytes came.
fn largest_size(run: &Traced<'_>) -> Option<f64> {
    let size = sizes(run)?.iter().max_by_key(|size| in_size(size))?;
    Some(size.bytes as f64)
}

/// The device that read most for models.
fn device<'a>(run: &Traced<'a>) -> Option<&'a DeviceRecord> {
    let of_models =
        |device: &&DeviceRecord| device.read_bytes.saturating_sub(device.other_read_bytes);
    run.record.devices.iter().max_by_key(of_models)
}

fn busy(run: &Traced<'_>) -> Option<f64> {
    run.model.bandwidth.as_ref()?.busy_bytes_per_s
}

fn gaps<'a>(run: &Traced<'a>) -> Option<&'a GapsRecord> {
    run.model.gaps.as_ref().filter(|gaps| gaps.count > 0)
}

/// Bytes read for each byte written, by the whole device. None where nothing was written.
fn reads_a_write(run: &Traced<'_>) -> Option<f64> {
    let device = device(run)?;
    ratio(device.read_bytes, device.write_bytes)
}

/// The best sequential rate of a device, bytes a second.
fn best(test: &DeviceTestRecord) -> Option<f64> {
    test.patterns
        .iter()
        .filter(|pattern| pattern.order == "sequential")
        .filter_map(|pattern| Some(pattern.bytes_per_s?.median))
        .reduce(f64::max)
}

/// Of that rate of the run's own device, what the run got while reads were in flight.
fn of_best(run: &Traced<'_>, tests: &[DeviceTestRecord]) -> Option<f64> {
    let device = device(run)?;
    let of_device = tests
        .iter()
        .filter(|test| test.device.name == device.name && test.doubts.is_empty());
    quotient(busy(run)?, of_device.filter_map(best).reduce(f64::max)?)
}

pub(super) fn answer(groups: &[Group<'_>], tests: &[DeviceTestRecord]) -> Answer {
    let used: Vec<&Group<'_>> = groups
        .iter()
        .filter(|group| !group.figures(of_their_size).is_empty())
        .collect();
    let rows = used.iter().map(|group| row(group, tests)).collect();
    let claims = if used.is_empty() {
        Vec::new()
    } else {
        vec![
            of_sizes(&used),
            of_bandwidth(&used, tests),
            of_order(&used),
            of_writes(&used),
        ]
    };
    Answer {
        question: "Does what CHEOPS'25 found of offloading hold here: request sizes, share of the device's bandwidth, randomness, read/write ratio?",
        claims,
        limits: vec![
            "their engines (DeepSpeed, FlexGen) offload with libaio or read(); engines that map the model let the kernel's read-ahead decide how large a read is. A figure that differs is no mistake of theirs.".into(),
            "what they found is taken from their abstract.".into(),
        ],
        header: vec![
            "pressure", "cell", "runs", "bytes in reads of 128 KiB", "most bytes in reads of", "read-ahead",
            "rate while busy", "of the device's best", "sequential", "in its stream", "backward",
            "read / written",
        ],
        rows,
        missing: if used.is_empty() {
            vec![Missing {
                why: "runs that read, with a record of their sizes (--detail events)".into(),
                template: "seeks",
                repetitions: 3,
                axes: Vec::new(),
            }]
        } else {
            Vec::new()
        },
    }
}

fn row(group: &Group<'_>, tests: &[DeviceTestRecord]) -> Vec<String> {
    let share =
        |pick: fn(&GapsRecord) -> Option<f64>| group.show(Unit::Share, |run| pick(gaps(run)?));
    vec![
        group.class.name().to_owned(),
        group.label(),
        group.count(),
        group.show(Unit::Share, of_their_size),
        group.show(Unit::Bytes, largest_size),
        group.show(Unit::Kibibytes, |run| {
            Some(device(run)?.read_ahead_kb? as f64)
        }),
        group.show(Unit::BytesPerSecond, busy),
        group.show(Unit::Share, |run| of_best(run, tests)),
        share(|gaps| gaps.classes.sequential.share),
        share(|gaps| gaps.stream_sequential_share),
        share(|gaps| gaps.classes.backward.share),
        group.show(Unit::Factor, reads_a_write),
    ]
}

fn of_sizes(used: &[&Group<'_>]) -> String {
    let dominated: Vec<&&Group<'_>> = used
        .iter()
        .filter(|group| median(&group.figures(of_their_size)).is_some_and(|part| part >= DOMINATES))
        .collect();
    let others: Vec<String> = used
        .iter()
        .filter(|group| !dominated.iter().any(|other| std::ptr::eq(**other, **group)))
        .filter_map(|group| {
            Some(format!(
                "{} ({})",
                bytes(median(&group.figures(largest_size))? as u64),
                group.label()
            ))
        })
        .collect();
    let verdict = match (dominated.len(), others.len()) {
        (_, 0) => "it holds",
        (0, _) => "it does not hold",
        _ => "it holds in a part",
    };
    let elsewhere = if others.is_empty() {
        String::new()
    } else {
        format!(
            "; elsewhere most bytes came in reads of {}",
            others.join(", ")
        )
    };
    format!(
        "Request sizes: there, reads of 128 KiB dominate. Here {verdict}: at least half of the bytes came in such reads in {} of {} cells{elsewhere}.",
        dominated.len(),
        used.len()
    )
}

fn of_bandwidth(used: &[&Group<'_>], tests: &[DeviceTestRecord]) -> String {
    let there = "Share of the device's bandwidth: there, the device is not saturated.";
    let known: Vec<f64> = used
        .iter()
        .flat_map(|group| group.figures(|run| of_best(run, tests)))
        .collect();
    if known.is_empty() {
        let doubted = tests.iter().find(|test| !test.doubts.is_empty());
        let why = doubted.map_or_else(String::new, |test| {
            format!(
                " The test that was given is in doubt: {}.",
                test.doubts.join("; ")
            )
        });
        return format!(
            "{there} Here it is not decided: what the device can do is in no run. tracer device MODEL --run RUN --out DIR measures it on one of these runs, and tracer experiment answer … --device DIR uses it.{why}"
        );
    }
    if known.iter().any(|part| *part > IMPOSSIBLE) {
        return format!(
            "{there} Here it is not decided: the runs got {} of what the test calls the device's best, so the test did not see its best. Make it again while nothing else uses the disk.",
            Unit::Share.show_range(&known)
        );
    }
    let saturated = known.iter().filter(|part| **part >= SATURATED).count();
    let verdict = match saturated {
        0 => "it holds",
        all if all == known.len() => "it does not hold",
        _ => "it holds in a part",
    };
    format!(
        "{there} Here {verdict}: while reads were in flight, {} runs got {} of its best sequential rate ({saturated} of them at least {}).",
        known.len(),
        Unit::Share.show_range(&known),
        share(Some(SATURATED))
    )
}

fn of_order(used: &[&Group<'_>]) -> String {
    let all = |pick: fn(&GapsRecord) -> Option<f64>| -> String {
        let values: Vec<f64> = used
            .iter()
            .flat_map(|group| group.figures(|run| pick(gaps(run)?)))
            .collect();
        if values.is_empty() {
            unobserved()
        } else {
            Unit::Share.show_range(&values)
        }
    };
    format!(
        "Randomness: there is no figure of theirs to hold against. Here, over whole runs, {} of the reads follow the one before them, {} continue one of the last 32, and {} go backward. Question 6 has the generation alone.",
        all(|gaps| gaps.classes.sequential.share),
        all(|gaps| gaps.stream_sequential_share),
        all(|gaps| gaps.classes.backward.share)
    )
}

fn of_writes(used: &[&Group<'_>]) -> String {
    let there = format!(
        "Reads against writes: there, offloading a model only reads, and a KV cache on the device is read {} times as fast as it is written.",
        THEIR_READS_A_WRITE.round()
    );
    let sums = used
        .iter()
        .flat_map(|group| group.sound())
        .filter_map(|run| device(run))
        .fold((0_u64, 0_u64), |(read, written), device| {
            (read + device.read_bytes, written + device.write_bytes)
        });
    let here = match ratio(sums.0, sums.1) {
        None if sums.0 == 0 => "the devices moved nothing".to_owned(),
        None => format!("{} were read and nothing was written", bytes(sums.0)),
        Some(factor) => format!(
            "{} were read and {} written, {} as much, by all on these devices",
            bytes(sums.0),
            bytes(sums.1),
            Unit::Factor.show(factor)
        ),
    };
    let verdict = if sums.1 < sums.0 / 10 {
        "it holds"
    } else {
        "it does not hold"
    };
    format!(
        "{there} Here {verdict}: {here}. An engine that keeps its KV cache in memory writes none of it."
    )
}

#[cfg(test)]
mod tests;
