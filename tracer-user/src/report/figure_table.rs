//! Tables whose columns or rows are figures of the catalogue: headings, values and sentences come from there.

use crate::{
    figures::{Figure, Scope},
    units::unobserved,
};

use super::document::{Column, Span, Table, Text};

/// Headings of a table of figures below each other.
pub(super) const HEADINGS: [&str; 3] = ["figure", "value", "what it says"];
/// What stands in a table for a figure that was not observed.
const DASH: &str = "–";

/// Figures beside each other, a line for each record. A figure that no line has is left out and named above the table.
pub(super) fn beside<'r, R: Scope>(
    first: &str,
    lines: impl IntoIterator<Item = (String, &'r R)>,
    figures: &[&Figure<R>],
) -> Table {
    let lines: Vec<(String, Vec<Option<f64>>)> = lines
        .into_iter()
        .map(|(name, record)| {
            let values = figures.iter().map(|figure| figure.value(record));
            (name, values.collect())
        })
        .collect();
    let columns: Vec<(&str, crate::figures::Unit)> = figures
        .iter()
        .map(|figure| (figure.label, figure.unit))
        .collect();
    of_values(first, &columns, lines)
}

/// The same of values that are there already.
pub(super) fn of_values(
    first: &str,
    columns: &[(&str, crate::figures::Unit)],
    lines: Vec<(String, Vec<Option<f64>>)>,
) -> Table {
    let seen = |at: usize| {
        let has = |(_, values): &(String, Vec<Option<f64>>)| values.get(at).copied().flatten();
        lines.iter().any(|line| has(line).is_some())
    };
    let shown: Vec<(usize, &str, crate::figures::Unit)> = columns
        .iter()
        .enumerate()
        .filter(|(at, _)| seen(*at))
        .map(|(at, (label, unit))| (at, *label, *unit))
        .collect();
    let mut dashes = false;
    let rows: Vec<Vec<String>> = lines
        .iter()
        .map(|(name, values)| {
            let cells =
                shown
                    .iter()
                    .map(|(at, _, unit)| match values.get(*at).copied().flatten() {
                        Some(value) => unit.show(value),
                        None => {
                            dashes = true;
                            DASH.to_owned()
                        }
                    });
            std::iter::once(name.clone()).chain(cells).collect()
        })
        .collect();
    let mut caption = Vec::new();
    let missing: Vec<&str> = columns
        .iter()
        .enumerate()
        .filter(|(at, _)| !seen(*at))
        .map(|(_, (label, _))| *label)
        .collect();
    if !missing.is_empty() && !lines.is_empty() {
        caption.push(format!("Not observed: {}.", missing.join(", ")));
    }
    if dashes {
        caption.push(format!("{DASH}: {}.", unobserved()));
    }
    let headings = shown.iter().map(|(_, label, _)| Column::right(*label));
    let table = Table::new(std::iter::once(Column::left(first)).chain(headings)).with_rows(rows);
    if caption.is_empty() {
        table
    } else {
        table.captioned(caption.join(" "))
    }
}

/// Figures below each other, each with what it says. Those that were not observed are named last, in one line.
pub(super) fn below<R: Scope>(record: &R, figures: &[&Figure<R>]) -> Table {
    let (seen, missing): (Vec<_>, Vec<_>) = figures
        .iter()
        .map(|figure| (figure, figure.value(record)))
        .partition(|(_, value)| value.is_some());
    let mut table = Table::new(HEADINGS);
    for (figure, value) in seen {
        table.row([
            Text::plain(figure.label),
            Text::plain(figure.unit.show_observed(value)),
            marked(figure.meaning),
        ]);
    }
    if !missing.is_empty() {
        let labels: Vec<&str> = missing.iter().map(|(figure, _)| figure.label).collect();
        table.row([labels.join(", "), unobserved(), String::new()]);
    }
    table
}

/// A sentence of the catalogue: what stands between backticks is code.
pub(super) fn marked(sentence: &str) -> Text {
    let mut text = Text::default();
    for (at, words) in sentence.split('`').enumerate() {
        if !words.is_empty() {
            text = if at % 2 == 0 {
                text.then(words)
            } else {
                text.code(words)
            };
        }
    }
    debug_assert!(
        text.spans()
            .iter()
            .all(|span| !matches!(span, Span::Link { .. }))
    );
    text
}

#[cfg(test)]
mod tests {
    use crate::{
        figures::phase,
        report::document::{Document, Table, markdown},
        schema::PhaseRecord,
    };

    use super::{below, beside};

    fn text(table: Table) -> String {
        let mut document = Document::default();
        document.table(table);
        markdown(&document)
    }

    fn named(phases: &[PhaseRecord]) -> impl Iterator<Item = (String, &PhaseRecord)> {
        phases.iter().map(|phase| (phase.phase.clone(), phase))
    }

    #[test]
    fn what_was_not_observed_is_a_dash_or_named_and_never_a_zero() {
        let phases = [Some(5), None].map(|reads| PhaseRecord {
            phase: "load".into(),
            reads,
            read_bytes: Some(0),
            ..PhaseRecord::default()
        });
        let figures = [&phase::READS, &phase::READ_BYTES, &phase::COVERAGE];
        let shown = text(beside("phase", named(&phases), &figures));
        assert!(
            shown.contains("Not observed: coverage. –: not observed."),
            "{shown}"
        );
        assert!(shown.contains("| load | 5 | 0 B |"), "{shown}");
        assert!(shown.contains("| load | – | 0 B |"), "{shown}");
        let shown = text(below(&phases[1], &figures));
        assert!(
            shown.contains("| reads, coverage | not observed |"),
            "{shown}"
        );
        assert!(
            shown.contains("| read | 0 B | bytes of the model in them"),
            "{shown}"
        );
    }

    #[test]
    fn a_table_without_lines_says_nothing_of_what_was_not_observed() {
        let shown = text(beside("phase", named(&[]), &[&phase::READS]));
        assert_eq!(shown.trim(), "");
    }
}
