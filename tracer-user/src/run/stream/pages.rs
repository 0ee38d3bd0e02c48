//! Records of the page cache → what each model's pages went through.

use tracer_common::{
    counters::EvictionAgent,
    record::{PageRecord, page_event},
};

use crate::stats::{Nanos, phases::attribution::Folio};

use super::Stream;

impl Stream {
    pub(super) fn page(&mut self, page: &PageRecord) {
        self.counts.pages += 1;
        let Some(owner) = self.owners.get(usize::from(page.file)) else {
            return;
        };
        let Some(attribution) = self
            .reads
            .takers
            .attributions
            .get_mut(usize::from(owner.model))
        else {
            return;
        };
        let time = Nanos(page.time_ns);
        let folio = Folio {
            file: owner.file,
            first_page: u64::from(page.first_page),
            pages: u64::from(page.pages),
        };
        match page.event {
            page_event::INSERT => attribution.insert(time, folio, false),
            page_event::INSERT_BY_FAULT => attribution.insert(time, folio, true),
            page_event::FAULT => attribution.fault(time, folio.file, folio.first_page),
            page_event::MAP_WINDOW => attribution.map_window(folio),
            page_event::LOOKUP => attribution.look_up(folio),
            eviction => {
                let agent = match eviction.wrapping_sub(page_event::EVICTION) {
                    0 => EvictionAgent::Kswapd,
                    1 => EvictionAgent::DirectReclaim,
                    2 => EvictionAgent::KernelThread,
                    _ => EvictionAgent::Invalidation,
                };
                attribution.evict(time, folio, agent);
            }
        }
    }
}
