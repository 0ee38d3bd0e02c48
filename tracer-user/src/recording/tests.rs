use std::{fs, path::Path};

use proptest::prelude::*;
use tracer_common::record::{
    CompleteRecord, IssueRecord, KindByte, NO_PREVIOUS_END, PageRecord, Record, RequeueRecord,
    UnseenRecord, WaitRecord, page_event,
};

use crate::stats::{
    Nanos,
    phases::phase::{LoadEndBasis, Mark, Phase, TimedMark},
};

use super::{
    END, EventRecorder, RecordedEvent, Recording, RecordingEnd, RecordingError,
    reader::segment_name,
};

const OPENED: Nanos = Nanos(5_000_000_000);

/// One of each kind, with values at their edges.
fn some_of_each(time_ns: u64) -> Vec<RecordedEvent> {
    let kernel = RecordedEvent::Kernel;
    let mut events = vec![
        kernel(Record::Issue(IssueRecord {
            kind: KindByte::NEW,
            device: 1,
            model: u8::MAX,
            flags: 0xff,
            thread_id: u32::MAX,
            time_ns,
            request: 0xffff_8881_0000_0040,
            sector: u64::MAX >> 1,
            previous_end: NO_PREVIOUS_END,
            bytes: u32::MAX,
            process_id: 7,
        })),
        kernel(Record::Issue(IssueRecord {
            kind: KindByte::NEW,
            device: 0,
            model: 0,
            flags: 0,
            thread_id: 1,
            time_ns,
            request: 1,
            sector: 8,
            previous_end: 0,
            bytes: 4096,
            process_id: 7,
        })),
        kernel(Record::Complete(CompleteRecord {
            kind: KindByte::NEW,
            device: 1,
            status: 10,
            flags: 1,
            bytes: 512,
            time_ns: time_ns + 1,
            request: 0xffff_8881_0000_0040,
            sector: 9,
        })),
        kernel(Record::Requeue(RequeueRecord {
            kind: KindByte::NEW,
            device: 0,
            reserved: 0,
            bytes: 512,
            time_ns,
            request: 3,
            sector: 0,
            issue_time_ns: 0,
        })),
        kernel(Record::Unseen(UnseenRecord {
            kind: KindByte::NEW,
            device: 0,
            reserved: 0,
            reserved_too: 0,
            time_ns,
            request: 3,
        })),
        RecordedEvent::ArrivedAtEnd {
            device: 2,
            request: 0xffff_8881_0000_0080,
        },
        RecordedEvent::Settled,
    ];
    for event in [
        page_event::INSERT,
        page_event::INSERT_BY_FAULT,
        page_event::FAULT,
        page_event::MAP_WINDOW,
        page_event::LOOKUP,
        page_event::EVICTION,
        page_event::EVICTION + 1,
        page_event::EVICTION + 2,
        page_event::EVICTION + 3,
    ] {
        events.push(kernel(Record::Page(PageRecord {
            kind: KindByte::NEW,
            event,
            file: 3,
            process_id: 8,
            time_ns,
            first_page: u32::MAX,
            pages: 512,
        })));
    }
    for wait in 1..=4 {
        events.push(kernel(Record::Wait(WaitRecord {
            kind: KindByte::NEW,
            wait,
            file: 1,
            thread_id: 9,
            // It began before the gate opened.
            start_ns: OPENED.0 - 77,
            end_ns: time_ns,
            process_id: 8,
            page: 6,
        })));
    }
    for mark in [
        Mark::Loaded(LoadEndBasis::ExactLogLine),
        Mark::WarmUp(true),
        Mark::DecodeEntered {
            tokens: Some(3),
            phase: Some(Phase::Prompt),
        },
        Mark::DecodeEntered {
            tokens: None,
            phase: None,
        },
        Mark::DecodeReturned,
        Mark::StepBegan { phase: None },
        Mark::PhaseGiven(Phase::WarmUp),
        Mark::RequestEnded,
    ] {
        let time = Nanos(time_ns);
        events.push(RecordedEvent::Mark(TimedMark { time, mark }));
    }
    events
}

fn record(folder: &Path, events: &[RecordedEvent]) -> RecordingEnd {
    let mut recorder =
        EventRecorder::start(folder, OPENED, Box::new(|_| Ok(()))).expect("a thread");
    for event in events {
        recorder.record(event);
    }
    let thread = recorder.take_thread().expect("a thread");
    drop(recorder);
    let end = thread.finish(9_000);
    fs::write(folder.join(END), serde_json::to_vec(&end).expect("JSON")).expect("writable");
    end
}

fn read(folder: &Path) -> Result<Vec<RecordedEvent>, RecordingError> {
    let mut events = Vec::new();
    Recording::open(folder)?.for_each(OPENED, |event| events.push(event.event))?;
    Ok(events)
}

#[test]
fn what_is_written_is_read_again() {
    let folder = tempfile::tempdir().expect("scratch");
    let events = some_of_each(OPENED.0 + 1_000);
    let end = record(folder.path(), &events);
    assert_eq!(
        (end.events, end.segments, end.error),
        (events.len() as u64, 1, None)
    );
    assert_eq!(read(folder.path()).expect("a recording"), events);
    // Nothing half written is left.
    assert_eq!(fs::read_dir(folder.path()).expect("a folder").count(), 2);
}

#[test]
fn many_events_fill_groups_and_segments_and_keep_their_order() {
    let folder = tempfile::tempdir().expect("scratch");
    let events: Vec<RecordedEvent> = (0..20_000u64)
        .flat_map(|number| {
            let mut own = some_of_each(OPENED.0 + number * 1_000);
            own.truncate(4);
            own
        })
        .collect();
    let end = record(folder.path(), &events);
    assert_eq!(end.events, events.len() as u64);
    assert!(read(folder.path()).expect("a recording") == events);
}

#[test]
fn a_recording_whose_tracer_was_killed_is_read_up_to_its_last_segment() {
    let folder = tempfile::tempdir().expect("scratch");
    let events = some_of_each(OPENED.0 + 1_000);
    record(folder.path(), &events);
    fs::remove_file(folder.path().join(END)).expect("it is there");
    // What a killed tracer leaves.
    fs::write(folder.path().join(".events.partial"), b"PAR1").expect("writable");
    let recording = Recording::open(folder.path()).expect("a recording");
    assert_eq!(recording.end, None);
    assert_eq!(read(folder.path()).expect("a recording"), events);
}

#[test]
fn what_is_missing_newer_or_short_is_called_so() {
    let folder = tempfile::tempdir().expect("scratch");
    let inner = folder.path().join("recording");
    assert!(
        matches!(Recording::open(&inner), Err(RecordingError::Missing(run)) if run == folder.path())
    );
    fs::create_dir(&inner).expect("writable");
    let events = some_of_each(OPENED.0);
    record(&inner, &events);
    let write_end = |change: &dyn Fn(&mut RecordingEnd)| {
        let mut end = RecordingEnd {
            schema_version: 1,
            closed_ns: 1,
            events: events.len() as u64,
            segments: 1,
            error: None,
        };
        change(&mut end);
        fs::write(inner.join(END), serde_json::to_vec(&end).expect("JSON")).expect("writable");
    };
    write_end(&|end| end.events += 1);
    assert!(matches!(read(&inner), Err(RecordingError::Short { .. })));
    write_end(&|end| end.segments = 2);
    let gap = read(&inner).expect_err("a segment is missing").to_string();
    assert!(gap.contains(&segment_name(1)), "{gap}");
    write_end(&|end| end.schema_version = 9000);
    assert!(matches!(
        read(&inner),
        Err(RecordingError::Newer { found: 9000, .. })
    ));
    fs::write(inner.join(END), "{").expect("writable");
    assert!(matches!(read(&inner), Err(RecordingError::Foreign { .. })));
}

#[test]
fn a_foreign_parquet_file_is_told_from_a_recording() {
    let folder = tempfile::tempdir().expect("scratch");
    fs::write(folder.path().join(segment_name(0)), "no Parquet").expect("writable");
    let error = read(folder.path()).expect_err("it is none").to_string();
    assert!(
        error.contains("events-000000.parquet is no intact Parquet file"),
        "{error}"
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    /// Any damage is an error or goes unnoticed, and never ends the program.
    #[test]
    fn a_damaged_segment_never_panics(at in any::<prop::sample::Index>(), byte: u8, cut: bool) {
        let folder = tempfile::tempdir().expect("scratch");
        record(folder.path(), &some_of_each(OPENED.0 + 5));
        let path = folder.path().join(segment_name(0));
        let mut bytes = fs::read(&path).expect("written");
        let at = at.index(bytes.len());
        if cut {
            bytes.truncate(at);
        } else {
            bytes[at] = byte;
        }
        fs::write(&path, bytes).expect("writable");
        if let Err(error) = read(folder.path()) {
            prop_assert!(!error.to_string().is_empty());
        }
    }
}
