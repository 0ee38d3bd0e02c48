//! By hand, and against looking at every nanosecond.

use super::*;
use proptest::prelude::*;
use std::collections::HashSet;

use WaitKind::{Lock, ModelFolio, OtherIo, Reclaim};

fn wait(thread: u32, start: u64, end: u64, kind: WaitKind) -> Wait {
    Wait {
        thread,
        start: Nanos(start),
        end: Nanos(end),
        kind,
    }
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Waited(Wait),
    Boundary(u64),
}

fn fed(timeline: &mut StallTimeline, events: &[Event]) {
    for event in events {
        match event {
            Event::Waited(wait) => timeline.wait(*wait),
            Event::Boundary(time) => timeline.boundary(Nanos(*time)),
        }
    }
}

#[test]
fn a_stall_belongs_to_the_step_that_waits() {
    let mut timeline = StallTimeline::new(Nanos(100));
    timeline.wait(wait(1, 150, 250, ModelFolio));
    timeline.boundary(Nanos(200));
    timeline.wait(wait(2, 190, 300, ModelFolio));
    timeline.wait(wait(1, 260, 290, Lock));
    timeline.wait(wait(3, 10, 120, Reclaim));
    timeline.wait(wait(3, 280, 999, OtherIo));
    timeline.wait(wait(3, 7, 6, OtherIo));
    let figures = timeline.finish(Nanos(400));
    let expected =
        |start, end, stall, parts: [u64; 3], most, sum, other, reclaim, lock| SpanStall {
            start_ns: Nanos(start),
            end_ns: Nanos(end),
            waits: WaitFigures {
                stall_ns: Some(stall),
                reclaim_ns: Some(parts[0]),
                lock_ns: Some(parts[1]),
                other_io_ns: Some(parts[2]),
                thread_sum_ns: Some(sum),
                other_io_thread_ns: Some(other),
                reclaim_thread_ns: Some(reclaim),
                lock_thread_ns: Some(lock),
            },
            largest_concurrency: Some(most),
        };
    assert_eq!(
        figures,
        StallFigures {
            spans: vec![
                expected(100, 200, 50, [20, 0, 0], 2, 60, 0, 20, 0),
                expected(200, 400, 100, [0, 0, 100], 2, 150, 120, 0, 30),
            ],
            whole: expected(100, 400, 150, [20, 0, 100], 2, 210, 120, 20, 30),
            late_waits: 0,
            late_boundaries: 0,
            reversed_waits: 1,
        }
    );
}

#[test]
fn what_comes_too_late_takes_figures_away_and_does_not_falsify_them() {
    let mut timeline = StallTimeline::with_horizon(Nanos(0), 10);
    timeline.boundary(Nanos(20));
    timeline.boundary(Nanos(60));
    timeline.wait(wait(1, 5, 10, ModelFolio));
    timeline.wait(wait(1, 70, 80, ModelFolio));
    // Swept to 70.
    timeline.wait(wait(2, 30, 75, ModelFolio));
    let figures = timeline.clone().finish(Nanos(100));
    let stalls: Vec<_> = figures
        .spans
        .iter()
        .map(|span| span.waits.stall_ns)
        .collect();
    let sums: Vec<_> = figures
        .spans
        .iter()
        .map(|span| span.waits.thread_sum_ns)
        .collect();
    assert_eq!(stalls, [Some(5), None, None]);
    assert_eq!(sums, [Some(5), Some(30), Some(25)]);
    assert_eq!(
        (figures.whole.waits.stall_ns, figures.late_waits),
        (None, 1)
    );
    timeline.boundary(Nanos(10));
    let figures = timeline.clone().finish(Nanos(100));
    let sums: Vec<_> = figures
        .spans
        .iter()
        .map(|span| span.waits.thread_sum_ns)
        .collect();
    assert_eq!(sums, [None, None, Some(30), Some(25)]);
    assert_eq!(
        (figures.whole.waits.thread_sum_ns, figures.late_boundaries),
        (Some(60), 1)
    );
    let ended_before = timeline.finish(Nanos(65));
    assert_eq!(ended_before.spans[3].waits.thread_sum_ns, None);
    assert_eq!(ended_before.whole.waits.thread_sum_ns, None);
    assert_eq!(ended_before.spans[2].waits.thread_sum_ns, Some(30));
}

#[test]
fn memory_is_bounded_by_sweeping_ahead() {
    let mut timeline = StallTimeline::new(Nanos(0));
    timeline.max_kept = 100;
    for time in 0..10_000 {
        timeline.wait(wait(1, 2 * time, 2 * time + 1, ModelFolio));
        assert!(timeline.kept() <= 100);
    }
    assert_eq!(
        timeline.coming.len() + timeline.under_way.len(),
        timeline.kept()
    );
    let figures = timeline.finish(Nanos(20_000));
    assert_eq!(figures.whole.waits.stall_ns, Some(10_000));
    assert_eq!(figures.late_waits, 0);
    // All at one time: nothing can be kept apart, and nothing is kept.
    let mut timeline = StallTimeline::new(Nanos(0));
    timeline.max_kept = 100;
    (0..1000).for_each(|thread| timeline.wait(wait(thread, 5, 9, ModelFolio)));
    assert!(timeline.kept() <= 100);
    let figures = timeline.finish(Nanos(20));
    assert_eq!(
        (
            figures.whole.waits.thread_sum_ns,
            figures.whole.waits.stall_ns
        ),
        (Some(4000), None)
    );
}

fn naive(waits: &[Wait], start: u64, end: u64) -> SpanStall {
    let (mut stall, mut most, mut sums) = (0, 0, [0u64; KINDS]);
    let (mut reclaim, mut lock, mut other) = (0, 0, 0);
    for time in start..end {
        let here = || {
            waits
                .iter()
                .filter(move |wait| wait.start.0 <= time && time < wait.end.0)
        };
        let threads: HashSet<u32> = here()
            .filter(|wait| wait.kind == ModelFolio)
            .map(|wait| wait.thread)
            .collect();
        stall += u64::from(!threads.is_empty());
        most = most.max(threads.len() as u64);
        let is = |kind| here().any(|wait| wait.kind == kind);
        if is(ModelFolio) {
            // The stall.
        } else if is(Reclaim) {
            reclaim += 1;
        } else if is(Lock) {
            lock += 1;
        } else if is(OtherIo) {
            other += 1;
        }
        here().for_each(|wait| sums[wait.kind as usize] += 1);
    }
    SpanStall {
        start_ns: Nanos(start),
        end_ns: Nanos(end),
        waits: WaitFigures {
            stall_ns: Some(stall),
            reclaim_ns: Some(reclaim),
            lock_ns: Some(lock),
            other_io_ns: Some(other),
            thread_sum_ns: Some(sums[0]),
            other_io_thread_ns: Some(sums[1]),
            reclaim_thread_ns: Some(sums[2]),
            lock_thread_ns: Some(sums[3]),
        },
        largest_concurrency: Some(most),
    }
}

/// Waits and boundaries in 0 – 100, nearly in order; the window is 10 – 80.
fn events() -> impl Strategy<Value = Vec<Event>> {
    let kind = prop::sample::select(vec![ModelFolio, ModelFolio, OtherIo, Reclaim, Lock]);
    let waited = (0u32..4, 0u64..90, 0u64..20, kind).prop_map(|(thread, start, length, kind)| {
        Event::Waited(wait(thread, start, start + length, kind))
    });
    let event = prop_oneof![4 => waited, 1 => (0u64..95).prop_map(Event::Boundary)];
    prop::collection::vec((event, 0u64..6), 0..40).prop_map(|mut events| {
        events.sort_by_key(|(event, delay)| match event {
            Event::Waited(wait) => wait.end.0 + delay,
            Event::Boundary(time) => time + delay,
        });
        events.into_iter().map(|(event, _)| event).collect()
    })
}

fn expected(events: &[Event]) -> (Vec<SpanStall>, SpanStall) {
    let (mut waits, mut edges) = (Vec::new(), vec![10, 80]);
    for event in events {
        match event {
            Event::Waited(wait) => waits.push(*wait),
            Event::Boundary(time) => edges.push((*time).clamp(10, 80)),
        }
    }
    edges.sort_unstable();
    let spans = edges
        .windows(2)
        .map(|edge| naive(&waits, edge[0], edge[1]))
        .collect();
    (spans, naive(&waits, 10, 80))
}

fn agrees(found: &SpanStall, expected: &SpanStall) -> bool {
    let same = |found: Option<u64>, expected| found.is_none() || found == expected;
    (found.start_ns, found.end_ns) == (expected.start_ns, expected.end_ns)
        && same(found.waits.stall_ns, expected.waits.stall_ns)
        && same(found.waits.reclaim_ns, expected.waits.reclaim_ns)
        && same(found.waits.lock_ns, expected.waits.lock_ns)
        && same(found.waits.other_io_ns, expected.waits.other_io_ns)
        && same(found.largest_concurrency, expected.largest_concurrency)
        && same(found.waits.thread_sum_ns, expected.waits.thread_sum_ns)
        && same(
            found.waits.other_io_thread_ns,
            expected.waits.other_io_thread_ns,
        )
        && same(
            found.waits.reclaim_thread_ns,
            expected.waits.reclaim_thread_ns,
        )
        && same(found.waits.lock_thread_ns, expected.waits.lock_thread_ns)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn within_the_horizon_it_is_what_every_nanosecond_gives(
        events in events(), horizon in 25u64..60,
    ) {
        // Nothing is later than its length (below 20) and its delay (below 6).
        let mut timeline = StallTimeline::with_horizon(Nanos(10), horizon);
        fed(&mut timeline, &events);
        let (spans, whole) = expected(&events);
        let swept = timeline.swept;
        prop_assert!(swept <= Nanos(85));
        let figures = timeline.finish(Nanos(80));
        prop_assert_eq!((figures.late_waits, figures.late_boundaries), (0, 0));
        if swept <= Nanos(80) {
            prop_assert_eq!(&figures.spans, &spans);
            prop_assert_eq!(figures.whole, whole);
            let stall: u64 = figures.spans.iter().filter_map(|span| span.waits.stall_ns).sum();
            prop_assert_eq!(Some(stall), figures.whole.waits.stall_ns);
        }
    }

    #[test]
    fn in_any_order_each_figure_that_is_there_is_right(
        events in events().prop_shuffle(), horizon in 0u64..60, max_kept in 0usize..20,
    ) {
        let mut timeline = StallTimeline::with_horizon(Nanos(10), horizon);
        timeline.max_kept = max_kept;
        fed(&mut timeline, &events);
        prop_assert!(timeline.kept() <= max_kept);
        let (spans, whole) = expected(&events);
        let figures = timeline.finish(Nanos(80));
        prop_assert_eq!(figures.spans.len(), spans.len());
        for (found, expected) in figures.spans.iter().zip(&spans) {
            prop_assert!(agrees(found, expected), "{found:?} {expected:?}");
        }
        prop_assert!(agrees(&figures.whole, &whole), "{:?} {whole:?}", figures.whole);
    }
}
