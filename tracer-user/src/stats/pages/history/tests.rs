//! By hand, and against a model that keeps the log of every page and looks back through it.

use std::collections::BTreeMap;

use crate::stats::pieces::table::tests::{span, tables};

use super::*;
use proptest::prelude::*;

const TIME: Nanos = Nanos(7);

fn history(file_bytes: &[u64]) -> PageHistory {
    let table = PieceTable::whole_files(file_bytes).expect("valid");
    PageHistory::new(Arc::new(table), TouchEvents::Observed).expect("small")
}

fn unused(history: &PageHistory) -> (u64, u64) {
    let unused = history.figures().unused_evicted.expect("observed");
    (unused.at_least_pages, unused.at_most_pages)
}

#[test]
fn a_page_of_two_pieces_counts_in_both_by_bytes_and_the_last_one_ends_with_the_file() {
    let table = PieceTable::new(vec![vec![
        span(0, 1000, 0),
        span(1000, 5000, 1),
        span(5000, 9000, 0),
    ]])
    .expect("valid");
    let mut history = PageHistory::new(Arc::new(table), TouchEvents::Observed).expect("small");
    history.insert(0, 0, 4, TIME);
    history.evict(0, 1, 2, EvictionAgent::Kswapd);
    let pieces = history.piece_figures();
    assert_eq!(
        (pieces[0].inserted_bytes, pieces[1].inserted_bytes),
        (5000, 4000)
    );
    assert_eq!(
        (pieces[0].evicted_bytes, pieces[1].evicted_bytes),
        (4000, 904)
    );
    let figures = history.figures();
    assert_eq!(figures.cache.times_inserted, Some(1.0));
    assert_eq!((figures.file_pages, figures.inserted_pages), (3, 3));
    assert_eq!(
        (figures.cache.inserted_bytes, figures.pages_beyond_end),
        (9000, 1)
    );
    assert_eq!(figures.evictions.kswapd, 2);
    assert_eq!(
        (figures.resident_pages, history.resident_bytes()),
        (None, None)
    );
}

/// Kernels for aarch64 have such pages: the same events are more bytes of the same file.
#[test]
fn pages_of_16_and_64_kib_are_counted_in_bytes_of_the_file() {
    for page_bytes in [16 << 10, 64 << 10] {
        let table = PieceTable::new(vec![vec![
            span(0, 1000, 0),
            span(1000, 2 * page_bytes + 5000, 1),
        ]])
        .expect("valid")
        .with_page_bytes(page_bytes);
        let mut history = PageHistory::new(Arc::new(table), TouchEvents::Observed).expect("small");
        history.insert(0, 0, 3, TIME);
        history.insert(0, 3, 1, TIME);
        history.evict(0, 1, 1, EvictionAgent::Kswapd);
        history.insert(0, 1, 1, TIME);
        let figures = history.figures();
        assert_eq!((figures.file_pages, figures.pages_beyond_end), (3, 1));
        let size = 2 * page_bytes + 5000;
        assert_eq!(figures.cache.inserted_bytes, size + page_bytes);
        assert_eq!(figures.cache.evicted_bytes, page_bytes);
        assert_eq!(figures.cache.refaulted_bytes, page_bytes);
        assert_eq!(figures.cache.miss_stream_distance_p50_bytes, Some(0));
        let pieces = history.piece_figures();
        assert_eq!(pieces[0].inserted_bytes, 1000);
        assert_eq!(pieces[1].inserted_bytes, size - 1000 + page_bytes);
    }
}

#[test]
fn the_fault_that_brings_a_page_in_is_a_use_and_its_neighbours_are_none() {
    let mut history = history(&[10 * 4096]);
    history.fault(0, 2);
    history.insert(0, 0, 8, TIME);
    history.mapped(0, 2, 3);
    history.evict(0, 0, 8, EvictionAgent::DirectReclaim);
    assert_eq!(unused(&history), (6, 7));
    // Back by read-ahead: what was used before the eviction is no use now, nor is a window over an absent page.
    history.mapped(0, 0, 7);
    history.insert(0, 0, 8, TIME);
    history.evict(0, 0, 8, EvictionAgent::DirectReclaim);
    assert_eq!(unused(&history), (14, 15));
}

#[test]
fn what_was_resident_at_the_start_is_no_waste() {
    let mut history = history(&[4096, 2 * 4096]);
    history.start(1, &[0b110]).expect("first");
    history.evict(1, 0, 2, EvictionAgent::Kswapd);
    let figures = history.figures();
    assert_eq!(unused(&history), (0, 0));
    assert_eq!(figures.contradictions.evicted_while_absent_pages, 1);
    assert_eq!(figures.evicted_of_unknown_start_pages, 0);
    // The other file's start is unknown, so an eviction only tells what was there.
    history.evict(0, 0, 1, EvictionAgent::Kswapd);
    history.evict(0, 0, 1, EvictionAgent::Kswapd);
    let figures = history.figures();
    assert_eq!(figures.evicted_of_unknown_start_pages, 1);
    assert_eq!(figures.contradictions.total_pages(), 2);
    assert_eq!(figures.resident_pages, None);
}

#[test]
fn residency_is_start_plus_inserts_minus_evictions() {
    let mut history = history(&[3 * 4096 - 96, 4096]);
    assert_eq!(history.resident_pages_total(), None);
    // Bits beyond the end are nothing.
    history.start(0, &[u64::MAX]).expect("first");
    history.start(1, &[0, 0]).expect("first");
    assert_eq!(history.resident_pages_total(), Some(3));
    assert_eq!(history.resident_bytes(), Some(vec![3 * 4096 - 96, 0]));
    history.evict(0, 1, 2, EvictionAgent::Kswapd);
    history.insert(1, 0, 1, TIME);
    assert_eq!(history.resident_bytes(), Some(vec![4096, 4096]));
    assert_eq!(history.first_full_pass(), Some(TIME));
    history.insert(1, 0, 1, TIME);
    let figures = history.figures();
    assert_eq!(figures.contradictions.inserted_while_resident_pages, 1);
    assert_eq!(figures.resident_pages, Some(2));
}

#[test]
fn the_first_full_pass_ends_with_the_last_page_that_had_never_been_there() {
    let mut history = history(&[2 * 4096, 4096]);
    let pass = |history: &PageHistory| history.first_full_pass();
    history.insert(0, 0, 2, Nanos(1));
    history.evict(0, 1, 1, EvictionAgent::Kswapd);
    history.insert(0, 1, 1, Nanos(2));
    history.insert(0, 1, 1, Nanos(3));
    assert_eq!(pass(&history), None);
    history.insert(1, 0, 1, Nanos(4));
    history.insert(1, 0, 1, Nanos(5));
    assert_eq!(pass(&history), Some(Nanos(4)));
}

#[test]
fn a_start_that_comes_late_or_short_is_refused() {
    let mut history = history(&[65 * 4096, 4096]);
    assert_eq!(
        history.start(0, &[0]),
        Err(PageHistoryError::BitmapTooShort {
            file: 0,
            words: 1,
            pages: 65
        })
    );
    assert_eq!(
        history.start(2, &[0]),
        Err(PageHistoryError::UnknownFile { file: 2, files: 2 })
    );
    history.insert(0, 0, 1, TIME);
    let late = |file| Err(PageHistoryError::StartedAlready { file });
    assert_eq!(history.start(0, &[0, 0]), late(0));
    assert_eq!(history.start(1, &[1]), Ok(()));
    assert_eq!(history.start(1, &[1]), late(1));
}

#[test]
fn without_events_of_use_nothing_is_said_about_it() {
    let table = Arc::new(PieceTable::whole_files(&[4096]).expect("valid"));
    let mut history = PageHistory::new(table, TouchEvents::Unobserved).expect("small");
    history.insert(0, 0, 1, TIME);
    history.evict(0, 0, 1, EvictionAgent::Kswapd);
    assert_eq!(history.figures().unused_evicted, None);
    assert_eq!(history.piece_figures()[0].unused_at_most_bytes, None);
}

#[test]
fn the_distance_is_what_came_in_between() {
    let mut history = history(&[8 * 4096, 64 * 4096]);
    history.insert(0, 0, 8, TIME);
    history.evict(0, 0, 8, EvictionAgent::Kswapd);
    history.insert(1, 0, 20, TIME);
    // A folio of four: none of its pages came between the eviction of another and its insert.
    history.insert(0, 0, 4, TIME);
    let distance = history.figures().miss_stream_distance;
    assert_eq!(distance.buckets.len(), 1);
    assert_eq!(
        (distance.buckets[0].from_bytes, distance.buckets[0].pages),
        (16 * 4096, 4)
    );
    history.insert(0, 4, 1, TIME);
    history.insert(1, 20, 10, TIME);
    history.insert(0, 5, 1, TIME);
    let buckets = history.figures().miss_stream_distance.buckets;
    assert_eq!(buckets.iter().map(|b| b.pages).collect::<Vec<_>>(), [5, 1]);
}

#[test]
fn events_of_any_values_are_survived() {
    let mut history = history(&[5 * 4096 + 1, 0]);
    for file in [0, 1, 2, u16::MAX] {
        for first in [0, 5, 6, u64::MAX] {
            for pages in [0, 1, 6, u64::MAX] {
                history.insert(file, first, pages, Nanos(u64::MAX));
                history.mapped(file, first, pages);
                history.lookup(file, first, pages);
                history.fault(file, first);
                history.evict(file, first, pages, EvictionAgent::Invalidation);
            }
        }
    }
    assert_eq!(history.figures().pages_beyond_end, u64::MAX);
    let huge = Arc::new(PieceTable::whole_files(&[u64::MAX]).expect("valid"));
    assert!(matches!(
        PageHistory::new(huge, TouchEvents::Observed),
        Err(PageHistoryError::TooManyPages { .. })
    ));
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Insert(u16, u64, u64),
    Evict(u16, u64, u64, EvictionAgent),
    Fault(u16, u64),
    Mapped(u16, u64, u64),
    Lookup(u16, u64, u64),
}

fn event() -> impl Strategy<Value = Event> {
    let agent = prop::sample::select(vec![
        EvictionAgent::Kswapd,
        EvictionAgent::DirectReclaim,
        EvictionAgent::KernelThread,
        EvictionAgent::Invalidation,
    ]);
    // Mostly the first file, mostly inside of it.
    let file = prop::sample::select(vec![0u16, 0, 0, 1, 2]);
    let pages = prop::sample::select(vec![1u64, 1, 2, 4, 8]);
    (0..8, file, 0u64..10, pages, agent).prop_map(|(kind, file, first, pages, agent)| match kind {
        0..=2 => Event::Insert(file, first, pages),
        3..=4 => Event::Evict(file, first, pages, agent),
        5 => Event::Fault(file, first),
        6 => Event::Mapped(file, first, first + pages - 1),
        _ => Event::Lookup(file, first, first + pages - 1),
    })
}

/// Gives the bytes (inserted, refaulted, evicted) that the calls gave.
fn fed(history: &mut PageHistory, events: &[Event]) -> (u64, u64, u64) {
    let mut given = (0, 0, 0);
    for event in events {
        match *event {
            Event::Insert(file, first, pages) => {
                let bytes = history.insert(file, first, pages, TIME);
                given.0 += bytes.bytes;
                given.1 += bytes.refaulted_bytes;
            }
            Event::Evict(file, first, pages, agent) => {
                given.2 += history.evict(file, first, pages, agent).bytes;
            }
            Event::Fault(file, page) => history.fault(file, page),
            Event::Mapped(file, first, last) => history.mapped(file, first, last),
            Event::Lookup(file, first, last) => history.lookup(file, first, last),
        }
    }
    given
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Logged {
    StartResident,
    /// With the pages inserted before.
    Insert(u64),
    Evict(u64),
    Touch,
    Window,
}

use Logged::{Evict, Insert, StartResident, Touch, Window};

/// Whether the eviction at the end of `log` is of a page that was inserted for nothing: (at least, at most).
fn unused_by(log: &[Logged]) -> (bool, bool) {
    let changes: Vec<usize> = (0..log.len())
        .filter(|at| !matches!(log[*at], Touch | Window))
        .collect();
    let Some(latest) = changes.len().checked_sub(2).map(|at| changes[at]) else {
        return (false, false);
    };
    if !matches!(log[latest], Insert(_)) {
        return (false, false);
    }
    let mut used = log[latest..].contains(&Touch);
    let mut possible = log[latest..].contains(&Window);
    // Back through inserts that found the page resident, to the time when it was absent.
    let mut later = latest;
    for earlier in changes[..changes.len() - 2]
        .iter()
        .rev()
        .map(|at| Some(*at))
        .chain([None])
    {
        let between = &log[earlier.map_or(0, |at| at + 1)..later];
        let absent = earlier.is_none_or(|at| matches!(log[at], Evict(_)));
        if absent {
            used |= between.contains(&Touch) && later == latest;
            possible |= between.contains(&Touch);
            break;
        }
        possible |= between.contains(&Touch) || between.contains(&Window);
        later = earlier.expect("not absent");
    }
    (!used && !possible, !used)
}

#[derive(Debug, Default, PartialEq)]
struct Naive {
    overall: [u64; 6],
    pieces: Vec<PieceBytes>,
    contradictions: Contradictions,
    learned: u64,
    distances: Vec<u64>,
}

fn naive(table: &PieceTable, starts: &[Option<u64>], events: &[Event]) -> Naive {
    let mut logs: BTreeMap<(u16, u64), Vec<Logged>> = BTreeMap::new();
    for (file, start) in (0u16..).zip(starts) {
        for page in 0..table.file_bytes(file).div_ceil(4096) {
            let log = logs.entry((file, page)).or_default();
            if start.is_some_and(|bits| bits >> page & 1 == 1) {
                log.push(StartResident);
            }
        }
    }
    let mut inserted = 0;
    for event in events {
        let (file, first, last) = match *event {
            Event::Insert(file, first, pages) | Event::Evict(file, first, pages, _) => {
                (file, first, first + pages - 1)
            }
            Event::Fault(file, page) => (file, page, page),
            Event::Mapped(file, first, last) | Event::Lookup(file, first, last) => {
                (file, first, last)
            }
        };
        let before = inserted;
        for page in first..=last {
            if let Some(log) = logs.get_mut(&(file, page)) {
                log.push(match event {
                    Event::Insert(..) => {
                        inserted += 1;
                        Insert(before)
                    }
                    Event::Evict(..) => Evict(before),
                    Event::Mapped(..) => Window,
                    Event::Fault(..) | Event::Lookup(..) => Touch,
                });
            }
        }
    }
    let mut naive = Naive {
        pieces: vec![PieceBytes::default(); table.piece_count()],
        ..Naive::default()
    };
    for ((file, page), log) in &logs {
        let mut counts = [0u64; 6];
        let mut change: Option<Logged> = None;
        for (at, logged) in log.iter().enumerate() {
            let resident = matches!(change, Some(Insert(_) | StartResident));
            match *logged {
                StartResident => {}
                Insert(clock) => {
                    counts[0] += 1;
                    naive.contradictions.inserted_while_resident_pages += u64::from(resident);
                    if let Some(Evict(evicted)) = change {
                        counts[2] += 1;
                        naive.distances.push(clock - evicted);
                    }
                }
                Evict(_) => {
                    counts[1] += 1;
                    if change.is_none() && starts[usize::from(*file)].is_none() {
                        naive.learned += 1;
                    } else if !resident {
                        naive.contradictions.evicted_while_absent_pages += 1;
                    }
                    let (at_least, at_most) = unused_by(&log[..=at]);
                    counts[3] += u64::from(at_least);
                    counts[4] += u64::from(at_most);
                }
                Touch | Window => continue,
            }
            change = Some(*logged);
        }
        counts[5] = u64::from(matches!(change, Some(Insert(_) | StartResident)));
        for span in table.spans(*file) {
            let start = span.start_bytes.max(page * 4096);
            let end = span.end_bytes.min(page * 4096 + 4096);
            let bytes = end.saturating_sub(start);
            let piece = &mut naive.pieces[span.piece as usize];
            piece.inserted += counts[0] * bytes;
            piece.evicted += counts[1] * bytes;
            piece.refaulted += counts[2] * bytes;
            piece.unused_at_least += counts[3] * bytes;
            piece.unused_at_most += counts[4] * bytes;
            piece.resident += counts[5] * bytes;
        }
        (0..6).for_each(|at| naive.overall[at] += counts[at]);
    }
    naive
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn it_is_what_the_log_of_every_page_gives(
        table in tables(2, 9000), starts in prop::array::uniform2(prop::option::of(any::<u64>())),
        events in prop::collection::vec(event(), 0..60),
    ) {
        let table = Arc::new(table);
        let mut history = PageHistory::new(table.clone(), TouchEvents::Observed).expect("small");
        for (file, start) in (0u16..).zip(starts) {
            if let Some(bits) = start {
                history.start(file, &[bits]).expect("first");
            }
        }
        fed(&mut history, &events);
        let expected = naive(&table, &starts, &events);
        let figures = history.figures();
        let unused = figures.unused_evicted.expect("observed");
        prop_assert_eq!(
            [
                figures.inserted_pages, figures.evicted_pages, figures.refaulted_pages,
                unused.at_least_pages, unused.at_most_pages, history.totals.resident,
            ],
            expected.overall
        );
        prop_assert_eq!(&history.piece_bytes, &expected.pieces);
        prop_assert_eq!(figures.contradictions, expected.contradictions);
        prop_assert_eq!(figures.evicted_of_unknown_start_pages, expected.learned);
        let mut distances = MissStreamDistances::default();
        for distance in &expected.distances {
            distances.record(u32::try_from(*distance).ok());
        }
        prop_assert_eq!(figures.miss_stream_distance, distances.figures(4096));

        let known = (0u16..2).all(|file| {
            starts[usize::from(file)].is_some() || table.file_bytes(file) == 0
        });
        prop_assert_eq!(figures.resident_pages, known.then_some(expected.overall[5]));
        prop_assert_eq!(
            history.resident_bytes(),
            known.then(|| expected.pieces.iter().map(|piece| piece.resident).collect())
        );
        let agents = figures.evictions;
        prop_assert_eq!(
            agents.kswapd + agents.direct_reclaim
                + agents.kernel_thread + agents.invalidation,
            figures.evicted_pages
        );
    }

    #[test]
    fn pieces_sum_to_the_files_and_bounds_are_ordered(
        table in tables(2, 9000), events in prop::collection::vec(event(), 0..60),
    ) {
        let table = Arc::new(table);
        let mut history = PageHistory::new(table, TouchEvents::Observed).expect("small");
        let given = fed(&mut history, &events);
        let (figures, pieces) = (history.figures(), history.piece_figures());
        let sum = |of: fn(&PiecePageFigures) -> u64| pieces.iter().map(of).sum::<u64>();
        prop_assert_eq!(sum(|piece| piece.inserted_bytes), figures.cache.inserted_bytes);
        prop_assert_eq!(sum(|piece| piece.evicted_bytes), figures.cache.evicted_bytes);
        prop_assert_eq!(sum(|piece| piece.refaulted_bytes), figures.cache.refaulted_bytes);
        prop_assert_eq!(
            given,
            (figures.cache.inserted_bytes, figures.cache.refaulted_bytes, figures.cache.evicted_bytes)
        );
        prop_assert!(figures.cache.inserted_bytes <= figures.inserted_pages * 4096);
        for piece in &pieces {
            prop_assert!(piece.unused_at_least_bytes <= piece.unused_at_most_bytes);
            prop_assert!(piece.unused_at_most_bytes <= Some(piece.evicted_bytes));
            prop_assert!(piece.refaulted_bytes <= piece.evicted_bytes);
        }
    }

    /// Files that are only read: no windows, and then the bounds are one.
    #[test]
    fn without_windows_the_bounds_are_equal(
        table in tables(2, 9000), events in prop::collection::vec(event(), 0..60),
    ) {
        let events: Vec<_> = events
            .into_iter()
            .filter(|event| !matches!(event, Event::Mapped(..)))
            .collect();
        let mut history = PageHistory::new(Arc::new(table), TouchEvents::Observed).expect("small");
        // Without contradictions: what is resident is not inserted again.
        for event in &events {
            if let Event::Insert(file, first, pages) = *event {
                for page in first..first + pages {
                    let resident = history
                        .files
                        .get(usize::from(file))
                        .is_some_and(|state| state.is_resident(page));
                    if !resident {
                        history.insert(file, page, 1, TIME);
                    }
                }
            } else {
                fed(&mut history, &[*event]);
            }
        }
        let unused = unused(&history);
        prop_assert_eq!(unused.0, unused.1);
    }
}
