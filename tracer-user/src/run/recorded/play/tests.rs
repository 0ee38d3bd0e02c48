use std::{
    fs,
    time::{Duration, Instant},
};

use crate::{
    recording::{END, RECORDING},
    run::recorded::{
        Selection, reopen,
        replay::tests::{Drawn, events, recorded, setup},
    },
};

use super::{PlayedMoment, Player, Speed};

fn drawn() -> Vec<Drawn> {
    let number = |number: u16| {
        (
            (number % 11) as u8,
            number.wrapping_mul(37),
            (number % 251) as u8,
        )
    };
    (0..2_000u16).map(number).collect()
}

fn read_bytes(moment: &PlayedMoment) -> u64 {
    let reads = moment.run.models[0].reads.expect("its sectors are known");
    reads.total_bytes
}

const NEVER: fn() -> bool = || false;

#[test]
fn the_last_moment_has_the_figures_of_the_run() {
    let folder = tempfile::tempdir().expect("scratch");
    recorded(folder.path(), &setup(), &events(&drawn()));
    let whole = reopen(folder.path(), &Selection::whole()).expect("a recording");
    let (player, handle) =
        Player::open(folder.path(), Duration::ZERO, Speed::UNLIMITED).expect("a recording");
    assert_eq!(player.begun().recorded_s, Some(0.5));
    let end = player.play(NEVER);
    drop(handle);
    assert_eq!(end.incomplete, None);
    let last = end.last.expect("it was played to its end");
    assert_eq!(last.run.at_s, 0.5);
    assert!(last.run.losses.is_none() && last.run.tracer_cpu_s.is_none());
    let model = whole.record.single.expect("one model");
    let (own, reads) = (&last.run.models[0], model.reads.expect("reads"));
    let shown = own.reads.expect("reads");
    assert_eq!(shown.count, reads.amount.count);
    assert_eq!(shown.total_bytes, reads.amount.total_bytes);
    assert_eq!(shown.completed_bytes, reads.completed_bytes);
    assert_eq!(shown.unique_bytes, Some(reads.amount.unique_bytes));
    assert_eq!(shown.gaps.iter().sum::<u64>(), reads.amount.count - 1);
    let waits = own.waits.expect("waits were observed");
    // Phases cut the run, and so its waits.
    let phases = model.phases.expect("phases");
    for (shown, by_phase) in [
        (
            waits.stall_s,
            phases.iter().map(|phase| phase.waits.stall_s).sum(),
        ),
        (
            waits.reclaim_s,
            phases
                .iter()
                .map(|phase| phase.waits.reclaim_s)
                .sum::<Option<f64>>(),
        ),
    ] {
        let (shown, by_phase) = (shown.expect("observed"), by_phase.expect("observed"));
        assert!(
            shown > 0.0 && (shown - by_phase).abs() < 1e-9,
            "{shown} {by_phase}"
        );
    }
    let kinds: u64 = own.parts.kinds.iter().map(|part| part.read_bytes).sum();
    assert_eq!(kinds, reads.amount.total_bytes);
    let drawn = events(&drawn());
    let faults = drawn.iter().filter(|event| {
        matches!(event, crate::recording::RecordedEvent::Kernel(
            tracer_common::record::Record::Page(page)
        ) if page.event == tracer_common::record::page_event::FAULT)
    });
    assert_eq!(own.pages.faults, Some(faults.count() as u64));
    assert!(own.pages.refaults.is_some_and(|refaults| refaults > 0));
}

#[test]
fn it_stands_still_in_a_pause_and_goes_on_where_it_was() {
    let folder = tempfile::tempdir().expect("scratch");
    recorded(folder.path(), &setup(), &events(&drawn()));
    // The events are in the first 0.07 seconds.
    let slow: Speed = "0.05".parse().expect("a speed");
    let (player, handle) = Player::open(folder.path(), Duration::ZERO, slow).expect("a recording");
    let watching = std::thread::spawn(move || {
        let moment = || {
            handle
                .moments(Duration::from_secs(1))
                .pop()
                .expect("an answer")
        };
        let sleep = |millis| std::thread::sleep(Duration::from_millis(millis));
        sleep(200);
        handle.set_paused(true);
        sleep(100);
        let first = moment();
        sleep(300);
        let still = moment();
        handle.set_paused(false);
        sleep(300);
        (first, still, moment())
    });
    let end = player.play(NEVER);
    // Who asked has gone.
    assert!(end.last.is_none());
    let (first, still, later) = watching.join().expect("no panic");
    assert!(first.run.at_s > 0.0);
    assert_eq!(first.run.at_s, still.run.at_s);
    assert_eq!(read_bytes(&first), read_bytes(&still));
    assert!(
        later.run.at_s > still.run.at_s + 0.01,
        "{} {}",
        still.run.at_s,
        later.run.at_s
    );
    assert!(later.run.at_s < 0.2 && read_bytes(&later) > read_bytes(&still));
}

#[test]
fn it_takes_the_time_that_was_asked_for() {
    let folder = tempfile::tempdir().expect("scratch");
    recorded(folder.path(), &setup(), &events(&drawn()));
    let twice = Speed::AS_IT_WAS.faster();
    let (player, _handle) = Player::open(folder.path(), Duration::ZERO, twice).expect("one");
    let begun = Instant::now();
    let end = player.play(NEVER);
    // Half a second of the run, of which nothing happens in the most.
    assert!(
        begun.elapsed() >= Duration::from_millis(250),
        "{:?}",
        begun.elapsed()
    );
    assert!(end.last.is_some());
}

#[test]
fn what_came_before_is_taken_in_at_once_and_moments_are_kept_for_who_asks_late() {
    let folder = tempfile::tempdir().expect("scratch");
    recorded(folder.path(), &setup(), &events(&drawn()));
    let from = Duration::from_millis(450);
    let slow: Speed = "0.05".parse().expect("a speed");
    let (player, handle) = Player::open(folder.path(), from, slow).expect("one");
    let watching = std::thread::spawn(move || {
        std::thread::sleep(Duration::from_millis(200));
        handle.moments(Duration::from_secs(1))
    });
    let end = player.play(NEVER);
    // Who asked has gone.
    assert!(end.last.is_none());
    let moments = watching.join().expect("no panic");
    let times: Vec<f64> = moments.iter().map(|moment| moment.run.at_s).collect();
    assert!(times.is_sorted(), "{times:?}");
    assert!(times.last().is_some_and(|last| *last >= 0.45), "{times:?}");
    assert_eq!(times.first(), Some(&0.0));
}

#[test]
fn it_ends_when_it_is_told_to_and_says_what_is_missing() {
    let folder = tempfile::tempdir().expect("scratch");
    recorded(folder.path(), &setup(), &events(&drawn()));
    let slow: Speed = "0.02".parse().expect("a speed");
    let (player, handle) = Player::open(folder.path(), Duration::ZERO, slow).expect("one");
    let begun = Instant::now();
    let end = player.play(|| begun.elapsed() > Duration::from_millis(100));
    assert!(end.last.is_none() && begun.elapsed() < Duration::from_secs(5));
    drop(handle);
    fs::remove_file(folder.path().join(RECORDING).join(END)).expect("it is there");
    let (player, _handle) =
        Player::open(folder.path(), Duration::ZERO, Speed::UNLIMITED).expect("a part");
    assert_eq!(player.begun().recorded_s, None);
    let why = player.play(NEVER).incomplete.expect("it has no end");
    assert!(why.contains("was killed"), "{why}");
}
