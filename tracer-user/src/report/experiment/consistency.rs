//! How well runs of one cell agree, which of them disagree and with what beside them, and differences between cells.

use crate::{
    report::markdown::{escaped, table},
    schema::ExperimentRecord,
    stats::experiment::{
        bootstrap::{CONFIDENCE, median},
        disagreement::{Circumstances, likely_causes, outliers},
        pairs::paired_differences,
        summary::{FigureKind, FigureSummary, Spread, summarise},
    },
    units::unobserved,
};

use super::{
    amounts::Unit,
    figures::{FIGURES, Figure},
    groups::{Group, Traced, unsound},
};

/// The spread of a figure in words.
fn spread(summary: &FigureSummary, show: &dyn Fn(f64) -> String) -> String {
    match &summary.spread {
        Spread::Deterministic => "deterministic".to_owned(),
        Spread::Modes(modes) => {
            let mode = |values: &[f64]| {
                let middle = median(values).map_or_else(unobserved, show);
                format!("{middle} in {} runs", values.len())
            };
            format!("two modes: {}, {}", mode(&modes.low), mode(&modes.high))
        }
        Spread::TooFew { have, needed } => format!("no interval: {have} of {needed} runs"),
        Spread::Interval { interval, few } => format!(
            "{} – {}{}",
            show(interval.low),
            show(interval.high),
            if *few { " (few runs)" } else { "" }
        ),
    }
}

/// Median of a summary: none where it would lie between two modes.
fn middle(summary: &FigureSummary, show: &dyn Fn(f64) -> String) -> String {
    match (&summary.spread, summary.median) {
        (Spread::Modes(_), _) => "see modes".to_owned(),
        (_, Some(median)) => show(median),
        (_, None) => unobserved(),
    }
}

/// Every group with several runs.
pub(super) fn consistency(text: &mut String, experiment: &ExperimentRecord, groups: &[Group<'_>]) {
    text.push_str(&format!(
        "## Consistency\n\nThe unit is the run. The interval holds {:.0} % of the medians of resampled runs (percentile bootstrap, seed {}); a figure that is identical in all runs has none. Every point is shown.\n\n",
        CONFIDENCE * 100.0,
        experiment.seed
    ));
    for group in groups.iter().filter(|group| group.runs.len() > 1) {
        text.push_str(&format!(
            "### {}, {}\n\n",
            escaped(&group.label()),
            group.class.title()
        ));
        match &group.pooled {
            Ok(()) => agreement(text, group, experiment.seed),
            Err(why) => {
                text.push_str(&format!("NOT POOLED: {}.\n\n", escaped(&why.to_string())));
                points(text, group);
            }
        }
        disagreement(text, group);
    }
    differences(text, experiment, groups);
}

fn agreement(text: &mut String, group: &Group<'_>, seed: u64) {
    let rows: Vec<Vec<String>> = FIGURES
        .iter()
        .filter_map(|figure| {
            let values = group.figures(figure.pick);
            (!values.is_empty()).then(|| {
                let summary = summarise(&values, figure.kind, seed);
                let show = |value| figure.unit.show(value);
                vec![
                    figure.name.to_owned(),
                    summary.points.len().to_string(),
                    middle(&summary, &show),
                    spread(&summary, &show),
                    figure.unit.show_all(&summary.points),
                ]
            })
        })
        .collect();
    table(
        text,
        &["figure", "runs", "median", "interval", "every run"],
        &rows,
    );
}

/// The points alone, of runs that are not pooled.
fn points(text: &mut String, group: &Group<'_>) {
    let rows: Vec<Vec<String>> = FIGURES
        .iter()
        .filter_map(|figure| {
            let values = group.figures(figure.pick);
            (!values.is_empty())
                .then(|| vec![figure.name.to_owned(), figure.unit.show_all(&values)])
        })
        .collect();
    table(text, &["figure", "every run"], &rows);
}

pub(super) fn circumstances(run: &Traced<'_>) -> Circumstances {
    let record = run.record;
    let unseen = record.loss.unseen_completions;
    let foreign = record.devices.iter().map(|device| device.other_read_bytes);
    Circumstances {
        foreign_bytes: (!record.devices.is_empty()).then(|| foreign.sum()),
        io_pressure_s: record.machine.io_pressure_some_s,
        memory_pressure_s: record.machine.memory_pressure_some_s,
        load_average: record.machine.load_average,
        extents: run.model.model.extents,
        engine_version: run
            .run
            .work
            .as_ref()
            .and_then(|work| work.engine_version.clone()),
        kernel: Some(record.kernel.clone()).filter(|kernel| !kernel.is_empty()),
        device_temperature_celsius: record.machine.device_temperature_celsius,
        resident_before_bytes: run.model.cache.before_bytes,
        model_bytes: run.model.model.size_bytes,
        incomplete: unsound(record)
            .or_else(|| (unseen > 0).then(|| format!("{unseen} completions were not seen"))),
    }
}

/// Runs that lie apart in a figure, and what in their records differs too.
pub(super) struct Disagreeing {
    pub run: u64,
    /// Figures in which it lies apart.
    pub figures: Vec<&'static str>,
    /// What else differs.
    pub beside: Vec<String>,
}

pub(super) fn disagreeing(group: &Group<'_>) -> Vec<Disagreeing> {
    let mut apart: Vec<Vec<&'static str>> = vec![Vec::new(); group.runs.len()];
    for figure in &FIGURES {
        let values: Vec<(usize, f64)> = group
            .runs
            .iter()
            .enumerate()
            .filter_map(|(at, run)| Some((at, (figure.pick)(run)?)))
            .collect();
        let numbers: Vec<f64> = values.iter().map(|(_, value)| *value).collect();
        for place in outliers(&numbers) {
            let run = values.get(place).and_then(|(at, _)| apart.get_mut(*at));
            run.into_iter()
                .for_each(|figures| figures.push(figure.name));
        }
    }
    let around: Vec<Circumstances> = group.runs.iter().map(circumstances).collect();
    apart
        .into_iter()
        .zip(&group.runs)
        .zip(around.iter().enumerate())
        .filter(|((figures, _), _)| !figures.is_empty())
        .map(|((figures, run), (at, own))| {
            let siblings: Vec<&Circumstances> = around
                .iter()
                .enumerate()
                .filter(|(other, _)| *other != at)
                .map(|(_, other)| other)
                .collect();
            let causes = likely_causes(own, &siblings);
            Disagreeing {
                run: run.run.number,
                figures,
                beside: causes.iter().map(ToString::to_string).collect(),
            }
        })
        .collect()
}

fn disagreement(text: &mut String, group: &Group<'_>) {
    for run in disagreeing(group) {
        let beside = if run.beside.is_empty() {
            "nothing in its record differs".to_owned()
        } else {
            run.beside.join("; ")
        };
        text.push_str(&format!(
            "* Run {} disagrees in {}. Likely cause: {}.\n",
            run.run,
            run.figures.join(", "),
            escaped(&beside)
        ));
    }
    text.push('\n');
}

/// Two cells that differ in one axis, compared block by block.
fn differences(text: &mut String, experiment: &ExperimentRecord, groups: &[Group<'_>]) {
    let mut rows = Vec::new();
    for (at, other) in groups.iter().enumerate() {
        // Of the cells that differ in one axis the first one is the base: the least pressure, the first value.
        let mut compared = Vec::new();
        for base in groups.iter().take(at) {
            if let Some(axis) = one_axis_apart(base, other).filter(|axis| !compared.contains(axis))
            {
                compared.push(axis.clone());
                rows.extend(
                    FIGURES.iter().filter_map(|figure| {
                        difference(base, other, &axis, figure, experiment.seed)
                    }),
                );
            }
        }
    }
    if rows.is_empty() {
        return;
    }
    text.push_str("### Differences between cells, paired by block\n\nOther − first cell, of the runs of one block; blocks with only one of the two are left out. A cell is compared with the first one that differs in one axis, if the runs of both may be pooled; a balloon is never compared with a cgroup.\n\n");
    table(
        text,
        &[
            "figure",
            "axis",
            "first cell",
            "other cell",
            "blocks",
            "median difference",
            "interval",
            "every block",
        ],
        &rows,
    );
}

/// The axis in which two cells differ, where it is one; `None` also where their runs must not be compared.
fn one_axis_apart(base: &Group<'_>, other: &Group<'_>) -> Option<String> {
    use super::groups::MemoryClass::{Balloon, Cgroup, Swapped};
    let classes = (base.class, other.class);
    let never = matches!(classes, (Balloon, Cgroup) | (Cgroup, Balloon))
        || (classes.0 == Swapped) != (classes.1 == Swapped);
    if never || base.pooled.is_err() || other.pooled.is_err() {
        return None;
    }
    let (one, two) = (&base.runs.first()?.run.cell, &other.runs.first()?.run.cell);
    let mut differing = one
        .iter()
        .filter(|(axis, value)| two.get(*axis) != Some(value))
        .map(|(axis, _)| axis.clone());
    let axis = differing.next()?;
    // Several models of one run share its cell and are no axis apart.
    (differing.next().is_none() && one.len() == two.len()).then_some(axis)
}

/// Differences are shown of these figures only: the others are in the raw data.
const COMPARED: [&str; 5] = [
    "time",
    "tok/s",
    "total read",
    "amplification",
    "read in generation",
];

fn difference(
    base: &Group<'_>,
    other: &Group<'_>,
    axis: &str,
    figure: &Figure,
    seed: u64,
) -> Option<Vec<String>> {
    if !COMPARED.contains(&figure.name) {
        return None;
    }
    let by_block = |group: &Group<'_>| -> Vec<(u64, f64)> {
        group
            .sound()
            .filter_map(|run| Some((run.run.block, (figure.pick)(run)?)))
            .collect()
    };
    let paired = paired_differences(&by_block(base), &by_block(other));
    let values: Vec<f64> = paired.differences.iter().map(|(_, value)| *value).collect();
    if values.is_empty() {
        return None;
    }
    // The difference of two ratios is no ratio of its own, but as uncertain as they are.
    let kind: FigureKind = figure.kind;
    let summary = summarise(&values, kind, seed);
    let unit: Unit = figure.unit;
    let show = |value| unit.show_difference(value);
    let all: Vec<String> = values.iter().map(|value| show(*value)).collect();
    Some(vec![
        figure.name.to_owned(),
        axis.to_owned(),
        base.label(),
        other.label(),
        values.len().to_string(),
        middle(&summary, &show),
        spread(&summary, &show),
        all.join(", "),
    ])
}

#[cfg(test)]
mod tests {
    use crate::{
        report::experiment::{
            groups::groups,
            sample::{GIB, experiment, finished, with_model, with_record},
        },
        schema::PlannedPressure,
    };

    use super::{consistency, disagreeing};

    fn text(made: &crate::schema::ExperimentRecord) -> String {
        let mut text = String::new();
        consistency(&mut text, made, &groups(made));
        text
    }

    fn timed(seconds: f64) -> crate::schema::ExperimentRunRecord {
        with_record(finished("a.gguf", PlannedPressure::None), |record| {
            record.time.wall_s = seconds;
        })
    }

    #[test]
    fn identical_figures_have_no_interval_and_others_show_every_point() {
        let made = experiment([20.0, 20.5, 21.0, 20.2, 20.7].map(timed).to_vec());
        let text = text(&made);
        assert!(
            text.contains("| total read | 5 | 4.00 GiB | deterministic |"),
            "{text}"
        );
        assert!(
            text.contains("| time | 5 | 20.50 s | 20.00 s – 21.00 s | 20.00 s, 20.50 s, 21.00 s, 20.20 s, 20.70 s |"),
            "{text}"
        );
    }

    #[test]
    fn two_modes_have_no_median() {
        let read = |bytes: u64| {
            with_model(finished("a.gguf", PlannedPressure::None), |model| {
                if let Some(reads) = &mut model.reads {
                    reads.total_bytes = bytes;
                }
            })
        };
        let made = experiment(
            [4 * GIB, 120 * GIB, 4 * GIB + 1, 121 * GIB, 4 * GIB]
                .map(read)
                .to_vec(),
        );
        let text = text(&made);
        assert!(
            text.contains("| total read | 5 | see modes | two modes: 4.00 GiB in 3 runs, 120.50 GiB in 2 runs |"),
            "{text}"
        );
    }

    #[test]
    fn runs_that_are_not_pooled_have_points_only_and_the_reason() {
        let mut made = experiment([20.0, 21.0].map(timed).to_vec());
        if let Some(work) = &mut made.runs[1].work {
            work.deterministic_sampling = false;
        }
        let text = text(&made);
        assert!(
            text.contains("NOT POOLED: run 1 did not sample deterministically"),
            "{text}"
        );
        assert!(!text.contains("| median |"), "{text}");
    }

    #[test]
    fn a_run_that_disagrees_is_named_with_what_differs() {
        let mut made = experiment([20.0, 20.1, 20.2, 20.05, 34.0].map(timed).to_vec());
        if let Some(record) = &mut made.runs[4].record {
            record.devices[0].other_read_bytes = 9 * GIB;
        }
        let groups = groups(&made);
        let found = disagreeing(&groups[0]);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].run, &found[0].figures[..]), (4, &["time"][..]));
        assert!(
            found[0].beside[0].contains("for others"),
            "{:?}",
            found[0].beside
        );
    }

    #[test]
    fn cells_are_compared_block_by_block_but_never_balloon_with_cgroup() {
        let mut runs = Vec::new();
        for seconds in [20.0, 30.0, 25.0, 22.0, 21.0] {
            for (pressure, more) in [
                (PlannedPressure::None, 0.0),
                (PlannedPressure::MemoryMax(GIB), 5.0),
                (PlannedPressure::LeaveFree(GIB), 7.0),
            ] {
                runs.push(with_record(finished("a.gguf", pressure), |record| {
                    record.time.wall_s = seconds + more;
                }));
            }
        }
        let text = text(&experiment(runs));
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("| time | pressure |"))
            .collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(
            lines
                .iter()
                .any(|line| line.contains("cgroup")
                    && line.contains("| 5 | +5.00 s | deterministic |")),
            "{text}"
        );
        assert!(
            !lines
                .iter()
                .any(|line| line.contains("cgroup") && line.contains("balloon"))
        );
    }
}
