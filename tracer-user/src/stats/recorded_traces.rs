//! The accumulators over real blktrace output: plain sequential `dd` of a 64 MiB file on five kernels.
//!
//! The D records are issues, the C records completions; Q, G and the rest are the same requests again and
//! are left out. Counting Q, D and C instead of D would give three times the bytes: that is the old
//! scripts' "amplification".

use std::collections::HashMap;

use super::{
    FileData, FilePosition, FileRange, ModelFigures, Nanos, ReadCompleted, ReadIssued, RequestId,
    followed_model::FollowedModel,
};

const FILE_BYTES: u64 = 64 << 20;
const FIRST_SECTOR: u64 = 33_112;
const END_SECTOR: u64 = FIRST_SECTOR + FILE_BYTES / 512;

const TRACES: [(&str, &str); 7] = [
    (
        "6.1 direct",
        include_str!("testdata/directread-6.1.0-56.txt"),
    ),
    ("6.1", include_str!("testdata/seqread-6.1.0-56.txt")),
    ("6.12", include_str!("testdata/seqread-6.12.117+deb12.txt")),
    (
        "6.12 mq-deadline",
        include_str!("testdata/seqread-mq-deadline-6.12.117+deb12.txt"),
    ),
    ("5.10", include_str!("testdata/seqread-5.10.0-46.txt")),
    ("6.18", include_str!("testdata/seqread-6.18.15+deb13.txt")),
    ("7.3", include_str!("testdata/seqread-7.3.4+deb13.txt")),
];

#[derive(Clone, Copy)]
struct Line<'a> {
    time: Nanos,
    action: &'a str,
    sector: u64,
    end_sector: u64,
}

/// The Q, G, D and C lines of the file's reads.
fn lines(trace: &str) -> Vec<Line<'_>> {
    let parse = |line| -> Option<Line<'_>> {
        let fields: Vec<&str> = str::split_whitespace(line).collect();
        let [_, _, _, time, _, action, flags, sector, "+", sectors, ..] = fields[..] else {
            return None;
        };
        let sector: u64 = sector.parse().ok()?;
        let end_sector = sector + sectors.parse::<u64>().ok()?;
        let ours = flags.contains('R') && FIRST_SECTOR <= sector && end_sector <= END_SECTOR;
        let nanos = time.replace('.', "").parse().ok()?;
        ours.then_some(Line {
            time: Nanos(nanos),
            action,
            sector,
            end_sector,
        })
    };
    let mut lines: Vec<_> = trace.lines().filter_map(parse).collect();
    // blkparse prints the CPUs' records merged by time, but not across its own batches.
    lines.sort_by_key(|line| line.time);
    lines
}

/// Feeds issues (lines whose action is in `issues`) and completions.
fn figures(trace: &str, issues: &[&str]) -> ModelFigures {
    let files = vec![FileData {
        size_bytes: FILE_BYTES,
        hole_bytes: 0,
    }];
    let mut model = FollowedModel::new(Nanos(0), files);
    let (mut last_end, mut requests, mut next_request) = (None, HashMap::new(), 0);
    let mut end = Nanos(0);
    for line in lines(trace) {
        end = line.time;
        let bytes = (line.end_sector - line.sector) * 512;
        let offset_bytes = (line.sector - FIRST_SECTOR) * 512;
        if issues.contains(&line.action) {
            next_request += 1;
            requests.insert(line.sector, RequestId(next_request));
            model.issue(&ReadIssued {
                time: line.time,
                request: RequestId(next_request),
                device: 0,
                start_sector: line.sector,
                end_sector: line.end_sector,
                request_start_sector: line.sector,
                request_bytes: bytes as u32,
                bytes,
                previous_end: last_end.replace(line.end_sector),
                file_position: Some(FilePosition {
                    file: 0,
                    offset_bytes,
                    end_offset_bytes: offset_bytes + bytes,
                }),
                process_id: 1,
                thread_id: 1,
                reissue: false,
                readahead: true,
                metadata: false,
                synchronous: false,
            });
        }
        if line.action == "C" {
            let request = requests[&line.sector];
            model.complete(
                &ReadCompleted {
                    time: line.time,
                    request,
                    bytes,
                    failed: false,
                    last: true,
                },
                &[FileRange {
                    file: 0,
                    offset_bytes,
                    length_bytes: bytes,
                }],
            );
        }
    }
    model.finish(end)
}

#[test]
fn every_request_counts_once() {
    for (name, trace) in TRACES {
        let figures = figures(trace, &["D"]);
        assert!(figures.all_laws_hold(), "{name}: {:?}", figures.laws);
        assert_eq!(figures.reads.total_bytes, FILE_BYTES, "{name}");
        assert_eq!(figures.reads.unique_bytes, FILE_BYTES, "{name}");
        assert_eq!(figures.reads.coverage, Some(1.0), "{name}");
        assert_eq!(figures.reads.amplification, Some(1.0), "{name}");
        assert_eq!(figures.reads.reread_factor, Some(1.0), "{name}");
        assert_eq!(figures.requests.in_flight_reads, 0, "{name}");
        assert_eq!(figures.latency_us.count, figures.reads.count, "{name}");
    }
}

#[test]
fn a_plain_sequential_read_is_sequential() {
    for (name, trace) in TRACES {
        let figures = figures(trace, &["D"]);
        for gaps in [
            &figures.gaps,
            &figures.gaps_stream_aware,
            &figures.gaps_file_order,
        ] {
            assert_eq!(gaps.sequential.share, Some(1.0), "{name}");
            assert_eq!(gaps.count(), figures.reads.count - 1, "{name}");
        }
    }
}

/// The same traces, three records to a request, give the figures that the study took for real.
#[test]
fn counting_three_records_triples_the_bytes() {
    for (name, trace) in TRACES {
        let bytes: u64 = lines(trace)
            .iter()
            .filter(|line| ["Q", "D", "C"].contains(&line.action))
            .map(|line| (line.end_sector - line.sector) * 512)
            .sum();
        assert_eq!(bytes, 3 * FILE_BYTES, "{name}");
    }
    // An issue too many would not stay unseen: it never completes.
    let figures = figures(TRACES[1].1, &["Q", "D"]);
    assert_eq!(figures.reads.amplification, Some(2.0));
    assert_eq!(figures.requests.in_flight_bytes, FILE_BYTES);
}
