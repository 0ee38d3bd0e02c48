//! The table on the terminal.

use std::fmt::Write as _;

use comfy_table::{Attribute, Cell, ContentArrangement, Table, presets};

use crate::schema::RunRecord;

use super::{
    audit::accounting_table,
    figures::{Section, sections},
};

/// Narrowest table that is still readable; below it, lines wrap in the terminal.
pub(super) const NARROWEST_COLUMNS: u16 = 50;
/// Width where nobody says how wide the terminal is.
pub(super) const DEFAULT_COLUMNS: u16 = 120;

/// The run as a table of `columns` characters; None where the output is no terminal.
#[must_use]
pub fn terminal(record: &RunRecord, columns: Option<u16>) -> String {
    let mut text = table_of(sections(record), columns);
    for accountings in record
        .all_models()
        .filter_map(|model| model.accountings.as_ref())
    {
        text.push_str(&accounting_table(accountings, columns));
    }
    text.push_str(&verdict(record));
    text
}

/// Sections as one table.
pub(super) fn table_of(sections: Vec<Section>, columns: Option<u16>) -> String {
    let mut table = Table::new();
    table
        .load_style(presets::UTF8_BORDERS_ONLY)
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_width(columns.unwrap_or(DEFAULT_COLUMNS).max(NARROWEST_COLUMNS));
    for section in sections {
        table.add_row(vec![
            Cell::new(&section.title).add_attribute(Attribute::Bold),
            Cell::new(""),
            Cell::new(""),
        ]);
        for row in section.rows {
            table.add_row(vec![
                Cell::new(row.name),
                Cell::new(row.value),
                Cell::new(row.meaning),
            ]);
        }
    }
    if columns.is_none() {
        table.force_no_tty();
    }
    format!("{table}\n")
}

/// Whether the figures can be trusted, in words.
pub(super) fn verdict(record: &RunRecord) -> String {
    let mut text = String::new();
    let checked = record
        .checks
        .iter()
        .filter(|check| check.holds.is_some())
        .count();
    let violated = record.violations().count();
    if violated == 0 {
        let _ = writeln!(text, "{checked} self-checks, all hold.");
    } else {
        let _ = writeln!(
            text,
            "{violated} of {checked} self-checks DO NOT HOLD; do not quote the figures they are about:"
        );
        for check in record.violations() {
            let _ = writeln!(text, "  {}: {} ≠ {}", check.name, check.left, check.right);
        }
    }
    if record.loss.ring_buffer_records > 0 {
        let _ = writeln!(
            text,
            "INCOMPLETE: {} records were lost; latency, bandwidth, order and request sizes miss them.",
            record.loss.ring_buffer_records
        );
    }
    if record.loss.unseen_completions > 0 {
        let _ = writeln!(
            text,
            "INCOMPLETE: the kernel did not show {} completions to any program (it skips one that would interrupt another); reads, bytes and unique bytes are exact all the same, latency and bandwidth miss them.",
            record.loss.unseen_completions
        );
    }
    if record.loss.late_issues > 0 {
        let _ = writeln!(
            text,
            "INCOMPLETE: the kernel skipped the programs for the issue of {} reads, which were noticed when they completed; reads, bytes and unique bytes are exact all the same, their order, phase and latency are not.",
            record.loss.late_issues
        );
    }
    if record.partial {
        let _ = writeln!(
            text,
            "PARTIAL: {}",
            record
                .partial_reason
                .as_deref()
                .unwrap_or("the window does not cover the whole run")
        );
    }
    for note in &record.notes {
        let _ = writeln!(text, "Note: {note}");
    }
    text
}

#[cfg(test)]
mod tests {
    use crate::schema::{
        BandwidthRecord, Check, GapsRecord, LatencyRecord, LossRecord, ModelRecord, ReadsRecord,
        RunRecord,
    };

    use super::terminal;

    #[test]
    fn a_violated_check_and_a_loss_are_shouted() {
        let record = RunRecord {
            checks: vec![Check::equal("sectors", ("kernel", 8), ("stream", 7))],
            loss: LossRecord {
                ring_buffer_records: 3,
                ..Default::default()
            },
            partial: true,
            partial_reason: Some("stopped by Ctrl-C".into()),
            ..Default::default()
        };
        let text = terminal(&record, None);
        assert!(text.contains("DO NOT HOLD"));
        assert!(text.contains("kernel: 8 ≠ stream: 7"));
        assert!(text.contains("INCOMPLETE: 3 records"));
        assert!(text.contains("PARTIAL: stopped by Ctrl-C"));
    }

    #[test]
    fn what_was_not_observed_is_never_a_zero() {
        let record = RunRecord {
            single: Some(ModelRecord {
                reads: Some(ReadsRecord::default()),
                gaps: Some(GapsRecord::default()),
                bandwidth: Some(BandwidthRecord::default()),
                latency_us: Some(LatencyRecord::default()),
                ..Default::default()
            }),
            ..Default::default()
        };
        let text = terminal(&record, None);
        let line = |name: &str| {
            text.lines()
                .find(|line| line.contains(name))
                .unwrap_or_default()
                .to_owned()
        };
        for name in [
            "coverage",
            "amplification",
            "refaults",
            "latency p50",
            "tokens per second",
        ] {
            assert!(
                line(name).contains("not observed"),
                "{name}: {}",
                line(name)
            );
        }
    }

    #[test]
    fn a_model_without_sectors_has_no_figures_of_reads() {
        let record = RunRecord {
            single: Some(ModelRecord::default()),
            ..Default::default()
        };
        let text = terminal(&record, None);
        assert!(text.contains("sectors are not known"));
        for name in ["coverage", "sequential", "latency", "while busy"] {
            assert!(!text.contains(&format!("│ {name}")), "{name}");
        }
    }

    #[test]
    fn a_narrow_terminal_gets_no_wider_lines() {
        let text = terminal(&RunRecord::default(), Some(60));
        let widest = text
            .lines()
            .take_while(|line| !line.contains("self-checks"))
            .map(|line| line.chars().count())
            .max();
        assert!(widest <= Some(60), "{widest:?}");
    }
}
