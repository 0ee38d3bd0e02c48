//! Records of waits → the stalls of the models that were waited for.

use tracer_common::record::{WaitRecord, wait_kind};

use crate::stats::{
    Nanos,
    waits::stall::{Wait, WaitKind},
};

use super::Stream;

impl Stream {
    pub(super) fn wait(&mut self, record: &WaitRecord) {
        self.counts.waits += 1;
        let kind = match record.wait {
            wait_kind::MODEL_FOLIO => WaitKind::ModelFolio,
            wait_kind::RECLAIM => WaitKind::Reclaim,
            wait_kind::LOCK => WaitKind::Lock,
            _ => WaitKind::OtherIo,
        };
        let wait = Wait {
            thread: record.thread_id,
            start: Nanos(record.start_ns),
            end: Nanos(record.end_ns),
            kind,
        };
        let model = match kind {
            WaitKind::ModelFolio | WaitKind::Lock => self
                .owners
                .get(usize::from(record.file))
                .map(|owner| usize::from(owner.model)),
            // The engine's, whatever the model.
            WaitKind::OtherIo | WaitKind::Reclaim => None,
        };
        if kind == WaitKind::ModelFolio {
            let nanos = record.end_ns.saturating_sub(record.start_ns);
            *self.waits_by_process.entry(record.process_id).or_default() += nanos;
        }
        for (slot, attribution) in self.reads.takers.attributions.iter_mut().enumerate() {
            if model.is_none_or(|model| model == slot) {
                attribution.wait(wait);
            }
        }
    }
}
