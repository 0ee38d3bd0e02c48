//! The audit as a document: what the same trace gives under every way of counting its records.

use crate::{
    schema::{AccountingFigures, AuditRecord, Explanation, Fit},
    stats::audit::accounting::letters,
    units::{bytes, count, factor, share},
};

use super::{
    block_trace::losses,
    document::{self, Column, Document, Table, Text, Tone},
};

/// Columns of amounts, after the name of the accounting.
const AMOUNTS: [&str; 10] = [
    "records",
    "total",
    "unique",
    "amplification",
    "sequential",
    "small",
    "medium",
    "large",
    "backward",
    "for each read",
];

fn cells(accounting: &AccountingFigures) -> Vec<String> {
    if !accounting.not_recorded.is_empty() {
        return vec![
            accounting.name.clone(),
            format!("no {} here", letters(&accounting.not_recorded, ", ")),
        ];
    }
    let mut cells = vec![
        accounting.name.clone(),
        count(accounting.records),
        bytes(accounting.total_bytes),
        bytes(accounting.unique_bytes),
        factor(accounting.amplification),
    ];
    cells.extend(accounting.gaps.in_slots().map(|gap| share(gap.share)));
    cells.push(
        accounting
            .records_per_read
            .map_or_else(String::new, |records| format!("{records:.2}")),
    );
    cells
}

/// One row an accounting.
fn accounting_table(accountings: &[AccountingFigures]) -> Table {
    let amounts = AMOUNTS.into_iter().map(Column::right);
    Table::new(std::iter::once(Column::left("records counted")).chain(amounts))
        .with_rows(accountings.iter().map(cells))
}

/// The accountings of a live run's reads, as a part of its report.
pub(super) fn accountings(document: &mut Document, accountings: &[AccountingFigures]) {
    document.heading(2, "Accounting audit");
    document.paragraph("Each read passes several stages of the block layer. These figures would come out if the records of several stages were each counted as a read, as scripts over old traces did; the first row is the truth.");
    document.table(accounting_table(accountings));
}

/// The audit in lines of `columns` characters; None where the output is no terminal.
#[must_use]
pub fn audit_terminal(record: &AuditRecord, columns: Option<u16>) -> String {
    let mut document = Document::default();
    document.paragraph(subject(record));
    document.table(accounting_table(&record.accountings));
    words(&mut document, record);
    document::terminal(&document, columns)
}

/// The audit as a report.
#[must_use]
pub fn audit_markdown(record: &AuditRecord) -> String {
    let mut document = Document::default();
    document.heading(1, "Accounting audit");
    document.paragraph(format!(
        "{} ({}), tracer {}. {}",
        record.files.join(", "),
        record.format,
        record.tracer_version,
        subject(record)
    ));
    document.table(accounting_table(&record.accountings));
    words(&mut document, record);
    document::markdown(&document)
}

fn subject(record: &AuditRecord) -> String {
    match (&record.model, record.first_sector, record.end_sector) {
        (Some(model), ..) => format!("Reads of {} on device {}.", model.path, record.device),
        (None, Some(first), Some(end)) => format!(
            "All reads of device {}, sectors {first} to {end}.",
            record.device
        ),
        _ => format!(
            "All reads of device {}, of which none was issued.",
            record.device
        ),
    }
}

fn words(document: &mut Document, record: &AuditRecord) {
    if let Some(once) = record
        .accountings
        .first()
        .filter(|once| once.not_recorded.is_empty())
    {
        document.paragraph(format!(
            "Each request counted once: amplification {}, {} sequential, {} backward. The other rows are what a script finds that takes each of these records for a read.",
            factor(once.amplification),
            share(once.gaps.sequential.share),
            share(once.gaps.backward.share)
        ));
    }
    if let Some(explanation) = &record.expectation {
        document.paragraph(format!("Your figures: {}.", given(explanation)));
        for line in sentences(explanation, &record.accountings) {
            document.paragraph(line);
        }
    }
    document.notes(losses(&record.loss, record.partial_reason.as_deref()));
    for note in &record.notes {
        document.note(Tone::Plain, Text::with_code(&format!("Note: {note}")));
    }
}

/// The figures that somebody has, as one reads them.
fn given(explanation: &Explanation) -> String {
    let expected = &explanation.expected;
    let mut parts: Vec<String> = expected
        .amplification
        .iter()
        .map(|amplification| format!("amplification {amplification}×"))
        .collect();
    let names = ["sequential", "small", "medium", "large", "backward"];
    for (name, expected) in names.into_iter().zip(expected.shares.in_slots()) {
        parts.extend(expected.map(|expected| format!("{name} {:.1} %", expected * 100.0)));
    }
    parts.join(", ")
}

fn names(fits: &[&Fit]) -> String {
    let names: Vec<&str> = fits.iter().map(|fit| fit.accounting.as_str()).collect();
    names.join(", ")
}

/// Which accountings give the figures.
fn sentences(explanation: &Explanation, accountings: &[AccountingFigures]) -> Vec<String> {
    let (all, some): (Vec<&Fit>, Vec<&Fit>) = explanation
        .fits
        .iter()
        .filter(|fit| fit.amplification_fits)
        .partition(|fit| fit.shares_fit);
    let Some(best) = all.first().or(some.first()) else {
        return vec![unexplained(explanation, accountings)];
    };
    let mut lines = Vec::new();
    if explanation.expected.amplification.is_some() {
        lines.push(class(best));
    }
    if !all.is_empty() {
        lines.push(format!(
            "Counted so, this trace gives your figures: {}.{}{}",
            names(&all),
            if all.len() > 1 {
                " Which of them it was cannot be told from the figures: they look alike."
            } else {
                ""
            },
            if all.iter().any(|fit| fit.accounting.starts_with("A+")) {
                " A is the remap of a read from its partition to the disk."
            } else {
                ""
            }
        ));
    }
    if !some.is_empty() {
        lines.push(format!(
            "The same amplification, with other shares of gaps: {}. Shares depend on how the records of neighbouring requests stand between each other, which differs from run to run; the amplification does not.",
            names(&some)
        ));
    }
    lines
}

/// Where no accounting gives the amplification.
fn unexplained(explanation: &Explanation, accountings: &[AccountingFigures]) -> String {
    let nearest = explanation.fits.first().map_or_else(String::new, |fit| {
        let own = accountings
            .iter()
            .find(|accounting| accounting.name == fit.accounting);
        format!(
            " The nearest is {} with {}.",
            fit.accounting,
            factor(own.and_then(|own| own.amplification))
        )
    });
    format!(
        "No way of counting this trace gives that amplification.{nearest} Is it the trace that the figures were made of?"
    )
}

/// The class of an accounting: how many records of each read it takes for reads.
fn class(fit: &Fit) -> String {
    let number = match fit.records_per_read {
        Some(1) => {
            return "Amplification fits requests that are counted once: these bytes were really read again.".to_owned();
        }
        None => {
            return format!(
                "Amplification fits a part of the requests: {}.",
                fit.accounting
            );
        }
        Some(2) => "two".to_owned(),
        Some(3) => "three".to_owned(),
        Some(4) => "four".to_owned(),
        Some(5) => "five".to_owned(),
        Some(more) => more.to_string(),
    };
    format!("Amplification fits: {number} records were counted for each read.")
}

#[cfg(test)]
mod tests {
    use crate::{
        schema::{
            AccountingFigures, Action, AuditRecord, ByGapClass, Explanation, Fit, GapFigure,
            TraceLossRecord,
        },
        stats::audit::matching::Expectation,
    };

    use super::{audit_markdown, audit_terminal};

    fn shared(share: f64) -> GapFigure {
        GapFigure {
            share: Some(share),
            ..GapFigure::default()
        }
    }

    fn accounting(name: &str, amplification: f64, backward: f64) -> AccountingFigures {
        AccountingFigures {
            name: name.to_owned(),
            amplification: Some(amplification),
            gaps: ByGapClass {
                backward: shared(backward),
                sequential: shared(0.1),
                small: shared(0.1),
                medium: shared(0.1),
                large: shared(0.1),
            },
            records_per_read: Some(amplification),
            ..AccountingFigures::default()
        }
    }

    fn fit(name: &str, records: u64, shares_fit: bool) -> Fit {
        Fit {
            accounting: name.to_owned(),
            amplification_fits: true,
            shares_fit,
            records_per_read: Some(records),
            ..Fit::default()
        }
    }

    fn audit(fits: Vec<Fit>) -> AuditRecord {
        let mut without_inserts = accounting("Q+I+D+C", 3.0, 0.67);
        without_inserts.not_recorded = vec![Action::Insert];
        AuditRecord {
            accountings: vec![
                accounting("each request once", 1.0, 0.0),
                accounting("Q+D+C", 3.0, 0.67),
                without_inserts,
            ],
            expectation: Some(Explanation {
                expected: Expectation {
                    amplification: Some(3.02),
                    shares: ByGapClass {
                        backward: Some(0.669),
                        ..ByGapClass::default()
                    },
                },
                fits,
            }),
            loss: TraceLossRecord {
                missing_records: Some(0),
                ..TraceLossRecord::default()
            },
            ..AuditRecord::default()
        }
    }

    #[test]
    fn the_class_and_all_that_look_alike_are_said() {
        let record = audit(vec![
            fit("Q+D+C", 3, true),
            fit("G+D+C", 3, true),
            fit("Q+G+D", 3, false),
        ]);
        for text in [audit_terminal(&record, None), audit_markdown(&record)] {
            for part in [
                "amplification 3.02×, backward 66.9 %",
                "three records were counted for each read",
                "gives your figures: Q+D+C, G+D+C.",
                "cannot be told",
                "with other shares of gaps: Q+G+D.",
                "no I here",
            ] {
                assert!(text.contains(part), "{part}: {text}");
            }
            assert!(!text.contains("INCOMPLETE"), "{text}");
        }
        let four = audit(vec![fit("A+Q+D+C", 4, true)]);
        let text = audit_terminal(&four, None);
        assert!(
            text.contains("four records were counted for each read."),
            "{text}"
        );
        assert!(
            text.contains("A is the remap of a read from its partition"),
            "{text}"
        );
    }

    #[test]
    fn figures_that_nothing_gives_are_not_explained() {
        let mut nearest = fit("Q+D+C", 3, false);
        nearest.amplification_fits = false;
        let text = audit_terminal(&audit(vec![nearest]), None);
        assert!(text.contains("No way of counting this trace gives that amplification. The nearest is Q+D+C with 3.000×."), "{text}");
        assert!(!text.contains("were counted for each read"), "{text}");
        let truth = audit_terminal(&audit(vec![fit("each request once", 1, true)]), None);
        assert!(truth.contains("really read again"), "{truth}");
    }
}
