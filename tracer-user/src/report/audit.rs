//! The audit as a document: what the same trace gives under every way of counting its records.

use crate::{
    schema::{AccountingRecord, AuditRecord, ExpectationRecord, FitRecord},
    units::{bytes, count, factor, share},
};

use super::{
    block_trace::losses,
    document::{self, Column, Document, Table, Tone},
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

fn cells(accounting: &AccountingRecord) -> Vec<String> {
    if !accounting.not_recorded.is_empty() {
        return vec![
            accounting.name.clone(),
            format!("no {} here", accounting.not_recorded.join(", ")),
        ];
    }
    vec![
        accounting.name.clone(),
        count(accounting.records),
        bytes(accounting.total_bytes),
        bytes(accounting.unique_bytes),
        factor(accounting.amplification),
        share(accounting.sequential.share),
        share(accounting.small.share),
        share(accounting.medium.share),
        share(accounting.large.share),
        share(accounting.backward.share),
        accounting
            .records_per_read
            .map_or_else(String::new, |records| format!("{records:.2}")),
    ]
}

/// One row an accounting.
fn accounting_table(accountings: &[AccountingRecord]) -> Table {
    let amounts = AMOUNTS.into_iter().map(Column::right);
    Table::new(std::iter::once(Column::left("records counted")).chain(amounts))
        .with_rows(accountings.iter().map(cells))
}

/// The accountings of a live run's reads, as a part of its report.
pub(super) fn accountings(document: &mut Document, accountings: &[AccountingRecord]) {
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
            share(once.sequential.share),
            share(once.backward.share)
        ));
    }
    if let Some(expectation) = &record.expectation {
        document.paragraph(format!("Your figures: {}.", given(expectation)));
        for line in explanation(expectation, &record.accountings) {
            document.paragraph(line);
        }
    }
    document.notes(losses(&record.loss, record.partial_reason.as_deref()));
    for note in &record.notes {
        document.note(Tone::Plain, format!("Note: {note}"));
    }
}

/// The figures that somebody has, as one reads them.
fn given(expectation: &ExpectationRecord) -> String {
    let mut parts: Vec<String> = expectation
        .amplification
        .iter()
        .map(|amplification| format!("amplification {amplification}×"))
        .collect();
    for (name, expected) in [
        ("sequential", expectation.sequential),
        ("small", expectation.small),
        ("medium", expectation.medium),
        ("large", expectation.large),
        ("backward", expectation.backward),
    ] {
        parts.extend(expected.map(|expected| format!("{name} {:.1} %", expected * 100.0)));
    }
    parts.join(", ")
}

fn names(fits: &[&FitRecord]) -> String {
    let names: Vec<&str> = fits.iter().map(|fit| fit.accounting.as_str()).collect();
    names.join(", ")
}

/// Which accountings give the figures.
fn explanation(expectation: &ExpectationRecord, accountings: &[AccountingRecord]) -> Vec<String> {
    let (all, some): (Vec<&FitRecord>, Vec<&FitRecord>) = expectation
        .fits
        .iter()
        .filter(|fit| fit.amplification_fits)
        .partition(|fit| fit.shares_fit);
    let Some(best) = all.first().or(some.first()) else {
        return vec![unexplained(expectation, accountings)];
    };
    let mut lines = Vec::new();
    if expectation.amplification.is_some() {
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
fn unexplained(expectation: &ExpectationRecord, accountings: &[AccountingRecord]) -> String {
    let nearest = expectation.fits.first().map_or_else(String::new, |fit| {
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
fn class(fit: &FitRecord) -> String {
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
    use crate::schema::{
        AccountingRecord, AuditRecord, ExpectationRecord, FitRecord, GapClassRecord,
        TraceLossRecord,
    };

    use super::{audit_markdown, audit_terminal};

    fn shared(share: f64) -> GapClassRecord {
        GapClassRecord {
            share: Some(share),
            ..GapClassRecord::default()
        }
    }

    fn accounting(name: &str, amplification: f64, backward: f64) -> AccountingRecord {
        AccountingRecord {
            name: name.to_owned(),
            amplification: Some(amplification),
            backward: shared(backward),
            sequential: shared(0.1),
            small: shared(0.1),
            medium: shared(0.1),
            large: shared(0.1),
            records_per_read: Some(amplification),
            ..AccountingRecord::default()
        }
    }

    fn fit(name: &str, records: u64, shares_fit: bool) -> FitRecord {
        FitRecord {
            accounting: name.to_owned(),
            amplification_fits: true,
            shares_fit,
            records_per_read: Some(records),
            ..FitRecord::default()
        }
    }

    fn audit(fits: Vec<FitRecord>) -> AuditRecord {
        let mut without_inserts = accounting("Q+I+D+C", 3.0, 0.67);
        without_inserts.not_recorded = vec!["I".to_owned()];
        AuditRecord {
            accountings: vec![
                accounting("each request once", 1.0, 0.0),
                accounting("Q+D+C", 3.0, 0.67),
                without_inserts,
            ],
            expectation: Some(ExpectationRecord {
                amplification: Some(3.02),
                backward: Some(0.669),
                fits,
                ..ExpectationRecord::default()
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
