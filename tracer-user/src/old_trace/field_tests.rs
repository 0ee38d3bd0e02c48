//! Traces as people have them: pasted, mailed, stopped, copied, joined. Those in `testdata/field/` are forms from public
//! reports, with figures made up so that the right answer is exact.

use std::{fs, path::PathBuf};

use crate::schema::BlockTraceRecord;

use super::{TraceRequest, audit_record, trace_record};

fn given(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("src/old_trace/testdata/field")
        .join(name)
}

fn request(files: &[PathBuf]) -> TraceRequest {
    TraceRequest {
        files: files.to_vec(),
        ..TraceRequest::default()
    }
}

fn record(files: &[PathBuf]) -> BlockTraceRecord {
    trace_record(&request(files)).unwrap_or_else(|error| panic!("{error:#}"))
}

fn refused(files: &[PathBuf]) -> String {
    let error = trace_record(&request(files)).expect_err("no one trace");
    let of_audit = audit_record(&request(files), None).expect_err("no one trace");
    assert_eq!(format!("{error:#}"), format!("{of_audit:#}"));
    format!("{error:#}")
}

/// A file of the test's own.
fn saved(content: &[u8]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), content).unwrap();
    file
}

/// The four reads of 32 KiB that most of the texts hold.
fn assert_four_reads(record: &BlockTraceRecord, what: &str) {
    let reads = record.model.reads.as_ref().unwrap();
    assert_eq!(
        (
            reads.amount.count,
            reads.amount.total_bytes,
            reads.amount.unique_bytes
        ),
        (4, 131_072, 131_072),
        "{what}"
    );
    assert_eq!(reads.amount.amplification, Some(1.0), "{what}");
    let gaps = record.model.gaps.as_ref().unwrap();
    assert_eq!(
        (gaps.classes.sequential.count, gaps.count),
        (3, 3),
        "{what}"
    );
    assert!(record.complete && !record.partial, "{what}: {record:?}");
}

#[test]
fn what_stands_around_a_text_is_no_part_of_it() {
    for name in [
        "interrupted-before-summary.txt",
        "with-shell-prompt.txt",
        "byte-order-mark.txt",
    ] {
        assert_four_reads(&record(&[given(name)]), name);
    }
    let plain = fs::read_to_string(given("with-shell-prompt.txt")).unwrap();
    let plain = plain.split_once('\n').unwrap().1;
    let of_windows = plain.replace('\n', "\r\n");
    let quoted: String = plain.lines().map(|line| format!("> {line}\n")).collect();
    let wrapped = plain.replace(" + 64 ", " + 64\n");
    let wrapped_early = plain.replace("   R ", "\n  R ");
    for (what, text) in [
        ("an end as of Windows", of_windows),
        ("a prompt behind it", format!("{plain}root@host:~# ")),
        (
            "a session",
            format!(
                "Script started on 2026-01-01\n[root@h ~]# btrace /dev/sde\n{plain}^C\n[root@h ~]# exit\n"
            ),
        ),
        ("^C alone", format!("{plain}^C")),
        ("quoted", quoted.clone()),
        ("wrapped", wrapped.clone()),
        ("wrapped early", wrapped_early),
        ("tabs", plain.replace("   ", "\t")),
    ] {
        assert_four_reads(&record(&[saved(text.as_bytes()).path().to_owned()]), what);
    }
    let note = &record(&[saved(wrapped.as_bytes()).path().to_owned()]).notes;
    assert!(
        note.iter()
            .any(|note| note.starts_with("12 records stood in two lines")),
        "{note:?}"
    );
}

#[test]
fn a_record_that_is_broken_is_still_an_error() {
    let plain = fs::read_to_string(given("byte-order-mark.txt")).unwrap();
    let broken = plain.replacen(" + 64 [dd]", " + 64", 1);
    let error = refused(&[saved(broken.as_bytes()).path().to_owned()]);
    assert!(error.contains("line 1, column 6"), "{error}");
    let hidden = plain.replacen("  8,64   14        2", "# 8,64   14        2", 1);
    let error = refused(&[saved(hidden.as_bytes()).path().to_owned()]);
    assert!(error.contains("line 2"), "{error}");
}

#[test]
fn a_barrier_says_nothing_of_the_direction() {
    let record = record(&[given("barrier-letter.txt")]);
    let reads = record.model.reads.as_ref().unwrap();
    assert_eq!(
        (reads.amount.count, reads.amount.total_bytes),
        (6, 1_179_648)
    );
    assert_eq!(
        (
            reads.amount.amplification,
            reads.sizes.as_ref().map_or(0, Vec::len)
        ),
        (Some(1.0), 1)
    );
    let gaps = record.model.gaps.as_ref().unwrap();
    assert_eq!((gaps.classes.sequential.count, gaps.count), (5, 5));
    // Of a write it says nothing either.
    let text = fs::read_to_string(given("barrier-letter.txt")).unwrap();
    let writes = text.replace(" RB ", " WSB ").replace("   R ", "   W ");
    let error = refused(&[saved(writes.as_bytes()).path().to_owned()]);
    assert!(error.contains("0 reads, 6 writes"), "{error}");
}

#[test]
fn what_is_no_trace_is_named_with_what_to_do() {
    let text = fs::read(given("byte-order-mark.txt")).unwrap();
    let wide = |order: fn(u16) -> [u8; 2]| -> Vec<u8> {
        String::from_utf8_lossy(&text)
            .encode_utf16()
            .flat_map(order)
            .collect()
    };
    let binary = fs::read(given("run1.bin")).unwrap();
    // As an editor or a paste leaves it.
    let mangled = String::from_utf8_lossy(&binary).into_owned().into_bytes();
    let latin: String = binary.iter().map(|byte| char::from(*byte)).collect();
    for (content, words) in [
        (
            fs::read(given("compressed.txt.gz")).unwrap(),
            "compressed (gzip): unpack it first, for instance with `gzip -dc ",
        ),
        (b"\x28\xb5\x2f\xfd\x04\x00abc".to_vec(), "`zstd -dc "),
        (b"\xfd7zXZ\0\0\x04".to_vec(), "`xz -dc "),
        (wide(u16::to_le_bytes), "iconv -f UTF-16"),
        (wide(u16::to_be_bytes), "iconv -f UTF-16"),
        (mangled, "Copy the original again"),
        (latin.into_bytes(), "Copy the original again"),
        (
            b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 5\n".to_vec(),
            "git lfs pull",
        ),
        (b"D R 0 8\n".to_vec(), "custom format"),
    ] {
        let error = refused(&[saved(&content).path().to_owned()]);
        assert!(error.contains(words), "{error}");
    }
}

#[test]
fn two_recordings_are_not_one() {
    let error = refused(&[given("two-recordings-joined.txt")]);
    assert!(
        error.contains("line 13")
            && error.contains("record 1 of CPU 14")
            && error.contains("split"),
        "{error}"
    );
    let (one, two) = (given("run1.bin"), given("run2.bin"));
    let joined = [fs::read(&one).unwrap(), fs::read(&two).unwrap()].concat();
    let joined = saved(&joined);
    for files in [
        vec![one.clone(), two.clone()],
        vec![one.clone(), one.clone()],
        vec![joined.path().to_owned()],
    ] {
        let error = refused(&files);
        assert!(error.contains("another recording"), "{error}");
    }
    assert_four_reads(&record(&[one]), "the first alone");
    // On another CPU: only the time tells, which begins anew.
    let text = fs::read_to_string(given("byte-order-mark.txt")).unwrap();
    let other = text
        .trim_start_matches('\u{feff}')
        .replace("   14  ", "    3  ");
    let error = refused(&[saved((text + &other).as_bytes()).path().to_owned()]);
    assert!(
        error.contains("line 13") && error.contains("back at that of the first"),
        "{error}"
    );
}

#[test]
fn a_completion_stamped_before_its_issue_is_its_completion() {
    let record = record(&[given("skew")]);
    let reads = record.model.reads.as_ref().unwrap();
    assert_eq!(
        (reads.amount.count, reads.amount.unique_bytes),
        (6, 786_432)
    );
    assert_eq!(
        (reads.amount.amplification, reads.completed_bytes),
        (Some(1.0), 786_432)
    );
    assert_eq!(reads.in_flight, 0);
    let latency = record.model.latency_us.unwrap();
    assert_eq!((latency.count, latency.untimed), (5, Some(1)));
    let note = "1 reads completed before they were issued, by their time stamps: the clocks of two CPUs differ by up to 0.5 µs";
    assert!(
        record.notes.iter().any(|text| text.starts_with(note)),
        "{:?}",
        record.notes
    );
    assert!(record.complete, "{:?}", record.checks);
}
