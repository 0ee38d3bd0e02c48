//! The phases that somebody gave → the record.

use crate::{
    run::watch::marks::SharedMarks,
    schema::{GivenMarkRecord, RunRecord},
};

/// The phases that were given.
pub fn add_given_marks(record: &mut RunRecord, shared: &SharedMarks, opened_nanos: u64) {
    let (given, count) = shared.given();
    if given.len() as u64 != count {
        record.notes.push(format!(
            "{count} phases were given; the record lists the first {}",
            given.len()
        ));
    }
    let seconds = |nanos: u64| nanos as f64 / 1e9;
    let marks: Vec<_> = given
        .iter()
        .map(|mark| GivenMarkRecord {
            phase: mark.phase.name().to_owned(),
            by: mark.by.name().to_owned(),
            at_s: seconds(mark.at.0.saturating_sub(opened_nanos)),
            uncertainty_s: seconds(mark.uncertainty_nanos),
        })
        .collect();
    record.given_marks = Some(marks).filter(|marks| !marks.is_empty());
}
