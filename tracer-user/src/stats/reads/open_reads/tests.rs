//! The table under scripts of a simulated device.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use smallvec::smallvec;

use crate::stats::{
    ModelAccumulator, Nanos, ReadCompleted, ReadIssued, ReadRequeued,
    event::{FileRange, Part, Parts, RequestId},
    simulated_device::{Device, Event, Script, script, simulate},
};

use super::{OpenReads, RequestKey, RequestPlace};

/// Units of the simulated device alternate between two models, so that most requests are of both.
const STRIPE_BYTES: u64 = 64 * 512 * 3;

fn locate(file: u16, from_bytes: u64, bytes: u64) -> Parts {
    let mut parts = Parts::new();
    let (mut at, end) = (from_bytes, from_bytes + bytes);
    while at < end {
        let to = end.min((at / STRIPE_BYTES + 1) * STRIPE_BYTES);
        let model = (at / STRIPE_BYTES % 2) as u16;
        let range = FileRange {
            file,
            offset_bytes: at,
            length_bytes: to - at,
        };
        match parts.iter_mut().find(|part| part.model == model) {
            Some(part) => {
                part.end_sector = to / 512;
                part.bytes += range.length_bytes;
                part.ranges.push(range);
            }
            None => parts.push(Part {
                model,
                start_sector: at / 512,
                end_sector: to / 512,
                bytes: range.length_bytes,
                ranges: smallvec![range],
            }),
        }
        at = to;
    }
    parts
}

/// Where an event's request lies: device, and its place in the file as sectors.
fn place_of(event: &Event, devices: &BTreeMap<RequestId, (u8, u64, u64)>) -> (u8, RequestPlace) {
    match event {
        Event::Issued(read) => {
            let position = read.file_position.expect("one piece");
            let place = RequestPlace {
                sector: position.offset_bytes / 512,
                bytes: read.bytes,
            };
            (read.device, place)
        }
        Event::Completed(part, ranges) => {
            let place = RequestPlace {
                sector: ranges[0].offset_bytes / 512,
                bytes: part.bytes,
            };
            (ranges[0].file as u8, place)
        }
        Event::Requeued(part) => {
            // The script gives back what is left of the request: its end stays.
            let (device, _, end) = devices[&part.request];
            let place = RequestPlace {
                sector: (end - part.bytes) / 512,
                bytes: part.bytes,
            };
            (device, place)
        }
    }
}

/// What the table gave out of a script.
#[derive(Debug, Default)]
struct Played {
    open: OpenReads,
    /// Sum over the models of reads and bytes by what became of them.
    begun: u64,
    ended: u64,
    located: u64,
    /// Events whose sectors are not those of the issue before.
    elsewhere: u64,
    models: Vec<ModelAccumulator>,
}

fn play(events: &[Event], device: &Device) -> Played {
    let mut played = Played {
        models: vec![ModelAccumulator::new(Nanos(0), device.files()); 2],
        ..Played::default()
    };
    // By request: device, and the bytes of its latest issue.
    let mut latest: BTreeMap<RequestId, (u8, u64, u64)> = BTreeMap::new();
    for event in events {
        let (device, place) = place_of(event, &latest);
        let from = place.sector * 512;
        let parts = locate(device.into(), from, place.bytes);
        let Played {
            open,
            begun,
            ended,
            located,
            elsewhere,
            models,
        } = &mut played;
        let key = |request| RequestKey { device, request };
        let look_up = || {
            *located += 1;
            parts.clone()
        };
        match event {
            Event::Issued(read) => {
                // A read that ended at this address leaves no trace; one that did not keeps its place.
                let same = latest.get(&read.request) == Some(&(device, from, from + place.bytes));
                let known = read.reissue && same;
                *elsewhere += u64::from(!known);
                latest.insert(read.request, (device, from, from + place.bytes));
                open.issue(key(read.request), place, None, look_up, |event| {
                    let part = event.part.expect("an issue has a part");
                    assert!(parts.contains(part));
                    *begun += u64::from(event.read.is_none());
                    let read = ReadIssued {
                        bytes: part.bytes,
                        start_sector: part.start_sector,
                        end_sector: part.end_sector,
                        previous_end: None,
                        file_position: part.file_position(),
                        ..*read
                    };
                    models[usize::from(event.model)].issue(event.read, &read);
                });
            }
            Event::Completed(part, _) => {
                let (_, issued_from, end) = latest[&part.request];
                *elsewhere += u64::from((issued_from, end) != (from, from + place.bytes));
                open.complete(key(part.request), place, part.last, look_up, |event| {
                    let ranges = event.part.map_or(&[][..], |part| {
                        assert!(parts.contains(part));
                        &part.ranges
                    });
                    let completed = ReadCompleted {
                        bytes: event.part.map_or(0, |part| part.bytes),
                        ..*part
                    };
                    let was_open = event.read.is_some();
                    models[usize::from(event.model)].complete(event.read, &completed, ranges);
                    *ended += u64::from(was_open && event.read.is_none());
                });
            }
            Event::Requeued(part) => {
                let (_, issued_from, end) = latest[&part.request];
                *elsewhere += u64::from((issued_from, end) != (from, from + place.bytes));
                open.requeue(key(part.request), place, look_up, |event| {
                    let requeued = ReadRequeued {
                        bytes: event.part.map_or(0, |part| part.bytes),
                        ..*part
                    };
                    models[usize::from(event.model)].requeue(event.read, &requeued);
                });
            }
        }
    }
    played
}

fn reads_of(played: &Played, model: u16) -> impl Iterator<Item = &super::OpenRead> {
    played
        .open
        .reads()
        .filter_map(move |(own, read)| (own == model).then_some(read))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// Every read leaves the table exactly once: what has begun has ended or is in it, and at the end of the script it
    /// holds what the device holds.
    #[test]
    fn every_read_leaves_exactly_once(script in script()) {
        let device = Device::default();
        let played = play(&simulate(&script, &device).events, &device);
        let left = played.open.reads().count() as u64;
        prop_assert_eq!(played.begun, played.ended + left);
        let requests: BTreeSet<_> = played.open.requests.keys().map(|key| key.request).collect();
        prop_assert_eq!(requests.len(), played.open.requests.len());
        let figures: Vec<_> = played.models.iter().map(|model| model.request_counts()).collect();
        let begun: u64 = figures.iter().map(|counts| counts.reads).sum();
        // A part that only a grown request touches begins without a first issue.
        let unseen: u64 = figures.iter().map(|counts| counts.reissues_without_issue).sum();
        prop_assert_eq!(played.begun, begun + unseen);
    }

    /// What the figures say of the reads that are open is what counting them in the table gives.
    #[test]
    fn the_figures_of_open_reads_are_those_of_the_table(script in script()) {
        let device = Device::default();
        let simulated = simulate(&script, &device);
        for length in 0..=simulated.events.len() {
            if length % 7 != 0 && length != simulated.events.len() {
                continue;
            }
            let played = play(&simulated.events[..length], &device);
            for model in 0..2u16 {
                let counts = played.models[usize::from(model)].request_counts();
                let with_driver: Vec<u64> = reads_of(&played, model)
                    .filter(|read| read.is_with_driver())
                    .map(|read| read.outstanding_bytes)
                    .collect();
                prop_assert_eq!(counts.in_flight_reads, with_driver.len() as u64);
                prop_assert_eq!(counts.in_flight_bytes, with_driver.iter().sum::<u64>());
                let queued = reads_of(&played, model).filter(|read| read.requeued).count();
                prop_assert_eq!(counts.requeued_waiting_reads, queued as u64);
            }
        }
    }

    /// Parts are looked up when the sectors are others than those of the request's issue, and at no other time; and
    /// what is remembered is what a look-up gives.
    #[test]
    fn parts_are_looked_up_only_where_the_sectors_are_others(script in script()) {
        let device = Device::default();
        let played = play(&simulate(&script, &device).events, &device);
        prop_assert!(played.located <= played.elsewhere, "{} {}", played.located, played.elsewhere);
    }
}

#[test]
fn requests_of_two_devices_with_one_address_are_two() {
    let mut open = OpenReads::default();
    let place = RequestPlace {
        sector: 0,
        bytes: 512,
    };
    let mut model = ModelAccumulator::new(Nanos(0), Vec::new());
    let Event::Issued(read) = &simulate(&Script::sequential(1, 2), &Device::default()).events[0]
    else {
        panic!("a read begins with its issue");
    };
    for device in 0..2 {
        let key = RequestKey {
            device,
            request: RequestId(1),
        };
        open.issue(
            key,
            place,
            Some(0),
            || locate(0, 0, 512),
            |event| {
                assert!(event.read.is_none());
                model.issue(event.read, read);
            },
        );
    }
    let mut ended = 0;
    let key = RequestKey {
        device: 1,
        request: RequestId(1),
    };
    for _ in 0..2 {
        open.end_unseen(key, |own, read, ranges| {
            assert_eq!((own, ranges.len(), read.begun()), (0, 1, read.begun));
            ended += 1;
        });
    }
    assert_eq!((ended, open.reads().count()), (1, 1));
}

#[test]
fn an_issue_that_nobody_takes_leaves_nothing() {
    let mut open = OpenReads::default();
    let key = RequestKey {
        device: 0,
        request: RequestId(1),
    };
    let place = RequestPlace {
        sector: 0,
        bytes: 512,
    };
    open.issue(
        key,
        place,
        Some(7),
        || locate(0, 0, 512),
        |event| {
            assert!(event.part.is_none() && event.read.is_none());
        },
    );
    assert!(open.requests.is_empty());
}
