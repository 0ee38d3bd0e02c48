//! What a stream knows while it goes on.

use tracer_common::gap::GAP_CLASSES;

use crate::stats::{
    Nanos,
    pages::figures::PageCounts,
    phases::{attribution::Attribution, counted::CountedAttribution, so_far::ModelSoFar},
    pieces::reads::CountedReads,
    reads::requests::RequestCounts,
    waits::stall::WaitsSoFar,
};

use crate::run::watch::marks::SharedMarks;

use super::{
    Stream,
    reads::{ReadStream, ReadTakers},
};

/// Of one model, what is there at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct ModelStreamSoFar {
    /// None where reads are only counted.
    pub reads: Option<StreamReadsSoFar>,
    /// Pages resident; None where the start is not known. Where pages are only counted: at the start.
    pub resident_pages: Option<u64>,
    /// Pages that came and went; None where they are only counted.
    pub pages: Option<PageCounts>,
    /// Pages are only counted.
    pub is_counted: bool,
}

/// The records of a model's reads.
#[derive(Clone, Copy, Debug, Default)]
pub struct StreamReadsSoFar {
    pub requests: RequestCounts,
    /// Distinct bytes that arrived.
    pub unique_bytes: u64,
    /// Gaps by [`tracer_common::gap::GapClass::slot`].
    pub gaps: [u64; GAP_CLASSES],
}

impl Stream {
    /// Everything that was accumulated, as it is now: to be finished while the stream itself goes on. The list of reads and the
    /// recording stay with that.
    #[must_use]
    pub fn copied(&self) -> Self {
        let takers = &self.reads.takers;
        Self {
            reads: ReadStream {
                locator: self.reads.locator.clone(),
                open: self.reads.open.clone(),
                takers: ReadTakers {
                    models: takers.models.clone(),
                    attributions: takers.attributions.clone(),
                    list: None,
                    audit: takers.audit.clone(),
                    undivided: takers.undivided.clone(),
                },
            },
            counted: self.counted.clone(),
            beside: None,
            gone_back: self.gone_back.clone(),
            sliced_events: self.sliced_events,
            owners: self.owners.clone(),
            symbols: self.symbols.clone(),
            // What the log says next is the stream's own.
            shared: SharedMarks::default(),
            counts: self.counts,
            log_marks: self.log_marks.clone(),
            calls: self.calls.clone(),
            worker: self.worker,
            waits_by_process: self.waits_by_process.clone(),
            residency: self.residency.clone(),
            slices_until: self.slices_until,
            taken_until: self.taken_until,
            last_probed: self.last_probed,
            recorder: None,
        }
    }

    /// What is there at once.
    #[must_use]
    pub fn model_so_far(&self, slot: usize) -> ModelStreamSoFar {
        let counted = self.counted.get(slot);
        let takers = &self.reads.takers;
        ModelStreamSoFar {
            reads: takers
                .models
                .get(slot)
                .filter(|_| counted.is_none())
                .map(|model| StreamReadsSoFar {
                    requests: model.request_counts(),
                    unique_bytes: model.unique_bytes(),
                    gaps: model.gap_counts(),
                }),
            pages: takers
                .attributions
                .get(slot)
                .filter(|_| counted.is_none())
                .map(Attribution::page_counts),
            is_counted: counted.is_some(),
            resident_pages: counted
                .map(CountedAttribution::pages_at_start)
                .or_else(|| {
                    let attribution = takers.attributions.get(slot);
                    attribution.map(Attribution::resident_pages)
                })
                .flatten(),
        }
    }

    /// What has to be added up. `reads`: by piece, what was counted by place.
    #[must_use]
    pub fn parts_so_far(
        &self,
        slot: usize,
        start: Nanos,
        now: Nanos,
        reads: &[CountedReads],
    ) -> Option<ModelSoFar> {
        match self.counted.get(slot) {
            Some(counted) => Some(counted.so_far(start, self.slices_until.max(start), reads)),
            None => {
                let attribution = self.reads.takers.attributions.get(slot)?;
                Some(attribution.so_far(start, now))
            }
        }
    }

    /// Somebody looks on from `start` on.
    pub fn look_on(&mut self, start: Nanos) {
        for attribution in &mut self.reads.takers.attributions {
            attribution.look_at_waits(start);
        }
    }

    /// Waits of a model up to about `now`, with `last` up to exactly then; None where they are not recorded.
    pub fn waits_so_far(&mut self, slot: usize, now: Nanos, last: bool) -> Option<WaitsSoFar> {
        let attribution = self.reads.takers.attributions.get_mut(slot)?;
        if last {
            Some(attribution.waits_until(now))
        } else {
            attribution.waits_so_far(now.min(self.taken_until))
        }
    }
}
