//! A test from its start to its record.

use std::{
    fs::File,
    path::{Path, PathBuf},
    sync::atomic::AtomicBool,
    time::{Duration, SystemTime},
};

use crate::{
    schema::{
        DEVICE_TEST_SCHEMA_VERSION, DeviceTestRecord, OrderCostRecord, PatternRecord, SpreadRecord,
        TestedDevice, TestedFile, UsedRecord,
    },
    storage::{FileDevice, FileExtents, Mapping, map_file},
};

use super::{
    direct_file::DirectFile,
    error::DeviceTestError,
    orders::Order,
    other_load::{self, CountedFrom},
    patterns::{Data, Request, Sizes},
    rounds::{Pattern, ROUNDS, Session, Turn},
    run_facts::RunFacts,
    spread::spread,
    suspects,
};

/// Fewest rounds that a figure is quoted from.
const FEWEST_ROUNDS: usize = 5;

/// Least data that is worth a test, bytes.
const LEAST_DATA_BYTES: u64 = 1 << 20;

/// Sizes of sequential reads that are tried, up to the largest request of the device, bytes.
const SEQUENTIAL_BYTES: [u64; 3] = [64 << 10, 256 << 10, 1 << 20];

/// Largest sequential read where the device does not say how large a request may be, bytes.
const USUAL_LARGEST_BYTES: u64 = 1 << 20;

/// Sizes of random reads where no run says which, bytes.
const RANDOM_BYTES: [u64; 3] = [4 << 10, 64 << 10, 256 << 10];

/// Queue depths of random reads where no run says how many.
const RANDOM_DEPTHS: [usize; 3] = [1, 4, 16];

/// Queue depth of a sequential pattern that shows what the device can do at most.
const DEEP: usize = 8;

/// Share of the best bandwidth from which on a run has got more than the device now gives, and not by chance.
const MORE_THAN_ALL: f64 = 1.05;

/// What to test.
#[derive(Clone, Debug)]
pub struct DeviceTestOptions {
    /// A model's file.
    pub file: PathBuf,
    /// Folder of a run whose reads are the pattern.
    pub run: Option<PathBuf>,
    /// How long it may take.
    pub time: Duration,
}

/// Measures what the device of a file can do on this file. `stop` ends it early with what there is by then; `progress`
/// is given the time since the start. The record's `kernel` is left to whoever knows it.
///
/// # Errors
/// See [`DeviceTestError`].
pub fn measure(
    options: &DeviceTestOptions,
    stop: &AtomicBool,
    progress: &mut dyn FnMut(Duration),
) -> Result<DeviceTestRecord, DeviceTestError> {
    let started_at = SystemTime::now();
    let (place, extents) = place_of(&options.file)?;
    let data = data_of(&extents);
    if data.bytes() < LEAST_DATA_BYTES {
        return Err(DeviceTestError::TooSmall {
            path: options.file.clone(),
            data_bytes: data.bytes(),
        });
    }
    let run = options
        .run
        .as_deref()
        .map(|directory| RunFacts::load(directory, &options.file, extents.size_bytes))
        .transpose()?;
    let file = DirectFile::open(
        &place.path,
        place.file_system.name(),
        [
            place.disk.logical_block_bytes,
            place.file_system.block_bytes,
        ],
        data.first(),
    )?;
    let mut turns = turns(&place, &file, run.as_ref());
    let reads: &[Request] = run.as_ref().map_or(&[], |run| &run.reads);
    let from = CountedFrom::now(&place.disk)?;
    let mut session = Session::begin(&file, &data, &extents.extents, reads, stop, options.time);
    session.warm_up(&mut turns)?;
    let rounds = session.run(&mut turns, progress)?;
    let measured_s = session.elapsed().as_secs_f64();
    let others = from.until_now(&place.disk, session.own_bytes)?;

    let mut record = DeviceTestRecord {
        schema_version: DEVICE_TEST_SCHEMA_VERSION,
        tracer_version: env!("CARGO_PKG_VERSION").to_owned(),
        started_at: humantime::format_rfc3339_millis(started_at).to_string(),
        file: TestedFile {
            path: options.file.display().to_string(),
            size_bytes: extents.size_bytes,
            extents: extents.physical_extent_count,
            filesystem: place.file_system.name().to_owned(),
        },
        device: TestedDevice {
            name: place.disk.name.clone(),
            device_model: place.disk.model.clone(),
            scheduler: place.disk.queue.scheduler.clone(),
            max_sectors_kb: place.disk.queue.max_sectors_kib,
            rotational: place.disk.queue.rotational,
        },
        method: "pread(2) with O_DIRECT, a thread for each read in flight".to_owned(),
        asked_s: options.time.as_secs_f64(),
        measured_s,
        rounds: rounds as u64,
        patterns: turns.iter().map(Turn::record).collect(),
        order: order_cost(&turns),
        others,
        ..DeviceTestRecord::default()
    };
    say_how_whole(&mut record, rounds, stop);
    record.doubts.extend(suspects::measures_memory(&place.disk));
    match &record.others {
        Some(load) => {
            let doubts = other_load::doubts(load);
            record.doubts.extend(doubts);
        }
        None => record.notes.push(format!(
            "{} does not count its reads (queue/iostats is 0): whether others used it is not known",
            place.disk.name
        )),
    }
    record.notes.extend(suspects::caveats(&place.disk));
    let passes = turns.iter().map(|turn| turn.passes(&data)).max();
    if let Some(passes @ 2..) = passes {
        record.notes.push(format!(
            "the file is small for so much time: sequential patterns read it up to {passes} times"
        ));
    }
    if let Some(run) = run {
        let median_request_bytes =
            Sizes::new(run.sizes.iter().copied(), 1).map_or(0, |sizes| sizes.median());
        record.used = used(&record.patterns, &run);
        let more = |share: Option<f64>| share.is_some_and(|share| share > MORE_THAN_ALL);
        if record.used.is_some_and(|used| more(used.busy_share)) {
            record.notes.push(
                "the run got more from the device than this test: the device, or the host of a virtual one, gives less now than it did then, or memory below it answered the run".to_owned(),
            );
        }
        record.notes.extend(run.notes);
        record.run = Some(crate::schema::TestedRun {
            median_request_bytes,
            ..run.run
        });
    }
    Ok(record)
}

/// The device of a file, and the file's extents on it.
fn place_of(path: &Path) -> Result<(FileDevice, FileExtents), DeviceTestError> {
    let place = match map_file(path)? {
        Mapping::Mapped(place) => *place,
        Mapping::Unmappable(reason) => {
            return Err(DeviceTestError::NoDevice {
                path: path.to_owned(),
                reason,
            });
        }
    };
    let failed = |source| DeviceTestError::Extents {
        path: path.to_owned(),
        source,
    };
    let extents = File::open(&place.path)
        .map_err(|source| {
            failed(crate::storage::ExtentsError::Io {
                action: "open the file",
                source,
            })
        })
        .and_then(|file| FileExtents::of(&file).map_err(failed))?;
    Ok((place, extents))
}

/// Data that ends with the file: the rest of its last block is read with it, and counts for nothing.
fn data_of(extents: &FileExtents) -> Data {
    Data::new(extents.extents.iter().map(|extent| {
        let end = (extent.file_offset_bytes + extent.length_bytes).min(extents.size_bytes);
        (
            extent.file_offset_bytes,
            end.saturating_sub(extent.file_offset_bytes),
        )
    }))
}

fn turns(place: &FileDevice, file: &DirectFile, run: Option<&RunFacts>) -> Vec<Turn> {
    let largest = place
        .disk
        .queue
        .max_sectors_kib
        .map_or(USUAL_LARGEST_BYTES, |kibibytes| kibibytes << 10)
        .next_multiple_of(file.alignment());
    let mut turns: Vec<Turn> = SEQUENTIAL_BYTES
        .into_iter()
        .filter(|bytes| *bytes < largest)
        .chain([largest])
        .map(|bytes| Turn::new(Pattern::Sequential { bytes }, 1))
        .collect();
    turns.push(Turn::new(Pattern::Sequential { bytes: largest }, DEEP));
    let own_sizes = run.and_then(|run| Sizes::new(run.sizes.iter().copied(), file.alignment()));
    match (run, own_sizes) {
        (Some(run), Some(sizes)) => {
            let mut depths = vec![1, run.queue_depth];
            depths.dedup();
            for depth in depths {
                let pattern = Pattern::Random {
                    sizes: sizes.clone(),
                    bytes: None,
                };
                turns.push(Turn::new(pattern, depth));
            }
            if !run.reads.is_empty() {
                turns.extend(
                    Order::ALL.map(|order| Turn::new(Pattern::Replay(order), run.queue_depth)),
                );
            }
        }
        _ => {
            for bytes in RANDOM_BYTES {
                for depth in RANDOM_DEPTHS {
                    let pattern = Pattern::Random {
                        sizes: Sizes::one(bytes.next_multiple_of(file.alignment())),
                        bytes: Some(bytes),
                    };
                    turns.push(Turn::new(pattern, depth));
                }
            }
        }
    }
    turns
}

fn say_how_whole(record: &mut DeviceTestRecord, rounds: usize, stop: &AtomicBool) {
    if rounds >= ROUNDS {
        return;
    }
    let why = if stop.load(std::sync::atomic::Ordering::Relaxed) {
        "stopped by a signal"
    } else {
        "the time was up"
    };
    record.partial = true;
    record.partial_reason = Some(format!("{why} after {rounds} of {ROUNDS} rounds"));
    if rounds < FEWEST_ROUNDS {
        record.notes.push(format!(
            "fewer than {FEWEST_ROUNDS} rounds: medians and spreads say little"
        ));
    }
}

/// What the order costs, by the rounds in which both orders read their whole window.
fn order_cost(turns: &[Turn]) -> Option<OrderCostRecord> {
    let of = |order| turns.iter().find(|turn| turn.is_replay(order));
    let (recorded, sorted, shuffled) = (
        of(Order::Recorded)?,
        of(Order::Sorted)?,
        of(Order::Shuffled)?,
    );
    let cost = |order: &Turn| -> Option<SpreadRecord> {
        spread(
            order
                .results
                .iter()
                .zip(&sorted.results)
                .filter_map(|pair| match pair {
                    (Some(own), Some(sorted)) if !own.cut_short && !sorted.cut_short => {
                        Some(own.seconds / sorted.seconds)
                    }
                    _ => None,
                }),
        )
    };
    let sorted_rounds = || sorted.results.iter().flatten();
    Some(OrderCostRecord {
        recorded_to_sorted: cost(recorded),
        shuffled_to_sorted: cost(shuffled),
        window_reads: sorted_rounds().map(|round| round.reads).sum(),
        window_bytes: sorted_rounds().map(|round| round.bytes).sum(),
    })
}

fn used(patterns: &[PatternRecord], run: &RunFacts) -> Option<UsedRecord> {
    let median_of = |order: &'static str| {
        patterns
            .iter()
            .filter(move |pattern| pattern.order == order)
            .filter_map(|pattern| Some(pattern.bytes_per_s?.median))
            .max_by(f64::total_cmp)
    };
    let best_bytes_per_s = median_of("sequential")?;
    let of_best = |rate: Option<f64>| rate.map(|rate| rate / best_bytes_per_s);
    Some(UsedRecord {
        best_bytes_per_s,
        busy_share: of_best(run.run.busy_bytes_per_s),
        average_share: of_best(run.run.average_bytes_per_s),
        busy_share_of_recorded: run
            .run
            .busy_bytes_per_s
            .zip(median_of("recorded"))
            .map(|(busy, recorded)| busy / recorded),
    })
}
