//! From events to counts while the window is open.
//!
//! Who may have to step down counts beside the events from the window's start on. When the events end, what they gave is left,
//! and the counts stand for the whole window: so no figure is of a part of it.

use tracer_common::record::Record;

use crate::{recording::RecordingThread, stats::reads::open_reads::OpenReads};

use super::{Stream, rare, undivided::UndividedReads};

impl Stream {
    /// Takes in a record where counts tell. What is not rare was on its way when the events ended.
    pub(super) fn take_beside_counts(&mut self, record: &Record) {
        let locator = &self.reads.locator;
        match record {
            Record::Issue(issue) if rare::is_rare(issue) => {
                self.counts.issues += 1;
                let placed = rare::issue(issue, locator, &mut self.gone_back, &mut self.counted);
                self.counts.misplaced += u64::from(placed.is_none());
            }
            Record::Requeue(requeue) => {
                self.counts.requeues += 1;
                rare::requeue(requeue, locator, &mut self.gone_back, &mut self.counted);
            }
            Record::Mark(mark) => self.mark(mark),
            _ => {}
        }
    }

    /// Records and what else the programs were shown, so far: what their cost grows with.
    #[must_use]
    pub const fn shown_events(&self) -> u64 {
        self.counts.total() + self.sliced_events
    }

    /// The events end: from now on counts tell, of all that was since the start. Returns the thread of the recording, which
    /// holds a part of the window and is of no use. Does nothing where nothing was counted beside the events.
    pub fn step_down(&mut self) -> Option<RecordingThread> {
        let beside = self.beside.take()?;
        let (counted, models) = beside.take_over();
        self.counted = counted;
        self.reads.open = OpenReads::default();
        let takers = &mut self.reads.takers;
        takers.attributions.clear();
        takers.list = None;
        takers.undivided = UndividedReads::default();
        takers.models = models;
        self.waits_by_process.clear();
        let thread = self.take_recording();
        self.recorder = None;
        thread
    }
}
