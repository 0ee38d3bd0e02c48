//! What counts of a window tell that events are taken in of.

use tracer_common::record::Record;

use crate::{
    place::Locator,
    stats::{FileData, ModelAccumulator, Nanos, phases::counted::CountedAttribution},
};

use super::rare::{self, GoneBack};

/// The models as counts have them, while events tell.
pub(super) struct CountsBeside {
    models: Vec<CountedAttribution>,
    files: Vec<Vec<FileData>>,
    start: Nanos,
}

impl CountsBeside {
    /// None where nothing is counted beside the events.
    pub fn new(
        models: Vec<CountedAttribution>,
        files: &[Vec<FileData>],
        start: Nanos,
    ) -> Option<Self> {
        (!models.is_empty()).then(|| Self {
            models,
            files: files.to_vec(),
            start,
        })
    }

    /// The models, and accumulators of their reads that have taken in nothing.
    pub fn take_over(self) -> (Vec<CountedAttribution>, Vec<ModelAccumulator>) {
        let files = self.files.into_iter();
        let reads = files.map(|files| ModelAccumulator::new(self.start, files));
        (self.models, reads.collect())
    }

    pub fn models(&mut self) -> impl Iterator<Item = &mut CountedAttribution> {
        self.models.iter_mut()
    }

    /// Of the records of all reads, those that counts need.
    pub fn take(&mut self, record: &Record, locator: &Locator, gone_back: &mut GoneBack) {
        match record {
            Record::Issue(issue) if rare::is_rare(issue) => {
                // What has no place is told by the events.
                let _ = rare::issue(issue, locator, gone_back, &mut self.models);
            }
            Record::Requeue(requeue) => {
                rare::requeue(requeue, locator, gone_back, &mut self.models);
            }
            _ => {}
        }
    }
}
