//! Records of the engine's functions and lines of its log → marks, by their time.

use tracer_common::record::MarkRecord;

use crate::{
    recording::RecordedEvent,
    stats::{Nanos, phases::phase::TimedMark},
};

use super::{Stream, beside::CountsBeside};

impl Stream {
    /// Time has come to `now`: marks of the log before that count first.
    pub(super) fn reach(&mut self, now: Nanos) {
        while self.log_marks.front().is_some_and(|mark| mark.time <= now) {
            if let Some(mark) = self.log_marks.pop_front() {
                self.mark_all(mark);
            }
        }
    }

    pub(super) fn mark_all(&mut self, mark: TimedMark) {
        self.keep(&RecordedEvent::Mark(mark));
        for attribution in &mut self.reads.takers.attributions {
            attribution.mark(mark);
        }
        let beside = self.beside.iter_mut().flat_map(CountsBeside::models);
        for model in self.counted.iter_mut().chain(beside) {
            model.mark(mark);
        }
    }

    pub(super) fn mark(&mut self, record: &MarkRecord) {
        self.counts.marks += 1;
        if !self.shared.is_engine(record.process_id) {
            self.counts.foreign_marks += 1;
            return;
        }
        if self.symbols.is_called_by_each_worker(record.symbol) {
            let worker = *self.worker.get_or_insert(record.process_id);
            if worker != record.process_id {
                return;
            }
        }
        if record.returns == 0 || self.symbols.only_returns(record.symbol) {
            *self.calls.entry(record.symbol).or_default() += 1;
        }
        if let Some(mark) = self.symbols.meaning(record) {
            self.mark_all(mark);
        }
    }
}
