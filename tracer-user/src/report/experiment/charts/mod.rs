//! An experiment's charts: what each run got from what it was given, every run a point.

mod cells;
mod consistency;
mod figures;
mod memory;

use crate::{report::document::Document, schema::ExperimentRecord};

use super::{groups::Group, thresholds::ModelThreshold};

/// All charts: against memory, by what else was varied, and how alike the same run came out.
pub(super) fn charts(
    experiment: &ExperimentRecord,
    groups: &[Group<'_>],
    thresholds: &[ModelThreshold],
) -> Document {
    let mut document = Document::default();
    let mut against_memory = Document::default();
    let drawn = memory::write(&mut against_memory, experiment, groups, thresholds);
    // What else was varied first: it shows all cells together.
    cells::write(&mut document, experiment, groups, drawn);
    document.append(against_memory);
    consistency::write(&mut document, experiment, groups);
    if document.is_empty() {
        document.paragraph("No chart: no finished run has a figure to draw.");
    }
    document
}

#[cfg(test)]
mod tests {
    use crate::{
        report::{
            document::html,
            experiment::{
                experiment_page,
                groups::groups,
                sample::{GIB, experiment, finished},
                thresholds::thresholds,
            },
        },
        schema::PlannedPressure,
    };

    use super::charts;

    #[test]
    fn every_run_is_a_point_and_one_size_is_no_chart() {
        let of = |sizes: &[u64]| {
            experiment(
                sizes
                    .iter()
                    .map(|size| finished("a.gguf", PlannedPressure::MemoryMax(*size)))
                    .collect(),
            )
        };
        let made = of(&[GIB, GIB, 2 * GIB, 3 * GIB]);
        let document = charts(&made, &groups(&made), &thresholds(&made));
        let written = html(&document);
        for number in 0..4 {
            assert!(
                written.contains(&format!("run {number} · ")),
                "{number}: {written}"
            );
        }
        assert!(experiment_page(&made).contains("id=\"speed-memory\""));
        let made = of(&[GIB, GIB]);
        assert!(
            html(&charts(&made, &groups(&made), &thresholds(&made))).contains("id=\"cells-speed\"")
        );
    }
}
