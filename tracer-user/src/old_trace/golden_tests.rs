//! Real recordings: texts of blkparse, and binary files beside the text that blkparse made of them.
//!
//! `stats/testdata` has sequential reads of a 64 MiB file on five kernels, `old_trace/testdata` (its README says how
//! they were made) smaller ones of three kernels, with the disk's own counters before and after.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{
    stats::{
        ModelFigures,
        audit::{
            accounting::{AccountingFigures, Action},
            matching::{Expectation, fits},
        },
        order::gaps::ByGapClass,
    },
    storage::Sector,
};

use super::{Analysis, AnalysisOptions, ModelPlace, Trace, analyse, find_model, model::FoundModel};

const TEXTS: [&str; 7] = [
    "directread-6.1.0-56",
    "seqread-5.10.0-46",
    "seqread-6.1.0-56",
    "seqread-6.12.117+deb12",
    "seqread-6.18.15+deb13",
    "seqread-7.3.4+deb13",
    "seqread-mq-deadline-6.12.117+deb12",
];
const FILE_BYTES: u64 = 64 << 20;

fn source(folder: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src")
        .join(folder)
}

fn analysed(files: &[PathBuf], model: Option<ModelPlace>) -> Analysis {
    let options = AnalysisOptions {
        model,
        ..AnalysisOptions::default()
    };
    let trace = Trace::open(files).unwrap_or_else(|error| panic!("{error}"));
    analyse(trace, &options).unwrap_or_else(|error| panic!("{files:?}: {error}"))
}

/// The 64 MiB file: one extent, as filefrag would print it.
fn whole_file() -> ModelPlace {
    placed(
        "File size of m is 67108864 (131072 blocks of 512 bytes)\n 0: 0..131071: 33112..164183: 131072: last,eof\n",
        0,
    )
}

fn placed(filefrag: &str, partition_start: u64) -> ModelPlace {
    let scratch = tempfile::NamedTempFile::new().unwrap();
    fs::write(scratch.path(), filefrag).unwrap();
    match find_model(None, Some(scratch.path())).unwrap() {
        Some(FoundModel::InFileSystem(model)) => model.at(Sector(partition_start)).unwrap(),
        other => panic!("{other:?}"),
    }
}

fn text(name: &str, model: Option<ModelPlace>) -> Analysis {
    analysed(
        &[source("stats/testdata").join(format!("{name}.txt"))],
        model,
    )
}

fn named<'a>(analysis: &'a Analysis, name: &str) -> &'a AccountingFigures {
    let mut all = analysis.device.accountings.iter();
    all.find(|figures| figures.name == name).expect(name)
}

/// Per cent, with one decimal.
fn tenths(share: Option<f64>) -> f64 {
    (share.expect("gaps") * 1000.0).round() / 10.0
}

#[test]
fn each_request_of_a_text_counts_once() {
    for name in TEXTS {
        let analysis = text(name, Some(whole_file()));
        let figures = &analysis.device.figures;
        assert!(figures.all_laws_hold(), "{name}: {:?}", figures.laws);
        assert_eq!(figures.reads.total_bytes, FILE_BYTES, "{name}");
        assert_eq!(figures.reads.coverage, Some(1.0), "{name}");
        assert_eq!(figures.reads.amplification, Some(1.0), "{name}");
        assert_eq!(figures.gaps.sequential.share, Some(1.0), "{name}");
        assert_eq!(figures.latency_us.count, figures.reads.count, "{name}");
        let summary = analysis.trace.summary.expect("a summary");
        assert_eq!(
            summary.read_dispatches,
            Some(analysis.read_dispatches),
            "{name}"
        );
        assert_eq!(summary.skipped_records, Some(0), "{name}");
        assert_eq!(analysis.trace.missing_by_sequence, 0, "{name}");
    }
}

#[test]
fn without_a_model_all_reads_are_it() {
    let analysis = text("seqread-6.12.117+deb12", None);
    // Two reads of metadata beside the file's.
    assert_eq!(analysis.device.figures.reads.count, 66);
    assert_eq!(analysis.device.counts.metadata_reads, 2);
    assert_eq!(analysis.device.range, Some((296, 164_184)));
    assert!(analysis.device.figures.all_laws_hold());
    let with_model = text("seqread-6.12.117+deb12", Some(whole_file()));
    assert_eq!(with_model.device.counts.other_reads, 2);
    assert_eq!(with_model.device.counts.other_read_bytes, 2 * 4096);
}

/// The table of what the records of one sequential read look like when several of them count.
#[test]
fn every_accounting_gives_its_known_figures() {
    for name in TEXTS {
        let analysis = text(name, Some(whole_file()));
        for (accounting, records) in [
            ("each request once", 1.0),
            ("D", 1.0),
            ("D+C", 2.0),
            ("Q+D+C", 3.0),
            ("G+D+C", 3.0),
            ("Q+G+D", 3.0),
            ("Q+G+D+C", 4.0),
        ] {
            let figures = named(&analysis, accounting);
            assert_eq!(figures.amplification, Some(records), "{name}: {accounting}");
            assert_eq!(figures.unique_bytes, FILE_BYTES, "{name}: {accounting}");
            assert_eq!(
                figures.records_per_read,
                Some(records),
                "{name}: {accounting}"
            );
        }
    }
    for (name, accounting, sequential, backward) in [
        ("seqread-6.1.0-56", "D", 100.0, 0.0),
        ("seqread-6.1.0-56", "D+C", 48.8, 50.4),
        ("seqread-6.1.0-56", "Q+D+C", 32.5, 67.0),
        ("seqread-6.1.0-56", "Q+G+D+C", 24.3, 75.3),
        ("directread-6.1.0-56", "Q+D+C", 33.0, 67.0),
        ("seqread-6.12.117+deb12", "Q+D+C", 32.5, 67.0),
    ] {
        let analysis = text(name, Some(whole_file()));
        let gaps = &named(&analysis, accounting).gaps;
        assert_eq!(
            tenths(gaps.sequential.share),
            sequential,
            "{name}: {accounting}"
        );
        assert_eq!(
            tenths(gaps.backward.share),
            backward,
            "{name}: {accounting}"
        );
    }
    for (name, backward) in [
        ("seqread-5.10.0-46", 65.0),
        ("seqread-6.18.15+deb13", 44.0),
        ("seqread-7.3.4+deb13", 47.0),
    ] {
        let analysis = text(name, Some(whole_file()));
        let share = named(&analysis, "Q+D+C").gaps.backward.share.expect("gaps");
        assert!((share * 100.0 - backward).abs() < 0.6, "{name}: {share}");
    }
}

#[test]
fn an_expectation_names_the_accountings_that_give_it() {
    let fitting = |analysis: &Analysis, amplification, backward| -> Vec<String> {
        let expectation = Expectation {
            amplification: Some(amplification),
            shares: ByGapClass {
                backward: Some(backward),
                ..ByGapClass::default()
            },
        };
        let figures = &analysis.device.accountings;
        fits(figures, &expectation)
            .iter()
            .filter(|fit| fit.amplification_fits && fit.shares_fit)
            .map(|fit| fit.accounting.clone())
            .collect()
    };
    for name in [
        "directread-6.1.0-56",
        "seqread-6.1.0-56",
        "seqread-6.12.117+deb12",
    ] {
        let three = fitting(&text(name, None), 3.02, 0.669);
        assert!(three.contains(&"Q+D+C".to_owned()), "{name}: {three:?}");
        assert!(
            three.iter().all(|name| name.matches('+').count() == 2),
            "{name}: {three:?}"
        );
    }
    for kernel in ["6.1.0-56", "6.12.117+deb12"] {
        for trace in ["partition-traced-disk", "partition-traced-partition"] {
            let four = fitting(&binary(kernel, trace, None), 4.0, 0.751);
            for name in ["A+Q+D+C", "Q+G+D+C"] {
                assert!(
                    four.contains(&name.to_owned()),
                    "{kernel} {trace}: {four:?}"
                );
            }
        }
    }
}

fn folder(kernel: &str, trace: &str) -> PathBuf {
    source("old_trace/testdata").join(kernel).join(trace)
}

fn binary(kernel: &str, trace: &str, model: Option<ModelPlace>) -> Analysis {
    let folder = folder(kernel, trace);
    analysed(
        &[0, 1].map(|cpu| folder.join(format!("t.blktrace.{cpu}"))),
        model,
    )
}

/// Every recording: kernel and name.
fn recordings() -> Vec<(String, String)> {
    let list = |path: &Path| -> Vec<String> {
        let entries = fs::read_dir(path).unwrap().map(Result::unwrap);
        let mut names: Vec<String> = entries
            .filter(|entry| entry.file_type().unwrap().is_dir())
            .map(|entry| entry.file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    };
    let root = source("old_trace/testdata");
    list(&root)
        .into_iter()
        .flat_map(|kernel| {
            list(&root.join(&kernel))
                .into_iter()
                .map(move |name| (kernel.clone(), name))
        })
        .collect()
}

/// Figures without the clock: blkparse's begins at 0.
fn timeless(mut figures: ModelFigures) -> ModelFigures {
    figures.window.end_ns.0 -= figures.window.start_ns.0;
    figures.window.start_ns.0 = 0;
    figures
}

#[test]
fn binary_files_give_the_figures_of_their_text() {
    let recordings = recordings();
    assert_eq!(recordings.len(), 18);
    for (kernel, name) in recordings {
        let binary = binary(&kernel, &name, None);
        let text = analysed(&[folder(&kernel, &name).join("t.txt")], None);
        assert_eq!(binary.trace.records, text.trace.records, "{kernel} {name}");
        assert_eq!(binary.trace.missing_by_sequence, 0, "{kernel} {name}");
        assert_eq!(binary.trace.late_records, 0, "{kernel} {name}");
        let (binary, text) = (binary.device, text.device);
        assert_eq!(binary.device, text.device, "{kernel} {name}");
        assert_eq!(
            timeless(binary.figures),
            timeless(text.figures),
            "{kernel} {name}"
        );
        assert_eq!(binary.accountings, text.accountings, "{kernel} {name}");
        assert_eq!(
            format!("{:?}", binary.counts),
            format!("{:?}", text.counts),
            "{kernel} {name}"
        );
    }
}

/// `whole disk's counters (reads, sectors read) before: 5 34, after: 134 32810`.
fn counters(readme: &str) -> (u64, u64) {
    let line = readme
        .lines()
        .find(|line| line.starts_with("whole disk's counters"))
        .unwrap();
    let numbers: Vec<u64> = line
        .split(|character: char| !character.is_ascii_digit())
        .filter_map(|number| number.parse().ok())
        .collect();
    (numbers[2] - numbers[0], numbers[3] - numbers[1])
}

/// A second road: what the disk itself counted while the command ran.
#[test]
fn reads_and_sectors_are_those_that_the_disk_counted() {
    for (kernel, name) in recordings() {
        let readme = fs::read_to_string(folder(&kernel, &name).join("README.txt")).unwrap();
        let (reads, sectors) = counters(&readme);
        let counts = binary(&kernel, &name, None).device.counts;
        assert_eq!(
            (counts.reads, counts.read_bytes),
            (reads, sectors * 512),
            "{kernel} {name}"
        );
    }
}

#[test]
fn extents_in_a_partition_are_found_by_the_remaps() {
    let filefrag = "File size of model.bin is 16777216 (4096 blocks of 4096 bytes)\n 0: 0..4095: 2065..6160: 4096: last,eof\n";
    for kernel in ["6.1.0-56", "6.12.117+deb12", "6.18.15+deb13"] {
        for trace in ["partition-traced-disk", "partition-traced-partition"] {
            let files = [0, 1].map(|cpu| folder(kernel, trace).join(format!("t.blktrace.{cpu}")));
            let start = super::partition_start(Trace::open(&files).unwrap()).unwrap();
            assert_eq!(start, Some(Sector(2048)), "{kernel} {trace}");
            let analysis = analysed(&files, Some(placed(filefrag, 2048)));
            let reads = analysis.device.figures.reads;
            assert_eq!(
                (reads.coverage, reads.amplification),
                (Some(1.0), Some(1.0)),
                "{kernel} {trace}"
            );
        }
    }
    let error = analyse(
        Trace::open(&[folder("6.1.0-56", "partition-traced-disk").join("t.txt")]).unwrap(),
        &AnalysisOptions {
            model: Some(placed(filefrag, 1 << 30)),
            ..AnalysisOptions::default()
        },
    )
    .expect_err("elsewhere");
    assert!(error.to_string().contains("--partition-start"), "{error}");
}

#[test]
fn remaps_count_as_a_record_of_each_read() {
    for trace in ["partition-traced-disk", "partition-traced-partition"] {
        let analysis = binary("6.1.0-56", trace, None);
        let remaps = named(&analysis, "A+Q+D+C");
        assert_eq!(remaps.records_per_read, Some(4.0), "{trace}");
        assert!(remaps.not_recorded.is_empty());
        assert_eq!(named(&analysis, "Q+I+D+C").not_recorded, [Action::Insert]);
    }
}
