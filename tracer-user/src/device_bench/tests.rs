//! On real files.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use crate::schema::{
    ModelFileRecord, ModelIdentity, ModelRecord, ReadFigures, ReadsRecord, RunRecord, SizeCount,
};

use super::{
    DeviceTestError, DeviceTestOptions,
    direct_file::{Buffer, DirectFile},
    measure,
    patterns::Request,
    run_facts::RunFacts,
    workers::read_all,
};

/// A file on a disk, of a size that is no multiple of anything.
fn file(directory: &Path, size: usize) -> (PathBuf, Vec<u8>) {
    let content: Vec<u8> = (0..size as u32)
        .map(|number| (number.wrapping_mul(2_654_435_761) >> 9) as u8)
        .collect();
    let path = directory.join("model.gguf");
    fs::write(&path, &content).expect("room");
    (path, content)
}

fn options(file: &Path, milliseconds: u64) -> DeviceTestOptions {
    DeviceTestOptions {
        file: file.to_owned(),
        run: None,
        time: Duration::from_millis(milliseconds),
    }
}

fn scratch() -> tempfile::TempDir {
    tempfile::tempdir_in("/var/tmp").expect("scratch")
}

/// None, with the reason printed, where the tests' folder is on no disk.
fn direct(path: &Path) -> Option<DirectFile> {
    match DirectFile::open(path, "this file system", [512, 4096], 0) {
        Ok(file) => Some(file),
        Err(error) => {
            eprintln!("skipped: {error}");
            None
        }
    }
}

#[test]
fn direct_reads_bring_the_content_and_the_tail() {
    let directory = scratch();
    let (path, content) = file(directory.path(), 3_000_777);
    let Some(direct) = direct(&path) else {
        return;
    };
    for (offset, length) in [(0, 1), (511, 2), (1_000_000, 70_000), (2_999_000, 5_000)] {
        let request = direct.aligned(offset, length);
        assert!(request.offset_bytes <= offset);
        assert!(request.offset_bytes + request.length_bytes >= offset + length);
        let mut buffer = Buffer::new(request.length_bytes).expect("memory");
        let came = direct.read(request, &mut buffer).expect("readable");
        let start = request.offset_bytes as usize;
        let end = content.len().min(start + request.length_bytes as usize);
        assert_eq!(came as usize, end - start);
        assert!(buffer.bytes()[..came as usize] == content[start..end]);
    }
}

#[test]
fn all_reads_are_made_once_by_however_many_threads() {
    let directory = scratch();
    let (path, _) = file(directory.path(), 2 << 20);
    let Some(direct) = direct(&path) else {
        return;
    };
    let requests: Vec<Request> = (0..512)
        .map(|block| direct.aligned(block * 4096, 4096))
        .collect();
    let go_on = AtomicBool::new(false);
    let long = Duration::from_secs(600);
    for depth in [1, 7, 1000] {
        let round = read_all(&direct, &requests, depth, long, &go_on)
            .expect("readable")
            .expect("reads");
        assert_eq!((round.reads, round.bytes), (512, 2 << 20));
        assert!(!round.cut_short && round.seconds > 0.0 && round.median_latency_us > 0.0);
    }
    let stopped = AtomicBool::new(true);
    let none = read_all(&direct, &requests, 3, long, &stopped).expect("nothing failed");
    assert_eq!(none, None);
    // A read that the file system refuses ends all.
    let odd = Request {
        offset_bytes: 1,
        length_bytes: 4096,
    };
    let failed = read_all(&direct, &[requests[0], odd], 2, long, &go_on);
    assert!(
        matches!(failed, Err(DeviceTestError::Read { .. })),
        "{failed:?}"
    );
}

#[test]
fn what_cannot_be_measured_is_refused() {
    let go_on = AtomicBool::new(false);
    let refused = |path: &Path| {
        measure(&options(path, 50), &go_on, &mut |_| ()).expect_err("not to be measured")
    };
    assert!(matches!(
        refused(Path::new("/nowhere")),
        DeviceTestError::Mapping(_)
    ));
    let directory = scratch();
    let (small, _) = file(directory.path(), 5000);
    let error = refused(&small);
    assert!(
        matches!(
            error,
            DeviceTestError::TooSmall { .. } | DeviceTestError::NoDevice { .. }
        ),
        "{error}"
    );
    let Ok(memory) = tempfile::NamedTempFile::new_in("/dev/shm") else {
        return eprintln!("skipped: no /dev/shm to write to");
    };
    fs::write(memory.path(), vec![1; 2 << 20]).expect("room");
    assert!(matches!(
        refused(memory.path()),
        DeviceTestError::NoDevice { .. }
    ));
}

#[test]
fn a_test_that_is_stopped_gives_what_there_is() {
    let directory = scratch();
    let (path, _) = file(directory.path(), 4 << 20);
    let stop = AtomicBool::new(false);
    let mut turns = 0;
    let measured = measure(&options(&path, 20_000), &stop, &mut |_| {
        turns += 1;
        stop.store(turns == 3, Ordering::Relaxed);
    });
    let record = match measured {
        Err(DeviceTestError::NoDevice { reason, .. }) => return eprintln!("skipped: {reason}"),
        other => other.expect("a record"),
    };
    assert!(record.partial);
    let reason = record.partial_reason.expect("said");
    assert!(reason.contains("signal after 0 of 6 rounds"), "{reason}");
    let measured = record
        .patterns
        .iter()
        .filter(|pattern| !pattern.rounds.is_empty());
    assert_eq!(measured.count(), 3);
    assert!(
        record
            .patterns
            .iter()
            .any(|pattern| pattern.bytes_per_s.is_none())
    );
}

fn record_of(files: &[(&str, u64)], reads: Option<ReadsRecord>) -> RunRecord {
    RunRecord {
        schema_version: crate::schema::SCHEMA_VERSION,
        complete: true,
        single: Some(ModelRecord {
            model: ModelIdentity {
                files: files
                    .iter()
                    .map(|(path, size_bytes)| ModelFileRecord {
                        path: (*path).to_owned(),
                        size_bytes: *size_bytes,
                        ..ModelFileRecord::default()
                    })
                    .collect(),
                ..ModelIdentity::default()
            },
            reads,
            ..ModelRecord::default()
        }),
        ..RunRecord::default()
    }
}

#[test]
fn a_run_is_only_taken_for_its_own_file_or_a_copy() {
    let directory = scratch();
    let run = directory.path();
    let reads = ReadsRecord {
        amount: ReadFigures {
            count: 2,
            ..ReadFigures::default()
        },
        sizes: Some(vec![SizeCount {
            bytes: 4096,
            count: 2,
        }]),
        ..ReadsRecord::default()
    };
    let write = |record: &RunRecord| {
        let text = serde_json::to_vec(record).expect("JSON");
        fs::write(run.join("run.json"), text).expect("room");
    };
    let load = |file: &str, size: u64| RunFacts::load(run, Path::new(file), size);

    assert!(matches!(load("/a", 5), Err(DeviceTestError::Run { .. })));
    fs::write(run.join("run.json"), "{}").expect("room");
    assert!(matches!(load("/a", 5), Err(DeviceTestError::Run { .. })));
    let mut future = record_of(&[("/m/a", 5)], Some(reads.clone()));
    future.schema_version += 1;
    write(&future);
    assert!(matches!(load("/m/a", 5), Err(DeviceTestError::Run { .. })));

    write(&record_of(
        &[("/m/a", 5), ("/m/b", 6), ("/m/c", 6)],
        Some(reads),
    ));
    let own = load("/m/b", 6).expect("its own file");
    assert_eq!(
        (own.sizes.as_slice(), own.queue_depth),
        (&[(4096, 2)][..], 1)
    );
    assert!(
        own.notes
            .iter()
            .any(|note| note.contains("no list of reads"))
    );
    assert!(matches!(
        load("/m/b", 7),
        Err(DeviceTestError::NoReads { .. })
    ));
    let copy = load("/m/other", 5).expect("a copy");
    assert!(
        copy.notes
            .iter()
            .any(|note| note.contains("a copy of /m/a"))
    );
    // Two files of the run have this size: which one it is a copy of is not known.
    assert!(matches!(
        load("/m/other", 6),
        Err(DeviceTestError::OtherFile { .. })
    ));
    assert!(matches!(
        load("/m/other", 9),
        Err(DeviceTestError::OtherFile { .. })
    ));

    write(&record_of(&[("/m/a", 5)], None));
    assert!(matches!(
        load("/m/a", 5),
        Err(DeviceTestError::NoReads { .. })
    ));
}
