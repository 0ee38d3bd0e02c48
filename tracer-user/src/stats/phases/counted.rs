//! What the reads, pages and faults of one model were for, where the kernel counted them by slice of time and by place, and
//! nothing but marks and what is rare gave a record.
//!
//! A slice ends at every mark, so it lies in one segment, and segments sum up slices as they else sum up events. What counts
//! cannot tell (waits, distinct bytes and latency of a phase, use of pages) is not in the figures.

use std::{collections::BTreeMap, sync::Arc};

use tracer_common::{gap::GapClass, slice::SliceCounts};

use crate::stats::{
    FileRange, Nanos,
    formulas::ratio,
    order::gaps::GapCounts,
    pages::{
        course::PageCourseFigures,
        figures::{PageCacheFigures, PageFigures, PiecePageFigures},
    },
    pieces::{
        reads::{CountedReads, PieceReads},
        table::PieceTable,
    },
    reads::bandwidth::{ArrivalSeries, ArrivedBytes, BandwidthFigures},
    waits::stall::StallTimeline,
};

use super::{
    attribution::AttributionFigures,
    phase::{TimedMark, load_end_basis, unended},
    segments::Segments,
    steps::{EventCounts, StepSeries},
};

mod so_far;

/// What the page cache did with the bytes of a piece.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct CountedPages {
    pub inserted_bytes: u64,
    pub refaulted_bytes: u64,
    pub evicted_bytes: u64,
}

/// What was counted by place, over the whole window.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CountedPieces {
    /// By piece.
    pub reads: Vec<CountedReads>,
    /// By piece.
    pub pages: Vec<CountedPages>,
    pub inserted_pages: u64,
    pub evicted_pages: u64,
    /// Pages inserted after an eviction seen in this run, those beyond a file's end among them.
    pub refaulted_pages: u64,
    pub inserted_beyond_end_pages: u64,
    pub evicted_beyond_end_pages: u64,
}

/// A read that gave a record: it was issued again, went back, its issue was noticed late, or it lies in several extents.
#[derive(Clone, Copy, Debug)]
pub struct RareRead<'a> {
    pub time: Nanos,
    /// Pieces of files in it.
    pub ranges: &'a [FileRange],
    /// Bytes of the model.
    pub bytes: u64,
    pub readahead: bool,
}

/// Takes in the slices of one model.
#[derive(Clone, Debug)]
pub struct CountedAttribution {
    table: Arc<PieceTable>,
    /// A piece of each class: bytes by class stand for it.
    class_pieces: Vec<u32>,
    /// The table with these pieces in the place of all of their class.
    class_table: PieceTable,
    /// Whether each slice has its bytes by class.
    classes_are_told: bool,
    resident_at_start: Option<Vec<u64>>,
    /// Pages inserted − evicted since the start.
    entered_pages: i64,
    steps: StepSeries,
    stalls: StallTimeline,
    segments: Segments,
    rare: PieceReads,
    completed: ArrivedBytes,
    gaps: GapCounts,
}

/// What is known of a model before the window.
#[derive(Clone, Debug)]
pub struct CountedModel {
    pub table: Arc<PieceTable>,
    /// A piece of each class.
    pub class_pieces: Vec<u32>,
    /// Class of each piece.
    pub piece_classes: Vec<usize>,
    /// Whether each slice has its bytes by class.
    pub classes_are_told: bool,
    /// Bytes resident of each piece; None where that is not known.
    pub resident_bytes: Option<Vec<u64>>,
}

impl CountedAttribution {
    /// A window from `start` on. `from_start`: it holds the engine's whole life.
    #[must_use]
    pub fn new(model: CountedModel, start: Nanos, from_start: bool) -> Self {
        let representative = |piece: u32| {
            let class = model.piece_classes.get(piece as usize);
            let first = class.and_then(|class| model.class_pieces.get(*class));
            first.copied().unwrap_or(piece)
        };
        Self {
            class_table: model.table.with_pieces(representative),
            class_pieces: model.class_pieces,
            classes_are_told: model.classes_are_told,
            resident_at_start: model.resident_bytes,
            entered_pages: 0,
            steps: if model.classes_are_told {
                StepSeries::new(start)
            } else {
                StepSeries::without_pieces(start)
            },
            stalls: StallTimeline::new(start),
            segments: Segments::new(from_start),
            rare: PieceReads::default(),
            completed: ArrivedBytes::from_start(start),
            gaps: GapCounts::default(),
            table: model.table,
        }
    }

    /// A mark: a new segment begins everywhere.
    pub fn mark(&mut self, mark: TimedMark) {
        let time = self.segments.mark(mark);
        self.steps.mark(time);
        self.stalls.boundary(time);
    }

    /// A slice that began at `time`, which ends at the next mark at the latest.
    pub fn slice(&mut self, time: Nanos, counts: &SliceCounts) {
        if *counts == SliceCounts::ZERO {
            return;
        }
        let events = EventCounts {
            reads: counts.reads,
            read_bytes: counts.bytes,
            readahead_bytes: counts.readahead_bytes,
            faults: counts.faults,
            major_faults: counts.major_faults,
            inserted_bytes: counts.inserted_bytes,
            evicted_bytes: counts.evicted_bytes,
            refaulted_bytes: counts.refaulted_bytes,
        };
        let classes = self.class_pieces.iter().zip(counts.class_bytes);
        let pieces = classes.filter(|(_, bytes)| *bytes > 0);
        self.steps
            .counted(time, &events, pieces.map(|(piece, bytes)| (*piece, bytes)));
        self.segments.at(time).slice(counts);
        self.gaps.add(counts.gaps, counts.gap_bytes);
        self.completed.record(time, counts.completed_bytes);
        self.entered_pages += signed(counts.inserted_pages) - signed(counts.evicted_pages);
    }

    /// A read that slices have, and that lies in several extents, over which the kernel does not count by place.
    pub fn divide(&mut self, read: &RareRead<'_>) {
        self.rare.issue(&self.table, read.ranges, read.readahead);
        self.steps.divide(read.time, &self.class_table, read.ranges);
    }

    /// A read whose issue was noticed when it came back.
    pub fn late_issue(&mut self, read: &RareRead<'_>, gap: Option<GapClass>) {
        self.segments
            .at(read.time)
            .first_issue(read.bytes, read.readahead, gap);
        if let Some(gap) = gap {
            self.gaps.record(gap, read.bytes);
        }
        self.rare.issue(&self.table, read.ranges, read.readahead);
        self.steps
            .issue(read.time, &self.class_table, read.ranges, read.readahead);
    }

    /// A read was issued again.
    pub fn reissue(&mut self, read: &RareRead<'_>) {
        self.segments.at(read.time).change_bytes(signed(read.bytes));
        self.rare.reissue(&self.table, read.ranges, read.readahead);
        self.steps
            .reissue(read.time, &self.class_table, read.ranges, read.readahead);
    }

    /// A read went back to the queue.
    pub fn requeue(&mut self, read: &RareRead<'_>) {
        self.segments
            .at(read.time)
            .change_bytes(-signed(read.bytes));
        self.rare.requeue(&self.table, read.ranges, read.readahead);
        self.steps
            .requeue(read.time, &self.class_table, read.ranges, read.readahead);
    }

    /// Pages resident by now, by the slices that were taken in; None where the start is not known.
    #[must_use]
    pub fn resident_pages(&self) -> Option<u64> {
        let pages = signed(self.pages_at_start()?) + self.entered_pages;
        Some(u64::try_from(pages).unwrap_or(0))
    }

    /// The figures of a window that ends at `end`. `pieces`: what was counted by place.
    #[must_use]
    pub fn finish(mut self, end: Nanos, pieces: &CountedPieces) -> CountedFigures {
        for (piece, reads) in (0u32..).zip(&pieces.reads) {
            self.rare.add_counted(&self.table, piece, reads);
        }
        let piece_pages = self.piece_pages(pieces);
        let segments = self.segments.finish();
        let sum = |pick: fn(&CountedPages) -> u64| pieces.pages.iter().map(pick).sum::<u64>();
        let file_pages: u64 = (0..=u16::MAX)
            .take(self.table.file_count())
            .map(|file| {
                self.table
                    .file_bytes(file)
                    .div_ceil(self.table.page_bytes())
            })
            .sum();
        let cache = PageCacheFigures {
            inserted_bytes: sum(|pages| pages.inserted_bytes),
            times_inserted: ratio(pieces.inserted_pages, file_pages),
            evicted_bytes: sum(|pages| pages.evicted_bytes),
            refaulted_bytes: sum(|pages| pages.refaulted_bytes),
            resident_bytes: piece_pages.iter().map(|piece| piece.resident_bytes).sum(),
            contradicting_pages: None,
            ..PageCacheFigures::default()
        };
        CountedFigures {
            attribution: AttributionFigures {
                load_end: load_end_basis(&segments.marks),
                unended: unended(&segments.marks),
                marks: segments.marks,
                classes: segments.classes,
                phases: segments
                    .phases
                    .iter()
                    .map(|(phase, reads)| (*phase, reads.figures()))
                    .collect::<BTreeMap<_, _>>(),
                segments: self.steps.finish(end),
                stalls: self.stalls.finish(end),
                piece_reads: self.rare.figures(&self.table),
                piece_pages,
                pages: PageFigures {
                    cache,
                    file_pages,
                    inserted_pages: pieces.inserted_pages,
                    evicted_pages: pieces.evicted_pages,
                    refaulted_pages: pieces.refaulted_pages,
                    pages_beyond_end: pieces.inserted_beyond_end_pages,
                    evicted_beyond_end_pages: pieces.evicted_beyond_end_pages,
                    ..PageFigures::default()
                },
                page_course: PageCourseFigures::default(),
            },
            bandwidth: self.completed.figures(end, 0).without_busy_time(),
            arrivals: self.completed.series(end),
            gaps: self.gaps,
            classes_are_told: self.classes_are_told,
        }
    }

    fn piece_pages(&self, pieces: &CountedPieces) -> Vec<PiecePageFigures> {
        let at_start = self.resident_at_start.as_ref();
        pieces
            .pages
            .iter()
            .enumerate()
            .map(|(piece, pages)| PiecePageFigures {
                inserted_bytes: pages.inserted_bytes,
                evicted_bytes: pages.evicted_bytes,
                refaulted_bytes: pages.refaulted_bytes,
                resident_bytes: at_start.and_then(|bytes| bytes.get(piece)).map(|bytes| {
                    (bytes + pages.inserted_bytes).saturating_sub(pages.evicted_bytes)
                }),
                ..PiecePageFigures::default()
            })
            .collect()
    }
}

/// The figures of one model, by counts.
#[derive(Clone, Debug)]
pub struct CountedFigures {
    /// As those by events. What counts cannot tell is empty in it.
    pub attribution: AttributionFigures,
    pub bandwidth: BandwidthFigures,
    /// Bytes that arrived, over time.
    pub arrivals: ArrivalSeries,
    pub gaps: GapCounts,
    /// Whether each phase has its bytes by kind.
    pub classes_are_told: bool,
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stats::{
        phases::phase::{Mark, Phase},
        pieces::table::PieceSpan,
    };

    fn model(table: PieceTable) -> CountedModel {
        CountedModel {
            class_pieces: vec![0],
            piece_classes: vec![0; table.piece_count()],
            classes_are_told: true,
            resident_bytes: Some(vec![4096]),
            table: Arc::new(table),
        }
    }

    fn decode(time: u64) -> TimedMark {
        TimedMark {
            time: Nanos(time),
            mark: Mark::DecodeEntered {
                tokens: Some(1),
                phase: None,
            },
        }
    }

    fn read_slice(bytes: u64) -> SliceCounts {
        let mut counts = SliceCounts {
            reads: 1,
            bytes,
            arrived_bytes: bytes,
            completed_bytes: bytes,
            inserted_pages: bytes / 4096,
            inserted_bytes: bytes,
            faults: 2,
            ..SliceCounts::ZERO
        };
        counts.class_bytes[0] = bytes;
        counts.gaps[GapClass::Large.slot()] = 1;
        counts.gap_bytes[GapClass::Large.slot()] = bytes;
        counts
    }

    #[test]
    fn slices_go_to_the_step_that_began_with_them_or_before() {
        let table = PieceTable::whole_files(&[1 << 20]).expect("one file");
        let mut counted = CountedAttribution::new(model(table), Nanos(0), true);
        counted.mark(decode(100));
        counted.mark(decode(250));
        // Slices are taken out long after the marks.
        counted.slice(Nanos(0), &read_slice(4096));
        counted.slice(Nanos(100), &read_slice(8192));
        counted.slice(Nanos(200), &read_slice(4096));
        counted.slice(Nanos(250), &read_slice(16384));
        assert_eq!(counted.resident_pages(), Some(1 + 8));
        let pieces = CountedPieces {
            reads: vec![CountedReads {
                bytes: 32768,
                readahead_bytes: 0,
                reads: 4,
            }],
            pages: vec![CountedPages {
                inserted_bytes: 32768,
                ..CountedPages::default()
            }],
            inserted_pages: 8,
            ..CountedPieces::default()
        };
        let figures = counted.finish(Nanos(1_000_000_000), &pieces);
        let attribution = &figures.attribution;
        let steps = attribution.spans(|class| class.step);
        let of_step = |step: u32| (steps[&step].counts.reads, steps[&step].counts.read_bytes);
        assert_eq!((of_step(0), of_step(1)), ((2, 12288), (1, 16384)));
        assert_eq!(steps[&0].pieces, Some(BTreeMap::from([(0, 12288)])));
        let total: u64 = attribution
            .phases
            .values()
            .map(|phase| phase.total_bytes)
            .sum();
        assert_eq!(total, 32768);
        assert_eq!(attribution.phases[&Phase::Load].arrived_bytes, 4096);
        assert_eq!(figures.gaps.count(GapClass::Large), 4);
        assert_eq!(attribution.piece_pages[0].resident_bytes, Some(36864));
        assert_eq!(figures.bandwidth.peak_bytes_per_s, Some(327_680.0));
        assert_eq!(figures.bandwidth.busy_s, None);
    }

    #[test]
    fn what_lies_in_several_extents_is_divided_and_not_counted_again() {
        let table = PieceTable::whole_files(&[1 << 20]).expect("one file");
        let mut counted = CountedAttribution::new(model(table), Nanos(0), true);
        let mut slice = read_slice(8192);
        slice.class_bytes[0] = 0;
        counted.slice(Nanos(0), &slice);
        let ranges = [FileRange {
            file: 0,
            offset_bytes: 0,
            length_bytes: 8192,
        }];
        counted.divide(&RareRead {
            time: Nanos(5),
            ranges: &ranges,
            bytes: 8192,
            readahead: false,
        });
        let pieces = CountedPieces {
            reads: vec![CountedReads::default()],
            pages: vec![CountedPages::default()],
            ..CountedPieces::default()
        };
        let figures = counted.finish(Nanos(100), &pieces);
        let segment = &figures.attribution.segments[0];
        assert_eq!((segment.counts.reads, segment.counts.read_bytes), (1, 8192));
        assert_eq!(segment.pieces, Some(vec![(0, 8192)]));
        let piece = figures.attribution.piece_reads[0];
        assert_eq!((piece.read_bytes, piece.reads), (8192, 1));
    }

    /// What went back is taken from the bytes of its kind, under whichever piece these stand.
    #[test]
    fn what_went_back_for_good_is_in_no_kind() {
        let span = |start_bytes, end_bytes, piece| PieceSpan {
            start_bytes,
            end_bytes,
            piece,
        };
        let table = PieceTable::new(vec![vec![span(0, 8192, 0), span(8192, 16384, 1)]]);
        let mut counted = CountedAttribution::new(model(table.expect("adjacent")), Nanos(0), true);
        counted.slice(Nanos(0), &read_slice(16384));
        counted.requeue(&RareRead {
            time: Nanos(10),
            ranges: &[FileRange {
                file: 0,
                offset_bytes: 8192,
                length_bytes: 8192,
            }],
            bytes: 8192,
            readahead: false,
        });
        let pieces = CountedPieces {
            reads: vec![CountedReads::default(); 2],
            pages: vec![CountedPages::default(); 2],
            ..CountedPieces::default()
        };
        let figures = counted.finish(Nanos(100), &pieces);
        let segment = &figures.attribution.segments[0];
        assert_eq!(segment.counts.read_bytes, 8192);
        assert_eq!(segment.pieces, Some(vec![(0, 8192)]));
    }

    #[test]
    fn what_went_back_and_came_again_counts_once() {
        let table = PieceTable::whole_files(&[1 << 20]).expect("one file");
        let mut counted = CountedAttribution::new(model(table), Nanos(0), true);
        counted.slice(Nanos(0), &read_slice(8192));
        let ranges = [FileRange {
            file: 0,
            offset_bytes: 0,
            length_bytes: 8192,
        }];
        let again = RareRead {
            time: Nanos(10),
            ranges: &ranges,
            bytes: 8192,
            readahead: false,
        };
        counted.requeue(&again);
        counted.reissue(&again);
        counted.late_issue(&again, Some(GapClass::Backward));
        let pieces = CountedPieces {
            reads: vec![CountedReads {
                bytes: 8192,
                readahead_bytes: 8192,
                reads: 1,
            }],
            pages: vec![CountedPages::default()],
            ..CountedPieces::default()
        };
        let figures = counted.finish(Nanos(100), &pieces);
        let piece = figures.attribution.piece_reads[0];
        assert_eq!(
            (piece.read_bytes, piece.readahead_bytes, piece.reads),
            (16384, 8192, 2)
        );
        assert_eq!(figures.attribution.segments[0].counts.read_bytes, 16384);
        assert_eq!(figures.gaps.total(), 2);
    }
}
