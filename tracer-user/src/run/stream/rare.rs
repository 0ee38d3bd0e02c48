//! Records of reads where the others are only counted: those that were issued again, went back, were noticed late, or lie in
//! several extents.

use std::collections::HashMap;

use tracer_common::{
    gap::GapClass,
    record::{IssueRecord, NO_PREVIOUS_END, RequeueRecord, issue_flag},
};

use crate::{
    place::Locator,
    stats::{
        Nanos,
        phases::counted::{CountedAttribution, RareRead},
    },
};

/// When requests that went back to the queue were first issued, by device and request.
pub type GoneBack = HashMap<(u8, u64), Nanos>;

/// Whether a record is of such a read.
pub const fn is_rare(record: &IssueRecord) -> bool {
    record.flags & (issue_flag::REISSUE | issue_flag::LATE | issue_flag::UNDIVIDED) != 0
}

/// None where the user side finds no part of the model in the request.
pub fn issue(
    record: &IssueRecord,
    locator: &Locator,
    gone_back: &mut GoneBack,
    models: &mut [CountedAttribution],
) -> Option<()> {
    let parts = locator.parts(record.device, record.sector, record.bytes.into());
    let part = parts
        .iter()
        .find(|part| part.model == u16::from(record.model))?;
    let model = models.get_mut(usize::from(record.model))?;
    let reissue = record.flags & issue_flag::REISSUE != 0;
    // A read belongs to the part of the run in which it was first issued.
    let request = (record.device, record.request);
    let first_issue = if reissue {
        gone_back.get(&request).copied()
    } else {
        gone_back.remove(&request);
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
    Some(())
}

pub fn requeue(
    record: &RequeueRecord,
    locator: &Locator,
    gone_back: &mut GoneBack,
    models: &mut [CountedAttribution],
) {
    let time = Nanos(if record.issue_time_ns == 0 {
        record.time_ns
    } else {
        record.issue_time_ns
    });
    gone_back.insert((record.device, record.request), time);
    let parts = locator.parts(record.device, record.sector, record.bytes.into());
    for part in &parts {
        if let Some(model) = models.get_mut(usize::from(part.model)) {
            model.requeue(&RareRead {
                time,
                ranges: &part.ranges,
                bytes: part.bytes,
                readahead: false,
            });
        }
    }
}
