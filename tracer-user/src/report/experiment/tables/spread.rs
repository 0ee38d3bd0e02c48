//! A figure over the runs of one cell: its middle, and how far the runs lie apart.

use crate::{
    figures::{InRun, Unit},
    stats::experiment::{
        bootstrap::{CONFIDENCE, median},
        summary::{FigureKind, FigureSummary, Spread, summarise},
    },
    units::unobserved,
};

use crate::report::experiment::groups::Group;

/// What the cells say that [`of_figure`] makes.
pub(in crate::report::experiment) fn explanation(seed: u64) -> String {
    format!(
        "The median of a cell's runs; in brackets its {:.0} % interval (percentile bootstrap over the runs, seed {seed}), or with too few runs the smallest and the largest.",
        CONFIDENCE * 100.0
    )
}

/// What kind of figure has this unit.
pub(in crate::report) const fn kind(unit: Unit) -> FigureKind {
    if unit.is_ratio() {
        FigureKind::Ratio
    } else {
        FigureKind::Amount
    }
}

/// A compared figure of a cell. Runs that are not pooled have a range and no median.
pub(in crate::report::experiment) fn of_figure(
    group: &Group<'_>,
    figure: &InRun,
    seed: u64,
) -> String {
    if group.pooled.is_err() {
        return group.show(figure.unit(), |run| run.value(figure));
    }
    let values = group.figures(|run| run.value(figure));
    of_values(&values, kind(figure.unit()), seed, &|value| {
        figure.unit().show(value)
    })
}

/// Values of several runs in one cell of a table.
pub(in crate::report) fn of_values(
    values: &[f64],
    kind: FigureKind,
    seed: u64,
    show: &dyn Fn(f64) -> String,
) -> String {
    let summary = summarise(values, kind, seed);
    let (Some(middle), runs) = (summary.median, summary.points.len()) else {
        return unobserved();
    };
    let middle = show(middle);
    match &summary.spread {
        Spread::Deterministic => format!("{middle} in all {runs}"),
        Spread::Modes(modes) => {
            let mode = |values: &[f64]| {
                let middle = median(values).map_or_else(unobserved, show);
                format!("{middle} in {} runs", values.len())
            };
            format!("two modes: {}, {}", mode(&modes.low), mode(&modes.high))
        }
        Spread::TooFew { .. } if runs == 1 => middle,
        Spread::TooFew { .. } => format!("{middle} ({} of {runs} runs)", range(&summary, show)),
        Spread::Interval { interval, few } => format!(
            "{middle} ({} – {}{})",
            show(interval.low),
            show(interval.high),
            if *few { ", few runs" } else { "" }
        ),
    }
}

fn range(summary: &FigureSummary, show: &dyn Fn(f64) -> String) -> String {
    let low = summary.points.iter().copied().fold(f64::INFINITY, f64::min);
    let high = summary
        .points
        .iter()
        .copied()
        .fold(f64::NEG_INFINITY, f64::max);
    format!("{} – {}", show(low), show(high))
}

#[cfg(test)]
mod tests {
    use crate::{
        figures::selections::COMPARED,
        report::experiment::{
            experiment_markdown,
            groups::groups,
            sample::{GIB, experiment, finished, with_model, with_record},
        },
        schema::{ExperimentRecord, ExperimentRunRecord, PlannedPressure},
    };

    use super::of_figure;

    fn timed(seconds: f64) -> ExperimentRunRecord {
        with_record(finished("a.gguf", PlannedPressure::None), |record| {
            record.time.wall_s = seconds;
        })
    }

    fn of_first_cell(made: &ExperimentRecord, name: &str) -> String {
        let figure = COMPARED.iter().find(|figure| figure.label() == name);
        of_figure(
            &groups(made)[0],
            figure.expect("a compared figure"),
            made.seed,
        )
    }

    #[test]
    fn identical_figures_have_no_interval_and_others_show_every_point() {
        let points = [20.0, 20.5, 21.0, 20.2, 20.7];
        let made = experiment(points.map(timed).to_vec());
        assert_eq!(of_first_cell(&made, "total read"), "4.00 GiB in all 5");
        assert_eq!(of_first_cell(&made, "time"), "20.50 s (20.00 s – 21.00 s)");
        let text = experiment_markdown(&made);
        for (run, point) in points.iter().enumerate() {
            let begin = format!("| {run} | ");
            let row = text.lines().find(|line| line.starts_with(&begin));
            let row = row.unwrap_or_else(|| panic!("no run {run}:\n{text}"));
            assert!(row.contains(&format!("| {point:.2} s |")), "{row}");
        }
    }

    #[test]
    fn too_few_runs_have_a_range_that_is_called_one() {
        let made = experiment([20.0, 21.0].map(timed).to_vec());
        assert_eq!(
            of_first_cell(&made, "time"),
            "20.50 s (20.00 s – 21.00 s of 2 runs)"
        );
        assert_eq!(
            of_first_cell(&experiment(vec![timed(20.0)]), "time"),
            "20.00 s"
        );
    }

    #[test]
    fn two_modes_have_no_median() {
        let read = |bytes: u64| {
            with_model(finished("a.gguf", PlannedPressure::None), |model| {
                if let Some(reads) = &mut model.reads {
                    reads.amount.total_bytes = bytes;
                }
            })
        };
        let made = experiment(
            [4 * GIB, 120 * GIB, 4 * GIB + 1, 121 * GIB, 4 * GIB]
                .map(read)
                .to_vec(),
        );
        assert_eq!(
            of_first_cell(&made, "total read"),
            "two modes: 4.00 GiB in 3 runs, 120.50 GiB in 2 runs"
        );
    }

    #[test]
    fn runs_that_are_not_pooled_have_points_only_and_the_reason() {
        let mut made = experiment([20.0, 21.0].map(timed).to_vec());
        if let Some(work) = &mut made.runs[1].work {
            work.deterministic_sampling = false;
        }
        assert_eq!(
            of_first_cell(&made, "time"),
            "20.00 s – 21.00 s (not pooled)"
        );
        let text = experiment_markdown(&made);
        assert!(
            text.contains("NOT POOLED: run 1 did not sample deterministically"),
            "{text}"
        );
        assert!(!text.contains("20.50 s"), "{text}");
    }
}
