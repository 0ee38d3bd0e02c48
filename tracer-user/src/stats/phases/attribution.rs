//! What every read, page and wait of one model was for: which piece of it, in which part of the run.
//!
//! One object takes in all events of a model beside its [`ModelAccumulator`](crate::stats::ModelAccumulator), and cuts
//! everything at the same marks, so that segment `n` of the reads, of the pages and of the waits is the same time.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use crate::stats::{
    FileRange, Nanos,
    model::accumulator::{Arrival, BytesChange, Issued, StreamGap},
    pages::{
        course::{PageCourse, PageCourseFigures},
        events::{EvictionAgent, PageHistoryError, TouchEvents},
        figures::{PageFigures, PiecePageFigures},
        history::PageHistory,
    },
    pieces::{
        reads::{PieceReadFigures, PieceReads},
        table::PieceTable,
    },
    waits::stall::{LookedAtTimeline, StallFigures, StallTimeline, Wait},
};

use super::{
    phase::{LoadEndBasis, Mark, Phase, SegmentClass, TimedMark, Unended},
    reads::PhaseReadFigures,
    segments::Segments,
    spans::SpanFigures,
    steps::{StepFigures, StepSeries},
};

mod so_far;

/// Whether a mark of the load's end is made from the first full pass of inserts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum FullPass {
    Awaited,
    /// All pages have been inserted; the reads that fill the last ones are still to be issued.
    Inserted,
    Marked,
}

/// Takes in the events of one model.
#[derive(Clone, Debug)]
pub struct Attribution {
    table: Arc<PieceTable>,
    piece_reads: PieceReads,
    pages: PageHistory,
    page_course: PageCourse,
    steps: StepSeries,
    stalls: StallTimeline,
    /// Where somebody looks on.
    stalls_looked_at: Option<LookedAtTimeline>,
    segments: Segments,
    full_pass: FullPass,
    reads_seen: bool,
    /// The latest event that counts by its time.
    last_event: Nanos,
    /// Files of which a page was mapped by a page fault.
    mapped_files: BTreeSet<u16>,
}

impl Attribution {
    /// A window from `start` on. `from_start`: it holds the engine's whole life.
    ///
    /// # Errors
    /// More pages than can be followed.
    pub fn new(
        table: Arc<PieceTable>,
        touch_events: TouchEvents,
        start: Nanos,
        from_start: bool,
    ) -> Result<Self, PageHistoryError> {
        let file_bytes: Vec<u64> = (0..=u16::MAX)
            .take(table.file_count())
            .map(|file| table.file_bytes(file))
            .collect();
        Ok(Self {
            page_course: PageCourse::new(start, &file_bytes, table.page_bytes()),
            pages: PageHistory::new(Arc::clone(&table), touch_events)?,
            table,
            piece_reads: PieceReads::default(),
            steps: StepSeries::new(start),
            stalls: StallTimeline::new(start),
            stalls_looked_at: None,
            segments: Segments::new(from_start),
            full_pass: FullPass::Awaited,
            reads_seen: false,
            last_event: start,
            mapped_files: BTreeSet::new(),
        })
    }

    /// Which pages of a file were resident at the start: bit `p % 64` of word `p / 64` for page `p`.
    ///
    /// # Errors
    /// No such file, or a bitmap that is too short.
    pub fn resident_at_start(&mut self, file: u16, bitmap: &[u64]) -> Result<(), PageHistoryError> {
        self.pages.start(file, bitmap)
    }

    /// A mark: a new segment begins everywhere.
    pub fn mark(&mut self, mark: TimedMark) {
        let time = self.segments.mark(mark);
        self.steps.mark(time);
        self.stalls.boundary(time);
    }

    /// A read of the model was handed to the driver.
    pub fn issue(&mut self, time: Nanos, issued: Issued, read: &AttributedRead<'_>) {
        self.last_event = self.last_event.max(time);
        let (table, ranges, readahead) = (&self.table, read.ranges, read.readahead);
        match issued {
            Issued::First { gap } => {
                self.reads_seen = true;
                self.segments
                    .at(time)
                    .first_issue(read.bytes, readahead, gap);
                self.piece_reads.issue(table, ranges, readahead);
                self.steps.issue(time, table, ranges, readahead);
            }
            // What is left of a read that came back in part counted already.
            Issued::Again(Some(change)) if change.bytes > 0 => {
                self.segments
                    .at(change.first_issue)
                    .change_bytes(change.bytes);
                self.piece_reads.reissue(table, ranges, change.readahead);
                self.steps
                    .reissue(change.first_issue, table, ranges, change.readahead);
            }
            Issued::Again(_) => {}
        }
    }

    /// A read of the model went back to the queue.
    pub fn requeue(&mut self, change: BytesChange, ranges: &[FileRange]) {
        self.segments
            .at(change.first_issue)
            .change_bytes(change.bytes);
        self.piece_reads
            .requeue(&self.table, ranges, change.readahead);
        self.steps
            .requeue(change.first_issue, &self.table, ranges, change.readahead);
    }

    /// A part of a read came back.
    pub fn complete(&mut self, arrival: Arrival, ranges: &[FileRange], failed: bool) {
        self.last_event = self.last_event.max(arrival.time);
        if self.full_pass == FullPass::Inserted && arrival.none_left {
            self.mark_full_pass(arrival.time);
        }
        let reads = self.segments.at(arrival.first_issue);
        if !failed {
            reads.arrived(ranges);
        }
        if let Some(nanos) = arrival.latency_nanos {
            reads.ended(nanos);
        }
    }

    /// A read that began at a time has ended unseen, and is taken to have arrived.
    pub fn arrived_unseen(&mut self, first_issue: Nanos, ranges: &[FileRange]) {
        self.segments.at(first_issue).arrived(ranges);
    }

    /// A stream-aware gap has become known.
    pub fn stream_gap(&mut self, gap: StreamGap) {
        self.segments.at(gap.time).in_stream(gap.class, gap.bytes);
    }

    /// A folio entered the page cache; `by_fault`: a page fault brought it, which makes that a major one.
    pub fn insert(&mut self, time: Nanos, folio: Folio, by_fault: bool) {
        self.last_event = self.last_event.max(time);
        let inserted = self
            .pages
            .insert(folio.file, folio.first_page, folio.pages, time);
        self.page_course
            .inserted(time, folio.file, folio.first_page, inserted);
        self.steps
            .inserted(time, inserted.bytes, inserted.refaulted_bytes);
        if by_fault {
            self.steps.major_fault(time);
        }
        if self.full_pass == FullPass::Awaited && self.pages.first_full_pass().is_some() {
            self.full_pass = FullPass::Inserted;
            // Where no requests are seen there is nothing to wait for.
            if !self.reads_seen {
                self.mark_full_pass(time);
            }
        }
    }

    /// The device has nothing to do any more. Where a read ended unseen, no arrival has shown that the first full pass
    /// was over: then it was, at the latest, with the last event.
    pub fn idle(&mut self) {
        if self.full_pass == FullPass::Inserted {
            self.mark_full_pass(Nanos(self.last_event.0.saturating_add(1)));
        }
    }

    fn mark_full_pass(&mut self, time: Nanos) {
        self.full_pass = FullPass::Marked;
        self.mark(TimedMark {
            time,
            mark: Mark::Loaded(LoadEndBasis::FullPass),
        });
    }

    /// A folio left the page cache.
    pub fn evict(&mut self, time: Nanos, folio: Folio, agent: EvictionAgent) {
        self.last_event = self.last_event.max(time);
        // A fault may map the whole folio that it hits, and not only the window of its event: from Linux 6.18 on
        // (`finish_fault` in mm/memory.c). So of a folio of which a part was mapped each page may have been used.
        let last = folio.last_page();
        if self.mapped_files.contains(&folio.file)
            && self.pages.use_was_seen(folio.file, folio.first_page, last)
        {
            self.pages.mapped(folio.file, folio.first_page, last);
        }
        let evicted = self
            .pages
            .evict(folio.file, folio.first_page, folio.pages, agent);
        self.page_course
            .evicted(time, folio.file, folio.first_page, evicted.bytes, agent);
        self.steps.evicted(time, evicted.bytes);
    }

    /// A page fault reached the file's fault handler.
    pub fn fault(&mut self, time: Nanos, file: u16, page: u64) {
        self.last_event = self.last_event.max(time);
        self.mapped_files.insert(file);
        self.pages.fault(file, page);
        self.steps.fault(time);
    }

    /// A page fault mapped a window.
    pub fn map_window(&mut self, folio: Folio) {
        self.mapped_files.insert(folio.file);
        let last = folio.last_page();
        self.pages.mapped(folio.file, folio.first_page, last);
    }

    /// `read()` or the like found pages.
    pub fn look_up(&mut self, folio: Folio) {
        let last = folio.last_page();
        self.pages.lookup(folio.file, folio.first_page, last);
    }

    pub fn wait(&mut self, wait: Wait) {
        self.stalls.wait(wait);
        if let Some(stalls) = &mut self.stalls_looked_at {
            stalls.wait(wait);
        }
    }

    /// Bytes resident now, by the events; None where the start is not known.
    #[must_use]
    pub fn resident_pages(&self) -> Option<u64> {
        self.pages.resident_pages_total()
    }

    /// The figures of a window that ends at `end`.
    #[must_use]
    pub fn finish(self, end: Nanos) -> AttributionFigures {
        let segments = self.segments.finish();
        AttributionFigures {
            load_end: super::phase::load_end_basis(&segments.marks),
            unended: super::phase::unended(&segments.marks),
            marks: segments.marks,
            classes: segments.classes,
            phases: segments
                .phases
                .iter()
                .map(|(phase, reads)| (*phase, reads.figures()))
                .collect(),
            segments: self.steps.finish(end),
            stalls: self.stalls.finish(end),
            piece_reads: self.piece_reads.figures(&self.table),
            piece_pages: self.pages.piece_figures(),
            pages: self.pages.figures(),
            page_course: self.page_course.figures(),
        }
    }
}

/// The part of a read that is the model's.
#[derive(Clone, Copy, Debug)]
pub struct AttributedRead<'a> {
    /// Pieces of files in it.
    pub ranges: &'a [FileRange],
    /// Bytes of it.
    pub bytes: u64,
    /// Read ahead of the need.
    pub readahead: bool,
}

/// Pages of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Folio {
    /// Slot of the file in the model.
    pub file: u16,
    /// First page.
    pub first_page: u64,
    /// Number of pages.
    pub pages: u64,
}

impl Folio {
    const fn last_page(&self) -> u64 {
        self.first_page.saturating_add(self.pages).saturating_sub(1)
    }
}

/// What one model's events were for.
#[derive(Clone, Debug)]
pub struct AttributionFigures {
    /// Where the load's end was taken from.
    pub load_end: Option<LoadEndBasis>,
    /// Why the end of the last step is not known, where that is so.
    pub unended: Option<Unended>,
    /// Marks in the order of time.
    pub marks: Vec<TimedMark>,
    /// Classes of the segments: one before the first mark, and one after each.
    pub classes: Vec<SegmentClass>,
    pub phases: BTreeMap<Phase, PhaseReadFigures>,
    pub segments: Vec<StepFigures>,
    /// By segment, and all together: waits.
    pub stalls: StallFigures,
    pub piece_reads: Vec<PieceReadFigures>,
    /// By piece: page cache.
    pub piece_pages: Vec<PiecePageFigures>,
    /// Page cache, all pieces together.
    pub pages: PageFigures,
    /// Page cache, by time and place.
    pub page_course: PageCourseFigures,
}

impl AttributionFigures {
    /// Segments put together by what `key` says of them; those of which it says nothing are left out.
    #[must_use]
    pub fn spans<K: Ord>(
        &self,
        mut key: impl FnMut(&SegmentClass) -> Option<K>,
    ) -> BTreeMap<K, SpanFigures> {
        let mut spans: BTreeMap<K, SpanFigures> = BTreeMap::new();
        let segments = self.classes.iter().zip(&self.segments);
        for ((class, segment), stall) in segments.zip(&self.stalls.spans) {
            let Some(key) = key(class) else {
                continue;
            };
            spans
                .entry(key)
                .or_insert_with(|| SpanFigures {
                    start_ns: segment.start_ns,
                    pieces: Some(BTreeMap::new()),
                    ..SpanFigures::default()
                })
                .add(segment, stall);
        }
        spans
    }

    /// Steps, in their order: number, phase and tokens of each.
    #[must_use]
    pub fn steps(&self) -> Vec<SegmentClass> {
        let mut steps: Vec<SegmentClass> = Vec::new();
        for class in self.classes.iter().filter(|class| class.step.is_some()) {
            if steps.last().map(|last| last.step) != Some(class.step) {
                steps.push(*class);
            }
        }
        steps
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crate::stats::{
        FileData, FileRange, Nanos, ReadCompleted, ReadIssued, ReadRequeued, RequestId,
        followed_model::FollowedModel,
        pages::events::TouchEvents,
        phases::phase::{LoadEndBasis, Mark, Phase, TimedMark},
        pieces::table::PieceTable,
    };

    use super::{AttributedRead, Attribution, EvictionAgent, Folio};

    fn issue(time: u64, reissue: bool) -> ReadIssued {
        ReadIssued {
            time: Nanos(time),
            request: RequestId(1),
            device: 0,
            start_sector: 0,
            end_sector: 8,
            request_start_sector: 0,
            request_bytes: 4096,
            bytes: 4096,
            previous_end: None,
            file_position: None,
            process_id: 1,
            thread_id: 1,
            reissue,
            // The flag of the request itself stays.
            readahead: true,
            metadata: false,
            synchronous: false,
        }
    }

    fn folio(first_page: u64, pages: u64) -> Folio {
        Folio {
            file: 0,
            first_page,
            pages,
        }
    }

    /// Bounds of the bytes that were evicted unused, of a folio of eight pages in whose middle one was used.
    fn unused_of_a_folio(how: fn(&mut Attribution)) -> (u64, u64) {
        let table = Arc::new(PieceTable::whole_files(&[8 * 4096]).expect("one file"));
        let mut attribution =
            Attribution::new(table, TouchEvents::Observed, Nanos(0), true).expect("small");
        attribution.insert(Nanos(1), folio(0, 8), false);
        how(&mut attribution);
        attribution.evict(Nanos(3), folio(0, 8), EvictionAgent::Kswapd);
        let unused = attribution.finish(Nanos(4)).pages.unused_evicted;
        unused.map_or((0, 0), |unused| {
            (unused.at_least_pages, unused.at_most_pages)
        })
    }

    #[test]
    fn of_a_folio_that_was_mapped_every_page_may_have_been_used() {
        let fault = |attribution: &mut Attribution| attribution.fault(Nanos(2), 0, 3);
        assert_eq!(unused_of_a_folio(fault), (0, 7));
        let window = |attribution: &mut Attribution| attribution.map_window(folio(2, 2));
        assert_eq!(unused_of_a_folio(window), (0, 8));
        // A look-up copies the pages that it names, and no others.
        let look_up = |attribution: &mut Attribution| attribution.look_up(folio(3, 1));
        assert_eq!(unused_of_a_folio(look_up), (7, 7));
    }

    /// The phases of a run whose only read fills all of the file, and ends seen or unseen.
    fn phases_of_one_read(seen: bool) -> Vec<Phase> {
        let table = Arc::new(PieceTable::whole_files(&[4096]).expect("one file"));
        let mut attribution =
            Attribution::new(table, TouchEvents::Observed, Nanos(0), true).expect("small");
        let mut model = FollowedModel::new(Nanos(0), vec![FileData::default()]);
        let ranges = [FileRange {
            file: 0,
            offset_bytes: 0,
            length_bytes: 4096,
        }];
        attribution.insert(Nanos(1), folio(0, 1), false);
        let read = AttributedRead {
            ranges: &ranges,
            bytes: 4096,
            readahead: false,
        };
        attribution.issue(Nanos(2), model.issue(&issue(2, false)), &read);
        if seen {
            let completed = ReadCompleted {
                time: Nanos(3),
                request: RequestId(1),
                bytes: 4096,
                failed: false,
                last: true,
            };
            let arrival = model.complete(&completed, &ranges).expect("it is open");
            attribution.complete(arrival, &ranges, false);
        } else {
            attribution.arrived_unseen(Nanos(2), &ranges);
        }
        attribution.idle();
        let figures = attribution.finish(Nanos(10));
        assert_eq!(figures.load_end, Some(LoadEndBasis::FullPass), "{seen}");
        figures.classes.iter().map(|class| class.phase).collect()
    }

    #[test]
    fn a_load_whose_last_read_ends_unseen_has_an_end() {
        let seen = phases_of_one_read(true);
        assert_eq!(seen, [Phase::Load, Phase::Inference]);
        assert_eq!(phases_of_one_read(false), seen);
    }

    #[test]
    fn a_read_that_was_given_back_counts_once_in_the_part_in_which_it_began() {
        let table = Arc::new(PieceTable::whole_files(&[8192]).expect("one file"));
        let start = Nanos(0);
        let mut attribution =
            Attribution::new(table, TouchEvents::Observed, start, true).expect("small");
        let mut model = FollowedModel::new(start, vec![FileData::default()]);
        let ranges = [FileRange {
            file: 0,
            offset_bytes: 0,
            length_bytes: 4096,
        }];
        let read = AttributedRead {
            ranges: &ranges,
            bytes: 4096,
            readahead: true,
        };
        attribution.issue(Nanos(1), model.issue(&issue(1, false)), &read);
        attribution.mark(TimedMark {
            time: Nanos(5),
            mark: Mark::Loaded(LoadEndBasis::Returned),
        });
        attribution.mark(TimedMark {
            time: Nanos(6),
            mark: Mark::DecodeEntered {
                tokens: Some(1),
                phase: None,
            },
        });
        let change = model.requeue(&ReadRequeued {
            time: Nanos(7),
            request: RequestId(1),
            bytes: 4096,
        });
        attribution.requeue(change.expect("it is open"), &ranges);
        attribution.issue(Nanos(8), model.issue(&issue(8, true)), &read);
        let figures = attribution.finish(Nanos(10));
        let bytes = |phase: Phase| {
            figures
                .phases
                .get(&phase)
                .map_or(0, |reads| reads.total_bytes)
        };
        assert_eq!((bytes(Phase::Load), bytes(Phase::Prompt)), (4096, 0));
        let by_segment: Vec<_> = figures
            .segments
            .iter()
            .map(|segment| (segment.counts.read_bytes, segment.counts.readahead_bytes))
            .collect();
        assert_eq!(by_segment, [(4096, 4096), (0, 0), (0, 0)]);
        let piece = figures.piece_reads[0];
        assert_eq!(
            (piece.read_bytes, piece.readahead_bytes, piece.reads),
            (4096, 4096, 1)
        );
    }
}
