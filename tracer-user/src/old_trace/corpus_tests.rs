//! The seeds of the fuzz targets (`fuzz/corpus/` of the project), and mutations of them, through the parsers.
//!
//! The seeds are written by `cargo test write_the_trace_corpus -- --ignored`. A file `good-…` must be accepted, a file
//! `bad-…` refused.

use std::{fs, path::PathBuf};

use crate::{
    model::corpus_tests::{Random, corpus, mutate},
    storage::parse_filefrag,
};

use super::{
    Analysis, AnalysisOptions, Trace, TraceFile, analyse,
    files::{
        binary::ByteOrder,
        encoder::{self, Encoder},
    },
};

const MUTATIONS: u64 = 6_000;

/// Everything that must hold for any bytes; whether they are accepted.
fn check_trace(name: &str, bytes: &[u8]) -> bool {
    let file = TraceFile {
        path: PathBuf::from(name),
        reader: Box::new(std::io::Cursor::new(bytes.to_vec())),
    };
    let answer = Trace::of(vec![file])
        .map_err(Into::into)
        .and_then(|trace| analyse(trace, &AnalysisOptions::default()));
    match answer {
        Ok(analysis) => {
            check_figures(&analysis);
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}

fn check_figures(analysis: &Analysis) {
    let device = &analysis.device;
    assert!(analysis.trace.records > 0);
    assert!(device.figures.all_laws_hold(), "{:?}", device.figures.laws);
    for figures in &device.accountings {
        assert!(figures.unique_bytes <= figures.total_bytes);
        assert_eq!(figures.gaps.count(), figures.records.saturating_sub(1));
    }
    let [once, issues, ..] = device.accountings.as_slice() else {
        panic!("no accountings");
    };
    assert!(once.records <= issues.records);
    assert_eq!(once.records, device.figures.reads.count);
}

fn check_filefrag(_: &str, bytes: &[u8]) -> bool {
    match parse_filefrag(&String::from_utf8_lossy(bytes)) {
        Ok(files) => {
            for (_, extents) in &files {
                assert!(extents.holes_bytes <= extents.size_bytes);
            }
            true
        }
        Err(error) => {
            assert!(!error.to_string().is_empty());
            false
        }
    }
}

fn run(target: &str, name: &str, least_seeds: usize, check: fn(&str, &[u8]) -> bool) {
    let mut seeds: Vec<PathBuf> = fs::read_dir(corpus(target))
        .unwrap_or_else(|error| panic!("{}: {error}", corpus(target).display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    seeds.sort();
    assert!(seeds.len() >= least_seeds, "{} seeds", seeds.len());
    let mut contents = Vec::new();
    for seed in seeds {
        let bytes = fs::read(&seed).unwrap();
        let accepted = check(name, &bytes);
        let seed = seed.file_name().unwrap().to_string_lossy().into_owned();
        assert!(accepted || !seed.starts_with("good-"), "{seed} was refused");
        assert!(
            !accepted || !seed.starts_with("bad-"),
            "{seed} was accepted"
        );
        contents.push(bytes);
    }
    let mut random = Random(0x7E57_5EED);
    let mut accepted = 0;
    for number in 0..MUTATIONS {
        let mut bytes = contents[number as usize % contents.len()].clone();
        for _ in 0..=random.below(3) {
            mutate(&mut bytes, &mut random);
        }
        accepted += u64::from(check(name, &bytes));
    }
    // Mutations that are all refused at the first bytes, or all accepted, would test little.
    assert!(
        (MUTATIONS / 50..MUTATIONS * 9 / 10).contains(&accepted),
        "{accepted} of {MUTATIONS} accepted"
    );
}

#[test]
fn texts_and_mutations_of_them_give_an_answer() {
    run("blkparse_text", "t.txt", 8, check_trace);
}

#[test]
fn binary_files_and_mutations_of_them_give_an_answer() {
    run("blktrace_binary", "t.blktrace.0", 6, check_trace);
}

#[test]
fn outputs_of_filefrag_and_mutations_of_them_give_an_answer() {
    run("filefrag", "", 4, check_filefrag);
}

/// Not a test: writes the seeds.
#[test]
#[ignore = "writes the seeds of the fuzz targets into fuzz/corpus"]
fn write_the_trace_corpus() {
    for (target, seeds) in [
        ("blkparse_text", text_seeds()),
        ("blktrace_binary", binary_seeds()),
        ("filefrag", filefrag_seeds()),
    ] {
        let directory = corpus(target);
        fs::create_dir_all(&directory).unwrap();
        for (name, bytes) in seeds {
            fs::write(directory.join(name), bytes).unwrap();
        }
    }
}

fn text_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let golden = |from: usize, lines: usize| -> Vec<u8> {
        let text = include_str!("testdata/6.1.0-56/partition-traced-disk/t.txt");
        let lines = text.lines().skip(from).take(lines);
        lines
            .flat_map(|line| [line, "\n"])
            .collect::<String>()
            .into_bytes()
    };
    let summary = include_str!("testdata/6.1.0-56/partition-traced-disk/t.txt");
    let summary = summary.get(summary.find("CPU0 (t)").unwrap()..).unwrap();
    let requeued = "\
  8,0    0        1     0.000001000   193  Q   R 0 + 16 [a b]
  8,0    0        2     0.000002000   193  D   R 0 + 16 [kworker/0:1H]
  8,0    0        3     0.000003000     0  R   R 0 + 16 [0]
  8,0    0        4     0.000004000   193  M   R 16 + 8 [x] [y]
  8,0    0        5     0.000005000   193  D   R 0 + 24 [a b]
  8,0    0        6     0.000006000     0  C   R 0 + 8 [0]
  8,0    0        7     0.000007000   193  D   R 8 + 16 [a b]
  8,0    0        8     0.000008000     0  C   R 8 + 16 [-5]
";
    let others = "\
  8,0    0        1     0.000001000   193  D  RA 0 + 16 [a]
  8,0    0        2     0.000002000   193  D FWFSM 64 + 8 [jbd2/sda-8]
  8,0    0        3     0.000003000   193  D  FN [a]
  8,0    0        4     0.000004000   193  D   R 36 (12 00 00) [scsi_id]
  8,0    0        5     0.000005000   193  X   R 16 / 24 [a]
  8,0    0        6     0.000006000   193 UT   N [init] 1
  8,0    0        0     0.000007000   193  m   N anything [
  8,0    0        7     0.000009000     0  C  RA 0 + 16 (  103450) [0]
";
    vec![
        ("good-partition", golden(0, 12)),
        ("good-reads", golden(6, 9)),
        (
            "good-with-summary",
            [golden(0, 12), summary.as_bytes().to_vec()].concat(),
        ),
        ("good-requeued", requeued.as_bytes().to_vec()),
        ("good-others", others.as_bytes().to_vec()),
        ("good-cut-off", {
            let mut text = golden(0, 12);
            text.truncate(text.len() - 10);
            text
        }),
        ("bad-empty", Vec::new()),
        ("bad-format", b"8,0 Q 33112 + 2048\n".to_vec()),
        (
            "bad-two-recordings",
            [requeued, summary, requeued].concat().into_bytes(),
        ),
        (
            "bad-writes-only",
            b"8,0 0 1 0.000001000 1 D W 0 + 8 [a]\n".to_vec(),
        ),
    ]
}

fn binary_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let reads = |order| {
        let mut encoder = Encoder::new(order);
        encoder.process("dd").timestamp(5, 1_700_000_000, 250);
        for read in 0..6 {
            let (time, sector) = (10 + read * 100, 2128 + read * 8);
            encoder
                .record(
                    time,
                    encoder::REMAP,
                    encoder::READ | encoder::AHEAD,
                    sector,
                    4096,
                )
                .remap((254, 16), (254, 17), sector - 2048)
                .record(
                    time + 1,
                    encoder::QUEUE,
                    encoder::READ | encoder::AHEAD,
                    sector,
                    4096,
                )
                .record(
                    time + 2,
                    encoder::ISSUE,
                    encoder::READ | encoder::AHEAD,
                    sector,
                    4096,
                )
                .cgroup(77)
                .record(time + 90, encoder::COMPLETE, encoder::READ, sector, 4096);
        }
        encoder.bytes()
    };
    let mut writes = Encoder::new(ByteOrder::Little);
    writes.record(1, encoder::ISSUE, encoder::WRITE, 8, 512);
    let golden = include_bytes!("testdata/6.1.0-56/partition-traced-disk/t.blktrace.0");
    let mut cut = reads(ByteOrder::Little);
    cut.truncate(cut.len() - 20);
    vec![
        ("good-little-endian", reads(ByteOrder::Little)),
        ("good-big-endian", reads(ByteOrder::Big)),
        ("good-recorded", golden.get(..2000).unwrap().to_vec()),
        ("good-cut-off", cut),
        ("bad-writes-only", writes.bytes()),
        ("bad-garbage", vec![0xa5; 200]),
        ("bad-version", {
            let mut bytes = reads(ByteOrder::Little);
            bytes[0] = 8;
            bytes
        }),
    ]
}

fn filefrag_seeds() -> Vec<(&'static str, Vec<u8>)> {
    let two = "\
Filesystem type is: ef53
File size of a is b/model (1).gguf is 16777000 (4096 blocks of 4096 bytes)
 ext:     logical_offset:        physical_offset: length:   expected: flags:
   0:        0..    2047:       2065..      4112:   2048:            
   1:     2048..    4095:       8192..     10239:   2048:       4113: last,unwritten,eof
a is b/model (1).gguf: 2 extents found
";
    let sectors = "File size of b is 1024 (2 blocks of 512 bytes)\n 0: 0.. 1: 100.. 101: 2: last,shared,eof\n";
    vec![
        ("good-two-extents", two.as_bytes().to_vec()),
        ("good-two-files", [two, sectors].concat().into_bytes()),
        ("bad-inline", two.replace("last,", "inline,").into_bytes()),
        ("bad-no-file", b"model: 2 extents found\n".to_vec()),
    ]
}
