//! Records of reads where the others are only counted: those that were issued again, went back, were noticed late, or lie in
//! several extents.

use tracer_common::{
    gap::GapClass,
    record::{IssueRecord, NO_PREVIOUS_END, RequeueRecord, issue_flag},
};

use crate::stats::{Nanos, phases::counted::RareRead};

use super::Stream;

impl Stream {
    pub(super) fn rare_issue(&mut self, record: &IssueRecord) {
        self.counts.issues += 1;
        let parts = self
            .reads
            .locator
            .parts(record.device, record.sector, record.bytes.into());
        let Some(part) = parts
            .iter()
            .find(|part| part.model == u16::from(record.model))
        else {
            self.counts.misplaced += 1;
            return;
        };
        let Some(model) = self.counted.get_mut(usize::from(record.model)) else {
            return;
        };
        let reissue = record.flags & issue_flag::REISSUE != 0;
        // A read belongs to the part of the run in which it was first issued.
        let request = (record.device, record.request);
        let first_issue = if reissue {
            self.gone_back.get(&request).copied()
        } else {
            self.gone_back.remove(&request);
            None
        };
        let read = RareRead {
            time: first_issue.unwrap_or(Nanos(record.time_ns)),
            ranges: &part.ranges,
            bytes: part.bytes,
            // What went back and comes again stays what it was.
            readahead: !reissue && record.flags & issue_flag::READAHEAD != 0,
        };
        if reissue {
            model.reissue(&read);
        } else if record.flags & issue_flag::LATE == 0 {
            model.divide(&read);
        } else {
            let gap = (record.previous_end != NO_PREVIOUS_END)
                .then(|| GapClass::of(part.start_sector, record.previous_end));
            model.late_issue(&read, gap);
        }
    }

    pub(super) fn rare_requeue(&mut self, record: &RequeueRecord) {
        self.counts.requeues += 1;
        let time = Nanos(if record.issue_time_ns == 0 {
            record.time_ns
        } else {
            record.issue_time_ns
        });
        self.gone_back.insert((record.device, record.request), time);
        let parts = self
            .reads
            .locator
            .parts(record.device, record.sector, record.bytes.into());
        for part in &parts {
            if let Some(model) = self.counted.get_mut(usize::from(part.model)) {
                model.requeue(&RareRead {
                    time,
                    ranges: &part.ranges,
                    bytes: part.bytes,
                    readahead: false,
                });
            }
        }
    }
}
