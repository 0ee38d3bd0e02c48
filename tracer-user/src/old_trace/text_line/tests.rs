//! Lines as real blkparse prints them, and what is none.

use proptest::prelude::*;
use tracer_common::counters::Operation;

use crate::{
    old_trace::record::{Action, TraceRecord},
    storage::KernelDevice,
};

use super::{begins_like_a_record, parse_line};

fn parsed(line: &str) -> TraceRecord {
    parse_line(line.as_bytes()).unwrap_or_else(|error| panic!("{line}: {error:?}"))
}

#[test]
fn a_read_is_read() {
    let record =
        parsed("259,0    3     1234    12.001394450 70193  D RASM 33112 + 2048 [kworker/0:1H]");
    assert_eq!(record.device, KernelDevice::new(259, 0).unwrap());
    assert_eq!((record.cpu, record.sequence), (3, 1234));
    assert_eq!(record.time.0, 12_001_394_450);
    assert_eq!(record.thread_id, 70193);
    assert_eq!((record.sector, record.sectors), (33112, 2048));
    assert_eq!(record.action, Action::Issue);
    assert_eq!(record.operation, Operation::Read);
    assert!(record.readahead && record.synchronous && record.metadata && !record.failed);
    assert!(record.is_read());
}

#[test]
fn every_action_of_blkparse_is_known() {
    for (rest, action, operation, sectors) in [
        ("Q   R 8 + 16 [dd]", Action::Queue, Operation::Read, 16),
        ("G  RM 8 + 16 [dd]", Action::GetRequest, Operation::Read, 16),
        ("I  WS 8 + 16 [a]", Action::Insert, Operation::Write, 16),
        (
            "M WSM 136 + 8 [jbd2/vda-8]",
            Action::BackMerge,
            Operation::Write,
            8,
        ),
        ("F   R 8 + 16 [a]", Action::FrontMerge, Operation::Read, 16),
        ("D   R 8 + 16 [a]", Action::Issue, Operation::Read, 16),
        ("D  FN [kworker/1:1H]", Action::Issue, Operation::Flush, 0),
        ("Q FWS [ext4lazyinit]", Action::Queue, Operation::Write, 0),
        (
            "Q FWFSM 8 + 8 [jbd2/vda-8]",
            Action::Queue,
            Operation::Write,
            8,
        ),
        (
            "D  DS 8 + 16 [fstrim]",
            Action::Issue,
            Operation::Discard,
            16,
        ),
        ("R   R 8 + 16 [0]", Action::Requeue, Operation::Read, 16),
        ("C   R 8 + 16 [0]", Action::Complete, Operation::Read, 16),
        (
            "C   R 8 + 16 (  103450) [0]",
            Action::Complete,
            Operation::Read,
            16,
        ),
        (
            "D   R 8 + 16 (    1034) [a]",
            Action::Issue,
            Operation::Read,
            16,
        ),
        ("C  FN 0 [0]", Action::Complete, Operation::Other, 0),
        ("C  WS 0 [0]", Action::Complete, Operation::Other, 0),
        (
            "X  RA 147800 / 155992 [dd]",
            Action::Other,
            Operation::Read,
            0,
        ),
        ("P   N [dd]", Action::Other, Operation::Other, 0),
        ("U   N [dd] 1", Action::Other, Operation::Other, 0),
        ("UT   N [init] 12", Action::Other, Operation::Other, 0),
        ("S   R 8 + 16 [dd]", Action::Other, Operation::Read, 16),
        (
            "m   N cfq1 [x] anything",
            Action::Other,
            Operation::Other,
            0,
        ),
        // Passthrough: the number is bytes.
        (
            "D   R 36 (12 00 00 00 24 00) [scsi_id]",
            Action::Issue,
            Operation::Other,
            0,
        ),
        (
            "I   R (12 00 00 00 24 00) [scsi_id]",
            Action::Insert,
            Operation::Other,
            0,
        ),
        (
            "C   R (12 00 00 00 24 00) [0]",
            Action::Complete,
            Operation::Other,
            0,
        ),
    ] {
        let record = parsed(&format!(
            "  8,0    1        1     0.000000000   193  {rest}"
        ));
        assert_eq!(
            (record.action, record.operation, record.sectors),
            (action, operation, sectors),
            "{rest}"
        );
    }
}

#[test]
fn a_failure_and_a_remap_are_told() {
    let line = "254,16 1 1 0.000000000 0 C R 8 + 16 [65531]";
    assert!(parsed(line).failed);
    assert!(parsed(&line.replace("65531", "-5")).failed);
    let remap = parsed("254,16   1        1     0.000000000   207  A  RM 2128 + 8 <- (254,17) 80");
    assert_eq!(remap.action, Action::Remap);
    let partition = KernelDevice::new(254, 17).unwrap();
    assert_eq!(remap.remapped_from, Some((partition, 80)));
    assert_eq!((remap.sector, remap.sectors), (2128, 8));
}

#[test]
fn a_process_may_be_called_anything() {
    for name in ["a b", "x] [y", "[z]", "", "C R 8 + 16", "a\u{e4}]", "1] 2"] {
        let record = parsed(&format!("8,0 1 1 0.000000000 1 D R 8 + 16 [{name}]"));
        assert_eq!(record.sectors, 16, "{name}");
        parsed(&format!("8,0 1 1 0.000000000 1 U N [{name}] 3"));
    }
}

#[test]
fn what_is_cut_off_or_otherwise_formatted_is_refused_with_its_column() {
    let line = "254,0    1      290     0.033235710     0  C   R 149848 + 2048 [0]";
    for length in 0..line.len() {
        assert!(parse_line(&line.as_bytes()[..length]).is_err(), "{length}");
    }
    let line = "254,0    1      289     0.033017920   193  D   R 149848 + 2048 [dd]";
    for length in 0..line.len() {
        assert!(parse_line(&line.as_bytes()[..length]).is_err(), "{length}");
    }
    for (line, expected, column) in [
        ("D 8 16", "a device as MAJOR,MINOR", 0),
        ("8,0 D 8 16", "the CPU's number", 4),
        (
            "8,0 1 1 0.000000000 193 D",
            "the letters of RWBS, such as RA",
            25,
        ),
        (
            "8,0 1 1 0.000000000 193 D R",
            "a sector, or the process in brackets",
            27,
        ),
        (
            "8,0 1 1 0.000000000 193 D RX 8 + 8 [a]",
            "the letters of RWBS",
            26,
        ),
        (
            "8,0 1 1 0.000000000 193 D Q 8 + 8 [a]",
            "the letters of RWBS",
            26,
        ),
        ("8,0 1 1 0.000000000 193 read R 8 + 8 [a]", "an action", 24),
        (
            "8,0 1 1 0.0001 193 D R 8 + 8 [a]",
            "nine digits of nanoseconds",
            10,
        ),
        (
            "8,0 1 1 0.000000000 1 A R 8 + 8 [a]",
            "`<- (MAJOR,MINOR)",
            32,
        ),
        (
            "8,0 1 1 0.000000000 1 D R 8 + 99999999999 [a]",
            "the number of sectors",
            30,
        ),
        (
            "8,0 1 1 0.000000000 1 C R 8 + 8 [dd]",
            "the error in brackets",
            33,
        ),
        (
            "5000,0 1 1 0.000000000 1 D R 8 + 8 [a]",
            "a device as MAJOR,MINOR",
            0,
        ),
        (
            "8,0 1 1 99999999999999999999.000000000 1 D R 8 + 8 [a]",
            "the time",
            8,
        ),
    ] {
        let error = parse_line(line.as_bytes()).expect_err(line);
        assert!(error.expected.starts_with(expected), "{line}: {error:?}");
        assert_eq!(error.column, column, "{line}: {error:?}");
    }
}

#[test]
fn a_record_is_told_from_a_summary_by_its_beginning() {
    assert!(begins_like_a_record(b"254,0    1"));
    assert!(begins_like_a_record(b"  8,0    1"));
    for line in [
        "CPU0 (t):",
        "",
        " Reads Queued:  1",
        "Total (t):",
        "12 13",
        "8",
    ] {
        assert!(!begins_like_a_record(line.as_bytes()), "{line}");
    }
}

proptest! {
    #[test]
    fn any_bytes_give_an_answer(line in prop::collection::vec(any::<u8>(), 0..120)) {
        if let Err(error) = parse_line(&line) {
            prop_assert!(error.column <= line.len());
        }
    }

    #[test]
    fn what_is_printed_is_read(
        major in 0u64..4096, minor in 0u64..1_048_576, cpu in 0u32..512, sequence: u32,
        seconds in 0u64..1_000_000, nanos in 0u64..1_000_000_000, thread: u32, sector in 0u64..1 << 54, sectors in 1u32..,
    ) {
        let line = format!(
            "{major:3},{minor:<3} {cpu:2} {sequence:8} {seconds:5}.{nanos:09} {thread:5} {:>2} {:>3} {sector} + {sectors} [a b]",
            "D", "RA"
        );
        let record = parsed(&line);
        prop_assert_eq!(record.device, KernelDevice::new(major, minor).unwrap());
        prop_assert_eq!((record.cpu, record.sequence, record.thread_id), (cpu, sequence, thread));
        prop_assert_eq!(record.time.0, seconds * 1_000_000_000 + nanos);
        prop_assert_eq!((record.sector, record.sectors), (sector, sectors));
    }
}
