//! An explanation as a document.

use crate::{
    advice::{self, Explanation, Found, ModelExplanation, TimeSplit, Unit},
    schema::RunRecord,
    units::{count, seconds, share},
};

use super::document::{self, Column, Document, Table, Text, Tone};

/// The explanation in lines of at most `columns` characters; `None` where the output is no terminal.
#[must_use]
pub fn explanation_terminal(
    explanation: &Explanation,
    record: &RunRecord,
    columns: Option<u16>,
) -> String {
    document::terminal(&write(explanation, record), columns)
}

#[must_use]
pub fn explanation_markdown(explanation: &Explanation, record: &RunRecord) -> String {
    document::markdown(&write(explanation, record))
}

fn write(explanation: &Explanation, record: &RunRecord) -> Document {
    let mut document = Document::default();
    document.heading(1, format!("Why: {}", record.command.join(" ")));
    if !record.complete || record.partial {
        document.note(
            Tone::Caution,
            Text::with_code("The record is incomplete or partial: figures may be too small. `tracer launch` said what is missing, and report.md does."),
        );
    }
    for model in &explanation.models {
        if explanation.models.len() > 1 {
            document.heading(2, &*model.model);
        }
        of_model(&mut document, model);
    }
    document
}

fn of_model(document: &mut Document, model: &ModelExplanation) {
    document.heading(2, "Is it storage?");
    document.paragraph(Text::default().strong(model.storage.sentence()));
    if let Some(time) = &model.time {
        document.heading(2, "Where the time went");
        document.paragraph(match time.unit {
            Unit::Token { steps } => format!(
                "{} of generation, {} tokens. Each moment is given to the first that holds:",
                seconds(Some(time.duration_s)),
                count(steps)
            ),
            Unit::Run => format!(
                "{}, the whole run: no decode steps were seen. Each moment is given to the first that holds:",
                seconds(Some(time.duration_s))
            ),
        });
        document.table(time_table(time));
    }
    document.heading(2, "Causes");
    if model.causes.is_empty() {
        document.paragraph("None of the known causes is present.");
    }
    for (number, cause) in model.causes.iter().enumerate() {
        of_cause(document, number + 1, cause, model.unit);
    }
    if model.causes.iter().any(|cause| cause.cost.is_some()) {
        document.paragraph(
            "Times overlap where one cause feeds another: do not add them up. An estimate (about) takes the time that reading cost, by the bytes' share.",
        );
    }
    let not_decided = model.not_decided.iter();
    if !model.not_decided.is_empty() {
        document.heading(2, "Not decided");
        document.list(not_decided.map(|cause| {
            Text::default()
                .strong(cause.title)
                .joined(Text::with_code(&format!(": {}", cause.why)))
        }));
    }
    if !model.absent.is_empty() {
        document.heading(2, "Not present");
        document.list(
            model
                .absent
                .iter()
                .map(|cause| Text::with_code(&format!("{}: {}.", cause.title, cause.why))),
        );
    }
}

fn time_table(time: &TimeSplit) -> Table {
    let columns = [
        Column::left("what"),
        Column::right("time"),
        Column::right("share"),
    ];
    Table::new(columns).with_rows(time.parts.iter().map(|part| {
        [
            part.what.to_owned(),
            seconds(Some(part.seconds)),
            share(Some(part.share)),
        ]
    }))
}

fn of_cause(document: &mut Document, number: usize, cause: &Found, unit: Unit) {
    document.heading(3, format!("{number}. {}", cause.title));
    let cost = cause.cost.map_or_else(
        || "What it costs, this record does not tell.".to_owned(),
        |cost| format!("Costs {}.", advice::cost(cost, unit)),
    );
    document.paragraph(if cause.only_likely {
        format!("Likely, not certain. {cost}")
    } else {
        cost
    });
    document.list(cause.evidence.iter().map(|evidence| {
        Text::plain(format!("{}: {} (", evidence.what, evidence.value))
            .code(evidence.member)
            .then(")")
    }));
    document.paragraph(
        Text::default()
            .strong("What to do: ")
            .joined(Text::with_code(&cause.advice)),
    );
    document.paragraph(Text::with_code(&format!(
        "It would be refuted by {}",
        cause.refuted_by
    )));
}
