//! What a stream knows while it goes on.

use tracer_common::gap::GAP_CLASSES;

use crate::stats::{
    Nanos,
    phases::{attribution::Attribution, counted::CountedAttribution, so_far::ModelSoFar},
    pieces::reads::CountedReads,
    reads::requests::RequestCounts,
};

use super::Stream;

/// Of one model, what is there at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct ModelStreamSoFar {
    /// None where reads are only counted.
    pub reads: Option<StreamReadsSoFar>,
    /// Pages resident; None where the start is not known.
    pub resident_pages: Option<u64>,
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
            resident_pages: counted
                .map(CountedAttribution::resident_pages)
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
            Some(counted) => Some(counted.so_far(start, now, reads)),
            None => {
                let attribution = self.reads.takers.attributions.get(slot)?;
                Some(attribution.so_far(start, now))
            }
        }
    }
}
