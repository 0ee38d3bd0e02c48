//! The audit against a script's own arithmetic, and its laws.

use proptest::prelude::*;
use tracer_common::gap::GapClass;

use super::{AccountingAudit, AccountingFigures, Action, ONCE, ReadRecord};

fn record(action: Action, start_sector: u64, sectors: u64) -> ReadRecord {
    ReadRecord {
        action,
        start_sector,
        end_sector: start_sector + sectors,
        thread_id: 1,
        again: false,
    }
}

fn audited(records: &[ReadRecord]) -> Vec<AccountingFigures> {
    let mut audit = AccountingAudit::new(None, None);
    records.iter().for_each(|record| audit.take(record));
    audit.figures()
}

fn named<'a>(figures: &'a [AccountingFigures], name: &str) -> &'a AccountingFigures {
    figures
        .iter()
        .find(|figures| figures.name == name)
        .expect("an accounting of this name")
}

/// What a script does: one list, one pass.
fn script(records: &[ReadRecord], actions: &[Action]) -> (u64, u64, u64, [u64; 5]) {
    let reads: Vec<(u64, u64)> = records
        .iter()
        .filter(|record| actions.contains(&record.action))
        .map(|record| (record.start_sector, record.end_sector))
        .collect();
    let mut sectors: Vec<u64> = reads.iter().flat_map(|(from, to)| *from..*to).collect();
    let total = sectors.len() as u64;
    sectors.sort_unstable();
    sectors.dedup();
    let mut gaps = [0; 5];
    for pair in reads.windows(2) {
        gaps[GapClass::of(pair[1].0, pair[0].1).slot()] += 1;
    }
    (
        reads.len() as u64,
        total * 512,
        sectors.len() as u64 * 512,
        gaps,
    )
}

#[test]
fn three_records_of_each_read_triple_the_bytes_and_seek_backward() {
    let records: Vec<ReadRecord> = (0..1000u64)
        .flat_map(|read| {
            [Action::Queue, Action::Issue, Action::Complete]
                .map(|action| record(action, read * 512, 512))
        })
        .collect();
    let figures = audited(&records);
    let once = named(&figures, "each request once");
    assert_eq!(once.amplification, Some(1.0));
    assert_eq!(once.gaps.sequential.share, Some(1.0));
    let three = named(&figures, "Q+D+C");
    assert_eq!(three.amplification, Some(3.0));
    assert_eq!(three.records_per_read, Some(3.0));
    // Two of each three records start where the one before started.
    assert_eq!(three.gaps.backward.count, 2000);
    assert_eq!(three.gaps.sequential.count, 999);
    assert!(three.not_recorded.is_empty());
    assert_eq!(named(&figures, "Q+I+D+C").not_recorded, [Action::Insert]);
}

#[test]
fn a_reissue_counts_for_a_script_and_not_for_the_truth() {
    let mut again = record(Action::Issue, 0, 8);
    again.again = true;
    let figures = audited(&[record(Action::Issue, 0, 8), again]);
    assert_eq!(named(&figures, "D").amplification, Some(2.0));
    assert_eq!(
        named(&figures, "each request once").amplification,
        Some(1.0)
    );
    assert_eq!(named(&figures, "D").records_per_read, Some(2.0));
}

#[test]
fn the_main_thread_is_the_one_that_queued_most_unless_it_is_named() {
    let by = |thread_id, record: ReadRecord| ReadRecord {
        thread_id,
        ..record
    };
    let records = [
        by(7, record(Action::Queue, 0, 80)),
        by(9, record(Action::Issue, 0, 80)),
        by(7, record(Action::Queue, 80, 8)),
        by(7, record(Action::Issue, 80, 8)),
    ];
    let figures = audited(&records);
    assert_eq!(named(&figures, "D, thread 7 only").total_bytes, 8 * 512);
    let mut audit = AccountingAudit::new(Some(9), None);
    records.iter().for_each(|record| audit.take(record));
    assert_eq!(
        named(&audit.figures(), "D, thread 9 only").total_bytes,
        80 * 512
    );
}

#[test]
fn a_range_counts_the_neighbours_reads() {
    let mut audit = AccountingAudit::new(None, Some((100, 200)));
    // A neighbour's read between two extents, one outside, one of the model.
    for (start, end) in [(120, 130), (200, 210), (100, 108)] {
        audit.take_issue_anywhere(start, end);
    }
    audit.take(&record(Action::Issue, 100, 8));
    let figures = audit.figures();
    assert_eq!(named(&figures, "D, sectors 100 to 200").records, 2);
    assert_eq!(named(&figures, "D").records, 1);
}

#[test]
fn an_empty_trace_has_no_figures_rather_than_zeros() {
    for figures in audited(&[]) {
        assert_eq!(figures.amplification, None);
        assert_eq!(figures.gaps.backward.share, None);
        assert_eq!(figures.records_per_read, None);
    }
}

#[test]
fn in_json_an_action_is_its_letter() {
    for action in Action::ALL {
        let json = serde_json::to_string(&action).unwrap();
        assert_eq!(json, format!("\"{}\"", action.letter()));
        assert_eq!(serde_json::from_str::<Action>(&json).unwrap(), action);
    }
    assert!(serde_json::from_str::<Action>("\"X\"").is_err());
}

fn any_record() -> impl Strategy<Value = ReadRecord> {
    (0usize..7, 0u64..5000, 1u64..60)
        .prop_map(|(action, start, sectors)| record(Action::ALL[action], start, sectors))
}

proptest! {
    #[test]
    fn every_accounting_is_what_a_script_finds(records in prop::collection::vec(any_record(), 0..40)) {
        for figures in audited(&records) {
            // Of these a part of the issues counts.
            if figures.name == ONCE || figures.name.starts_with("D, ") { continue }
            let classes = figures.gaps.map(|class| class.count).in_slots();
            prop_assert_eq!(
                (figures.records, figures.total_bytes, figures.unique_bytes, classes),
                script(&records, &figures.actions)
            );
        }
    }
}
