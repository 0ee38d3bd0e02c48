//! Scripted lives of requests.

use std::collections::BTreeMap;

use crate::stats::{
    event::{Nanos, ReadCompleted, ReadIssued, ReadRequeued, RequestId},
    reads::open_reads::OpenRead,
};

use super::{Completion, Issue, RequestCounts, RequestTally};

/// One step of a script: request, and what happens to it. Sizes in sectors.
#[derive(Clone, Copy)]
enum Step {
    Issue(u64, u64, u64),
    Again(u64, u64, u64),
    Part(u64, u64),
    Last(u64, u64),
    FailedLast(u64, u64),
    Requeue(u64, u64),
}
use Step::{Again, FailedLast, Issue as First, Last, Part, Requeue};

/// Plays a script, one step a microsecond, and gives the counts, the latencies and what the issues were.
fn play(steps: &[Step]) -> (RequestCounts, Vec<u64>, Vec<Issue>) {
    let mut tally = RequestTally::default();
    let mut open: BTreeMap<u64, Option<OpenRead>> = BTreeMap::new();
    let (mut latencies, mut issues) = (Vec::new(), Vec::new());
    for (step, time) in steps.iter().zip((1u64..).map(|step| Nanos(step * 1000))) {
        let issue = |request, sector: u64, sectors: u64, reissue| ReadIssued {
            time,
            request: RequestId(request),
            device: 0,
            start_sector: sector,
            end_sector: sector + sectors,
            request_start_sector: sector,
            request_bytes: (sectors * 512) as u32,
            bytes: sectors * 512,
            previous_end: None,
            file_position: None,
            process_id: 1,
            thread_id: 1,
            reissue,
            readahead: false,
            metadata: false,
            synchronous: true,
        };
        let request = match *step {
            First(request, ..) | Again(request, ..) => request,
            Part(request, _) | Last(request, _) | FailedLast(request, _) => request,
            Requeue(request, _) => request,
        };
        let open = open.entry(request).or_default();
        let mut complete = |sectors: u64, failed, last| {
            let request = RequestId(request);
            let part = ReadCompleted {
                time,
                request,
                bytes: sectors * 512,
                failed,
                last,
            };
            if let Completion::Matched {
                latency_nanos: Some(nanos),
                ..
            } = tally.complete(open, &part)
            {
                latencies.push(nanos);
            }
        };
        match *step {
            First(request, sector, sectors) => {
                issues.push(tally.issue(open, &issue(request, sector, sectors, false)));
            }
            Again(request, sector, sectors) => {
                issues.push(tally.issue(open, &issue(request, sector, sectors, true)));
            }
            Part(_, sectors) => complete(sectors, false, false),
            Last(_, sectors) => complete(sectors, false, true),
            FailedLast(_, sectors) => complete(sectors, true, true),
            Requeue(request, sectors) => {
                let requeued = ReadRequeued {
                    time,
                    request: RequestId(request),
                    bytes: sectors * 512,
                };
                tally.requeue(open, &requeued);
            }
        }
    }
    let counts = tally.counts();
    assert_eq!(tally.with_driver(), counts.in_flight_reads);
    (counts, latencies, issues)
}

fn holds(counts: &RequestCounts) -> bool {
    counts.total_bytes() == counts.accounted_bytes()
        && counts.reads == counts.accounted_reads()
        && counts.missed_events() == 0
}

#[test]
fn plain_reads() {
    let (counts, latencies, issues) = play(&[
        First(1, 0, 8),
        First(2, 8, 8),
        Last(1, 8),
        Last(2, 8),
        First(1, 16, 8),
    ]);
    assert_eq!(
        (counts.reads, counts.completed_reads, counts.in_flight_reads),
        (3, 2, 1)
    );
    assert_eq!(
        (counts.total_bytes(), counts.in_flight_bytes),
        (24 * 512, 8 * 512)
    );
    assert_eq!(latencies, [2000, 2000]);
    let depth = |queue_depth| Issue::First { queue_depth };
    assert_eq!(issues, [depth(1), depth(2), depth(1)]);
    assert!(holds(&counts));
}

#[test]
fn a_requeue_at_the_same_sector_is_no_second_read() {
    let (counts, latencies, issues) =
        play(&[First(1, 0, 8), Requeue(1, 8), Again(1, 0, 8), Last(1, 8)]);
    assert_eq!(
        (
            counts.reads,
            counts.reissues,
            counts.remainders,
            counts.requeues
        ),
        (1, 1, 0, 1)
    );
    assert_eq!(
        (counts.issued_bytes, counts.total_bytes()),
        (16 * 512, 8 * 512)
    );
    assert_eq!(latencies, [3000], "from the first issue");
    assert_eq!(issues[1], Issue::Reissue);
    assert!(holds(&counts));
}

#[test]
fn a_remainder_at_a_later_sector_is_no_second_read() {
    let (counts, latencies, issues) = play(&[
        First(1, 0, 100),
        Part(1, 40),
        Requeue(1, 60),
        Again(1, 40, 60),
        Last(1, 60),
    ]);
    assert_eq!(
        (counts.reads, counts.reissues, counts.remainders),
        (1, 0, 1)
    );
    assert_eq!(
        (counts.total_bytes(), counts.completed_bytes),
        (100 * 512, 100 * 512)
    );
    assert_eq!((latencies, issues[1]), (vec![4000], Issue::Remainder));
    assert!(holds(&counts));
}

#[test]
fn a_remainder_without_a_requeue_event_counts_once_too() {
    let (counts, _, _) = play(&[First(1, 0, 100), Part(1, 40), Again(1, 40, 60), Last(1, 60)]);
    assert_eq!(
        (
            counts.reads,
            counts.remainders,
            counts.implied_requeued_bytes
        ),
        (1, 1, 60 * 512)
    );
    assert_eq!(counts.total_bytes(), 100 * 512);
    assert!(holds(&counts));
}

#[test]
fn a_remainder_that_is_refused_again_is_one_read() {
    let (counts, latencies, _) = play(&[
        First(1, 0, 100),
        Part(1, 40),
        Requeue(1, 60),
        Again(1, 40, 60),
        Requeue(1, 60),
        Again(1, 40, 60),
        Last(1, 60),
    ]);
    assert_eq!(
        (
            counts.reads,
            counts.remainders,
            counts.reissues,
            counts.requeues
        ),
        (1, 1, 1, 2)
    );
    assert_eq!(latencies, [6000]);
    assert!(holds(&counts));
}

#[test]
fn a_remainder_may_fail() {
    let (counts, latencies, _) = play(&[
        First(1, 0, 100),
        Part(1, 40),
        Requeue(1, 60),
        Again(1, 40, 60),
        FailedLast(1, 60),
    ]);
    assert_eq!((counts.completed_reads, counts.failed_reads), (0, 1));
    assert_eq!(
        (counts.completed_bytes, counts.failed_bytes),
        (40 * 512, 60 * 512)
    );
    assert_eq!(latencies.len(), 1);
    assert!(holds(&counts));
}

#[test]
fn a_remainder_may_have_grown_to_the_front() {
    let (counts, _, issues) = play(&[
        First(1, 100, 100),
        Part(1, 40),
        Requeue(1, 60),
        Again(1, 100, 100),
        Last(1, 100),
    ]);
    assert_eq!(issues[1], Issue::Remainder);
    assert_eq!((counts.reads, counts.total_bytes()), (1, 140 * 512));
    assert!(holds(&counts));
}

#[test]
fn a_requeued_read_may_come_back_larger() {
    let (counts, _, issues) = play(&[
        First(1, 100, 8),
        Requeue(1, 8),
        Again(1, 92, 24),
        Last(1, 24),
    ]);
    assert_eq!((counts.reads, counts.reissues), (1, 1));
    assert_eq!(
        (counts.total_bytes(), counts.completed_bytes),
        (24 * 512, 24 * 512)
    );
    assert_eq!(issues[1], Issue::Reissue);
    assert!(holds(&counts));
}

#[test]
fn a_requeued_read_may_be_absorbed_by_a_neighbour() {
    // Request 2 was merged into request 1 while both were queued; its id then names another read.
    let (counts, _, _) = play(&[
        First(1, 0, 8),
        First(2, 8, 8),
        Requeue(1, 8),
        Requeue(2, 8),
        Again(1, 0, 16),
        First(2, 64, 8),
        Last(1, 16),
        Last(2, 8),
    ]);
    assert_eq!(
        (counts.reads, counts.completed_reads, counts.absorbed_reads),
        (3, 2, 1)
    );
    assert_eq!(counts.total_bytes(), 24 * 512);
    assert!(holds(&counts));
}

#[test]
fn a_requeued_read_at_the_end_is_not_in_flight() {
    let (counts, _, _) = play(&[First(1, 0, 8), First(2, 8, 8), Requeue(1, 8)]);
    assert_eq!(
        (counts.in_flight_reads, counts.requeued_waiting_reads),
        (1, 1)
    );
    assert_eq!(counts.total_bytes(), 8 * 512);
    assert!(holds(&counts));
}

#[test]
fn a_last_part_outside_the_model_ends_the_read_untimed() {
    // Ended by an event without bytes of the model, by the next use of the request, or not at all.
    for steps in [
        &[First(1, 0, 8), Part(1, 8), Last(1, 0)][..],
        &[First(1, 0, 8), Part(1, 8), First(1, 64, 8), Last(1, 8)],
        &[First(1, 0, 8), Part(1, 8)],
    ] {
        let (counts, _, _) = play(steps);
        assert_eq!(
            (
                counts.ended_outside_reads,
                counts.missed_completions,
                counts.in_flight_reads
            ),
            (1, 0, 0)
        );
        assert!(holds(&counts));
    }
}

#[test]
fn a_completion_without_issue_is_counted_and_not_timed() {
    let (counts, latencies, _) = play(&[Last(9, 8), Part(9, 4), Last(9, 0)]);
    assert_eq!(
        (counts.unmatched_completions, counts.unmatched_bytes),
        (2, 12 * 512)
    );
    assert_eq!((counts.completed_reads, counts.completed_bytes), (0, 0));
    assert!(latencies.is_empty() && holds(&counts));
}

#[test]
fn a_missed_completion_shows_at_the_next_use_of_the_request() {
    let (counts, latencies, _) = play(&[First(1, 0, 8), First(1, 64, 8), Last(1, 8)]);
    assert_eq!(
        (
            counts.reads,
            counts.completed_reads,
            counts.missed_completions
        ),
        (2, 1, 1)
    );
    assert_eq!(counts.missing_bytes, 8 * 512);
    assert_eq!(latencies, [1000], "not from the first read's issue");
    assert!(!holds(&counts) && counts.total_bytes() != counts.accounted_bytes());
}

#[test]
fn a_missed_partial_completion_shows() {
    let (counts, _, _) = play(&[
        First(1, 0, 100),
        Requeue(1, 60),
        Again(1, 40, 60),
        Last(1, 60),
    ]);
    assert_eq!(counts.missing_bytes, 40 * 512);
    assert!(!holds(&counts) && counts.total_bytes() != counts.accounted_bytes());
}

#[test]
fn a_missed_first_issue_shows() {
    let (counts, latencies, _) = play(&[Requeue(1, 8), Again(1, 0, 8), Last(1, 8)]);
    assert_eq!(
        (
            counts.unmatched_requeues,
            counts.reissues_without_issue,
            counts.untimed_reads
        ),
        (1, 1, 1)
    );
    assert!(latencies.is_empty() && !holds(&counts));
}

#[test]
fn a_reissue_alone_shows_that_its_first_issue_was_missed() {
    let (counts, latencies, _) = play(&[Again(1, 0, 8), Last(1, 8)]);
    assert_eq!((counts.missed_events(), counts.untimed_reads), (1, 1));
    assert!(latencies.is_empty() && !holds(&counts));
}

#[test]
fn more_bytes_than_were_outstanding_show() {
    let (counts, _, _) = play(&[First(1, 0, 8), Last(1, 9)]);
    assert_eq!(counts.excess_bytes, 512);
    assert!(!holds(&counts) && counts.total_bytes() != counts.accounted_bytes());
}

#[test]
fn an_end_that_was_not_seen_frees_the_request_and_is_counted() {
    let mut tally = RequestTally::default();
    let (mut first, mut second) = (None, None);
    let issued = |request, time| ReadIssued {
        time: Nanos(time),
        request: RequestId(request),
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
        reissue: false,
        readahead: false,
        metadata: false,
        synchronous: true,
    };
    tally.issue(&mut first, &issued(1, 10));
    tally.issue(&mut second, &issued(2, 20));
    tally.end_unseen(&first.take().expect("it is open"));
    assert_eq!(tally.with_driver(), 1);
    let counts = tally.counts();
    assert_eq!((counts.missed_completions, counts.missing_bytes), (1, 4096));
    assert_eq!((counts.in_flight_reads, counts.in_flight_bytes), (1, 4096));
    // Its request begins anew as an ordinary read.
    let again = tally.issue(&mut first, &issued(1, 30));
    assert!(matches!(again, Issue::First { .. }));
}
