//! Writes a long recording, to measure how fast it is opened again. It is no test, and runs where it is asked for by name:
//! `TRACER_TESTS_RECORDING=DIR TRACER_TESTS_EVENTS=10000000 cargo test -p tracer-user --lib long_recording -- --ignored`.

use std::{env, fs, path::PathBuf};

use tracer_common::record::{
    CompleteRecord, IssueRecord, KindByte, NO_PREVIOUS_END, PageRecord, Record, WaitRecord,
    complete_flag, issue_flag, page_event, wait_kind,
};

use crate::{
    recording::{
        END, RECORDING, RecordedEvent, RecordingEnd, Row, SETUP, SegmentWriter, segment_name,
    },
    stats::{
        Nanos,
        phases::phase::{Mark, TimedMark},
    },
};

use super::tests::setup_of;

const EXTENT_BYTES: u64 = 256 << 20;
const READ_BYTES: u64 = 128 << 10;
const READ_PAGES: u32 = (READ_BYTES / 4096) as u32;
const READS: u64 = 4 * EXTENT_BYTES / READ_BYTES;
/// Reads of a token: half of the model.
const READS_A_STEP: u64 = READS / 2;
const EVENTS_A_READ: u64 = 8;
/// From one read to the next.
const READ_NANOS: u64 = 20_000;
/// As many events as the recorder puts into one.
const READS_A_SEGMENT: usize = (1 << 20) / EVENTS_A_READ as usize;

#[test]
#[ignore = "writes a recording of any length, to be measured"]
fn write() {
    let (Some(folder), Ok(events)) = (
        env::var_os("TRACER_TESTS_RECORDING").map(PathBuf::from),
        env::var("TRACER_TESTS_EVENTS")
            .unwrap_or_default()
            .parse::<u64>(),
    ) else {
        panic!("TRACER_TESTS_RECORDING names a folder, TRACER_TESTS_EVENTS a number");
    };
    let setup = setup_of(EXTENT_BYTES);
    let opened = Nanos(setup.opened_ns);
    let inner = folder.join(RECORDING);
    fs::create_dir_all(&inner).expect("writable");
    fs::write(inner.join(SETUP), serde_json::to_vec(&setup).expect("JSON")).expect("writable");
    let mut row_of = {
        let mut latest_ns = 0;
        move |event: &RecordedEvent| {
            let row = Row::of(event, opened, latest_ns).expect("it is recorded");
            latest_ns = latest_ns.max(row.time_ns);
            row
        }
    };
    let mut previous_end = NO_PREVIOUS_END;
    let mut end = RecordingEnd {
        schema_version: setup.schema_version,
        closed_ns: events / EVENTS_A_READ * READ_NANOS,
        ..RecordingEnd::default()
    };
    let mut reads = 0..events / EVENTS_A_READ;
    while !reads.is_empty() {
        let file = fs::File::create(inner.join(segment_name(end.segments))).expect("writable");
        let mut segment = SegmentWriter::new(file).expect("writable");
        for read in reads.by_ref().take(READS_A_SEGMENT) {
            if read % READS_A_STEP == 0 {
                let time = Nanos(opened.0 + read * READ_NANOS);
                let (tokens, phase) = (Some(1), None);
                let mark = Mark::DecodeEntered { tokens, phase };
                let mark = RecordedEvent::Mark(TimedMark { time, mark });
                segment.push(row_of(&mark)).expect("writable");
            }
            for event in of_read(opened.0, read, &mut previous_end) {
                segment.push(row_of(&event)).expect("writable");
            }
        }
        end.segments += 1;
        end.events += segment.row_count();
        segment.finish().expect("writable");
    }
    fs::write(inner.join(END), serde_json::to_vec(&end).expect("JSON")).expect("writable");
}

/// A thread faults, waits for a read-ahead window, and uses it; the window of half a model before goes.
fn of_read(
    opened: u64,
    read: u64,
    previous_end: &mut u64,
) -> [RecordedEvent; EVENTS_A_READ as usize] {
    // Times of a real run have no pattern.
    let mut random = fastrand::Rng::with_seed(read);
    let time_ns = opened + 10 + read * READ_NANOS + random.u64(0..3_000);
    let offset = read % READS * READ_BYTES;
    let extent = offset / EXTENT_BYTES;
    let sector = 2048 + (8 - 2 * extent) * (EXTENT_BYTES / 512) + offset % EXTENT_BYTES / 512;
    let thread_id = 5 + (read % 8) as u32;
    let request = 0xffff_8881_0000_0000 + read % 1024 * 64;
    let first_page = (offset / 4096) as u32;
    let page = |event, after_ns, first_page, pages| {
        RecordedEvent::Kernel(Record::Page(PageRecord {
            kind: KindByte::NEW,
            event,
            file: 0,
            process_id: 4,
            time_ns: time_ns + after_ns,
            first_page,
            pages,
        }))
    };
    let issue = IssueRecord {
        kind: KindByte::NEW,
        device: 0,
        model: 0,
        flags: issue_flag::READAHEAD,
        thread_id,
        time_ns: time_ns + 200,
        request,
        sector,
        previous_end: *previous_end,
        bytes: READ_BYTES as u32,
        process_id: 4,
    };
    *previous_end = sector + READ_BYTES / 512;
    let complete = CompleteRecord {
        kind: KindByte::NEW,
        device: 0,
        status: 0,
        flags: complete_flag::LAST,
        bytes: issue.bytes,
        time_ns: time_ns + 9_000 + random.u64(0..5_000),
        request,
        sector,
    };
    let wait = WaitRecord {
        kind: KindByte::NEW,
        wait: wait_kind::MODEL_FOLIO,
        file: 0,
        thread_id,
        start_ns: time_ns + 250 + random.u64(0..100),
        end_ns: complete.time_ns + 700,
        process_id: 4,
        page: first_page,
    };
    let gone = ((read + READS / 2) % READS * READ_BYTES / 4096) as u32;
    [
        page(page_event::FAULT, 0, first_page, 1),
        page(page_event::EVICTION, 50, gone, READ_PAGES),
        page(page_event::INSERT, 100, first_page, READ_PAGES),
        RecordedEvent::Kernel(Record::Issue(issue)),
        RecordedEvent::Kernel(Record::Complete(complete)),
        RecordedEvent::Kernel(Record::Wait(wait)),
        page(page_event::MAP_WINDOW, 15_000, first_page, 16),
        page(page_event::FAULT, 16_000, first_page + 16, 1),
    ]
}
