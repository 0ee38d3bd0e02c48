//! How the files of the models are cut where counts are kept by place: into spans of sectors, and of pages, that have the
//! same share of bytes of the same pieces.
//!
//! Inside of a tensor a sector has 512 bytes of it. The one sector in which two tensors meet is a span of its own, with fixed
//! shares; so is the last sector of a file that ends in it. Whatever is counted of a span divides exactly.

use std::collections::{BTreeSet, HashMap};

use smallvec::{SmallVec, smallvec};
use tracer_common::{
    gap::SECTOR_BYTES,
    slice::{
        CLASSES_IN_SECTOR, PIECE_CLASSES, PageSpan, ReadSpan, SectorShares, SpanPages, SpanReads,
    },
};

use crate::stats::{
    phases::counted::{CountedPages, CountedPieces},
    pieces::{reads::CountedReads, table::PieceTable},
};

/// A piece, and its bytes in each sector or page.
type Shares = SmallVec<[(u32, u32); 2]>;

/// Whose the bytes of a span are.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Span {
    /// Slot of the model.
    model: usize,
    /// Empty where it has no bytes of the file.
    shares: Shares,
    /// Bit after the last one.
    end_bit: u64,
}

/// The spans of all models.
#[derive(Clone, Debug, Default)]
pub struct Spans {
    sectors: Vec<Span>,
    pages: Vec<Span>,
    models_with_crowded_sectors: BTreeSet<usize>,
}

impl Spans {
    /// The next sectors: those of a file of a model from a byte on.
    pub fn push_sectors(
        &mut self,
        model: usize,
        table: &PieceTable,
        file: u16,
        offset_bytes: u64,
        sectors: u64,
    ) {
        let end_bytes = offset_bytes + sectors * SECTOR_BYTES;
        cut(
            table,
            file,
            offset_bytes..end_bytes,
            SECTOR_BYTES,
            |shares, count| {
                push(&mut self.sectors, model, shares, count);
            },
        );
    }

    /// The next sectors are no file's, and nothing is counted of them.
    pub fn skip_sectors(&mut self, sectors: u64) {
        if let Some(last) = self.sectors.last_mut() {
            last.end_bit += sectors;
        }
    }

    /// The next pages: all of a file, which has `bits` bits.
    pub fn push_pages(
        &mut self,
        model: usize,
        table: &PieceTable,
        file: u16,
        pages: u64,
        bits: u64,
    ) {
        let page_bytes = table.page_bytes();
        cut(
            table,
            file,
            0..pages * page_bytes,
            page_bytes,
            |shares, count| {
                push(&mut self.pages, model, shares, count);
            },
        );
        push(&mut self.pages, model, Shares::new(), bits - pages);
    }

    /// Whether the bytes of each class can be told in each slice of a model: no sector has bytes of more classes than one span
    /// can name.
    #[must_use]
    pub fn classes_are_told(&self, model: usize) -> bool {
        !self.models_with_crowded_sectors.contains(&model)
    }

    /// The kernel side's table of sectors, and of what they have of classes. `classes`: by model, the class of each piece.
    ///
    /// # Errors
    /// There are more shares than the table can number.
    pub fn read_spans(
        &mut self,
        classes: &[Vec<u8>],
    ) -> anyhow::Result<(Vec<ReadSpan>, Vec<SectorShares>)> {
        self.models_with_crowded_sectors.clear();
        let mut places = HashMap::new();
        let mut table = Vec::new();
        let mut spans = Vec::with_capacity(self.sectors.len());
        for span in &self.sectors {
            let shares = classes_of(span, classes.get(span.model)).unwrap_or_else(|| {
                self.models_with_crowded_sectors.insert(span.model);
                SectorShares::default()
            });
            let whole = (u64::from(shares.class_bytes[0]) == SECTOR_BYTES)
                .then(|| u32::from(shares.classes[0]));
            let shares = match whole {
                Some(class) => class,
                None => {
                    let place = *places.entry(shares).or_insert_with(|| {
                        table.push(shares);
                        table.len() - 1
                    });
                    u32::try_from(PIECE_CLASSES + place)?
                }
            };
            spans.push(ReadSpan {
                // Beyond, nothing is counted by span (`FilterTables::fault_of_counts`).
                end_bit: u32::try_from(span.end_bit).unwrap_or(u32::MAX),
                shares,
            });
        }
        Ok((spans, table))
    }

    /// The kernel side's table of pages.
    #[must_use]
    pub fn page_spans(&self) -> Vec<PageSpan> {
        self.pages
            .iter()
            .map(|span| PageSpan {
                end_bit: span.end_bit,
                page_bytes: span.shares.iter().map(|(_, bytes)| bytes).sum(),
                reserved: 0,
            })
            .collect()
    }

    /// What was counted of the spans of a model, by its pieces.
    #[must_use]
    pub fn by_piece(
        &self,
        model: usize,
        pieces: usize,
        reads: &[SpanReads],
        pages: &[SpanPages],
    ) -> CountedPieces {
        let mut counted = CountedPieces {
            reads: vec![CountedReads::default(); pieces],
            pages: vec![CountedPages::default(); pieces],
            ..CountedPieces::default()
        };
        let mut before: Option<&Span> = None;
        for (span, reads) in self.sectors.iter().zip(reads) {
            if span.model == model {
                for (piece, bytes) in &span.shares {
                    let Some(own) = counted.reads.get_mut(*piece as usize) else {
                        continue;
                    };
                    let bytes = u64::from(*bytes);
                    own.bytes += reads.sectors * bytes;
                    own.readahead_bytes += reads.readahead_sectors * bytes;
                    // What comes from the span before touched the piece there already, if that has some of it.
                    let goes_on = before.is_some_and(|before| {
                        before.model == model
                            && before.shares.iter().any(|(other, _)| other == piece)
                    });
                    own.reads += reads.begun + if goes_on { 0 } else { reads.continued };
                }
            }
            before = Some(span);
        }
        for (span, pages) in self.pages.iter().zip(pages) {
            if span.model != model {
                continue;
            }
            if span.shares.is_empty() {
                counted.inserted_beyond_end_pages += pages.inserted;
                counted.evicted_beyond_end_pages += pages.evicted;
            } else {
                counted.inserted_pages += pages.inserted;
                counted.evicted_pages += pages.evicted;
            }
            counted.refaulted_pages += pages.refaulted;
            for (piece, bytes) in &span.shares {
                let Some(own) = counted.pages.get_mut(*piece as usize) else {
                    continue;
                };
                let bytes = u64::from(*bytes);
                own.inserted_bytes += pages.inserted * bytes;
                own.refaulted_bytes += pages.refaulted * bytes;
                own.evicted_bytes += pages.evicted * bytes;
            }
        }
        counted
    }
}

/// The classes of a span's pieces; None where they are too many.
fn classes_of(span: &Span, classes: Option<&Vec<u8>>) -> Option<SectorShares> {
    let mut by_class: SmallVec<[(u8, u32); CLASSES_IN_SECTOR]> = SmallVec::new();
    for (piece, bytes) in &span.shares {
        let class = *classes?.get(*piece as usize)?;
        if usize::from(class) >= PIECE_CLASSES {
            return None;
        }
        match by_class.iter_mut().find(|(own, _)| *own == class) {
            Some((_, sum)) => *sum += bytes,
            None => by_class.push((class, *bytes)),
        }
    }
    let mut shares = SectorShares::default();
    for (slot, (class, bytes)) in by_class.into_iter().enumerate() {
        *shares.classes.get_mut(slot)? = class;
        *shares.class_bytes.get_mut(slot)? = u16::try_from(bytes).ok()?;
    }
    Some(shares)
}

/// Adds `count` units to the spans, to the last one where that has the same shares.
fn push(spans: &mut Vec<Span>, model: usize, shares: Shares, count: u64) {
    if count == 0 {
        return;
    }
    let start = spans.last().map_or(0, |span| span.end_bit);
    match spans.last_mut() {
        // Of a sector that two pieces share only one is like it.
        Some(last) if last.model == model && last.shares == shares && shares.len() <= 1 => {
            last.end_bit += count;
        }
        _ => spans.push(Span {
            model,
            shares,
            end_bit: start + count,
        }),
    }
}

/// Cuts bytes of a file into runs of units with the same shares of pieces.
fn cut(
    table: &PieceTable,
    file: u16,
    bytes: std::ops::Range<u64>,
    unit_bytes: u64,
    mut take: impl FnMut(Shares, u64),
) {
    let mut at = bytes.start;
    let spans = table.spans(file);
    let mut next = spans.partition_point(|span| span.end_bytes <= at);
    while at < bytes.end {
        while spans.get(next).is_some_and(|span| span.end_bytes <= at) {
            next += 1;
        }
        let whole = spans
            .get(next)
            .filter(|span| span.start_bytes <= at)
            .map_or(0, |span| (span.end_bytes.min(bytes.end) - at) / unit_bytes);
        if whole > 0
            && let Some(span) = spans.get(next)
        {
            take(smallvec![(span.piece, unit_bytes as u32)], whole);
            at += whole * unit_bytes;
            continue;
        }
        let mut shares = Shares::new();
        for (piece, bytes) in table.overlaps(file, at, at + unit_bytes) {
            match shares.iter_mut().find(|(own, _)| *own == piece) {
                Some((_, sum)) => *sum += bytes as u32,
                None => shares.push((piece, bytes as u32)),
            }
        }
        take(shares, 1);
        at += unit_bytes;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use tracer_common::slice::{SpanPages, SpanReads};

    use tracer_common::{gap::SECTOR_BYTES, slice::PIECE_CLASSES};

    use super::Spans;
    use crate::stats::{
        FileRange,
        pieces::{
            reads::PieceReads,
            table::{PieceSpan, PieceTable},
        },
    };

    const PAGE: u64 = 4096;

    /// A file of pieces of a few bytes to some pages.
    fn file() -> impl Strategy<Value = PieceTable> {
        prop::collection::vec(prop_oneof![1u64..600, 4000u64..20_000], 1..25).prop_map(|lengths| {
            let mut end = 0;
            let spans = (0u32..)
                .zip(lengths)
                .map(|(piece, length)| {
                    let start_bytes = end;
                    end += length;
                    PieceSpan {
                        start_bytes,
                        end_bytes: end,
                        piece,
                    }
                })
                .collect();
            PieceTable::new(vec![spans]).expect("adjacent")
        })
    }

    /// The same as the programs do (`slice` in the eBPF crate).
    fn count(ends: &[u64], from: u64, to: u64, mut visit: impl FnMut(usize, u64, bool)) {
        let (mut at, mut begun) = (from, true);
        for (span, end) in ends.iter().enumerate() {
            if at < to && *end > at {
                let until = to.min(*end);
                visit(span, until - at, begun);
                (at, begun) = (until, false);
            }
        }
    }

    proptest! {
        /// Reads counted by span are, by piece, what they are when each is divided.
        #[test]
        fn spans_of_sectors_divide_as_reads_do(
            table in file(),
            reads in prop::collection::vec((any::<prop::sample::Index>(), 1u64..60, any::<bool>()), 0..40),
        ) {
            let size = table.file_bytes(0);
            let sectors = size.div_ceil(512);
            let mut spans = Spans::default();
            spans.push_sectors(0, &table, 0, 0, sectors);
            let classes = vec![(0..table.piece_count()).map(|piece| (piece % 3) as u8).collect()];
            let (kernel, shares) = spans.read_spans(&classes).expect("few sectors");
            let ends: Vec<u64> = kernel.iter().map(|span| u64::from(span.end_bit)).collect();
            prop_assert_eq!(ends.last(), Some(&sectors));
            let mut counted = vec![SpanReads::default(); ends.len()];
            let mut by_class = [0u64; 3];
            let mut expected = PieceReads::default();
            for (start, length, readahead) in reads {
                let from = start.index(sectors as usize) as u64;
                let to = (from + length).min(sectors);
                let range = FileRange {
                    file: 0,
                    offset_bytes: from * 512,
                    length_bytes: (to * 512).min(size) - from * 512,
                };
                expected.issue(&table, &[range], readahead);
                count(&ends, from, to, |span, sectors, begun| {
                    let own = &mut counted[span];
                    own.sectors += sectors;
                    own.readahead_sectors += if readahead { sectors } else { 0 };
                    if begun { own.begun += 1 } else { own.continued += 1 }
                    let of_span = kernel[span].shares as usize;
                    if of_span < PIECE_CLASSES {
                        by_class[of_span] += sectors * SECTOR_BYTES;
                    } else {
                        let shares = shares[of_span - PIECE_CLASSES];
                        for (class, bytes) in shares.classes.iter().zip(shares.class_bytes) {
                            by_class[usize::from(*class)] += sectors * u64::from(bytes);
                        }
                    }
                });
            }
            let found = spans.by_piece(0, table.piece_count(), &counted, &[]);
            let expected = expected.figures(&table);
            for (found, expected) in found.reads.iter().zip(&expected) {
                prop_assert_eq!(
                    (found.bytes, found.readahead_bytes, found.reads),
                    (expected.read_bytes, expected.readahead_bytes, expected.reads)
                );
            }
            if spans.classes_are_told(0) {
                let of_pieces: u64 = expected.iter().map(|piece| piece.read_bytes).sum();
                prop_assert_eq!(by_class.iter().sum::<u64>(), of_pieces);
            }
        }

        /// Pages counted by span are, by piece, the bytes of the pieces in them.
        #[test]
        fn spans_of_pages_divide_as_pages_do(
            table in file(), pages in prop::collection::vec(any::<prop::sample::Index>(), 0..40),
        ) {
            let file_pages = table.file_bytes(0).div_ceil(PAGE);
            let mut spans = Spans::default();
            spans.push_pages(0, &table, 0, file_pages, file_pages + 64);
            let kernel = spans.page_spans();
            prop_assert_eq!(kernel.last().map(|span| span.end_bit), Some(file_pages + 64));
            let ends: Vec<u64> = kernel.iter().map(|span| span.end_bit).collect();
            let mut counted = vec![SpanPages::default(); ends.len()];
            let mut expected = vec![0u64; table.piece_count()];
            let mut bytes = 0;
            for page in pages {
                let page = page.index(file_pages as usize) as u64;
                for (piece, bytes) in table.page_overlaps(0, page..page + 1) {
                    expected[piece as usize] += bytes;
                }
                count(&ends, page, page + 1, |span, pages, _| {
                    counted[span].inserted += pages;
                    bytes += pages * u64::from(kernel[span].page_bytes);
                });
            }
            let found = spans.by_piece(0, table.piece_count(), &[], &counted);
            let inserted: Vec<u64> = found.pages.iter().map(|piece| piece.inserted_bytes).collect();
            prop_assert_eq!(&inserted, &expected);
            prop_assert_eq!(bytes, expected.iter().sum::<u64>());
        }
    }
}
