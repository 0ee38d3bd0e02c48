//! What the fuzz targets hold against any bytes.
//!
//! Run one with `cargo +nightly fuzz run gguf_header` (needs `cargo install cargo-fuzz`). The seeds in `corpus/` are
//! also run, with seeded mutations, by the unit tests of the tracer (`model/corpus_tests.rs`), which writes them too.

use std::path::PathBuf;

use tracer_user::model::ModelOutline;

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
