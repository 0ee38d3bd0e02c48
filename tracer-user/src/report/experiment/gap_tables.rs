//! The gap distribution across models: the study's rows, a column for each cell.

use crate::{
    report::markdown::table,
    schema::{GapClassRecord, GapsRecord, PhaseGapsRecord},
};

use super::{
    amounts::Unit,
    groups::{Group, MemoryClass, Traced},
};

/// Columns of one table; more cells make more tables.
const COLUMNS: usize = 6;

/// Names as in the study's table.
const CLASSES: [&str; 5] = [
    "sequential (gap = 0)",
    "small (< 128 KiB)",
    "medium (128 KiB – 1 MiB)",
    "large (> 1 MiB)",
    "backward (< 0)",
];

/// The classes' shares, and the share that is sequential in its stream.
type Shares = ([Option<f64>; 5], Option<f64>);

fn of(classes: [&GapClassRecord; 5], stream: Option<f64>) -> Shares {
    (classes.map(|class| class.share), stream)
}

fn whole(gaps: &GapsRecord) -> Shares {
    of(
        [
            &gaps.sequential,
            &gaps.small,
            &gaps.medium,
            &gaps.large,
            &gaps.backward,
        ],
        gaps.stream_sequential_share,
    )
}

fn of_phase(gaps: &PhaseGapsRecord) -> Shares {
    of(
        [
            &gaps.sequential,
            &gaps.small,
            &gaps.medium,
            &gaps.large,
            &gaps.backward,
        ],
        gaps.stream_sequential_share,
    )
}

fn whole_run(run: &Traced<'_>) -> Option<Shares> {
    run.model.gaps.as_ref().map(whole)
}

fn load(run: &Traced<'_>) -> Option<Shares> {
    run.phase("load")?.gaps.as_ref().map(of_phase)
}

fn generation(run: &Traced<'_>) -> Option<Shares> {
    run.phase("generation")?.gaps.as_ref().map(of_phase)
}

type Part = (
    &'static str,
    for<'a, 'b> fn(&'b Traced<'a>) -> Option<u64>,
    for<'a, 'b> fn(&'b Traced<'a>) -> Option<Shares>,
);

/// The parts of a run whose gaps are shown: name, reads, shares.
const PARTS: [Part; 3] = [
    (
        "whole run",
        |run| run.model.reads.as_ref().map(|reads| reads.count),
        whole_run,
    ),
    ("load alone", |run| run.phase("load")?.reads, load),
    (
        "generation alone",
        |run| run.phase("generation")?.reads,
        generation,
    ),
];

/// Whole run, load and generation apart, for each kind of pressure.
pub(super) fn gaps(text: &mut String, groups: &[Group<'_>]) {
    text.push_str("## Gaps between consecutive reads\n\nShares of the gaps, in device order; one request is one read here. Below, the share of reads that continue one of the last 32 reads: several threads that read in order look random in device order. Loads dominate the whole run.\n\n");
    for class in MemoryClass::ALL {
        let own: Vec<&Group<'_>> = groups.iter().filter(|group| group.class == class).collect();
        for (part, reads, shares) in PARTS {
            for columns in own.chunks(COLUMNS) {
                text.push_str(&format!("### Gaps {}, {part}\n\n", class.title()));
                distribution(text, columns, reads, shares);
            }
        }
    }
}

fn distribution(
    text: &mut String,
    groups: &[&Group<'_>],
    reads: for<'a, 'b> fn(&'b Traced<'a>) -> Option<u64>,
    shares: for<'a, 'b> fn(&'b Traced<'a>) -> Option<Shares>,
) {
    let labels: Vec<String> = groups.iter().map(|group| group.label()).collect();
    let mut header = vec!["gap between consecutive reads"];
    header.extend(labels.iter().map(String::as_str));
    let line = |name: &str, pick: &dyn Fn(Shares) -> Option<f64>| -> Vec<String> {
        let cells = groups.iter().map(|group| {
            if group.sound().count() > 0 && group.sound().all(|run| reads(run) == Some(0)) {
                "no reads".to_owned()
            } else {
                group.show(Unit::Share, |run| pick(shares(run)?))
            }
        });
        std::iter::once(name.to_owned()).chain(cells).collect()
    };
    let mut rows: Vec<Vec<String>> = CLASSES
        .iter()
        .enumerate()
        .map(|(at, name)| line(name, &|(classes, _)| classes.get(at).copied().flatten()))
        .collect();
    rows.push(line("sequential in its stream", &|(_, stream)| stream));
    table(text, &header, &rows);
}

#[cfg(test)]
mod tests {
    use crate::{
        report::experiment::{
            groups::groups,
            sample::{experiment, finished, with_model},
        },
        schema::{GapClassRecord, PlannedPressure},
    };

    use super::gaps;

    #[test]
    fn each_class_stands_in_its_row_of_the_study_s_table() {
        let run = with_model(finished("a.gguf", PlannedPressure::None), |model| {
            let class = |share: f64| GapClassRecord {
                share: Some(share),
                ..Default::default()
            };
            if let Some(gaps) = &mut model.gaps {
                gaps.sequential = class(0.302);
                gaps.small = class(0.013);
                gaps.medium = class(0.009);
                gaps.large = class(0.006);
                gaps.backward = class(0.67);
            }
        });
        let made = experiment(vec![run]);
        let mut text = String::new();
        gaps(&mut text, &groups(&made));
        let (whole, parts) = text.split_once("load alone").expect("three tables");
        for row in [
            "| sequential (gap = 0) | 30.2 % |",
            "| small (\\< 128 KiB) | 1.3 % |",
            "| medium (128 KiB – 1 MiB) | 0.9 % |",
            "| large (> 1 MiB) | 0.6 % |",
            "| backward (\\< 0) | 67.0 % |",
            "| sequential in its stream | 99.9 % |",
        ] {
            assert!(whole.contains(row), "{row}\n{whole}");
        }
        assert!(
            parts.contains("| sequential (gap = 0) | 25.0 % |"),
            "{parts}"
        );
        // The generation of the sample reads nothing, so that it has no gaps.
        assert!(parts.contains("| backward (\\< 0) | no reads |"), "{parts}");
    }
}
