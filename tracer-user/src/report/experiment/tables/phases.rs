//! What each phase read, and in which order.

use crate::{
    figures::{Figure, InRun, Unit, gaps, phase, reads},
    report::document::{Column, Document, Table},
    schema::{ExperimentRecord, ModelIdentity, PhaseRecord},
    units::unobserved,
};

use super::spread;
use crate::report::experiment::groups::{Group, Traced};

/// Phases in the order of a run.
const PHASES: [&str; 10] = [
    "load",
    "idle",
    "warm_up",
    "prompt",
    "generation",
    "mixed",
    "inference",
    "unended_step",
    "end",
    "unmarked",
];

/// A sector, bytes.
const SECTOR_BYTES: u64 = 512;

const COLUMNS: [&str; 5] = [
    "reads",
    "read",
    "unique sectors",
    "coverage",
    "amplification",
];

/// A line for each cell's whole run, and for each of its phases that read something.
pub(in crate::report::experiment) fn phases(
    document: &mut Document,
    experiment: &ExperimentRecord,
    groups: &[Group<'_>],
) {
    document.heading(3, "Reads by phase");
    let mut table = Table::new(
        ["cell", "phase"]
            .map(Column::left)
            .into_iter()
            .chain(COLUMNS.map(Column::right))
            .chain(gaps::CLASSES.iter().map(|class| Column::right(class.name)))
            .chain([Column::right("sequential in its stream")]),
    )
    .captioned("A phase that read nothing has no line. Coverage: the share of the model's bytes that arrived at least once; a byte may be read in several phases. Amplification: read / unique bytes; it depends on tokens, threads, read-ahead and memory. Then the gap between each read and the one before it, in the device's order; last, the share of reads that continue one of the last 32: several threads that read in order look random in the device's order. In brackets: of the whole run as in the results; of a phase the smallest and the largest.");
    for group in groups {
        table.row(whole_run(group, experiment.seed));
        for name in PHASES {
            let mut reads = group
                .runs
                .iter()
                .filter_map(|run| run.phase(name)?.read_bytes);
            if reads.any(|read| read > 0) {
                table.row(phase(group, name));
            }
        }
    }
    document.table(table);
}

fn whole_run(group: &Group<'_>, seed: u64) -> Vec<String> {
    let shown = |figure| spread::of_figure(group, &InRun::Model(figure), seed);
    let mut row = vec![
        group.name.clone(),
        "whole run".to_owned(),
        shown(&reads::COUNT),
        shown(&reads::TOTAL_BYTES),
        unique_sectors(group, |run| {
            Some(run.model.reads.as_ref()?.amount.unique_bytes)
        }),
        shown(&reads::COVERAGE),
        shown(&reads::AMPLIFICATION),
    ];
    row.extend(gaps::CLASSES.iter().map(|class| shown(class.share)));
    row.push(shown(&gaps::STREAM_SEQUENTIAL_SHARE));
    row
}

fn phase(group: &Group<'_>, name: &'static str) -> Vec<String> {
    let shown = |figure: &Figure<PhaseRecord>| {
        group.show(figure.unit, |run| figure.value(run.phase(name)?))
    };
    let mut row = vec![
        group.name.clone(),
        name.replace('_', "-"),
        shown(&phase::READS),
        shown(&phase::READ_BYTES),
        unique_sectors(group, |run| run.phase(name)?.unique_bytes),
        shown(&phase::COVERAGE),
        shown(&phase::AMPLIFICATION),
    ];
    row.extend(gaps::PHASE_SHARES.iter().map(|(_, share)| shown(share)));
    row.push(shown(&gaps::phase::STREAM_SEQUENTIAL_SHARE));
    row
}

/// Sectors that these distinct bytes of a model came in: a device reads the last one of a file whole, also where the
/// file ends within it. None where several files end so and not all of them was read: whose ends are among it is not
/// known then.
fn whole_sectors(unique_bytes: u64, model: &ModelIdentity) -> Option<u64> {
    if unique_bytes == model.size_bytes && !model.files.is_empty() {
        let files = model.files.iter();
        return Some(
            files
                .map(|file| file.size_bytes.div_ceil(SECTOR_BYTES))
                .sum(),
        );
    }
    let cut_ends = model
        .files
        .iter()
        .filter(|file| !file.size_bytes.is_multiple_of(SECTOR_BYTES));
    (cut_ends.count() < 2).then(|| unique_bytes.div_ceil(SECTOR_BYTES))
}

/// Exactly: identical unique sectors show that the same bytes were read.
fn unique_sectors(group: &Group<'_>, pick: impl Fn(&Traced<'_>) -> Option<u64>) -> String {
    let values = group.figures(|run| Some(whole_sectors(pick(run)?, &run.model.model)? as f64));
    match values.as_slice() {
        [] => unobserved(),
        [only] => Unit::Count.show(*only),
        [first, others @ ..] if others.iter().all(|other| other == first) => format!(
            "{}, identical in all {}",
            Unit::Count.show(*first),
            values.len()
        ),
        _ => Unit::Count.show_range(&values),
    }
}

#[cfg(test)]
mod tests {
    use crate::{
        report::{
            document::{Document, markdown},
            experiment::{
                groups::groups,
                sample::{experiment, finished, with_model},
            },
        },
        schema::{ByGapClass, GapFigure, ModelFileRecord, ModelIdentity, PlannedPressure},
    };

    use super::{phases, whole_sectors};

    fn of_files(sizes: &[u64]) -> ModelIdentity {
        let file = |size: &u64| ModelFileRecord {
            size_bytes: *size,
            ..Default::default()
        };
        ModelIdentity {
            files: sizes.iter().map(file).collect(),
            size_bytes: sizes.iter().sum(),
            ..Default::default()
        }
    }

    #[test]
    fn the_sector_that_a_file_ends_in_is_a_whole_one() {
        let one = of_files(&[120_214_938]);
        assert_eq!(whole_sectors(120_214_938, &one), Some(234_795));
        assert_eq!(whole_sectors(512, &one), Some(1));
        assert_eq!(whole_sectors(0, &one), Some(0));
        // Each file has an end of its own.
        let two = of_files(&[1000, 1000]);
        assert_eq!(whole_sectors(2000, &two), Some(4));
        // 512 + 488 of one file, or the ends of both and another part?
        assert_eq!(whole_sectors(1000, &two), None);
        assert_eq!(whole_sectors(1000, &of_files(&[1000, 1024])), Some(2));
    }

    #[test]
    fn each_class_stands_in_its_column_of_the_study_s_table() {
        let run = with_model(finished("a.gguf", PlannedPressure::None), |model| {
            let class = |share: f64| GapFigure {
                share: Some(share),
                ..Default::default()
            };
            if let Some(gaps) = &mut model.gaps {
                gaps.classes = ByGapClass {
                    sequential: class(0.302),
                    small: class(0.013),
                    medium: class(0.009),
                    large: class(0.006),
                    backward: class(0.67),
                };
            }
        });
        let made = experiment(vec![run]);
        let mut document = Document::default();
        phases(&mut document, &made, &groups(&made));
        let text = markdown(&document);
        for row in [
            "| sequential (gap = 0) | small (\\< 128 KiB) | medium (128 KiB – 1 MiB) | large (> 1 MiB) | backward (\\< 0) | sequential in its stream |",
            "| whole run | 16,384 | 4.00 GiB | 8,388,608 | 100.0 % | 1.000× | 30.2 % | 1.3 % | 0.9 % | 0.6 % | 67.0 % | 99.9 % |",
            "| load | 16,384 | 4.00 GiB | 8,388,608 | 100.0 % | 1.000× | 25.0 % | not observed | not observed | not observed | 35.0 % | 90.0 % |",
        ] {
            assert!(text.contains(row), "{row}\n{text}");
        }
        // The generation of the sample reads nothing, so that it has no gaps.
        assert!(!text.contains("generation"), "{text}");
    }
}
