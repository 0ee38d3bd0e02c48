//! Records of reads of a model in many extents, through the whole stream.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

use fiemap::FiemapExtentFlags;
use nix::time::ClockId;
use proptest::prelude::*;
use tracer_common::{
    record::{
        CompleteRecord, IssueRecord, KindByte, NO_PREVIOUS_END, Record, RequeueRecord,
        complete_flag, issue_flag,
    },
    slice::SliceCounts,
};

use crate::{
    output::RunDirectory,
    place::{Layout, Locator, Owner},
    probe::Slice,
    process::Caller,
    read_list::{ReadList, ReadListHeader, ReadRow, RecordedFile, RecordedModel},
    stats::{
        FileData, Nanos,
        audit::accounting::ONCE,
        pages::events::TouchEvents,
        phases::{
            attribution::Attribution,
            counted::{CountedAttribution, CountedModel, CountedPages, CountedPieces},
            phase::{Mark, TimedMark},
        },
        pieces::{
            reads::CountedReads,
            table::{PieceSpan, PieceTable},
        },
        simulated_device::{BASE, Device, Event, Script, script, simulate},
    },
    storage::{DeviceExtents, ExtentRecord, FileExtents, KernelDevice, Sector},
};

use super::{
    Stream, StreamSetup,
    live_audit::LiveAudit,
    window_reads::{READ_LIST, WindowReads},
};
use crate::run::watch::marks::{MarkedSymbols, SharedMarks};

const FILE_BYTES: u64 = 1 << 30;
const EXTENT_BYTES: u64 = 16 << 20;
const EXTENT_SECTORS: u64 = EXTENT_BYTES / 512;
/// Sectors from the beginning of one extent to that of the next.
const EXTENT_STEP: u64 = EXTENT_SECTORS + 2048;
const PIECE_BYTES: u64 = 4 << 20;

/// Sector of a byte of the file.
fn sector_of(offset_bytes: u64) -> u64 {
    2048 + offset_bytes / EXTENT_BYTES * EXTENT_STEP + offset_bytes % EXTENT_BYTES / 512
}

fn locator() -> Locator {
    let records = (0..FILE_BYTES / EXTENT_BYTES).map(|extent| ExtentRecord {
        logical_bytes: extent * EXTENT_BYTES,
        physical_bytes: sector_of(extent * EXTENT_BYTES) * 512,
        length_bytes: EXTENT_BYTES,
        flags: FiemapExtentFlags::empty(),
    });
    let file = FileExtents::from_records(FILE_BYTES, 4096, records).expect("extents");
    let extents = DeviceExtents::new(KernelDevice(0), Sector(0), [&file]).expect("a disk");
    Locator {
        disks: vec![vec![Layout {
            extents,
            owners: vec![Owner { model: 0, file: 0 }],
        }]],
        only: None,
    }
}

fn header() -> ReadListHeader {
    let file = |path: &str| RecordedFile {
        path: path.to_owned(),
        size_bytes: FILE_BYTES,
    };
    ReadListHeader {
        tracer_version: String::new(),
        kernel: String::new(),
        devices: vec!["first".to_owned(), "second".to_owned()],
        models: vec![RecordedModel {
            path: "model".to_owned(),
            files: vec![file("one"), file("two")],
        }],
    }
}

fn attribution() -> Attribution {
    let spans = (0u32..)
        .zip(0..FILE_BYTES / PIECE_BYTES)
        .map(|(piece, place)| PieceSpan {
            start_bytes: place * PIECE_BYTES,
            end_bytes: (place + 1) * PIECE_BYTES,
            piece,
        })
        .collect();
    let table = Arc::new(PieceTable::new(vec![spans]).expect("pieces"));
    Attribution::new(table, TouchEvents::Observed, Nanos(0), true).expect("small")
}

fn stream(
    locator: Locator,
    attributions: Vec<Attribution>,
    reads: Option<WindowReads>,
    audit: Option<LiveAudit>,
) -> Stream {
    let setup = StreamSetup {
        locator,
        files: vec![vec![FileData {
            size_bytes: FILE_BYTES,
            hole_bytes: 0,
        }]],
        attributions,
        counted: Vec::new(),
        beside: Vec::new(),
        owners: vec![Owner { model: 0, file: 0 }],
        symbols: MarkedSymbols::new(&[]),
        shared: SharedMarks::default(),
        reads,
        audit,
        recorder: None,
    };
    Stream::new(setup, Nanos(0))
}

/// Reads of so many bytes at these offsets, `depth` of them in flight.
fn records(offsets: impl Iterator<Item = u64>, bytes: u32, depth: usize) -> Vec<Record> {
    let mut records = Vec::new();
    let mut in_flight = VecDeque::new();
    let (mut time_ns, mut previous_end) = (0, NO_PREVIOUS_END);
    let complete = |records: &mut Vec<Record>, time_ns, (request, sector)| {
        records.push(Record::Complete(CompleteRecord {
            kind: KindByte::NEW,
            device: 0,
            status: 0,
            flags: complete_flag::LAST,
            bytes,
            time_ns,
            request,
            sector,
        }));
    };
    for (number, offset) in offsets.enumerate() {
        time_ns += 5_000;
        if in_flight.len() == depth
            && let Some(oldest) = in_flight.pop_front()
        {
            complete(&mut records, time_ns, oldest);
        }
        let request = 0xffff_8881_0000_0000 + (number % (2 * depth)) as u64 * 384;
        let sector = sector_of(offset);
        records.push(Record::Issue(IssueRecord {
            kind: KindByte::NEW,
            device: 0,
            model: 0,
            flags: 0,
            thread_id: 11,
            time_ns,
            request,
            sector,
            previous_end,
            bytes,
            process_id: 10,
        }));
        previous_end = sector + u64::from(bytes) / 512;
        in_flight.push_back((request, sector));
    }
    while let Some(oldest) = in_flight.pop_front() {
        time_ns += 5_000;
        complete(&mut records, time_ns, oldest);
    }
    records
}

fn thread_cpu() -> Duration {
    ClockId::CLOCK_THREAD_CPUTIME_ID
        .now()
        .expect("a clock")
        .into()
}

/// CPU time of a million reads, without the kernel and the ring buffer. To be run optimised:
/// `cargo test --release -p tracer-user --lib -- --ignored --nocapture cpu_time_of_a_million_reads`.
#[test]
#[ignore = "measures, and says nothing where it is not optimised"]
fn cpu_time_of_a_million_reads() {
    const READS: u64 = 1_000_000;
    let mut random = fastrand::Rng::with_seed(1);
    let scattered = records(
        (0..READS).map(|_| random.u64(0..FILE_BYTES / 4096) * 4096),
        4096,
        32,
    );
    let in_order = records(
        (0..READS).map(|read| read * (128 << 10) % FILE_BYTES),
        128 << 10,
        4,
    );
    let directory = tempfile::tempdir().expect("a folder");
    let caller = Caller::of_this_process().expect("a caller");
    let folder = RunDirectory::create(directory.path(), &caller).expect("a folder");
    for (name, records) in [
        ("4 KiB anywhere", &scattered),
        ("128 KiB in order", &in_order),
    ] {
        for (with, attributed, listed) in [
            ("figures", false, false),
            ("figures, pieces", true, false),
            ("figures, pieces, list", true, true),
        ] {
            let attributions = if attributed {
                vec![attribution()]
            } else {
                Vec::new()
            };
            let reads = listed.then(|| WindowReads::begin(folder.path(), &header(), Nanos(0)));
            let mut stream = stream(locator(), attributions, reads, None);
            let before = thread_cpu();
            for record in records {
                stream.take(*record);
            }
            let cpu = thread_cpu() - before;
            println!(
                "{name}, {with}: {:.0} ns a read, {:.2} million records a second",
                cpu.as_nanos() as f64 / READS as f64,
                records.len() as f64 / cpu.as_secs_f64() / 1e6,
            );
            let finished = stream.finish(Nanos(u64::MAX), &[], &[], &[]);
            assert_eq!(finished.models[0].reads.count, READS);
            assert_eq!(finished.models[0].requests.completed_reads, READS);
        }
    }
}

/// The two disks of the simulated device, each with one file of the model.
fn simulated_disks() -> Locator {
    let disk = |file: u16| {
        let bytes = FILE_BYTES / 2;
        let record = ExtentRecord {
            logical_bytes: 0,
            physical_bytes: BASE * 512,
            length_bytes: bytes,
            flags: FiemapExtentFlags::empty(),
        };
        let extents = FileExtents::from_records(bytes, 4096, [record]).expect("extents");
        let place = KernelDevice(file.into());
        let extents = DeviceExtents::new(place, Sector(0), [&extents]).expect("a disk");
        vec![Layout {
            extents,
            owners: vec![Owner { model: 0, file }],
        }]
    };
    Locator {
        disks: vec![disk(0), disk(1)],
        only: None,
    }
}

/// The script's events as the kernel side would write them.
fn records_of(script: &Script) -> Vec<Record> {
    let simulated = simulate(script, &Device::default());
    // Of each request: the device, and the sector after its last one.
    let mut ends: BTreeMap<u64, (u8, u64)> = BTreeMap::new();
    let record = |event: &Event| match event {
        Event::Issued(read) => {
            ends.insert(read.request.0, (read.device, read.end_sector));
            Record::Issue(IssueRecord {
                kind: KindByte::NEW,
                device: read.device,
                model: 0,
                flags: if read.reissue { issue_flag::REISSUE } else { 0 },
                thread_id: read.thread_id,
                time_ns: read.time.0,
                request: read.request.0,
                sector: read.request_start_sector,
                previous_end: read.previous_end.unwrap_or(NO_PREVIOUS_END),
                bytes: read.request_bytes,
                process_id: read.process_id,
            })
        }
        Event::Completed(part, ranges) => Record::Complete(CompleteRecord {
            kind: KindByte::NEW,
            device: ranges[0].file as u8,
            status: u8::from(part.failed),
            flags: if part.last { complete_flag::LAST } else { 0 },
            bytes: part.bytes as u32,
            time_ns: part.time.0,
            request: part.request.0,
            sector: BASE + ranges[0].offset_bytes / 512,
        }),
        Event::Requeued(part) => {
            let (device, end) = ends[&part.request.0];
            Record::Requeue(RequeueRecord {
                kind: KindByte::NEW,
                device,
                reserved: 0,
                bytes: part.bytes as u32,
                time_ns: part.time.0,
                request: part.request.0,
                sector: end - part.bytes / 512,
                issue_time_ns: 0,
            })
        }
    };
    simulated.events.iter().map(record).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Figures, list and audit are of the same reads, also where records are missing: one row for each read, its latency
    /// where the figures have one, and every read once in the audit.
    #[test]
    fn figures_list_and_audit_follow_the_same_reads(
        script in script(), lost in prop::collection::vec(any::<prop::sample::Index>(), 0..3),
    ) {
        let mut records = records_of(&script);
        for index in lost {
            if !records.is_empty() {
                records.remove(index.index(records.len()));
            }
        }
        let directory = tempfile::tempdir().expect("a folder");
        let caller = Caller::of_this_process().expect("a caller");
        let folder = RunDirectory::create(directory.path(), &caller).expect("a folder");
        let reads = WindowReads::begin(folder.path(), &header(), Nanos(0));
        let audit = LiveAudit::new(1);
        let mut stream = stream(simulated_disks(), Vec::new(), Some(reads), Some(audit));
        for record in &records {
            stream.take(*record);
        }
        let list = stream.take_reads().expect("there is a list").finish(&folder, &caller);
        let finished = stream.finish(Nanos(1_000_000_000), &[], &[], &[]);
        let figures = &finished.models[0];
        prop_assert_eq!((list.reads, list.error), (Some(figures.reads.count), None));
        let rows: Vec<ReadRow> = ReadList::open(&folder.path().join(READ_LIST))
            .expect("a list").rows().collect::<Result<_, _>>().expect("rows");
        prop_assert_eq!(rows.len() as u64, figures.reads.count);
        let mut latencies: Vec<u64> = rows.iter().filter_map(|row| row.latency_ns).collect();
        latencies.sort_unstable();
        prop_assert_eq!(latencies.len() as u64, figures.latency_us.count);
        prop_assert_eq!(
            latencies.last().map(|nanos| *nanos as f64 / 1e3),
            figures.latency_us.max
        );
        let audited = finished.accountings.expect("an audit");
        let once = audited[0].iter().find(|figures| figures.name == ONCE);
        prop_assert_eq!(once.map(|once| once.records), Some(figures.reads.count));
    }
}

/// Slices are taken out long after they were: what was resident is told for the time of the slice, not for that of the look.
#[test]
fn residency_by_counts_is_of_the_time_that_was_counted() {
    let table = Arc::new(PieceTable::whole_files(&[FILE_BYTES]).expect("one file"));
    let model = CountedModel {
        table,
        class_pieces: vec![0],
        piece_classes: vec![0],
        classes_are_told: true,
        resident_bytes: Some(vec![8 * 4096]),
    };
    let mut stream = stream(locator(), Vec::new(), None, None);
    stream
        .counted
        .push(CountedAttribution::new(model, Nanos(0), true));
    stream.end_batch(Nanos(6_000_000_000));
    for slice in 0..3u64 {
        let counts = SliceCounts {
            inserted_pages: 10,
            inserted_bytes: 40_960,
            ..SliceCounts::ZERO
        };
        stream.slice(&Slice {
            start_ns: slice * 100_000_000,
            models: vec![counts],
        });
    }
    let pieces = CountedPieces {
        reads: vec![CountedReads::default()],
        pages: vec![CountedPages::default()],
        ..CountedPieces::default()
    };
    let finished = stream.finish(Nanos(7_000_000_000), &[], &[], &[pieces]);
    let point = |time: u64, pages: u64| (Nanos(time), vec![Some(pages)]);
    assert_eq!(
        finished.residency,
        [
            point(0, 8),
            point(100_000_000, 18),
            point(200_000_000, 28),
            point(7_000_000_000, 38)
        ]
    );
}

/// A read that goes back to the queue in a later step, and comes again there, stays one of the step that asked for it first.
#[test]
fn what_goes_back_in_a_later_step_is_of_the_step_that_asked_first() {
    let table = Arc::new(PieceTable::whole_files(&[FILE_BYTES]).expect("one file"));
    let model = CountedModel {
        table,
        class_pieces: vec![0],
        piece_classes: vec![0],
        classes_are_told: true,
        resident_bytes: None,
    };
    let slice = |start_ns: u64, bytes: u64| {
        let mut counts = SliceCounts {
            reads: 1,
            bytes,
            ..SliceCounts::ZERO
        };
        counts.class_bytes[0] = bytes;
        Slice {
            start_ns,
            models: vec![counts],
        }
    };
    let (first, later) = (50_000_000, 150_000_000);
    let read_by = |goes_back: &dyn Fn(&mut Stream)| {
        let mut stream = stream(locator(), Vec::new(), None, None);
        let mut counted = CountedAttribution::new(model.clone(), Nanos(0), true);
        counted.mark(TimedMark {
            time: Nanos(100_000_000),
            mark: Mark::DecodeEntered {
                tokens: Some(1),
                phase: None,
            },
        });
        stream.counted.push(counted);
        goes_back(&mut stream);
        stream.slice(&slice(0, 8192));
        stream.slice(&slice(100_000_000, 4096));
        let pieces = CountedPieces {
            reads: vec![CountedReads {
                bytes: 12_288,
                readahead_bytes: 0,
                reads: 2,
            }],
            pages: vec![CountedPages::default()],
            ..CountedPieces::default()
        };
        let finished = stream.finish(Nanos(200_000_000), &[], &[], &[pieces]);
        let segments = &finished.counted[0].attribution.segments;
        segments
            .iter()
            .map(|segment| segment.counts.read_bytes)
            .collect::<Vec<_>>()
    };
    let requeue = Record::Requeue(RequeueRecord {
        kind: KindByte::NEW,
        device: 0,
        reserved: 0,
        bytes: 8192,
        time_ns: later,
        request: 7,
        sector: sector_of(0),
        issue_time_ns: first,
    });
    let reissue = Record::Issue(IssueRecord {
        kind: KindByte::NEW,
        device: 0,
        model: 0,
        flags: issue_flag::REISSUE,
        thread_id: 1,
        time_ns: later + 1,
        request: 7,
        sector: sector_of(0),
        previous_end: NO_PREVIOUS_END,
        bytes: 8192,
        process_id: 1,
    });
    assert_eq!(read_by(&|_| {}), [8192, 4096]);
    assert_eq!(read_by(&|stream| stream.take(requeue)), [0, 4096]);
    let goes_and_comes = |stream: &mut Stream| {
        stream.take(requeue);
        stream.take(reissue);
    };
    assert_eq!(read_by(&goes_and_comes), [8192, 4096]);
}
