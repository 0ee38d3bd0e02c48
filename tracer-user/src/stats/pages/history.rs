//! What happened to each page of the model's files in the page cache.
//!
//! Inserts and evictions come as folios: a first page and a number of pages, which need not be the same when
//! the pages come back. All page counts are in pages of [`PieceTable::page_bytes`]. All byte counts are in bytes of the
//! files: a page has as many as that, the last page of a file only those before its end, and a page's bytes are divided
//! among the pieces that lie in it. So the figures by piece sum to the overall ones.
//!
//! * **refaulted**: inserted after an eviction seen in this run. The kernel's `workingset_refault_file` is
//!   something else (it forgets, and counts whole folios).
//! * **resident** = resident at the start + inserted − evicted, page by page. It exists only where the
//!   residency at the start was given for every file.
//! * **unused**: read ahead in vain. Of the pages whose insert *and* later eviction were seen (a page that was
//!   resident at the start had its insert before the run, and is in neither count):
//!   * `at_most` counts those that no fault and no lookup named in between. **It is an upper bound**: a page
//!     that was not used cannot have been named, so every unused page is in it. But so are pages that were
//!     used without being named: a fault maps up to 16 pages around it that are in the cache (`map_pages`,
//!     "fault-around"), and access through an existing mapping is invisible.
//!   * `at_least` counts those that moreover lay in no map window while they were resident. **It is a lower
//!     bound**: user memory reaches a page of the cache only after a fault on it or a map window over it, and
//!     since the page's insert there was neither, so nobody can have used it. But unused pages that lay in a
//!     window are missing from it.
//!     The caller must tell of windows that no event tells of: Linux 6.18 maps the whole folio that a fault hits
//!     (`finish_fault` in mm/memory.c), which [`crate::stats::phases::attribution`] makes up for at its eviction.
//!   * For files that are only read with `read()` and its kin there are no windows, every use is a lookup, and
//!     the two are equal and exact.
//!
//!   A fault is traced before the kernel looks the page up, so the fault that causes an insert comes before it:
//!   a fault or lookup of an absent page counts for its next insert. Two cases escape the bounds: a fault
//!   whose insert never came of it (the task was killed) hides an unused page from `at_most`, and a fault that
//!   is traced just before the eviction of its page, and looks it up just after, is lost for `at_least`;
//!   both take a race of microseconds.
//! * **contradictions**: an insert of a page that is resident according to the events, an eviction of one that
//!   is absent. Events were lost, or the residency at the start was taken at another time than the start.
//!   With any of them the figures here are not exact.
//!
//! Memory: 5 bits a page, and 4 bytes more for a file that had an eviction: 15 MB for 13 GB of files.

use std::{ops::Range, sync::Arc};

use crate::stats::{event::Nanos, formulas::ratio, pieces::table::PieceTable};

use super::{
    figures::{
        Contradictions, EvictionsByAgent, PageCacheFigures, PageCounts, PageFigures, PieceBytes,
        PiecePageFigures, UnusedEvicted,
    },
    miss_stream::MissStreamDistances,
    state::{FilePages, Use},
};

pub use super::events::{EvictionAgent, MAX_PAGES, PageBytes, PageHistoryError, TouchEvents};

/// Follows each page of a model's files.
///
/// The table of pieces is fixed here and not handed in with the figures: bytes are divided as events come, so
/// that figures by piece cost nothing to ask for, at any moment, and no counter has to be kept for each page.
#[derive(Clone, Debug)]
pub struct PageHistory {
    pieces: Arc<PieceTable>,
    touch_events: TouchEvents,
    files: Vec<FilePages>,
    totals: PageTotals,
    piece_bytes: Vec<PieceBytes>,
    /// Pages in evictions by [`EvictionAgent`].
    agents: [u64; 4],
    distances: MissStreamDistances,
    /// Pages that were neither resident at the start nor in any event.
    never_seen_pages: u64,
    first_full_pass: Option<Nanos>,
}

#[derive(Clone, Debug, Default)]
struct PageTotals {
    inserted: u64,
    inserted_beyond_end: u64,
    evicted: u64,
    evicted_beyond_end: u64,
    refaulted: u64,
    unused_at_least: u64,
    unused_at_most: u64,
    resident: u64,
    start_learned: u64,
    contradictions: Contradictions,
}

/// Calls `flush` for every longest run of pages for which `kind` gives the same.
fn runs<K: Copy + PartialEq>(
    pages: Range<u64>,
    mut kind: impl FnMut(u64) -> K,
    mut flush: impl FnMut(Range<u64>, K),
) {
    let mut run: Option<(u64, K)> = None;
    for page in pages.clone() {
        let of_page = kind(page);
        match run {
            Some((_, of_run)) if of_run == of_page => {}
            Some((first, of_run)) => {
                flush(first..page, of_run);
                run = Some((page, of_page));
            }
            None => run = Some((page, of_page)),
        }
    }
    if let Some((first, of_run)) = run {
        flush(first..pages.end, of_run);
    }
}

fn add(counter: &mut u64, amount: u64) {
    *counter = counter.saturating_add(amount);
}

const fn length(pages: &Range<u64>) -> u64 {
    pages.end.saturating_sub(pages.start)
}

impl PageHistory {
    /// The pages of the table's files; the slot of a file in the events is that in the table.
    ///
    /// # Errors
    ///
    /// [`PageHistoryError::TooManyPages`] where there are more than [`MAX_PAGES`].
    pub fn new(
        pieces: Arc<PieceTable>,
        touch_events: TouchEvents,
    ) -> Result<Self, PageHistoryError> {
        let files: Vec<u64> = (0..=u16::MAX)
            .take(pieces.file_count())
            .map(|file| pieces.file_bytes(file).div_ceil(pieces.page_bytes()))
            .collect();
        let pages = files
            .iter()
            .fold(0, |sum: u64, file| sum.saturating_add(*file));
        if pages > MAX_PAGES {
            return Err(PageHistoryError::TooManyPages { pages });
        }
        Ok(Self {
            files: files.into_iter().map(FilePages::new).collect(),
            piece_bytes: vec![PieceBytes::default(); pieces.piece_count()],
            pieces,
            touch_events,
            totals: PageTotals::default(),
            agents: [0; 4],
            distances: MissStreamDistances::default(),
            never_seen_pages: pages,
            first_full_pass: None,
        })
    }

    /// Takes in which pages of a file are resident at the start: bit `p % 64` of word `p / 64` for page `p`;
    /// bits beyond the file's end are ignored. Without this call the residency of the file is unknown.
    ///
    /// # Errors
    ///
    /// Where the file is unknown, the bitmap too short, or an insert or eviction of the file, or another such
    /// call, came before. Nothing is changed then.
    pub fn start(&mut self, file: u16, resident: &[u64]) -> Result<(), PageHistoryError> {
        let files = self.files.len();
        let Some(state) = self.files.get_mut(usize::from(file)) else {
            return Err(PageHistoryError::UnknownFile { file, files });
        };
        let pages = state.pages();
        if (resident.len() as u64) < pages.div_ceil(64) {
            return Err(PageHistoryError::BitmapTooShort {
                file,
                words: resident.len(),
                pages,
            });
        }
        if state.changed() || (state.start_known() && pages > 0) {
            return Err(PageHistoryError::StartedAlready { file });
        }
        state.start(resident);
        let (totals, pieces) = (&mut self.totals, &mut self.piece_bytes);
        runs(
            0..pages,
            |page| state.is_resident(page),
            |run, is_resident| {
                if is_resident {
                    add(&mut totals.resident, length(&run));
                    self.never_seen_pages = self.never_seen_pages.saturating_sub(length(&run));
                    divide(&self.pieces, pieces, file, run, |bytes, here| {
                        add(&mut bytes.resident, here);
                    });
                }
            },
        );
        Ok(())
    }

    /// A folio entered the page cache: `pages` pages from `first_page` on. Gives the
    /// bytes of the file in it.
    pub fn insert(&mut self, file: u16, first_page: u64, pages: u64, time: Nanos) -> PageBytes {
        let mut folio_bytes = PageBytes::default();
        let Some(state) = self.files.get_mut(usize::from(file)) else {
            add(&mut self.totals.inserted_beyond_end, pages);
            return folio_bytes;
        };
        let folio = state.within(first_page, pages);
        let totals = &mut self.totals;
        add(
            &mut totals.inserted_beyond_end,
            pages.saturating_sub(length(&folio)),
        );
        if folio.is_empty() {
            return folio_bytes;
        }
        let inserted_before = totals.inserted;
        add(&mut totals.inserted, length(&folio));
        let (never_seen, distances) = (&mut self.never_seen_pages, &mut self.distances);
        let all_seen_before = *never_seen == 0;
        runs(
            folio,
            |page| {
                let page = state.insert(page);
                *never_seen = never_seen.saturating_sub(u64::from(page.first_seen));
                if page.refault {
                    distances.record(page.eviction_clock.and_then(|evicted| {
                        u32::try_from(inserted_before.saturating_sub(u64::from(evicted))).ok()
                    }));
                }
                (page.was_absent, page.refault)
            },
            |run, (was_absent, refault)| {
                if was_absent {
                    add(&mut totals.resident, length(&run));
                } else {
                    let contradictions = &mut totals.contradictions;
                    add(
                        &mut contradictions.inserted_while_resident_pages,
                        length(&run),
                    );
                }
                if refault {
                    add(&mut totals.refaulted, length(&run));
                }
                divide(
                    &self.pieces,
                    &mut self.piece_bytes,
                    file,
                    run,
                    |bytes, here| {
                        add(&mut bytes.inserted, here);
                        add(&mut folio_bytes.bytes, here);
                        if was_absent {
                            add(&mut bytes.resident, here);
                        }
                        if refault {
                            add(&mut bytes.refaulted, here);
                            add(&mut folio_bytes.refaulted_bytes, here);
                        }
                    },
                );
            },
        );
        if !all_seen_before && self.never_seen_pages == 0 {
            self.first_full_pass = Some(time);
        }
        folio_bytes
    }

    /// A folio left the page cache. Gives the bytes of the file in it.
    pub fn evict(
        &mut self,
        file: u16,
        first_page: u64,
        pages: u64,
        agent: EvictionAgent,
    ) -> PageBytes {
        let mut folio_bytes = PageBytes::default();
        let Some(state) = self.files.get_mut(usize::from(file)) else {
            add(&mut self.totals.evicted_beyond_end, pages);
            return folio_bytes;
        };
        let folio = state.within(first_page, pages);
        let totals = &mut self.totals;
        add(
            &mut totals.evicted_beyond_end,
            pages.saturating_sub(length(&folio)),
        );
        if let Some(by_agent) = self.agents.get_mut(agent as usize) {
            add(by_agent, length(&folio));
        }
        add(&mut totals.evicted, length(&folio));
        let clock = totals.inserted;
        let never_seen = &mut self.never_seen_pages;
        runs(
            folio,
            |page| {
                let page = state.evict(page, clock);
                *never_seen = never_seen.saturating_sub(u64::from(page.start_learned));
                (page.was_resident, page.start_learned, page.used)
            },
            |run, (was_resident, start_learned, used)| {
                let pages = length(&run);
                if was_resident {
                    totals.resident = totals.resident.saturating_sub(pages);
                } else if start_learned {
                    add(&mut totals.start_learned, pages);
                } else {
                    add(&mut totals.contradictions.evicted_while_absent_pages, pages);
                }
                let (at_most, at_least) = (used != Use::SeenOrUnknown, used == Use::Unseen);
                if at_most {
                    add(&mut totals.unused_at_most, pages);
                }
                if at_least {
                    add(&mut totals.unused_at_least, pages);
                }
                divide(
                    &self.pieces,
                    &mut self.piece_bytes,
                    file,
                    run,
                    |bytes, here| {
                        add(&mut bytes.evicted, here);
                        add(&mut folio_bytes.bytes, here);
                        if was_resident {
                            bytes.resident = bytes.resident.saturating_sub(here);
                        }
                        if at_most {
                            add(&mut bytes.unused_at_most, here);
                        }
                        if at_least {
                            add(&mut bytes.unused_at_least, here);
                        }
                    },
                );
            },
        );
        folio_bytes
    }

    /// A thread faulted on a page (`mm_filemap_fault`).
    pub fn fault(&mut self, file: u16, page: u64) {
        self.lookup(file, page, page);
    }

    /// The kernel mapped what it found of these pages, the last one included (`mm_filemap_map_pages`).
    pub fn mapped(&mut self, file: u16, first_page: u64, last_page: u64) {
        if let Some((state, pages)) = self.touched_pages(file, first_page, last_page) {
            state.map(pages);
        }
    }

    /// A `read()` or its like asked for these pages, the last one included (`mm_filemap_get_pages`).
    pub fn lookup(&mut self, file: u16, first_page: u64, last_page: u64) {
        if let Some((state, pages)) = self.touched_pages(file, first_page, last_page) {
            state.touch(pages);
        }
    }

    /// Whether a use of one of these pages, or a map window over it, was seen since its insert; the last page is
    /// included.
    #[must_use]
    pub fn use_was_seen(&self, file: u16, first_page: u64, last_page: u64) -> bool {
        self.files.get(usize::from(file)).is_some_and(|state| {
            let pages = last_page.saturating_sub(first_page).saturating_add(1);
            state.use_was_seen(state.within(first_page, pages))
        })
    }

    fn touched_pages(
        &mut self,
        file: u16,
        first_page: u64,
        last_page: u64,
    ) -> Option<(&mut FilePages, Range<u64>)> {
        let state = self.files.get_mut(usize::from(file))?;
        let pages = last_page.checked_sub(first_page)?.saturating_add(1);
        let pages = state.within(first_page, pages);
        Some((state, pages))
    }

    fn start_is_known(&self) -> bool {
        self.files.iter().all(FilePages::start_known)
    }

    /// The insert after which every page of every file had been inserted, or was known to have been resident at the
    /// start.
    #[must_use]
    pub const fn first_full_pass(&self) -> Option<Nanos> {
        self.first_full_pass
    }

    /// Pages resident now, by the events; `None` where the residency at the start is unknown for some file.
    #[must_use]
    pub fn resident_pages_total(&self) -> Option<u64> {
        self.start_is_known().then_some(self.totals.resident)
    }

    /// Bytes of each piece resident now, by the events; `None` as for [`PageHistory::resident_pages_total`].
    #[must_use]
    pub fn resident_bytes(&self) -> Option<Vec<u64>> {
        self.start_is_known().then(|| {
            self.piece_bytes
                .iter()
                .map(|piece| piece.resident)
                .collect()
        })
    }

    /// How many pages came and went so far, those beyond a file's end among them.
    #[must_use]
    pub const fn page_counts(&self) -> PageCounts {
        let totals = &self.totals;
        PageCounts {
            inserted: totals.inserted.saturating_add(totals.inserted_beyond_end),
            evicted: totals.evicted.saturating_add(totals.evicted_beyond_end),
            refaulted: totals.refaulted,
        }
    }

    /// The figures so far.
    #[must_use]
    pub fn figures(&self) -> PageFigures {
        let totals = &self.totals;
        let file_pages = self.files.iter().map(FilePages::pages).sum();
        let mut bytes = PieceBytes::default();
        self.piece_bytes.iter().for_each(|piece| bytes.merge(piece));
        let [kswapd, direct_reclaim, kernel_thread, invalidation] = self.agents;
        let distances = self.distances.figures(self.pieces.page_bytes());
        PageFigures {
            cache: PageCacheFigures {
                inserted_bytes: bytes.inserted,
                times_inserted: ratio(totals.inserted, file_pages),
                evicted_bytes: bytes.evicted,
                refaulted_bytes: bytes.refaulted,
                unused_at_least_bytes: self.if_touches_observed(bytes.unused_at_least),
                unused_at_most_bytes: self.if_touches_observed(bytes.unused_at_most),
                miss_stream_distance_p50_bytes: distances.p50_at_most_bytes,
                miss_stream_distance_p90_bytes: distances.p90_at_most_bytes,
                resident_bytes: self.start_is_known().then_some(bytes.resident),
                contradicting_pages: Some(totals.contradictions.total_pages()),
            },
            file_pages,
            inserted_pages: totals.inserted,
            evicted_pages: totals.evicted,
            refaulted_pages: totals.refaulted,
            evictions: EvictionsByAgent {
                kswapd,
                direct_reclaim,
                kernel_thread,
                invalidation,
            },
            unused_evicted: self.if_touches_observed(UnusedEvicted {
                at_least_pages: totals.unused_at_least,
                at_most_pages: totals.unused_at_most,
            }),
            miss_stream_distance: distances,
            resident_pages: self.resident_pages_total(),
            evicted_of_unknown_start_pages: totals.start_learned,
            contradictions: totals.contradictions,
            pages_beyond_end: totals.inserted_beyond_end,
            evicted_beyond_end_pages: totals.evicted_beyond_end,
        }
    }

    /// The figures so far of every piece, by its id.
    #[must_use]
    pub fn piece_figures(&self) -> Vec<PiecePageFigures> {
        let start_is_known = self.start_is_known();
        let figures = |counted: &PieceBytes| PiecePageFigures {
            inserted_bytes: counted.inserted,
            evicted_bytes: counted.evicted,
            refaulted_bytes: counted.refaulted,
            unused_at_least_bytes: self.if_touches_observed(counted.unused_at_least),
            unused_at_most_bytes: self.if_touches_observed(counted.unused_at_most),
            resident_bytes: start_is_known.then_some(counted.resident),
        };
        self.piece_bytes.iter().map(figures).collect()
    }

    fn if_touches_observed<T>(&self, figure: T) -> Option<T> {
        (self.touch_events == TouchEvents::Observed).then_some(figure)
    }
}

/// Divides the bytes of pages among their pieces.
fn divide(
    pieces: &PieceTable,
    counters: &mut [PieceBytes],
    file: u16,
    pages: Range<u64>,
    mut count: impl FnMut(&mut PieceBytes, u64),
) {
    for (piece, bytes) in pieces.page_overlaps(file, pages) {
        if let Some(counter) = counters.get_mut(piece as usize) {
            count(counter, bytes);
        }
    }
}

#[cfg(test)]
mod tests;
