//! Experts: which were read most and least.

use crate::{
    figures::tensor::grouped,
    report::document::Document,
    schema::{ModelRecord, RunRecord},
    stats::formulas::ratio,
    units::{count, share},
};

use super::{names::titled, pieces::ranked};

pub(super) fn write(document: &mut Document, record: &RunRecord, model: &ModelRecord) {
    let experts = grouped(model.tensors.iter().flatten(), |tensor| {
        Some((tensor.layer?, tensor.expert?))
    });
    if experts.is_empty() {
        return;
    }
    document.heading(3, titled(record, model, "Experts"));
    let read: Option<Vec<u64>> = experts.values().map(|expert| expert.read_bytes).collect();
    if let Some(mut read) = read {
        let touched = read.iter().filter(|bytes| **bytes > 0).count();
        let all: u64 = read.iter().sum();
        read.sort_unstable();
        let half = read.len().div_ceil(2);
        let most: u64 = read.iter().rev().take(half).sum();
        let mut words = format!(
            "Of {} experts (layer by layer) {} were read",
            count(experts.len() as u64),
            count(touched as u64)
        );
        if let Some(part) = ratio(most, all) {
            let part = share(Some(part));
            words.push_str(&format!(
                "; {part} of the bytes read of experts were of the half that was read most"
            ));
        }
        document.paragraph(words + ".");
    }
    let lines = experts
        .iter()
        .map(|((layer, expert), sum)| (format!("layer {layer}, expert {expert}"), sum));
    ranked(document, "expert", lines.collect());
}
