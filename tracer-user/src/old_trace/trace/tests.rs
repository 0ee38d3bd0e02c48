//! Files of one recording, by name and by content.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::old_trace::{
    TraceError,
    binary::ByteOrder,
    encoder::{self, Encoder},
};

use super::{Trace, TraceFile, recording_files};

fn file(name: &str, bytes: &[u8]) -> TraceFile {
    TraceFile {
        path: PathBuf::from(name),
        reader: Box::new(std::io::Cursor::new(bytes.to_vec())),
    }
}

fn binary(times: &[u64]) -> Vec<u8> {
    let mut encoder = Encoder::new(ByteOrder::Little);
    for time in times {
        encoder.record(*time, encoder::ISSUE, encoder::READ, *time, 512);
    }
    encoder.bytes()
}

fn times(files: Vec<TraceFile>) -> Result<Vec<u64>, TraceError> {
    let mut trace = Trace::of(files)?;
    let mut times = Vec::new();
    while let Some(record) = trace.next_record()? {
        times.push(record.time.0);
    }
    assert_eq!(trace.end()?.records, times.len() as u64);
    Ok(times)
}

fn refused(files: Vec<TraceFile>) -> String {
    times(files).expect_err("no recording").to_string()
}

const LINE: &[u8] = b"8,0 1 1 0.000000001 1 D R 8 + 16 [dd]\n";

#[test]
fn cpus_are_merged_by_time() {
    let files = vec![
        file("t.blktrace.0", &binary(&[1, 4, 9])),
        file("t.blktrace.1", &binary(&[2, 3, 8])),
        // A CPU on which nothing happened.
        file("t.blktrace.2", b""),
    ];
    assert_eq!(times(files).unwrap(), [1, 2, 3, 4, 8, 9]);
    // Several CPUs in one stream, as `blktrace -o -` writes them.
    let one_stream = [binary(&[5, 6]), binary(&[1, 2])].concat();
    assert_eq!(
        times(vec![file("stream", &one_stream)]).unwrap(),
        [1, 2, 5, 6]
    );
}

#[test]
fn what_is_no_one_recording_is_refused() {
    assert!(refused(vec![file("a", LINE), file("b", LINE)]).contains("give one text"));
    let mixed = vec![file("a", LINE), file("t.blktrace.0", &binary(&[1]))];
    assert!(refused(mixed).contains("give one text"));
    assert!(refused(vec![file("a", b"")]).contains("a: holds no record"));
    let empty = vec![file("t.blktrace.0", b""), file("t.blktrace.1", b"")];
    assert!(refused(empty).contains("t.blktrace.0: holds no record"));
    let garbage = vec![file("t.blktrace.0", &[0xff; 100])];
    assert!(refused(garbage).contains("t.blktrace.0, byte 0: no record of blktrace"));
}

#[test]
fn a_name_stands_for_the_files_of_all_cpus() {
    let scratch = tempfile::tempdir().unwrap();
    let path = |name: &str| scratch.path().join(name);
    for cpu in [0, 2, 10] {
        fs::write(path(&format!("t.blktrace.{cpu}")), binary(&[1])).unwrap();
    }
    for other in ["t.blktrace.x", "tt.blktrace.0", "t.txt"] {
        fs::write(path(other), b"x").unwrap();
    }
    let parts = [0, 2, 10].map(|cpu| path(&format!("t.blktrace.{cpu}")));
    assert_eq!(
        recording_files(&[path("t")]).unwrap(),
        (parts.to_vec(), vec![])
    );
    // One of them alone is not the recording.
    let (given, left_out) = recording_files(&parts[1..2]).unwrap();
    assert_eq!(given, [path("t.blktrace.2")]);
    assert_eq!(left_out, [path("t.blktrace.0"), path("t.blktrace.10")]);
    // An idle CPU's empty file may be left out.
    fs::write(path("t.blktrace.0"), b"").unwrap();
    assert!(recording_files(&parts[1..]).unwrap().1.is_empty());
    for missing in [path("u"), path("no/such"), PathBuf::from("/")] {
        if missing == Path::new("/") {
            let error = Trace::open(&[missing]).err().expect("a folder");
            assert!(error.to_string().contains("/: cannot be read"), "{error}");
        } else {
            assert!(recording_files(&[missing]).is_err());
        }
    }
}
