//! Which piece of the model a byte of a file belongs to.
//!
//! A piece is whatever a figure is to be given for: a tensor, one expert's slice of a tensor, a header, padding.
//! A [`PieceTable`] divides each file completely into spans of pieces, so that figures by piece sum to the
//! figure of the files. Division is by bytes, never by pages: a page that two tensors share counts for each
//! with the bytes that lie in it.

use std::ops::Range;

use crate::stats::event::FileRange;

use tracer_common::page::USUAL_PAGE_BYTES;

/// One more than the largest id a piece may have. Figures are kept in arrays indexed by piece, so this bounds
/// their memory. A large mixture-of-experts model (100 layers, 512 experts, 3 tensors) has 150 thousand.
pub const MAX_PIECES: u32 = 1 << 24;

/// A contiguous part of a file that belongs to one piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PieceSpan {
    /// First byte.
    pub start_bytes: u64,
    /// Byte after the last one.
    pub end_bytes: u64,
    /// The piece. Several spans, of several files too, may belong to one.
    pub piece: u32,
}

/// Why spans do not divide their files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PieceTableError {
    /// A span does not begin where the one before it ends (the first one: at 0).
    #[error(
        "span {span} of file {file} begins at byte {start_bytes}, but the one before it ends at {expected_bytes}: spans must be sorted, without gap and overlap"
    )]
    NotAdjacent {
        /// Index of the file.
        file: usize,
        /// Index of the span in its file.
        span: usize,
        start_bytes: u64,
        /// Where it must begin.
        expected_bytes: u64,
    },
    /// A span ends before it begins.
    #[error(
        "span {span} of file {file} ends at byte {end_bytes}, before its begin at {start_bytes}"
    )]
    Reversed {
        /// Index of the file.
        file: usize,
        /// Index of the span in its file.
        span: usize,
        start_bytes: u64,
        end_bytes: u64,
    },
    /// A piece's id is not below [`MAX_PIECES`].
    #[error(
        "span {span} of file {file} names piece {piece}; ids must be below {MAX_PIECES}: number pieces from 0"
    )]
    PieceIdTooLarge {
        /// Index of the file.
        file: usize,
        /// Index of the span in its file.
        span: usize,
        piece: u32,
    },
    /// There are more files than slots.
    #[error("{files} files, but a file's slot has 16 bits: at most 65,536 can be told apart")]
    TooManyFiles { files: usize },
    /// The sizes of all files do not fit into 64 bits.
    #[error("the files have more than 2^64 - 1 bytes together")]
    TooManyBytes,
}

/// A complete division of a model's files into pieces.
///
/// A file's size is the end of its last span; a file without spans has no bytes. Pieces are numbered from 0;
/// an id that no span names is a piece of 0 bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PieceTable {
    /// By file slot; empty spans are left out.
    files: Vec<Vec<PieceSpan>>,
    piece_bytes: Vec<u64>,
    page_bytes: u64,
}

impl Default for PieceTable {
    fn default() -> Self {
        Self {
            files: Vec::new(),
            piece_bytes: Vec::new(),
            page_bytes: USUAL_PAGE_BYTES,
        }
    }
}

impl PieceTable {
    /// The same for a kernel with pages of this size, a power of two; 4,096 bytes otherwise.
    #[must_use]
    pub fn with_page_bytes(self, page_bytes: u64) -> Self {
        Self { page_bytes, ..self }
    }

    /// The same with other pieces in the place of these; pieces that become one are one.
    #[must_use]
    pub fn with_pieces(&self, of_piece: impl Fn(u32) -> u32) -> Self {
        let mut table = self.clone();
        table.piece_bytes = vec![0; self.piece_bytes.len()];
        for span in table.files.iter_mut().flatten() {
            // A number that the table does not have stays away.
            let piece =
                Some(of_piece(span.piece)).filter(|piece| self.piece_bytes(*piece).is_some());
            span.piece = piece.unwrap_or(span.piece);
            if let Some(bytes) = table.piece_bytes.get_mut(span.piece as usize) {
                *bytes += span.end_bytes - span.start_bytes;
            }
        }
        table
    }

    /// Bytes of a page.
    #[must_use]
    pub const fn page_bytes(&self) -> u64 {
        self.page_bytes
    }

    /// Takes in the spans of each file, whose slot is its index.
    ///
    /// A span of no bytes (a tensor with a dimension of 0) is accepted in its place and makes its piece exist.
    ///
    /// # Errors
    ///
    /// Where the spans of a file are not sorted, disjoint and without gap from byte 0, or are more than can be
    /// told apart: see [`PieceTableError`].
    pub fn new(mut files: Vec<Vec<PieceSpan>>) -> Result<Self, PieceTableError> {
        if files.len() > usize::from(u16::MAX) + 1 {
            return Err(PieceTableError::TooManyFiles { files: files.len() });
        }
        let mut piece_bytes = Vec::new();
        let mut all_bytes = 0u64;
        for (file, spans) in files.iter_mut().enumerate() {
            let mut expected_bytes = 0;
            for (span, part) in spans.iter().enumerate() {
                let (start_bytes, end_bytes, piece) =
                    (part.start_bytes, part.end_bytes, part.piece);
                if start_bytes != expected_bytes {
                    return Err(PieceTableError::NotAdjacent {
                        file,
                        span,
                        start_bytes,
                        expected_bytes,
                    });
                }
                let Some(length_bytes) = end_bytes.checked_sub(start_bytes) else {
                    return Err(PieceTableError::Reversed {
                        file,
                        span,
                        start_bytes,
                        end_bytes,
                    });
                };
                if piece >= MAX_PIECES {
                    return Err(PieceTableError::PieceIdTooLarge { file, span, piece });
                }
                let slot = piece as usize;
                if piece_bytes.len() <= slot {
                    piece_bytes.resize(slot + 1, 0u64);
                }
                if let Some(bytes) = piece_bytes.get_mut(slot) {
                    // Cannot overflow: it is at most `all_bytes`, which is checked below.
                    *bytes = bytes.saturating_add(length_bytes);
                }
                all_bytes = all_bytes
                    .checked_add(length_bytes)
                    .ok_or(PieceTableError::TooManyBytes)?;
                expected_bytes = end_bytes;
            }
            spans.retain(|span| span.start_bytes < span.end_bytes);
        }
        Ok(Self {
            files,
            piece_bytes,
            page_bytes: USUAL_PAGE_BYTES,
        })
    }

    /// One piece for each file, with the file's slot as its id: for a model whose inside is not known.
    ///
    /// # Errors
    ///
    /// Where there are more files than slots, or more bytes than 64 bits count.
    pub fn whole_files(file_bytes: &[u64]) -> Result<Self, PieceTableError> {
        Self::new(
            (0u32..)
                .zip(file_bytes)
                .map(|(piece, end_bytes)| {
                    vec![PieceSpan {
                        start_bytes: 0,
                        end_bytes: *end_bytes,
                        piece,
                    }]
                })
                .collect(),
        )
    }

    /// The pieces in the bytes `start_bytes..end_bytes` of a file, in the order of the file, each with the
    /// number of its bytes in there. A piece with several spans in the range comes up once for each. What lies
    /// beyond the file's end, or in a file that the table does not know, belongs to no piece.
    pub fn overlaps(
        &self,
        file: u16,
        start_bytes: u64,
        end_bytes: u64,
    ) -> impl Iterator<Item = (u32, u64)> + '_ {
        let spans = self.spans(file);
        let first = spans.partition_point(|span| span.end_bytes <= start_bytes);
        spans
            .get(first..)
            .unwrap_or_default()
            .iter()
            .take_while(move |span| span.start_bytes < end_bytes)
            .map(move |span| {
                let start = span.start_bytes.max(start_bytes);
                (
                    span.piece,
                    span.end_bytes.min(end_bytes).saturating_sub(start),
                )
            })
            .filter(|(_, bytes)| *bytes > 0)
    }

    /// As [`PieceTable::overlaps`], for a range of a read.
    pub fn range_overlaps(&self, range: &FileRange) -> impl Iterator<Item = (u32, u64)> + '_ {
        self.overlaps(
            range.file,
            range.offset_bytes,
            range.offset_bytes.saturating_add(range.length_bytes),
        )
    }

    /// As [`PieceTable::overlaps`], for pages of a file: the last page has only the bytes before the end.
    pub fn page_overlaps(
        &self,
        file: u16,
        pages: Range<u64>,
    ) -> impl Iterator<Item = (u32, u64)> + '_ {
        self.overlaps(
            file,
            pages.start.saturating_mul(self.page_bytes),
            pages.end.saturating_mul(self.page_bytes),
        )
    }

    /// Bytes of a piece, over all its spans. `None` where there is no such piece.
    #[must_use]
    pub fn piece_bytes(&self, piece: u32) -> Option<u64> {
        self.piece_bytes.get(piece as usize).copied()
    }

    /// Number of pieces: one more than the largest id.
    #[must_use]
    pub fn piece_count(&self) -> usize {
        self.piece_bytes.len()
    }

    #[must_use]
    pub fn file_count(&self) -> usize {
        self.files.len()
    }

    /// Size of a file in bytes; 0 where the table does not know it.
    #[must_use]
    pub fn file_bytes(&self, file: u16) -> u64 {
        self.spans(file).last().map_or(0, |span| span.end_bytes)
    }

    /// Bytes of all files.
    #[must_use]
    pub fn total_bytes(&self) -> u64 {
        self.piece_bytes
            .iter()
            .fold(0, |sum, bytes| sum.saturating_add(*bytes))
    }

    /// The spans of a file that have bytes, ascending.
    #[must_use]
    pub fn spans(&self, file: u16) -> &[PieceSpan] {
        self.files.get(usize::from(file)).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
pub(in crate::stats) mod tests {
    use super::*;
    use proptest::prelude::*;

    pub(in crate::stats) fn span(start_bytes: u64, end_bytes: u64, piece: u32) -> PieceSpan {
        PieceSpan {
            start_bytes,
            end_bytes,
            piece,
        }
    }

    /// Tables of `files` files with spans of 0 to `longest` bytes and ids that repeat.
    pub(in crate::stats) fn tables(
        files: usize,
        longest: u64,
    ) -> impl Strategy<Value = PieceTable> {
        let spans = prop::collection::vec((0..=longest, 0u32..6), 0..8).prop_map(|lengths| {
            let mut end = 0;
            lengths
                .iter()
                .map(|(length, piece)| {
                    let start = end;
                    end += length;
                    span(start, end, *piece)
                })
                .collect()
        });
        prop::collection::vec(spans, files)
            .prop_map(|files| PieceTable::new(files).expect("spans are adjacent"))
    }

    #[test]
    fn spans_that_do_not_divide_a_file_are_refused() {
        let refused = |spans| PieceTable::new(vec![vec![], spans]).expect_err("refused");
        let not_adjacent = |span, start_bytes, expected_bytes| PieceTableError::NotAdjacent {
            file: 1,
            span,
            start_bytes,
            expected_bytes,
        };
        assert_eq!(refused(vec![span(1, 2, 0)]), not_adjacent(0, 1, 0));
        assert_eq!(
            refused(vec![span(0, 4, 0), span(5, 6, 0)]),
            not_adjacent(1, 5, 4)
        );
        assert_eq!(
            refused(vec![span(0, 4, 0), span(3, 6, 0)]),
            not_adjacent(1, 3, 4)
        );
        assert_eq!(
            refused(vec![span(0, 4, 0), span(4, 3, 0)]),
            PieceTableError::Reversed {
                file: 1,
                span: 1,
                start_bytes: 4,
                end_bytes: 3
            }
        );
        assert_eq!(
            refused(vec![span(0, 4, MAX_PIECES)]),
            PieceTableError::PieceIdTooLarge {
                file: 1,
                span: 0,
                piece: MAX_PIECES
            }
        );
        let whole = vec![span(0, u64::MAX, 0)];
        assert_eq!(
            PieceTable::new(vec![whole.clone(), whole]),
            Err(PieceTableError::TooManyBytes)
        );
        assert_eq!(
            PieceTable::new(vec![vec![]; 65_537]),
            Err(PieceTableError::TooManyFiles { files: 65_537 })
        );
        assert!(PieceTable::new(vec![vec![]; 65_536]).is_ok());
    }

    #[test]
    fn a_piece_without_bytes_exists_and_is_never_met() {
        let table = PieceTable::new(vec![vec![
            span(0, 4, 0),
            span(4, 4, 2),
            span(4, 6, 1),
            span(6, 8, 0),
        ]])
        .expect("valid");
        assert_eq!(table.piece_count(), 3);
        assert_eq!(
            [0, 1, 2, 3].map(|piece| table.piece_bytes(piece)),
            [Some(6), Some(2), Some(0), None]
        );
        assert_eq!(
            table.overlaps(0, 0, 99).collect::<Vec<_>>(),
            [(0, 4), (1, 2), (0, 2)]
        );
        assert_eq!(table.overlaps(0, 5, 5).count(), 0);
        assert_eq!(table.overlaps(0, 7, 5).count(), 0);
        assert_eq!(table.overlaps(0, 5, 2).count(), 0);
        assert_eq!(table.overlaps(1, 0, 9).count(), 0);
        assert_eq!((table.file_bytes(0), table.file_bytes(1)), (8, 0));
    }

    #[test]
    fn whole_files_are_their_own_pieces() {
        let table = PieceTable::whole_files(&[5000, 0, 7]).expect("valid");
        assert_eq!((table.piece_count(), table.file_count()), (3, 3));
        assert_eq!(table.page_overlaps(0, 1..9).collect::<Vec<_>>(), [(0, 904)]);
        assert_eq!(table.total_bytes(), 5007);
    }

    proptest! {
        #[test]
        fn overlaps_are_what_looking_at_every_byte_gives(
            table in tables(2, 9), file in 0u16..3, start in 0u64..80, end in 0u64..80,
        ) {
            let mut expected = vec![0u64; table.piece_count()];
            for byte in start..end.max(start) {
                for span in table.spans(file) {
                    if span.start_bytes <= byte && byte < span.end_bytes {
                        expected[span.piece as usize] += 1;
                    }
                }
            }
            let mut found = vec![0u64; table.piece_count()];
            for (piece, bytes) in table.overlaps(file, start, end) {
                prop_assert!(bytes > 0);
                found[piece as usize] += bytes;
            }
            prop_assert_eq!(found, expected);
        }

        #[test]
        fn the_pieces_of_all_files_are_all_their_bytes(table in tables(3, 9)) {
            let mut found = vec![0u64; table.piece_count()];
            for file in 0..3 {
                for (piece, bytes) in table.overlaps(file, 0, u64::MAX) {
                    found[piece as usize] += bytes;
                }
            }
            let bytes: Vec<_> = (0..found.len() as u32)
                .map(|piece| table.piece_bytes(piece).expect("below the count"))
                .collect();
            prop_assert_eq!(&found, &bytes);
            let files: u64 = (0..3).map(|file| table.file_bytes(file)).sum();
            prop_assert_eq!(table.total_bytes(), files);
        }
    }
}
