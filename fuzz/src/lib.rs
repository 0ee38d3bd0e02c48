//! What the fuzz targets hold against any bytes.
//!
//! `cargo xtask fuzz gguf_header` runs one, `cargo xtask fuzz` all. The seeds in `corpus/` are
//! also run, with seeded mutations, by the unit tests of the tracer: `model/corpus_tests.rs` and
//! `old_trace/corpus_tests.rs`, which write theirs too, and `probe/tracepoint_format/tests.rs`.

use std::path::PathBuf;

use tracer_user::{
    model::ModelOutline,
    old_trace::{AnalysisOptions, Trace, TraceFile, analyse},
    probe::TracepointFormat,
    storage::parse_filefrag,
};

/// Makes an outline of a file named `name` with those bytes. Panics if what must hold for any bytes does not: the pieces
/// of an accepted file are a partition of it, and a step needs no more than there is.
pub fn check(name: &str, bytes: &[u8]) {
    let size_bytes = bytes.len() as u64;
    let outline = match ModelOutline::read(vec![(PathBuf::from(name), bytes, size_bytes)]) {
        Ok(outline) => outline,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let mut end_bytes = 0;
    for piece in outline.pieces(0) {
        assert_eq!(piece.start_bytes, end_bytes, "a gap or an overlap");
        assert!(piece.start_bytes < piece.end_bytes, "an empty piece");
        end_bytes = piece.end_bytes;
    }
    assert_eq!(end_bytes, size_bytes, "the file is not covered");
    if let Some(need) = outline.need_of_tokens(3) {
        assert!(need.least_bytes <= need.most_bytes && need.most_bytes <= size_bytes);
    }
}

/// Reads a trace of one file named `name` with those bytes. Panics if what must hold for any bytes does not: the laws of
/// the figures, and unique ≤ total under every accounting.
pub fn check_trace(name: &str, bytes: &[u8]) {
    let file = TraceFile {
        path: PathBuf::from(name),
        reader: Box::new(std::io::Cursor::new(bytes.to_vec())),
    };
    let answer = Trace::of(vec![file])
        .map_err(Into::into)
        .and_then(|trace| analyse(trace, &AnalysisOptions::default()));
    match answer {
        Ok(analysis) => {
            let laws = &analysis.device.figures.laws;
            assert!(laws.iter().all(|law| law.holds != Some(false)), "{laws:?}");
            for figures in &analysis.device.accountings {
                assert!(figures.unique_bytes <= figures.total_bytes);
                assert_eq!(figures.gaps.count(), figures.records.saturating_sub(1));
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Reads the output of filefrag. Panics if a file has more holes than bytes.
pub fn check_filefrag(bytes: &[u8]) {
    match parse_filefrag(&String::from_utf8_lossy(bytes)) {
        Ok(files) => assert!(
            files
                .iter()
                .all(|(_, extents)| extents.holes_bytes <= extents.size_bytes)
        ),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// Reads the format file of a tracepoint. Panics if fields of an accepted one lie on each other.
pub fn check_tracepoint_format(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let tracepoint = text
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("name:"))
        .unwrap_or("none");
    match TracepointFormat::parse("of any release", tracepoint.trim(), &text) {
        Ok(format) => {
            let fields = &format.fields;
            assert!(!fields.is_empty());
            for (one, next) in fields.iter().zip(fields.iter().skip(1)) {
                assert!(one.offset_bytes + one.size_bytes <= next.offset_bytes);
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}
