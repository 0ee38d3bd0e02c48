//! The curve: speed and reads of each cell.

use crate::{
    figures::selections::CURVE,
    report::document::{Column, Document, Table},
    schema::ExperimentRecord,
};

use super::{
    groups::{Group, MemoryClass},
    spread,
    threshold_words::{definition, read_share, verdict_of},
    thresholds::ModelThreshold,
};

/// One table for each kind of pressure, one line a cell.
pub(super) fn results(
    document: &mut Document,
    experiment: &ExperimentRecord,
    groups: &[Group<'_>],
    thresholds: &[ModelThreshold],
) {
    document.heading(2, "Results");
    document.paragraph(format!(
        "{} tok/s is the engine's own figure, for the generation alone.",
        spread::explanation(experiment.seed)
    ));
    for class in MemoryClass::ALL {
        let own: Vec<&Group<'_>> = groups.iter().filter(|group| group.class == class).collect();
        if !own.is_empty() {
            document.heading(3, format!("Results {}", class.title()));
            document.table(curve(experiment, &own, thresholds));
        }
    }
    if !thresholds.is_empty() {
        document.paragraph(definition());
    }
}

fn curve(
    experiment: &ExperimentRecord,
    groups: &[&Group<'_>],
    thresholds: &[ModelThreshold],
) -> Table {
    let sizes: Vec<_> = groups
        .iter()
        .map(|group| {
            thresholds
                .iter()
                .find_map(|threshold| threshold.size_of(group))
        })
        .collect();
    let judged = sizes.iter().any(Option::is_some);
    let mut columns = vec![Column::left("cell"), Column::right("runs")];
    columns.extend(CURVE.iter().map(|figure| Column::right(figure.label())));
    if judged {
        columns.extend([Column::right("read / needed"), Column::left("verdict")]);
    }
    let rows = groups.iter().zip(sizes).map(|(group, size)| {
        let mut row = vec![group.name.clone(), group.count()];
        row.extend(
            CURVE
                .iter()
                .map(|figure| spread::of_figure(group, figure, experiment.seed)),
        );
        if let Some(size) = size {
            row.extend([read_share(size), verdict_of(size).to_owned()]);
        }
        row
    });
    Table::new(columns).with_rows(rows)
}
