//! The figures of one trace under every way of counting its records.
//!
//! A block trace has several records for one request: queued, allocated, inserted, issued, completed, and on a
//! partition remapped. A script that takes each of k of them for a read reports k times the bytes, and between two
//! records of one request a "gap" of minus its length: a backward seek that no disk made. Here every record of the
//! chosen actions counts, in the order in which the records come (that of their time), as a read of its sectors, which
//! is exactly what such a script does: gap = start − end of the record before, total = sum, unique = union.
//!
//! The records come from an old trace or from a live run. Sizes are whole sectors.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use tracer_common::gap::{GapClass, SECTOR_BYTES};

use crate::stats::{
    formulas::{amplification, ratio},
    order::gaps::{ByGapClass, GapCounts, GapFigure},
    reads::byte_set::ByteSet,
};

/// Threads that are counted apart while nobody says which is the main one.
const MOST_THREADS: usize = 1024;

/// What a record says of a request. In the order of a request's life. In JSON its letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(into = "char", try_from = "char")]
#[repr(u8)]
pub enum Action {
    /// `A`: moved from a partition to its disk.
    Remap,
    /// `Q`: queued.
    Queue,
    /// `G`: a request was allocated for it.
    GetRequest,
    /// `I`: handed to the scheduler.
    Insert,
    /// `M`, `F`: merged into a request that waits.
    Merge,
    /// `D`: issued to the driver.
    Issue,
    /// `C`: completed.
    Complete,
}

const ACTIONS: usize = 7;

impl Action {
    /// All of them, in the order of a request's life.
    pub const ALL: [Self; ACTIONS] = [
        Self::Remap,
        Self::Queue,
        Self::GetRequest,
        Self::Insert,
        Self::Merge,
        Self::Issue,
        Self::Complete,
    ];

    /// Its letter in the output of blkparse. Both kinds of merges are `M` here.
    #[must_use]
    pub const fn letter(self) -> char {
        match self {
            Self::Remap => 'A',
            Self::Queue => 'Q',
            Self::GetRequest => 'G',
            Self::Insert => 'I',
            Self::Merge => 'M',
            Self::Issue => 'D',
            Self::Complete => 'C',
        }
    }
}

impl From<Action> for char {
    fn from(action: Action) -> Self {
        action.letter()
    }
}

impl TryFrom<char> for Action {
    type Error = String;

    fn try_from(letter: char) -> Result<Self, Self::Error> {
        let mut all = Self::ALL.into_iter();
        all.find(|action| action.letter() == letter)
            .ok_or_else(|| format!("{letter:?} is no letter of an action"))
    }
}

/// The letters of some actions.
#[must_use]
pub fn letters(actions: &[Action], between: &str) -> String {
    let letters: Vec<String> = actions
        .iter()
        .map(|action| action.letter().to_string())
        .collect();
    letters.join(between)
}

/// Name of the accounting by which each request counts once, at its first issue: the truth.
pub const ONCE: &str = "each request once";

/// Name of the accounting by which every record of these actions counts, as people write it: `Q+D+C`.
fn name(actions: &[Action]) -> String {
    if actions.len() == ACTIONS {
        "every record".to_owned()
    } else {
        letters(actions, "+")
    }
}

/// The ways of counting that are looked at, the likely ones of each number of records.
const ACCOUNTINGS: [&[Action]; 16] = {
    use Action::{Complete as C, GetRequest as G, Insert as I, Issue as D, Queue as Q, Remap as A};
    [
        &[D],
        &[C],
        &[Q],
        &[Q, D],
        &[Q, C],
        &[D, C],
        &[Q, D, C],
        &[G, D, C],
        &[Q, G, D],
        &[A, D, C],
        &[Q, G, D, C],
        &[Q, I, D, C],
        &[A, Q, D, C],
        &[Q, G, I, D, C],
        &[A, Q, G, D, C],
        &Action::ALL,
    ]
};

/// A record of a read. Records come in the order of their time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadRecord {
    pub action: Action,
    /// First sector (of the model, where there is one).
    pub start_sector: u64,
    /// Sector after the last one.
    pub end_sector: u64,
    /// Thread that was current.
    pub thread_id: u32,
    /// An issue of a read that had been issued before: after a requeue, or what a partial completion left.
    pub again: bool,
}

/// How much, and in which order.
#[derive(Clone, Debug, Default)]
struct Counted {
    records: u64,
    sectors: u64,
    unique: ByteSet,
    order: Order,
}

impl Counted {
    fn add(&mut self, start: u64, end: u64) {
        self.records += 1;
        self.sectors = self.sectors.saturating_add(end - start);
        self.unique.insert(
            start.saturating_mul(SECTOR_BYTES),
            end.saturating_mul(SECTOR_BYTES),
        );
    }
}

#[derive(Clone, Debug, Default)]
struct Order {
    previous_end: Option<u64>,
    gaps: GapCounts,
}

impl Order {
    fn add(&mut self, start: u64, end: u64) {
        if let Some(previous_end) = self.previous_end.replace(end) {
            let bytes = (end - start).saturating_mul(SECTOR_BYTES);
            self.gaps.record(GapClass::of(start, previous_end), bytes);
        }
    }
}

/// Counts the records of one device's reads in every way at once.
#[derive(Clone, Debug)]
pub struct AccountingAudit {
    main_thread: Option<u32>,
    sector_range: Option<(u64, u64)>,
    once: Counted,
    in_range: Counted,
    /// By action. The sums over several actions are made from these at the end.
    by_action: [Counted; ACTIONS],
    /// By accounting, as in [`ACCOUNTINGS`].
    orders: [Order; ACCOUNTINGS.len()],
    /// Issues by thread; with a main thread only that one's.
    threads: BTreeMap<u32, Counted>,
    /// Sectors by the thread that queued them.
    queued: BTreeMap<u32, u64>,
}

impl AccountingAudit {
    /// `main_thread`: the one whose issues are counted apart; else the one that queued most. `sector_range`: from the
    /// model's first sector to the one after its last; without it that accounting is left out, since the range of all
    /// reads leaves nothing out.
    #[must_use]
    pub fn new(main_thread: Option<u32>, sector_range: Option<(u64, u64)>) -> Self {
        Self {
            main_thread,
            sector_range,
            once: Counted::default(),
            in_range: Counted::default(),
            by_action: Default::default(),
            orders: Default::default(),
            threads: BTreeMap::new(),
            queued: BTreeMap::new(),
        }
    }

    /// Takes in a record of a read. One without sectors is none.
    pub fn take(&mut self, record: &ReadRecord) {
        let (start, end) = (record.start_sector, record.end_sector);
        if start >= end {
            return;
        }
        let slot = record.action as usize;
        if let Some(counted) = self.by_action.get_mut(slot) {
            counted.add(start, end);
        }
        for (actions, order) in ACCOUNTINGS.iter().zip(&mut self.orders) {
            if actions.contains(&record.action) {
                order.add(start, end);
            }
        }
        match record.action {
            Action::Issue => {
                if !record.again {
                    self.once.add(start, end);
                    self.once.order.add(start, end);
                }
                self.issue_by_thread(record);
            }
            Action::Queue if self.has_room_for(&self.queued, record.thread_id) => {
                let sectors = self.queued.entry(record.thread_id).or_default();
                *sectors = sectors.saturating_add(end - start);
            }
            _ => {}
        }
    }

    /// Takes in an issue of any read of the device, whether or not it touches the model, beside [`Self::take`]: for the
    /// accounting by sector range.
    pub fn take_issue_anywhere(&mut self, start_sector: u64, end_sector: u64) {
        let inside = |(from, to): (u64, u64)| from <= start_sector && start_sector < to;
        if start_sector < end_sector && self.sector_range.is_some_and(inside) {
            self.in_range.add(start_sector, end_sector);
            self.in_range.order.add(start_sector, end_sector);
        }
    }

    fn has_room_for<T>(&self, threads: &BTreeMap<u32, T>, thread: u32) -> bool {
        match self.main_thread {
            Some(main) => thread == main,
            None => threads.len() < MOST_THREADS || threads.contains_key(&thread),
        }
    }

    fn issue_by_thread(&mut self, record: &ReadRecord) {
        if self.has_room_for(&self.threads, record.thread_id) {
            let counted = self.threads.entry(record.thread_id).or_default();
            counted.add(record.start_sector, record.end_sector);
            counted.order.add(record.start_sector, record.end_sector);
        }
    }

    /// The main thread: the one that was named, else the one that queued most, else the one that issued most.
    fn thread(&self) -> Option<u32> {
        let busiest_issuer = || {
            self.threads
                .iter()
                .max_by_key(|(_, counted)| counted.sectors)
                .map(|(thread, _)| *thread)
        };
        self.main_thread.or_else(|| {
            self.queued
                .iter()
                .max_by_key(|(_, sectors)| **sectors)
                .map(|(thread, _)| *thread)
                .or_else(busiest_issuer)
        })
    }

    /// The figures so far, by accounting: the truth first, then by the number of actions.
    #[must_use]
    pub fn figures(&self) -> Vec<AccountingFigures> {
        let once_bytes = self.once.sectors.saturating_mul(SECTOR_BYTES);
        let mut all = vec![self.single(ONCE.to_owned(), &self.once)];
        for (actions, order) in ACCOUNTINGS.iter().zip(&self.orders) {
            all.push(self.summed(actions, order, once_bytes));
        }
        if let Some(thread) = self.thread() {
            let nothing = Counted::default();
            let counted = self.threads.get(&thread).unwrap_or(&nothing);
            all.push(self.single(format!("D, thread {thread} only"), counted));
        }
        if let Some((from, to)) = self.sector_range {
            // Every issue that begins there, whosever it is.
            all.push(self.single(format!("D, sectors {from} to {to}"), &self.in_range));
        }
        all
    }

    fn recorded(&self, action: Action) -> u64 {
        self.by_action
            .get(action as usize)
            .map_or(0, |counted| counted.records)
    }

    /// The accounting of a part of the issues.
    fn single(&self, name: String, counted: &Counted) -> AccountingFigures {
        let actions = vec![Action::Issue];
        let is_recorded = self.recorded(Action::Issue) > 0;
        AccountingFigures {
            records_per_read: (name == ONCE && counted.records > 0).then_some(1.0),
            name,
            not_recorded: if is_recorded {
                Vec::new()
            } else {
                actions.clone()
            },
            actions,
            ..figures(
                counted.records,
                counted.sectors,
                counted.unique.bytes() / SECTOR_BYTES,
                &counted.order,
            )
        }
    }

    /// The accounting of all records of some actions.
    fn summed(&self, actions: &[Action], order: &Order, once_bytes: u64) -> AccountingFigures {
        let (mut records, mut sectors, mut unique) = (0, 0u64, ByteSet::default());
        for counted in actions
            .iter()
            .filter_map(|action| self.by_action.get(*action as usize))
        {
            records += counted.records;
            sectors = sectors.saturating_add(counted.sectors);
            unique.merge(&counted.unique);
        }
        // What only some kernels, schedulers and partitions give is left out of "everything" without a word.
        let everything = actions.len() == ACTIONS;
        let not_recorded = actions
            .iter()
            .copied()
            .filter(|action| self.recorded(*action) == 0 && !everything)
            .collect();
        AccountingFigures {
            name: name(actions),
            actions: actions.to_vec(),
            records_per_read: ratio(sectors.saturating_mul(SECTOR_BYTES), once_bytes),
            not_recorded,
            ..figures(records, sectors, unique.bytes() / SECTOR_BYTES, order)
        }
    }
}

/// How much and in which order; what the accounting is, is still to be said.
fn figures(records: u64, sectors: u64, unique_sectors: u64, order: &Order) -> AccountingFigures {
    let gaps = order.gaps.figures();
    AccountingFigures {
        records,
        total_bytes: sectors.saturating_mul(SECTOR_BYTES),
        unique_bytes: unique_sectors.saturating_mul(SECTOR_BYTES),
        amplification: amplification(sectors, unique_sectors),
        gap_count: gaps.count(),
        gaps,
        ..AccountingFigures::default()
    }
}

/// The figures under one accounting.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AccountingFigures {
    /// As people write it: `Q+D+C`.
    pub name: String,
    /// Actions whose records count.
    pub actions: Vec<Action>,
    /// Records that count as reads.
    pub records: u64,
    /// Their bytes.
    pub total_bytes: u64,
    /// Distinct bytes among them.
    pub unique_bytes: u64,
    /// Total / unique. Null where nothing counts.
    pub amplification: Option<f64>,
    /// Gaps from one record to the next: records − 1.
    #[serde(rename = "gaps")]
    pub gap_count: u64,
    #[serde(flatten)]
    pub gaps: ByGapClass<GapFigure>,
    /// Bytes under this accounting / bytes of the requests: how many records of each read count. Null where a part of
    /// the issues counts, and where the trace has no issues.
    pub records_per_read: Option<f64>,
    /// Actions of this accounting of which the trace has no record: the figures are then those without them.
    pub not_recorded: Vec<Action>,
}

#[cfg(test)]
mod tests;
