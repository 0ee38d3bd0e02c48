//! By hand, and against looking at every event for every step.

use crate::stats::pieces::table::tests::tables;

use super::*;
use proptest::prelude::*;
use std::collections::BTreeMap;

fn range(file: u16, offset_bytes: u64, length_bytes: u64) -> FileRange {
    FileRange {
        file,
        offset_bytes,
        length_bytes,
    }
}

fn table() -> PieceTable {
    PieceTable::whole_files(&[1000]).expect("valid")
}

#[test]
fn a_late_event_goes_to_the_step_of_its_time() {
    let (table, read) = (table(), [range(0, 990, 20)]);
    let mut steps = StepSeries::new(Nanos(100));
    steps.mark(Nanos(200));
    steps.mark(Nanos(300));
    for time in [50, 199, 200, 299, 300, 999] {
        steps.issue(Nanos(time), &table, &read, time == 299);
    }
    steps.fault(Nanos(250));
    steps.major_fault(Nanos(250));
    steps.fault(Nanos(251));
    steps.inserted(Nanos(150), 30, 10);
    steps.evicted(Nanos(350), 40);
    let steps = steps.finish(Nanos(400));
    let times: Vec<_> = steps
        .iter()
        .map(|step| {
            (
                step.start_ns.0,
                step.end_ns.0,
                step.counts.reads,
                step.counts.read_bytes,
            )
        })
        .collect();
    assert_eq!(
        times,
        [(100, 200, 2, 40), (200, 300, 2, 40), (300, 400, 2, 40)]
    );
    assert_eq!(
        steps[1],
        StepFigures {
            start_ns: Nanos(200),
            end_ns: Nanos(300),
            start_late_ns: 0,
            counts: EventCounts {
                reads: 2,
                read_bytes: 40,
                readahead_bytes: 20,
                major_faults: 1,
                faults: 2,
                ..EventCounts::default()
            },
            excess_requeued_bytes: 0,
            pieces: Some(vec![(0, 20)]),
        }
    );
    assert_eq!(
        (
            steps[0].counts.inserted_bytes,
            steps[0].counts.refaulted_bytes
        ),
        (30, 10)
    );
    assert_eq!(steps[2].counts.evicted_bytes, 40);
}

#[test]
fn a_requeued_read_stays_in_the_step_of_its_first_issue() {
    let (table, read) = (table(), [range(0, 0, 20)]);
    let mut steps = StepSeries::new(Nanos(0));
    steps.issue(Nanos(5), &table, &read, true);
    steps.mark(Nanos(10));
    steps.requeue(Nanos(5), &table, &read, true);
    steps.reissue(Nanos(5), &table, &read, true);
    // One whose issue was not seen.
    steps.requeue(Nanos(11), &table, &read, false);
    let steps = steps.finish(Nanos(20));
    assert_eq!(
        (
            steps[0].counts.reads,
            steps[0].counts.read_bytes,
            steps[0].counts.readahead_bytes
        ),
        (1, 20, 20)
    );
    assert_eq!(steps[0].pieces, Some(vec![(0, 20)]));
    assert_eq!(
        (steps[1].counts.read_bytes, steps[1].excess_requeued_bytes),
        (0, 20)
    );
    assert_eq!(steps[1].pieces, Some(vec![]));
}

#[test]
fn a_mark_that_comes_late_says_so() {
    let mut steps = StepSeries::without_pieces(Nanos(0));
    steps.fault(Nanos(50));
    steps.mark(Nanos(40));
    steps.mark(Nanos(30));
    steps.mark(Nanos(60));
    let steps = steps.finish(Nanos(55));
    let starts: Vec<_> = steps
        .iter()
        .map(|step| (step.start_ns.0, step.end_ns.0, step.start_late_ns))
        .collect();
    assert_eq!(
        starts,
        [(0, 40, 0), (40, 40, 10), (40, 60, 20), (60, 60, 0)]
    );
    assert_eq!(steps[0].counts.faults, 1);
    assert_eq!(steps[0].pieces, None);
}

#[derive(Clone, Debug)]
enum Event {
    Mark,
    Issue(Vec<FileRange>, bool),
    Requeue(Vec<FileRange>, bool),
    Fault(bool),
    Inserted(u64, u64),
    Evicted(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let ranges = || {
        prop::collection::vec(
            (0u16..2, 0u64..50, 0u64..20).prop_map(|(f, o, l)| range(f, o, l)),
            0..3,
        )
    };
    prop_oneof![
        2 => Just(Event::Mark),
        4 => (ranges(), any::<bool>()).prop_map(|(r, ahead)| Event::Issue(r, ahead)),
        1 => (ranges(), any::<bool>()).prop_map(|(r, ahead)| Event::Requeue(r, ahead)),
        1 => any::<bool>().prop_map(Event::Fault),
        1 => (0u64..9, 0u64..9).prop_map(|(bytes, refaulted)| Event::Inserted(bytes, refaulted)),
        1 => (0u64..9).prop_map(Event::Evicted),
    ]
}

/// With times of 0 – 60, and how much later each arrives.
fn events() -> impl Strategy<Value = Vec<(u64, u64, Event)>> {
    prop::collection::vec((0u64..60, 0u64..20, event()), 0..60)
}

fn fed(table: &PieceTable, events: &[(u64, u64, Event)]) -> StepSeries {
    let mut steps = StepSeries::new(Nanos(10));
    for (time, _, event) in events {
        let time = Nanos(*time);
        match event {
            Event::Mark => steps.mark(time),
            Event::Issue(ranges, ahead) => steps.issue(time, table, ranges, *ahead),
            Event::Requeue(ranges, ahead) => steps.requeue(time, table, ranges, *ahead),
            Event::Fault(major) => {
                steps.fault(time);
                if *major {
                    steps.major_fault(time);
                }
            }
            Event::Inserted(bytes, refaulted) => steps.inserted(time, *bytes, *refaulted),
            Event::Evicted(bytes) => steps.evicted(time, *bytes),
        }
    }
    steps
}

/// reads, issued, requeued, ahead issued, ahead requeued, faults, major, inserted, refaulted, evicted
type Counts = ([u64; 10], BTreeMap<u32, i64>);

fn count(counts: &mut Counts, table: &PieceTable, event: &Event) {
    let sums = &mut counts.0;
    match event {
        Event::Mark => {}
        Event::Issue(ranges, ahead) | Event::Requeue(ranges, ahead) => {
            let requeue = matches!(event, Event::Requeue(..));
            let bytes: u64 = ranges.iter().map(|range| range.length_bytes).sum();
            sums[0] += u64::from(!requeue);
            sums[1 + usize::from(requeue)] += bytes;
            sums[3 + usize::from(requeue)] += if *ahead { bytes } else { 0 };
            for (piece, bytes) in ranges.iter().flat_map(|r| table.range_overlaps(r)) {
                let bytes = if requeue {
                    -(bytes as i64)
                } else {
                    bytes as i64
                };
                *counts.1.entry(piece).or_default() += bytes;
            }
        }
        Event::Fault(major) => {
            sums[5] += 1;
            sums[6] += u64::from(*major);
        }
        Event::Inserted(bytes, refaulted) => {
            sums[7] += bytes;
            sums[8] += refaulted;
        }
        Event::Evicted(bytes) => sums[9] += bytes,
    }
}

proptest! {
    #[test]
    fn each_event_is_in_the_step_of_its_time(table in tables(2, 9), mut events in events()) {
        // A mark comes at once, and before the events of its time.
        events.sort_by_key(|(time, delay, event)| match event {
            Event::Mark => (*time, 0),
            _ => (time + delay, 1),
        });
        let found = fed(&table, &events).finish(Nanos(70));
        let mut starts: Vec<u64> = events
            .iter()
            .filter(|(.., event)| matches!(event, Event::Mark))
            .map(|(time, ..)| (*time).max(10))
            .collect();
        starts.insert(0, 10);
        prop_assert_eq!(found.len(), starts.len());
        for (index, step) in found.iter().enumerate() {
            let last = index + 1 == starts.len();
            let end = if last { 70 } else { starts[index + 1] };
            prop_assert_eq!((step.start_ns.0, step.end_ns.0), (starts[index], end));
            let mut counts = Counts::default();
            for (time, _, event) in &events {
                // Before the first step counts with the first; where several begin at 10, in the last of
                // them only from 10 on.
                let from = if index == 0 { 0 } else { starts[index] };
                if from <= *time && (last || *time < end) {
                    count(&mut counts, &table, event);
                }
            }
            // A time before the start lies in the first step alone.
            let sums = counts.0;
            prop_assert_eq!(
                [step.counts.reads, step.counts.read_bytes, step.excess_requeued_bytes, step.counts.readahead_bytes],
                [
                    sums[0], sums[1].saturating_sub(sums[2]), sums[2].saturating_sub(sums[1]),
                    sums[3].saturating_sub(sums[4]),
                ],
            );
            prop_assert_eq!(
                [step.counts.faults, step.counts.major_faults, step.counts.inserted_bytes, step.counts.refaulted_bytes,
                    step.counts.evicted_bytes],
                [sums[5], sums[6], sums[7], sums[8], sums[9]]
            );
            let pieces: Vec<_> = counts.1.iter()
                .filter(|(_, bytes)| **bytes > 0)
                .map(|(piece, bytes)| (*piece, *bytes as u64))
                .collect();
            prop_assert_eq!(step.pieces.as_ref(), Some(&pieces));
        }
    }

    #[test]
    fn the_steps_sum_to_the_total(table in tables(2, 9), events in events().prop_shuffle()) {
        let found = fed(&table, &events).finish(Nanos(70));
        let mut total = Counts::default();
        events.iter().for_each(|(.., event)| count(&mut total, &table, event));
        let sums = total.0;
        let sum = |of: fn(&StepFigures) -> u64| found.iter().map(of).sum::<u64>();
        prop_assert_eq!(sum(|step| step.counts.reads), sums[0]);
        prop_assert_eq!(
            sum(|step| step.counts.read_bytes) + sums[2],
            sums[1] + sum(|step| step.excess_requeued_bytes)
        );
        prop_assert_eq!(sum(|step| step.counts.faults), sums[5]);
        prop_assert_eq!(sum(|step| step.counts.major_faults), sums[6]);
        prop_assert_eq!(sum(|step| step.counts.inserted_bytes), sums[7]);
        prop_assert_eq!(sum(|step| step.counts.refaulted_bytes), sums[8]);
        prop_assert_eq!(sum(|step| step.counts.evicted_bytes), sums[9]);
        prop_assert!(found.windows(2).all(|pair| pair[0].end_ns == pair[1].start_ns));
    }
}
