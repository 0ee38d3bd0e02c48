//! Events of every kind through a stream that records them, and the recording through another: both have the same figures.

use std::{fs, path::Path};

use fiemap::FiemapExtentFlags;
use proptest::prelude::*;
use tracer_common::record::{
    CompleteRecord, IssueRecord, KindByte, NO_PREVIOUS_END, PageRecord, Record, RequeueRecord,
    WaitRecord, complete_flag, issue_flag, page_event,
};

use crate::{
    place::{Layout, Locator, Owner},
    recording::{END, EventRecorder, RECORDING, RECORDING_SCHEMA_VERSION, RecordedEvent, SETUP},
    run::recorded::{
        Facts, RecordedSetup, ReopenError, Selection, TimeSpan, load_setup,
        setup::{RecordedFileSetup, RecordedModelSetup},
        validate,
    },
    stats::{
        FileData, Nanos,
        pages::events::TouchEvents,
        phases::phase::{LoadEndBasis, Mark, TimedMark},
    },
    storage::{DeviceExtents, ExtentRecord, FileExtents, KernelDevice, Sector},
};

use super::{reopen, stream};

const OPENED: u64 = 7_000_000_000;
pub(in crate::run::recorded) const FILE_BYTES: u64 = 4 << 20;
const EXTENT_BYTES: u64 = 1 << 20;

pub(in crate::run::recorded) fn setup() -> RecordedSetup {
    setup_of(EXTENT_BYTES)
}

/// A file in four extents, backwards on the disk.
pub(super) fn setup_of(extent_bytes: u64) -> RecordedSetup {
    let extents = (0..4).map(|extent| ExtentRecord {
        logical_bytes: extent * extent_bytes,
        physical_bytes: (8 - 2 * extent) * extent_bytes,
        length_bytes: extent_bytes,
        flags: FiemapExtentFlags::empty(),
    });
    let file_bytes = 4 * extent_bytes;
    let file = FileExtents::from_records(file_bytes, 4096, extents).expect("extents");
    let extents = DeviceExtents::new(KernelDevice(0), Sector(2048), [&file]).expect("a disk");
    RecordedSetup {
        schema_version: RECORDING_SCHEMA_VERSION,
        tracer_version: "0".into(),
        kernel: "0".into(),
        opened_ns: OPENED,
        page_bytes: 4096,
        devices: vec!["sda".into()],
        locator: Locator {
            disks: vec![vec![Layout {
                extents,
                owners: vec![Owner { model: 0, file: 0 }],
            }]],
            only: None,
        },
        owners: vec![Owner { model: 0, file: 0 }],
        models: vec![RecordedModelSetup {
            name: "m".into(),
            files: vec![RecordedFileSetup {
                path: "m".into(),
                data: FileData {
                    size_bytes: file_bytes,
                    hole_bytes: 0,
                },
                resident_runs: Some(vec![100, 24, 900]),
            }],
            outline: None,
            without_sectors: None,
        }],
        touch_events: TouchEvents::Observed,
        from_start: true,
        facts: Facts {
            waits_observed: true,
            faults_observed: true,
            engine_is_known: true,
            reads_are_told: true,
        },
    }
}

/// What an event may be, by numbers that a test draws.
pub(in crate::run::recorded) type Drawn = (u8, u16, u8);

fn sector(offset_bytes: u64) -> u64 {
    let extent = offset_bytes / EXTENT_BYTES;
    2048 + (8 - 2 * extent) * (EXTENT_BYTES / 512) + offset_bytes % EXTENT_BYTES / 512
}

/// Events as the programs give them: a read is completed, goes back to the queue, or stays open.
pub(in crate::run::recorded) fn events(drawn: &[Drawn]) -> Vec<RecordedEvent> {
    let mut events = Vec::new();
    let (mut time_ns, mut previous_end) = (OPENED + 10, NO_PREVIOUS_END);
    for (number, (kind, place, size)) in drawn.iter().enumerate() {
        time_ns += 1_000 + u64::from(*place);
        let offset = u64::from(*place) % (FILE_BYTES / 4096) * 4096;
        let bytes = (u64::from(*size) % 32 + 1) * 4096;
        let bytes = bytes.min(EXTENT_BYTES - offset % EXTENT_BYTES);
        let request = 0xffff_8881_0000_0000 + number as u64 * 64;
        let page = |event| {
            RecordedEvent::Kernel(Record::Page(PageRecord {
                kind: KindByte::NEW,
                event,
                file: 0,
                process_id: 4,
                time_ns,
                first_page: (offset / 4096) as u32,
                pages: (bytes / 4096) as u32,
            }))
        };
        match kind % 12 {
            0..=3 => {
                let issue = IssueRecord {
                    kind: KindByte::NEW,
                    device: 0,
                    model: 0,
                    flags: if size % 2 == 0 {
                        issue_flag::READAHEAD
                    } else {
                        0
                    },
                    thread_id: 5,
                    time_ns,
                    request,
                    sector: sector(offset),
                    previous_end,
                    bytes: bytes as u32,
                    process_id: 4,
                };
                previous_end = issue.sector + bytes / 512;
                events.push(RecordedEvent::Kernel(Record::Issue(issue)));
                if kind % 12 == 3 {
                    events.push(RecordedEvent::Kernel(Record::Requeue(RequeueRecord {
                        kind: KindByte::NEW,
                        device: 0,
                        reserved: 0,
                        bytes: issue.bytes,
                        time_ns: time_ns + 5,
                        request,
                        sector: issue.sector,
                        issue_time_ns: 0,
                    })));
                } else if size % 7 != 0 {
                    events.push(RecordedEvent::Kernel(Record::Complete(CompleteRecord {
                        kind: KindByte::NEW,
                        device: 0,
                        status: u8::from(size % 13 == 0),
                        flags: complete_flag::LAST,
                        bytes: issue.bytes,
                        time_ns: time_ns + 300,
                        request,
                        sector: issue.sector,
                    })));
                }
            }
            4 => events.push(page(page_event::INSERT)),
            5 => events.push(page(page_event::INSERT_BY_FAULT)),
            6 => events.push(page(page_event::EVICTION + size % 4)),
            7 => events.push(page(page_event::FAULT)),
            8 => events.push(page(page_event::MAP_WINDOW)),
            9 => events.push(page(page_event::LOOKUP)),
            10 => events.push(RecordedEvent::Kernel(Record::Wait(WaitRecord {
                kind: KindByte::NEW,
                wait: size % 4 + 1,
                file: 0,
                thread_id: u32::from(*size),
                start_ns: time_ns - 900,
                end_ns: time_ns,
                process_id: 4,
                page: 1,
            }))),
            _ => events.push(RecordedEvent::Mark(TimedMark {
                time: Nanos(time_ns),
                mark: match size % 4 {
                    0 => Mark::Loaded(LoadEndBasis::Returned),
                    1 => Mark::DecodeReturned,
                    _ => Mark::DecodeEntered {
                        tokens: Some(u32::from(*size % 3)),
                        phase: None,
                    },
                },
            })),
        }
    }
    events
}

/// The figures of a stream that took in these events, and the folder of a run in which it recorded them.
pub(in crate::run::recorded) fn recorded(
    folder: &Path,
    setup: &RecordedSetup,
    events: &[RecordedEvent],
) -> String {
    let inner = folder.join(RECORDING);
    fs::create_dir(&inner).expect("writable");
    fs::write(inner.join(SETUP), serde_json::to_vec(setup).expect("JSON")).expect("writable");
    let pieces = setup.pieces().expect("pieces");
    let mut live = stream(setup, &pieces, Nanos(OPENED), None, None).expect("a stream");
    let recorder = EventRecorder::start(&inner, Nanos(OPENED), Box::new(|_| Ok(())));
    live.set_recorder(recorder.expect("a thread"));
    for event in events {
        live.take_recorded(event.clone());
    }
    let thread = live.take_recording().expect("it records");
    let end = OPENED + 500_000_000;
    let finished = live.finish(Nanos(end), &[], &[], &[]);
    let end = thread.finish(end - OPENED);
    fs::write(inner.join(END), serde_json::to_vec(&end).expect("JSON")).expect("writable");
    format!("{:?} {:?}", finished.models, finished.attributions)
}

/// The figures that the recording gives.
fn again(folder: &Path) -> String {
    let recording = crate::recording::Recording::open(&folder.join(RECORDING)).expect("there");
    let setup = load_setup(recording.folder()).expect("a setup");
    let pieces = setup.pieces().expect("pieces");
    let mut stream = stream(&setup, &pieces, Nanos(OPENED), None, None).expect("a stream");
    recording
        .for_each(Nanos(OPENED), |event| stream.take_recorded(event.event))
        .expect("whole");
    let end = recording.end.expect("an end").closed_ns;
    let finished = stream.finish(Nanos(OPENED + end), &[], &[], &[]);
    format!("{:?} {:?}", finished.models, finished.attributions)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn a_recording_gives_the_same_figures_to_the_digit(
        drawn in proptest::collection::vec(any::<Drawn>(), 1..300),
    ) {
        let folder = tempfile::tempdir().expect("scratch");
        let live = recorded(folder.path(), &setup(), &events(&drawn));
        prop_assert_eq!(live, again(folder.path()));
    }
}

fn of_time(from_ns: u64, to_ns: u64) -> Selection {
    Selection {
        time: Some(TimeSpan { from_ns, to_ns }),
        ..Selection::whole()
    }
}

fn many() -> Vec<RecordedEvent> {
    let drawn: Vec<Drawn> = (0..2_000u16)
        .map(|number| {
            (
                (number % 11) as u8,
                number.wrapping_mul(37),
                (number % 251) as u8,
            )
        })
        .collect();
    events(&drawn)
}

#[test]
fn a_run_without_a_record_is_opened_by_its_recording_alone() {
    let folder = tempfile::tempdir().expect("scratch");
    recorded(folder.path(), &setup(), &many());
    let whole = reopen(folder.path(), &Selection::whole()).expect("a recording");
    let reads = |record: &crate::schema::RunRecord| {
        let model = record.single.as_ref().expect("one model");
        model.reads.as_ref().expect("reads").amount
    };
    assert!(!whole.record.partial && reads(&whole.record).count > 500);
    assert_eq!(whole.record.time.wall_s, 0.5);
    // Every read is in one of the parts of its time.
    let middle = 20_000_000;
    let part = |from_ns, to_ns| {
        let part = reopen(folder.path(), &of_time(from_ns, to_ns)).expect("a part");
        assert!(part.record.partial);
        reads(&part.record)
    };
    let (first, second) = (part(0, middle), part(middle, u64::MAX));
    assert!(first.count > 0 && second.count > 0);
    assert_eq!(first.count + second.count, reads(&whole.record).count);
    assert_eq!(part(0, u64::MAX), reads(&whole.record));
}

#[test]
fn a_run_is_named_by_its_folder_or_a_file_in_it_and_an_error_names_what_was_given() {
    let folder = tempfile::tempdir().expect("scratch");
    recorded(folder.path(), &setup(), &many());
    let file = folder.path().join("report.md");
    fs::write(&file, "").expect("writable");
    let events = |run: &Path| validate(run).expect("whole").events;
    assert_eq!(events(&file), events(folder.path()));
    let nothing = folder.path().join("no-such-run");
    let error = validate(&nothing).expect_err("it is not there").to_string();
    assert!(error.contains("no-such-run"), "{error}");
}

#[test]
fn a_killed_tracer_leaves_a_part_that_says_so_and_damage_is_told_with_its_place() {
    let folder = tempfile::tempdir().expect("scratch");
    recorded(folder.path(), &setup(), &many());
    assert_eq!(validate(folder.path()).expect("whole").incomplete, None);
    let inner = folder.path().join(RECORDING);
    fs::remove_file(inner.join(END)).expect("it is there");
    let part = reopen(folder.path(), &Selection::whole()).expect("a part");
    let why = part.record.partial_reason.expect("it is a part");
    assert!(part.record.partial && why.contains("was killed"), "{why}");
    assert!(
        validate(folder.path())
            .expect("readable")
            .incomplete
            .is_some()
    );

    let segment = inner.join("events-000000.parquet");
    let bytes = fs::read(&segment).expect("written");
    fs::write(&segment, &bytes[..bytes.len() / 2]).expect("writable");
    let error = reopen(folder.path(), &Selection::whole())
        .expect_err("damaged")
        .to_string();
    assert!(
        error.contains("events-000000.parquet is no intact Parquet file"),
        "{error}"
    );

    fs::write(inner.join(SETUP), r#"{"schema_version": 9000}"#).expect("writable");
    let newer = reopen(folder.path(), &Selection::whole())
        .expect_err("newer")
        .to_string();
    assert!(
        newer.contains("version 9000") && newer.contains("newer tracer"),
        "{newer}"
    );
    fs::write(inner.join(SETUP), r#"{"schema_version": 1}"#).expect("writable");
    assert!(matches!(
        reopen(folder.path(), &Selection::whole()),
        Err(ReopenError::Setup { .. })
    ));
    fs::remove_dir_all(&inner).expect("it is there");
    let missing = reopen(folder.path(), &Selection::whole())
        .expect_err("none")
        .to_string();
    assert!(missing.contains("--record"), "{missing}");
}
