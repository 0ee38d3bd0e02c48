//! A device for tests: plays a script of reads, with requeues, partial completions and errors, as the
//! events that the kernel would write, and keeps a naive count of what really happened.
//!
//! Two devices, each with one file from sector [`BASE`] on. Everything is a multiple of [`UNIT`] sectors, so
//! that the naive count can mark every unit.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::{
    FileData, FilePosition, FileRange, Nanos, ReadCompleted, ReadIssued, ReadRequeued, RequestId,
};

pub const BASE: u64 = 4_096;
const UNIT: u64 = 64;
const UNIT_BYTES: u64 = UNIT * 512;

/// What becomes of a read.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    Completes,
    Fails,
    StaysInFlight,
    StaysQueued,
    /// Refused so many times.
    Refused(u8),
    /// Comes back in two parts; the second one fails or not.
    Partial {
        fails: bool,
    },
    /// Refused, and issued again with the unit after it merged in.
    Grows,
}

/// One read: where, in units of its device's file, and how long its steps take, in steps of the script.
#[derive(Clone, Copy, Debug)]
pub struct Operation {
    device: u8,
    start: u64,
    length: u64,
    fate: Fate,
    delay: u64,
}

#[derive(Clone, Debug)]
pub struct Script(Vec<Operation>);

impl Script {
    /// Reads one after the other, `length` units each.
    pub fn sequential(reads: u64, length: u64) -> Self {
        let fate = Fate::Completes;
        Self(
            (0..reads)
                .map(|read| Operation {
                    device: 0,
                    start: read * length,
                    length,
                    fate,
                    delay: 1,
                })
                .collect(),
        )
    }
}

/// Any script: runs of sequential reads, jumps over every class of gap, repeats.
pub fn script() -> impl Strategy<Value = Script> {
    let fate = prop_oneof![
        12 => Just(Fate::Completes),
        1 => Just(Fate::Fails),
        1 => Just(Fate::StaysInFlight),
        1 => Just(Fate::StaysQueued),
        2 => (1u8..4).prop_map(Fate::Refused),
        2 => any::<bool>().prop_map(|fails| Fate::Partial { fails }),
        1 => Just(Fate::Grows),
    ];
    // A jump of 0 continues; the others come from anywhere in the file.
    let operation = (
        0u8..2,
        prop_oneof![Just(None), (0u64..190).prop_map(Some)],
        2u64..9,
        fate,
        0u64..12,
    );
    prop::collection::vec(operation, 0..80).prop_map(|operations| {
        let mut next = [0u64; 2];
        let operation = |(device, jump, length, fate, delay): (u8, Option<u64>, u64, Fate, u64)| {
            let next = &mut next[usize::from(device)];
            let start = jump.unwrap_or(*next % 190);
            *next = start + length;
            Operation {
                device,
                start,
                length,
                fate,
                delay,
            }
        };
        Script(operations.into_iter().map(operation).collect())
    })
}

/// The two devices.
#[derive(Clone, Copy, Debug)]
pub struct Device {
    /// Units in each file.
    pub units: u64,
    /// Bytes that each file's size exceeds its data by.
    pub holes: u64,
    /// Leave out reads that end where an earlier one of their device did.
    pub distinct_ends: bool,
}

impl Default for Device {
    fn default() -> Self {
        Self {
            units: 200,
            holes: 4096,
            distinct_ends: false,
        }
    }
}

impl Device {
    pub fn files(&self) -> Vec<FileData> {
        let size_bytes = self.units * UNIT_BYTES + self.holes;
        vec![
            FileData {
                size_bytes,
                hole_bytes: self.holes
            };
            2
        ]
    }
}

#[derive(Clone, Debug)]
pub enum Event {
    Issued(ReadIssued),
    Completed(ReadCompleted, Vec<FileRange>),
    Requeued(ReadRequeued),
}

impl Event {
    const fn request(&self) -> RequestId {
        match self {
            Self::Issued(read) => read.request,
            Self::Completed(part, _) => part.request,
            Self::Requeued(part) => part.request,
        }
    }
}

/// What really happened.
#[derive(Clone, Debug, Default)]
pub struct Truth {
    pub reads: u64,
    pub total_bytes: u64,
    pub unique_bytes: u64,
    pub failed_bytes: u64,
    pub requeues: u64,
    pub in_flight_reads: u64,
    pub ended_reads: u64,
    pub gaps: [u64; 5],
    /// Backward gaps: overlapping, exact repeats among them, apart.
    pub backward: [u64; 3],
    pub last_ends: BTreeMap<u8, u64>,
}

pub struct Simulated {
    pub events: Vec<Event>,
    pub truth: Truth,
}

impl Simulated {
    /// The events displaced by up to `noise` places, each request's own in their order.
    pub fn reordered(&self, noise: &[u8]) -> Vec<Event> {
        let mut places: BTreeMap<RequestId, usize> = BTreeMap::new();
        let mut events: Vec<_> = self
            .events
            .iter()
            .enumerate()
            .map(|(index, event)| {
                let place = places.entry(event.request()).or_default();
                *place = (*place).max(index + usize::from(noise[index % noise.len()]));
                (*place, event.clone())
            })
            .collect();
        events.sort_by_key(|(place, _)| *place);
        events.into_iter().map(|(_, event)| event).collect()
    }
}

/// What is still to happen to a read; the first and the last unit of what it is about, file-relative.
#[derive(Clone, Copy)]
enum Next {
    Requeue(u64, u64),
    Again(u64, u64),
    Arrive {
        from: u64,
        to: u64,
        failed: bool,
        last: bool,
    },
}

fn steps(operation: &Operation) -> Vec<Next> {
    let (from, to) = (operation.start, operation.start + operation.length);
    let last = |from, to, failed| Next::Arrive {
        from,
        to,
        failed,
        last: true,
    };
    match operation.fate {
        Fate::Completes => vec![last(from, to, false)],
        Fate::Fails => vec![last(from, to, true)],
        Fate::StaysInFlight => vec![],
        Fate::StaysQueued => vec![Next::Requeue(from, to)],
        Fate::Refused(times) => {
            let mut steps =
                [Next::Requeue(from, to), Next::Again(from, to)].repeat(usize::from(times));
            steps.push(last(from, to, false));
            steps
        }
        Fate::Partial { fails } => {
            let middle = from + operation.length / 2;
            let part = Next::Arrive {
                from,
                to: middle,
                failed: false,
                last: false,
            };
            vec![
                part,
                Next::Requeue(middle, to),
                Next::Again(middle, to),
                last(middle, to, fails),
            ]
        }
        Fate::Grows => {
            vec![
                Next::Requeue(from, to),
                Next::Again(from, to + 1),
                last(from, to + 1, false),
            ]
        }
    }
}

/// Plays a script. Every event takes a microsecond.
pub fn simulate(script: &Script, device: &Device) -> Simulated {
    let mut play = Play {
        events: Vec::new(),
        truth: Truth::default(),
        arrived: vec![vec![false; device.units as usize + 1]; 2],
        previous: BTreeMap::new(),
    };
    let mut used_ends = BTreeSet::new();
    let mut free_requests: BTreeSet<u64> = BTreeSet::new();
    let mut next_request = 0;
    // (due step, number) → request, operation, steps left.
    let mut due: BTreeMap<(u64, usize), (u64, Operation, Vec<Next>)> = BTreeMap::new();
    let count = script.0.len() as u64;
    for (step, operation) in (0u64..).zip(&script.0) {
        let end = operation.start + operation.length;
        if !device.distinct_ends || used_ends.insert((operation.device, end)) {
            let request = free_requests.pop_first().unwrap_or_else(|| {
                next_request += 1;
                next_request
            });
            play.first_issue(request, operation);
            play.truth.in_flight_reads += u64::from(matches!(operation.fate, Fate::StaysInFlight));
            let mut left = steps(operation);
            left.reverse();
            let key = (step + operation.delay, play.events.len());
            due.insert(key, (request, *operation, left));
        }
        let horizon = if step + 1 == count { u64::MAX } else { step };
        while let Some((key, (request, operation, mut left))) = due.pop_first() {
            if key.0 > horizon {
                due.insert(key, (request, operation, left));
                break;
            }
            let Some(next) = left.pop() else { continue };
            if play.step(request, operation.device, next) {
                free_requests.insert(request);
            } else {
                due.insert(
                    (key.0 + 1 + operation.delay / 4, play.events.len()),
                    (request, operation, left),
                );
            }
        }
    }
    let units = play
        .arrived
        .iter()
        .flatten()
        .filter(|arrived| **arrived)
        .count() as u64;
    play.truth.unique_bytes = units * UNIT_BYTES;
    Simulated {
        events: play.events,
        truth: play.truth,
    }
}

struct Play {
    events: Vec<Event>,
    truth: Truth,
    arrived: Vec<Vec<bool>>,
    previous: BTreeMap<u8, (u64, u64)>,
}

impl Play {
    fn time(&self) -> Nanos {
        Nanos((self.events.len() as u64 + 1) * 1000)
    }

    fn issue(
        &mut self,
        request: u64,
        device: u8,
        from: u64,
        to: u64,
        previous_end: Option<u64>,
        reissue: bool,
    ) {
        let bytes = (to - from) * UNIT_BYTES;
        let offset_bytes = from * UNIT_BYTES;
        let file_position = Some(FilePosition {
            file: device.into(),
            offset_bytes,
            end_offset_bytes: offset_bytes + bytes,
        });
        self.events.push(Event::Issued(ReadIssued {
            time: self.time(),
            request: RequestId(request),
            device,
            start_sector: BASE + from * UNIT,
            end_sector: BASE + to * UNIT,
            request_start_sector: BASE + from * UNIT,
            request_bytes: bytes as u32,
            bytes,
            previous_end,
            file_position,
            process_id: 100 + (request % 3) as u32,
            thread_id: request as u32,
            reissue,
            readahead: false,
            metadata: false,
            synchronous: false,
        }));
        self.truth.total_bytes += bytes;
    }

    fn first_issue(&mut self, request: u64, operation: &Operation) {
        let (from, to) = (operation.start, operation.start + operation.length);
        let previous_end = self
            .truth
            .last_ends
            .insert(operation.device, BASE + to * UNIT);
        if let Some(end) = previous_end {
            let gap_bytes = (BASE + from * UNIT) as i64 * 512 - end as i64 * 512;
            self.truth.gaps[match gap_bytes {
                ..0 => 4,
                0 => 0,
                1..0x2_0000 => 1,
                0x2_0000..=0x10_0000 => 2,
                _ => 3,
            }] += 1;
        }
        let previous = self.previous.insert(operation.device, (from, to));
        if let Some((previous_from, previous_to)) = previous.filter(|(_, end)| from < *end) {
            let common = (from..to).any(|unit| (previous_from..previous_to).contains(&unit));
            self.truth.backward[0] += u64::from(common);
            self.truth.backward[1] += u64::from((from, to) == (previous_from, previous_to));
            self.truth.backward[2] += u64::from(!common);
        }
        self.truth.reads += 1;
        self.issue(request, operation.device, from, to, previous_end, false);
    }

    /// Says whether the request has ended.
    fn step(&mut self, request: u64, device: u8, next: Next) -> bool {
        let time = self.time();
        match next {
            Next::Requeue(from, to) => {
                let bytes = (to - from) * UNIT_BYTES;
                self.truth.requeues += 1;
                self.truth.total_bytes -= bytes;
                self.events.push(Event::Requeued(ReadRequeued {
                    time,
                    request: RequestId(request),
                    bytes,
                }));
                false
            }
            Next::Again(from, to) => {
                self.issue(request, device, from, to, None, true);
                false
            }
            Next::Arrive {
                from,
                to,
                failed,
                last,
            } => {
                let bytes = (to - from) * UNIT_BYTES;
                if failed {
                    self.truth.failed_bytes += bytes;
                } else {
                    self.arrived[usize::from(device)][from as usize..to as usize].fill(true);
                }
                self.truth.ended_reads += u64::from(last);
                let part = ReadCompleted {
                    time,
                    request: RequestId(request),
                    bytes,
                    failed,
                    last,
                };
                let range = FileRange {
                    file: device.into(),
                    offset_bytes: from * UNIT_BYTES,
                    length_bytes: bytes,
                };
                self.events.push(Event::Completed(part, vec![range]));
                last
            }
        }
    }
}
