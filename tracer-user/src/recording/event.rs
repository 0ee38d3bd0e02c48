//! An event, as the accumulators take it in, and as a row.

use tracer_common::record::{
    CompleteRecord, IssueRecord, KindByte, NO_PREVIOUS_END, PageRecord, Record, RequeueRecord,
    UnseenRecord, WaitRecord, page_event, wait_kind,
};

use crate::stats::{
    Nanos,
    phases::phase::{Mark, TimedMark},
};

use super::columns::Cell;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecordedEvent {
    /// A record of the programs, of reads, pages and waits.
    Kernel(Record),
    /// Something that cuts the run into phases and steps.
    Mark(TimedMark),
    /// A read that an idle device must have finished, noticed after the window.
    ArrivedAtEnd { device: u8, request: u64 },
    /// The window has closed; only marks from a log that came late follow.
    Settled,
}

/// An event, and when it is in the recording's order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedEvent {
    pub event: RecordedEvent,
    /// Nanoseconds since the gate opened; of a wait its end. Below 0 for what began before.
    pub time_ns: i64,
}

/// No value.
pub const NULL: i64 = i64::MIN;

/// A row of a segment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    pub time_ns: i64,
    /// Place in [`EVENTS`].
    pub event: u8,
    pub cells: [i64; super::columns::CELLS.len()],
    pub mark: Option<Box<str>>,
}

/// Names of the events, as they stand in the column.
pub const EVENTS: [&str; 20] = [
    "issue",
    "complete",
    "requeue",
    "unseen",
    "insert",
    "insert_by_fault",
    "fault",
    "map_window",
    "lookup",
    "evict_by_kswapd",
    "evict_by_direct_reclaim",
    "evict_by_kernel_thread",
    "evict_by_invalidation",
    "wait_for_model",
    "wait_for_other_io",
    "wait_in_reclaim",
    "wait_for_lock",
    "mark",
    "arrived_at_end",
    "settled",
];

const ISSUE: u8 = 0;
const COMPLETE: u8 = 1;
const REQUEUE: u8 = 2;
const UNSEEN: u8 = 3;
/// Events of pages, and what the programs' records call each.
const PAGES: [(u8, u8); 9] = [
    (4, page_event::INSERT),
    (5, page_event::INSERT_BY_FAULT),
    (6, page_event::FAULT),
    (7, page_event::MAP_WINDOW),
    (8, page_event::LOOKUP),
    (9, page_event::EVICTION),
    (10, page_event::EVICTION + 1),
    (11, page_event::EVICTION + 2),
    (12, page_event::EVICTION + 3),
];
/// Waits, and what the programs' records call each.
const WAITS: [(u8, u8); 4] = [
    (13, wait_kind::MODEL_FOLIO),
    (14, wait_kind::OTHER_IO),
    (15, wait_kind::RECLAIM),
    (16, wait_kind::LOCK),
];
const MARK: u8 = 17;
const ARRIVED_AT_END: u8 = 18;
const SETTLED: u8 = 19;

fn event_of(known: &[(u8, u8)], own: u8, otherwise: u8) -> u8 {
    known
        .iter()
        .find(|(_, named)| *named == own)
        .map_or(otherwise, |(event, _)| *event)
}

impl Row {
    fn new(event: u8, time_ns: i64) -> Self {
        Self {
            time_ns,
            event,
            cells: [NULL; super::columns::CELLS.len()],
            mark: None,
        }
    }

    fn with(mut self, cell: Cell, value: impl Into<i64>) -> Self {
        self.cells[cell as usize] = value.into();
        self
    }

    fn with_wide(self, cell: Cell, value: u64) -> Self {
        self.with(cell, value.cast_signed())
    }

    /// The row of an event; `None` for what only the audit needs. `now_ns` is the time of what has none of its own.
    pub fn of(event: &RecordedEvent, opened: Nanos, now_ns: i64) -> Option<Self> {
        let since = |time_ns: u64| time_ns.wrapping_sub(opened.0).cast_signed();
        Some(match event {
            RecordedEvent::Kernel(Record::Issue(issue)) => {
                let row = Self::new(ISSUE, since(issue.time_ns))
                    .with(Cell::Device, issue.device)
                    .with(Cell::Model, issue.model)
                    .with_wide(Cell::Request, issue.request)
                    .with_wide(Cell::Sector, issue.sector)
                    .with(Cell::Bytes, issue.bytes)
                    .with(Cell::Flags, issue.flags)
                    .with(Cell::Process, issue.process_id)
                    .with(Cell::Thread, issue.thread_id);
                if issue.previous_end == NO_PREVIOUS_END {
                    row
                } else {
                    row.with_wide(Cell::PreviousEnd, issue.previous_end)
                }
            }
            RecordedEvent::Kernel(Record::Complete(complete)) => {
                Self::new(COMPLETE, since(complete.time_ns))
                    .with(Cell::Device, complete.device)
                    .with_wide(Cell::Request, complete.request)
                    .with_wide(Cell::Sector, complete.sector)
                    .with(Cell::Bytes, complete.bytes)
                    .with(Cell::Flags, complete.flags)
                    .with(Cell::Status, complete.status)
            }
            RecordedEvent::Kernel(Record::Requeue(requeue)) => {
                Self::new(REQUEUE, since(requeue.time_ns))
                    .with(Cell::Device, requeue.device)
                    .with_wide(Cell::Request, requeue.request)
                    .with_wide(Cell::Sector, requeue.sector)
                    .with(Cell::Bytes, requeue.bytes)
            }
            RecordedEvent::Kernel(Record::Unseen(unseen)) => {
                Self::new(UNSEEN, since(unseen.time_ns))
                    .with(Cell::Device, unseen.device)
                    .with_wide(Cell::Request, unseen.request)
            }
            RecordedEvent::Kernel(Record::Page(page)) => {
                Self::new(event_of(&PAGES, page.event, 12), since(page.time_ns))
                    .with(Cell::File, page.file)
                    .with(Cell::FirstPage, page.first_page)
                    .with(Cell::Pages, page.pages)
                    .with(Cell::Process, page.process_id)
            }
            RecordedEvent::Kernel(Record::Wait(wait)) => {
                Self::new(event_of(&WAITS, wait.wait, 14), since(wait.end_ns))
                    .with(Cell::Start, since(wait.start_ns))
                    .with(Cell::File, wait.file)
                    .with(Cell::FirstPage, wait.page)
                    .with(Cell::Process, wait.process_id)
                    .with(Cell::Thread, wait.thread_id)
            }
            // What a call means is told by its mark; stages are the audit's.
            RecordedEvent::Kernel(Record::Mark(_) | Record::Stage(_)) => return None,
            RecordedEvent::Mark(mark) => Self {
                mark: serde_json::to_string(&mark.mark).ok().map(Into::into),
                ..Self::new(MARK, since(mark.time.0))
            },
            RecordedEvent::ArrivedAtEnd { device, request } => Self::new(ARRIVED_AT_END, now_ns)
                .with(Cell::Device, *device)
                .with_wide(Cell::Request, *request),
            RecordedEvent::Settled => Self::new(SETTLED, now_ns),
        })
    }

    fn optional(&self, cell: Cell) -> Option<i64> {
        Some(self.cells[cell as usize]).filter(|value| *value != NULL)
    }

    fn wide(&self, cell: Cell) -> Result<u64, String> {
        let value = self.optional(cell).map(i64::cast_unsigned);
        value.ok_or_else(|| self.lacks(cell))
    }

    fn narrow<T: TryFrom<i64>>(&self, cell: Cell) -> Result<T, String> {
        let value = self.optional(cell).ok_or_else(|| self.lacks(cell))?;
        T::try_from(value).map_err(|_| format!("{value} is no {}", name(cell)))
    }

    fn lacks(&self, cell: Cell) -> String {
        let event = EVENTS.get(usize::from(self.event)).unwrap_or(&"event");
        format!("the {event} has no {}", name(cell))
    }

    /// The event of a row; or what is wrong with it.
    pub fn event(&self, opened: Nanos) -> Result<TimedEvent, String> {
        let at = |time_ns: i64| opened.0.wrapping_add(time_ns.cast_unsigned());
        let time_ns = at(self.time_ns);
        let page = PAGES.iter().find(|(event, _)| *event == self.event);
        let wait = WAITS.iter().find(|(event, _)| *event == self.event);
        let event = match (self.event, page, wait) {
            (_, Some((_, event)), _) => RecordedEvent::Kernel(Record::Page(PageRecord {
                kind: KindByte::NEW,
                event: *event,
                file: self.narrow(Cell::File)?,
                process_id: self.narrow(Cell::Process)?,
                time_ns,
                first_page: self.narrow(Cell::FirstPage)?,
                pages: self.narrow(Cell::Pages)?,
            })),
            (.., Some((_, wait))) => RecordedEvent::Kernel(Record::Wait(WaitRecord {
                kind: KindByte::NEW,
                wait: *wait,
                file: self.narrow(Cell::File)?,
                thread_id: self.narrow(Cell::Thread)?,
                start_ns: at(self.narrow(Cell::Start)?),
                end_ns: time_ns,
                process_id: self.narrow(Cell::Process)?,
                page: self.narrow(Cell::FirstPage)?,
            })),
            (ISSUE, ..) => RecordedEvent::Kernel(Record::Issue(IssueRecord {
                kind: KindByte::NEW,
                device: self.narrow(Cell::Device)?,
                model: self.narrow(Cell::Model)?,
                flags: self.narrow(Cell::Flags)?,
                thread_id: self.narrow(Cell::Thread)?,
                time_ns,
                request: self.wide(Cell::Request)?,
                sector: self.wide(Cell::Sector)?,
                previous_end: self
                    .optional(Cell::PreviousEnd)
                    .map_or(NO_PREVIOUS_END, i64::cast_unsigned),
                bytes: self.narrow(Cell::Bytes)?,
                process_id: self.narrow(Cell::Process)?,
            })),
            (COMPLETE, ..) => RecordedEvent::Kernel(Record::Complete(CompleteRecord {
                kind: KindByte::NEW,
                device: self.narrow(Cell::Device)?,
                status: self.narrow(Cell::Status)?,
                flags: self.narrow(Cell::Flags)?,
                bytes: self.narrow(Cell::Bytes)?,
                time_ns,
                request: self.wide(Cell::Request)?,
                sector: self.wide(Cell::Sector)?,
            })),
            (REQUEUE, ..) => RecordedEvent::Kernel(Record::Requeue(RequeueRecord {
                kind: KindByte::NEW,
                device: self.narrow(Cell::Device)?,
                reserved: 0,
                bytes: self.narrow(Cell::Bytes)?,
                time_ns,
                request: self.wide(Cell::Request)?,
                sector: self.wide(Cell::Sector)?,
                // Not kept: only counts ask for it.
                issue_time_ns: 0,
            })),
            (UNSEEN, ..) => RecordedEvent::Kernel(Record::Unseen(UnseenRecord {
                kind: KindByte::NEW,
                device: self.narrow(Cell::Device)?,
                reserved: 0,
                reserved_too: 0,
                time_ns,
                request: self.wide(Cell::Request)?,
            })),
            (MARK, ..) => {
                let text = self.mark.as_deref().ok_or("the mark says nothing")?;
                let mark: Mark = serde_json::from_str(text)
                    .map_err(|error| format!("the mark {text} is unknown: {error}"))?;
                RecordedEvent::Mark(TimedMark {
                    time: Nanos(time_ns),
                    mark,
                })
            }
            (ARRIVED_AT_END, ..) => RecordedEvent::ArrivedAtEnd {
                device: self.narrow(Cell::Device)?,
                request: self.wide(Cell::Request)?,
            },
            (SETTLED, ..) => RecordedEvent::Settled,
            (other, ..) => return Err(format!("there is no event {other}")),
        };
        Ok(TimedEvent {
            event,
            time_ns: self.time_ns,
        })
    }
}

fn name(cell: Cell) -> &'static str {
    super::columns::CELLS
        .iter()
        .find(|(own, _)| *own == cell)
        .map_or("", |(_, name)| *name)
}
