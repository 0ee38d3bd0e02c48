//! Records of old traces: whole ones, and those of broken or unsuitable traces.

use std::{fmt::Write as _, fs, path::PathBuf};

use crate::{
    report,
    schema::{BlockTraceRecord, ModelRecord},
    storage::KernelDevice,
};

use super::{TraceRequest, audit_record, trace_record};

/// A file that lives as long as the test.
struct Text(tempfile::NamedTempFile);

impl Text {
    fn new(text: &str) -> Self {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), text).unwrap();
        Self(file)
    }

    fn request(&self) -> TraceRequest {
        TraceRequest {
            files: vec![self.0.path().to_owned()],
            ..TraceRequest::default()
        }
    }
}

/// Lines of device 8,0 with their numbers and times.
fn lines(rests: &[&str]) -> String {
    let mut text = String::new();
    for (number, rest) in (1..).zip(rests) {
        writeln!(
            text,
            "  8,0    0 {number:8}     0.{:09}   193 {rest}",
            number * 1000
        )
        .unwrap();
    }
    text
}

fn record(rests: &[&str]) -> BlockTraceRecord {
    trace_record(&Text::new(&lines(rests)).request()).unwrap_or_else(|error| panic!("{error:#}"))
}

fn refused(text: &str) -> String {
    format!(
        "{:#}",
        trace_record(&Text::new(text).request()).expect_err(text)
    )
}

#[test]
fn a_golden_trace_has_the_figures_of_a_run() {
    let file = "src/stats/testdata/seqread-6.1.0-56.txt";
    let request = TraceRequest {
        files: vec![PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(file)],
        thread: Some(163),
        ..TraceRequest::default()
    };
    let record = trace_record(&request).unwrap();
    assert!(record.complete && !record.partial, "{:?}", record.checks);
    let reads = record.model.reads.as_ref().unwrap();
    assert_eq!(
        (reads.amount.count, reads.amount.total_bytes),
        (64, 64 << 20)
    );
    assert_eq!(
        (reads.amount.coverage, reads.amount.amplification),
        (Some(1.0), Some(1.0))
    );
    assert_eq!(reads.process_share.unwrap().share, Some(1.0));
    assert_eq!(reads.sizes.as_ref().map(Vec::len), Some(1));
    assert_eq!(record.model.latency_us.unwrap().count, 64);
    assert!(record.time.wall_s > 0.6 && record.time.wall_s < 0.61);
    // The members have the names that a run's record has.
    let json = serde_json::to_string(&record).unwrap();
    let model: ModelRecord = serde_json::from_str(&json).unwrap();
    assert_eq!(model.reads.unwrap().amount.count, 64);
    let text = report::block_trace_terminal(&record, None);
    assert!(
        text.contains("self-checks, all hold") && !text.contains("INCOMPLETE"),
        "{text}"
    );
    assert!(
        report::block_trace_markdown(&record).contains("| sequential (gap = 0) | 63 | 100.0 % |")
    );
}

#[test]
fn requests_count_once_whatever_happens_to_them() {
    let record = record(&[
        "D   R 0 + 16 [a]",
        "R   R 0 + 16 [0]",
        "D   R 0 + 16 [a]",
        "C   R 0 + 8 [0]",
        "D   R 8 + 8 [a]",
        "C   R 8 + 8 [0]",
        // Issued, and in flight at the end; and one that failed.
        "D   R 16 + 8 [a]",
        "D   R 24 + 8 [a]",
        "C   R 24 + 8 [-5]",
        // Issued before the trace began.
        "C   R 800 + 8 [0]",
        // Not reads.
        "D   W 0 + 8 [a]",
        "D  FN [a]",
        "D  DS 0 + 8 [a]",
        "D   R 36 (12 00) [a]",
    ]);
    let reads = record.model.reads.as_ref().unwrap();
    assert_eq!(
        (reads.amount.count, reads.amount.total_bytes),
        (3, 32 * 512)
    );
    assert_eq!((reads.requeues, reads.reissues), (1, 2));
    assert_eq!((reads.in_flight, reads.in_flight_bytes), (1, 8 * 512));
    assert_eq!((reads.failed, reads.amount.unique_bytes), (1, 16 * 512));
    assert_eq!(record.model.latency_us.unwrap().untimed, Some(1));
    let device = &record.devices[0];
    assert_eq!(
        (device.reads, device.writes, device.flushes, device.discards),
        (3, 1, 1, 1)
    );
    assert_eq!(device.other_requests, 1);
    assert!(record.complete, "{:?}", record.checks);
}

#[test]
fn merges_and_splits_are_no_reads() {
    let record = record(&[
        "Q   R 0 + 32 [a]",
        "X   R 0 / 16 [a]",
        "G   R 0 + 16 [a]",
        "Q   R 32 + 8 [a]",
        "M   R 32 + 8 [a]",
        "D   R 0 + 16 [a]",
        "D   R 16 + 24 [a]",
        "C   R 0 + 16 [0]",
        "C   R 16 + 24 [0]",
    ]);
    let reads = record.model.reads.as_ref().unwrap();
    assert_eq!(
        (
            reads.amount.count,
            reads.amount.total_bytes,
            reads.amount.amplification
        ),
        (2, 40 * 512, Some(1.0))
    );
}

#[test]
fn a_trace_of_issues_only_is_answered_with_a_note() {
    let record = record(&["D   R 0 + 8 [a]", "D   R 0 + 8 [a]", "D   R 8 + 8 [a]"]);
    let reads = record.model.reads.as_ref().unwrap();
    assert_eq!(
        (reads.amount.unique_bytes, reads.amount.amplification),
        (16 * 512, Some(1.5))
    );
    assert!(record.model.bandwidth.is_none() && record.model.latency_us.is_none());
    assert!(
        record
            .notes
            .iter()
            .any(|note| note.contains("no completions"))
    );
}

#[test]
fn what_is_missing_marks_the_figures() {
    let whole = lines(&[
        "D   R 0 + 8 [a]",
        "C   R 0 + 8 [0]",
        "D   R 8 + 8 [a]",
        "C   R 8 + 8 [0]",
    ]);
    let summary = |dispatches, skips| {
        format!(
            "CPU0 (t):\n Read Dispatches:  {dispatches},  8KiB\nEvents (t): 4 entries\nSkips: 1 forward ({skips} - 1.0%)\n"
        )
    };
    let of = |text: String| trace_record(&Text::new(&text).request()).unwrap();
    assert!(of(whole.clone()).complete);
    assert!(of(whole.clone() + &summary(2, 0)).complete);
    // blkparse skipped some.
    let skipped = of(whole.clone() + &summary(2, 17));
    assert_eq!(
        (skipped.complete, skipped.loss.missing_records),
        (false, Some(17))
    );
    assert!(report::block_trace_terminal(&skipped, None).contains("INCOMPLETE: 17 records"));
    // Somebody left out issues.
    let filtered = of(whole.clone() + &summary(3, 0));
    let violated = filtered
        .checks
        .iter()
        .filter(|check| check.holds == Some(false));
    assert!(!filtered.complete && violated.count() == 1);
    // Numbers are missing, and nobody says why.
    let gaps = of(whole.replace(" 2     0.", " 9     0."));
    assert_eq!((gaps.complete, gaps.loss.missing_records), (false, None));
    // Cut off.
    let cut = of(whole[..whole.len() - 9].to_owned());
    assert!(cut.partial && !cut.complete && cut.partial_reason.unwrap().contains("line 4"));
    assert_eq!(cut.model.reads.unwrap().in_flight, 1);
}

#[test]
fn a_record_that_is_late_goes_to_its_place() {
    let text = lines(&[
        "D   R 0 + 8 [a]",
        "C   R 0 + 8 [0]",
        "D   R 8 + 8 [a]",
        "C   R 8 + 8 [0]",
    ]);
    let mut shuffled: Vec<&str> = text.lines().collect();
    shuffled.swap(1, 2);
    shuffled.swap(0, 3);
    let figures = |text: &str| {
        let record = trace_record(&Text::new(text).request()).unwrap();
        assert!(record.complete);
        serde_json::to_value(record.model).unwrap()
    };
    assert_eq!(figures(&text), figures(&(shuffled.join("\n") + "\n")));
}

#[test]
fn traces_without_the_wanted_reads_say_so() {
    let writes = lines(&["D   W 0 + 8 [a]", "C   W 0 + 8 [0]"]);
    let error = refused(&writes);
    assert!(
        error.contains("no read in this trace (8,0: 0 reads, 1 writes)"),
        "{error}"
    );
    let queued = lines(&["Q   R 0 + 8 [a]", "C   R 0 + 8 [0]"]);
    let error = refused(&queued);
    assert!(error.contains("device without requests"), "{error}");
    // The audit needs no issues.
    let audit = audit_record(&Text::new(&queued).request(), None).unwrap();
    assert_eq!(audit.accountings[0].amplification, None);
    assert!(report::audit_terminal(&audit, None).contains("none was issued"));
    let two = lines(&["D   R 0 + 8 [a]"]) + &lines(&["D   R 0 + 8 [a]"]).replace("8,0 ", "8,16");
    let error = refused(&two);
    assert!(
        error.contains("8,0: 1 reads, 0 writes; 8,16: 1 reads") && error.contains("--device"),
        "{error}"
    );
    let text = Text::new(&two);
    let of = |minor| {
        let request = TraceRequest {
            device: Some(KernelDevice::new(8, minor).unwrap()),
            ..text.request()
        };
        trace_record(&request)
    };
    let second = of(16).unwrap();
    assert_eq!(second.devices[0].name, "8,16");
    assert_eq!(second.devices.len(), 2);
    assert!(
        of(3)
            .unwrap_err()
            .to_string()
            .contains("no read of device 8,3")
    );
    // Where one of two has only writes, the other is meant.
    let one = lines(&["D   R 0 + 8 [a]"]) + &lines(&["D   W 0 + 8 [a]"]).replace("8,0 ", "8,16");
    let record = trace_record(&Text::new(&one).request()).unwrap();
    assert_eq!(record.devices[0].name, "8,0");
}

#[test]
fn with_a_model_only_its_overlap_counts() {
    let extents = Text::new(
        "File size of m is 8192 (16 blocks of 512 bytes)\n 0: 0..7: 100..107: 8: :\n 1: 8..15: 300..307: 8: 108: last\n",
    );
    let text = Text::new(&lines(&[
        "D   R 96 + 16 [a]",
        "C   R 96 + 16 [0]",
        // A neighbour, between the two extents.
        "D   R 200 + 8 [b]",
        "C   R 200 + 8 [0]",
        "D   R 300 + 4 [a]",
        "C   R 300 + 4 [0]",
        "D   W 300 + 4 [a]",
        "D   W 400 + 4 [a]",
    ]));
    let request = TraceRequest {
        extents_from: Some(extents.0.path().to_owned()),
        ..text.request()
    };
    let record = trace_record(&request).unwrap();
    let reads = record.model.reads.as_ref().unwrap();
    assert_eq!(
        (
            reads.amount.count,
            reads.amount.total_bytes,
            reads.amount.coverage
        ),
        (2, 12 * 512, Some(0.75))
    );
    assert_eq!((reads.writes, reads.write_bytes), (Some(1), Some(4 * 512)));
    let gaps = record.model.gaps.as_ref().unwrap();
    assert_eq!((gaps.count, gaps.classes.small.count), (1, 1));
    let device = &record.devices[0];
    assert_eq!(
        (device.reads, device.other_reads, device.other_read_bytes),
        (3, 1, 16 * 512)
    );
    assert!(
        record
            .notes
            .iter()
            .any(|note| note.contains("--partition-start"))
    );
    assert!(record.complete, "{:?}", record.checks);
    // The naive range counts the neighbour, too.
    let audit = audit_record(&request, None).unwrap();
    let range = audit.accountings.last().unwrap();
    assert_eq!(
        (range.name.as_str(), range.records),
        ("D, sectors 100 to 308", 2)
    );
    let elsewhere = TraceRequest {
        partition_start: Some(crate::storage::Sector(1 << 20)),
        ..request
    };
    let error = trace_record(&elsewhere).unwrap_err().to_string();
    assert!(
        error.contains("none of the 3 reads of device 8,0"),
        "{error}"
    );
}
