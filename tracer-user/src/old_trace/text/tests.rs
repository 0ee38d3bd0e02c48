//! Whole texts: what is read of them, and what is said of broken ones.

use std::path::Path;

use crate::old_trace::{TraceError, record::TraceRecord};

use super::{TextEnd, TextTrace};

const READ: &str = "\
254,0    1        1     0.000000000   193  Q   R 33112 + 2048 [dd]
254,0    1        2     0.000100350   193  G   R 33112 + 2048 [dd]
254,0    1        3     0.000118100   193  P   N [dd]
254,0    1        4     0.000237010   193  D   R 33112 + 2048 [dd]
254,0    1        5     0.001394450     0  C   R 33112 + 2048 [0]
";
const SUMMARY: &str = "\
CPU1 (t):
 Read Dispatches:        1,     1024KiB\t Write Dispatches:        0,        0KiB

Throughput (R/W): 1820444KiB/s / 0KiB/s
Events (t): 5 entries
Skips: 0 forward (0 -   0.0%)
";

fn read(text: &str) -> Result<(Vec<TraceRecord>, TextEnd), TraceError> {
    let mut trace = TextTrace::new(Path::new("t.txt"), text.as_bytes());
    let mut records = Vec::new();
    while let Some(record) = trace.next_record()? {
        records.push(record);
    }
    Ok((records, trace.end()?))
}

fn refused(text: &str) -> String {
    read(text).expect_err(text).to_string()
}

#[test]
fn records_and_summary_are_read() {
    let (records, end) = read(&format!("{READ}{SUMMARY}Input file t.blktrace.0 added\n")).unwrap();
    assert_eq!(records.len(), 5);
    let summary = end.summary.unwrap();
    assert_eq!(
        (summary.read_dispatches, summary.skipped_records),
        (Some(1), Some(0))
    );
    assert_eq!((end.missing_by_sequence, end.cut_off), (0, None));
    // Lines of the other system's kind.
    let (records, _) = read(&READ.replace('\n', "\r\n")).unwrap();
    assert_eq!(records.len(), 5);
}

#[test]
fn every_truncation_is_noticed_or_ends_with_a_line() {
    for length in 0..READ.len() {
        let text = &READ[..length];
        match read(text) {
            Ok((records, end)) => {
                let whole = text.ends_with('\n') || text.ends_with(']');
                assert_eq!(end.cut_off.is_none(), whole, "{text}");
                let lines = text.lines().count() - usize::from(!whole);
                assert_eq!(records.len(), lines, "{text}");
            }
            // Nothing whole is left.
            Err(error) => assert!(length < 68, "{error}"),
        }
    }
    let remap = format!("{READ}254,16 1 6 0.1 207 A RM 2128 + 8 <- (254,17) 80");
    assert!(
        read(&remap.replace(" 0.1 ", " 0.100000000 "))
            .unwrap()
            .1
            .cut_off
            .is_some()
    );
}

#[test]
fn a_line_that_is_none_is_named() {
    let broken = READ.replace("   193  G   R 33112", " G R 33112");
    let error = refused(&broken);
    assert!(
        error.contains("t.txt, line 2, column 37: expected the process id"),
        "{error}"
    );
    assert!(
        error.contains("default format") && error.contains("-f"),
        "{error}"
    );
    let error = refused(&format!("{READ}hello\n"));
    assert!(error.contains("line 6, column 1"), "{error}");
    // A custom format, as `-f "%D %a %S + %n\n"` prints it.
    let error = refused("254,0    Q 33112 + 2048\n");
    assert!(
        error.contains("line 1, column 10: expected the CPU's number"),
        "{error}"
    );
    assert!(refused("").contains("empty"));
    assert!(refused(SUMMARY).contains("empty"));
    let garbage = "\u{1}\u{2}".repeat(4000);
    assert!(refused(&garbage).contains("longer than"));
}

#[test]
fn two_recordings_in_one_file_are_refused() {
    let error = refused(&format!("{READ}{SUMMARY}{READ}"));
    assert!(
        error.contains("line 12") && error.contains("two recordings"),
        "{error}"
    );
}

#[test]
fn missing_numbers_are_counted() {
    let without: String = READ
        .lines()
        .filter(|line| !line.contains(" P "))
        .map(|line| format!("{line}\n"))
        .collect();
    assert_eq!(read(&without).unwrap().1.missing_by_sequence, 1);
}
