//! The audit of a live run: its reads under every way of counting their records.

use tracer_common::record::{IssueRecord, StageRecord, issue_flag, stage};

use crate::{
    place::Locator,
    stats::{
        Part,
        audit::accounting::{AccountingAudit, AccountingFigures, Action, ReadRecord},
    },
};

/// One audit for each model.
#[derive(Clone, Debug)]
pub struct LiveAudit {
    models: Vec<AccountingAudit>,
}

impl LiveAudit {
    /// Audits of so many models. Reads of others are not recorded, so the accounting by sector range is left out.
    #[must_use]
    pub fn new(models: usize) -> Self {
        Self {
            models: vec![AccountingAudit::new(None, None); models],
        }
    }

    /// A read, or a part of it for one model, was issued.
    pub fn issued(&mut self, issue: &IssueRecord, part: &Part) {
        let again = issue.flags & issue_flag::REISSUE != 0;
        self.take(part, Action::Issue, issue.thread_id, again);
    }

    /// A part of a read came back.
    pub fn completed(&mut self, part: &Part) {
        // It completes in an interrupt, whoever is current then.
        self.take(part, Action::Complete, 0, false);
    }

    /// A read passed another stage.
    pub fn passed(&mut self, record: &StageRecord, locator: &Locator) {
        let action = match record.stage {
            stage::QUEUE => Action::Queue,
            stage::GET_REQUEST => Action::GetRequest,
            stage::INSERT => Action::Insert,
            stage::REMAP => Action::Remap,
            _ => return,
        };
        for part in locator.parts(record.device, record.sector, u64::from(record.bytes)) {
            self.take(&part, action, record.thread_id, false);
        }
    }

    fn take(&mut self, part: &Part, action: Action, thread_id: u32, again: bool) {
        if let Some(model) = self.models.get_mut(usize::from(part.model)) {
            model.take(&ReadRecord {
                action,
                start_sector: part.start_sector,
                end_sector: part.end_sector,
                thread_id,
                again,
            });
        }
    }

    /// By model: the figures by accounting.
    #[must_use]
    pub fn figures(&self) -> Vec<Vec<AccountingFigures>> {
        self.models.iter().map(AccountingAudit::figures).collect()
    }
}
