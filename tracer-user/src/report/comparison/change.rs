//! One figure of two columns.

use crate::{
    figures::AcrossRuns,
    stats::{
        experiment::{
            bootstrap::{Interval, median, median_difference_interval, median_interval},
            pairs::paired_differences,
        },
        formulas::quotient,
    },
};

use super::{
    columns::ColumnRuns,
    record::{Certainty, Change, ColumnValues},
    sameness::{flaw, not_the_same},
};

/// The bootstrap's seed: the same records give the same intervals.
const SEED: u64 = 1;

/// Block and value of each run of a column that has the figure and is whole.
pub(super) fn values(column: &ColumnRuns<'_>, figure: &AcrossRuns) -> Vec<(Option<u64>, f64)> {
    let whole = column
        .runs
        .iter()
        .filter(|run| flaw(run.record, figure).is_none());
    whole
        .filter_map(|run| Some((run.block, figure.value(run.record, run.model)?)))
        .filter(|(_, value)| value.is_finite())
        .collect()
}

pub(super) fn column_values(column: &ColumnRuns<'_>, figure: &AcrossRuns) -> ColumnValues {
    let values: Vec<f64> = values(column, figure)
        .into_iter()
        .map(|(_, value)| value)
        .collect();
    ColumnValues {
        median: median(&values).filter(|_| column.not_pooled.is_none()),
        values,
        incomplete: column
            .runs
            .iter()
            .filter(|run| figure.value(run.record, run.model).is_some())
            .filter(|run| flaw(run.record, figure).is_some())
            .count() as u64,
    }
}

/// The other column's figure against the first one's.
pub(super) fn change(
    first: &ColumnRuns<'_>,
    other: &ColumnRuns<'_>,
    letters: [&str; 2],
    figure: &AcrossRuns,
) -> Change {
    let columns = [(first, letters[0], other), (other, letters[1], first)];
    for (column, letter, beside) in columns {
        if let Some(why) = missing(column, letter, beside, figure) {
            return Change::NotCompared { why };
        }
    }
    for (column, letter, _) in columns {
        if let Some(why) = &column.not_pooled {
            let why = format!("{letter} has no median: {why}");
            return Change::NotCompared { why };
        }
    }
    if let Some(why) = not_the_same(first, other, figure) {
        return Change::NotCompared { why };
    }
    let (one, two) = (values(first, figure), values(other, figure));
    // The runs of one experiment were made in blocks: what changed in its course falls out.
    let paired = (first.side == other.side)
        .then(|| {
            let blocks = |values: &[(Option<u64>, f64)]| -> Vec<(u64, f64)> {
                let blocks = values.iter();
                blocks
                    .filter_map(|(block, value)| Some(((*block)?, *value)))
                    .collect()
            };
            let paired = paired_differences(&blocks(&one), &blocks(&two));
            let differences = paired.differences.into_iter();
            differences.map(|(_, value)| value).collect::<Vec<f64>>()
        })
        .filter(|differences| !differences.is_empty());
    let plain = |values: &[(Option<u64>, f64)]| -> Vec<f64> {
        values.iter().map(|(_, value)| *value).collect()
    };
    of_values(&plain(&one), &plain(&two), paired.as_deref())
}

fn of_values(one: &[f64], two: &[f64], paired: Option<&[f64]>) -> Change {
    let (Some(base), Some(middle)) = (median(one), median(two)) else {
        return Change::NotCompared {
            why: "no run has it".into(),
        };
    };
    let difference = paired.and_then(median).unwrap_or(middle - base);
    let interval = match paired {
        Some(differences) => median_interval(differences, SEED),
        None => median_difference_interval(one, two, SEED),
    };
    Change::Compared {
        difference,
        relative: quotient(difference, base.abs()),
        interval: interval.map(|interval| [interval.low, interval.high]),
        certainty: certainty(one, two, interval),
    }
}

fn certainty(one: &[f64], two: &[f64], interval: Option<Interval>) -> Certainty {
    let range = |values: &[f64]| {
        let low = values.iter().copied().fold(f64::INFINITY, f64::min);
        let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        (low, high)
    };
    let ((low, high), (other_low, other_high)) = (range(one), range(two));
    if low == high && other_low == other_high && low == other_low {
        Certainty::Same
    } else if one.len() == 1 || two.len() == 1 {
        Certainty::OneRun
    } else if let Some(interval) = interval {
        if interval.low > 0.0 || interval.high < 0.0 {
            Certainty::Clear
        } else {
            Certainty::NotClear
        }
    } else if high < other_low || other_high < low {
        Certainty::Apart
    } else {
        Certainty::Mixed
    }
}

/// Why a column has no value of a figure, where it has none.
fn missing(
    column: &ColumnRuns<'_>,
    letter: &str,
    beside: &ColumnRuns<'_>,
    figure: &AcrossRuns,
) -> Option<String> {
    if !values(column, figure).is_empty() {
        return None;
    }
    let flaws = column
        .runs
        .iter()
        .filter_map(|run| flaw(run.record, figure));
    if let Some(why) = flaws.into_iter().next() {
        return Some(format!("{letter} is incomplete: {why}"));
    }
    let level = |column: &ColumnRuns<'_>| {
        let level = column.runs.first()?.record.detail.clone();
        // Records of before there were levels have all figures.
        Some(level.unwrap_or_else(|| "events".to_owned()))
    };
    let (own, others) = (level(column), level(beside));
    Some(match own {
        Some(own) if own == "counts" && others.as_deref() != Some("counts") => {
            format!("{letter} was traced with --detail counts, which does not show it")
        }
        _ => match figure {
            AcrossRuns::Phase(phase, _) if !has_phase(column, phase.name()) => {
                format!("{letter} has no phase {}", phase.name().replace('_', "-"))
            }
            AcrossRuns::GeneratedToken(_) if !has_phase(column, "generation") => {
                format!("{letter} has no steps of a generation")
            }
            _ if figure.null().is_empty() => format!("{letter} does not have it"),
            _ => format!(
                "not observed in {letter} ({})",
                figure.null().replace('`', "")
            ),
        },
    })
}

fn has_phase(column: &ColumnRuns<'_>, name: &str) -> bool {
    let phases = column.runs.iter().flat_map(|run| run.model.phases.iter());
    phases.flatten().any(|phase| phase.phase == name)
}

#[cfg(test)]
mod tests {
    use super::{Certainty, Change, of_values};

    fn of(one: &[f64], two: &[f64], paired: Option<&[f64]>) -> (f64, Option<f64>, bool, Certainty) {
        match of_values(one, two, paired) {
            Change::Compared {
                difference,
                relative,
                interval,
                certainty,
            } => (difference, relative, interval.is_some(), certainty),
            Change::NotCompared { why } => panic!("{why}"),
        }
    }

    #[test]
    fn one_run_each_says_nothing_of_how_sure_it_is() {
        assert_eq!(
            of(&[10.0], &[9.0], None),
            (-1.0, Some(-0.1), false, Certainty::OneRun)
        );
        assert_eq!(of(&[4.0], &[4.0], None).3, Certainty::Same);
        assert_eq!(of(&[0.0], &[4.0], None).1, None);
    }

    #[test]
    fn few_runs_lie_apart_or_among_each_other_and_many_have_an_interval() {
        assert_eq!(of(&[1.0, 2.0], &[3.0, 4.0], None).3, Certainty::Apart);
        assert_eq!(of(&[3.0, 4.0], &[1.0, 2.0], None).3, Certainty::Apart);
        assert_eq!(of(&[1.0, 3.0], &[2.0, 4.0], None).3, Certainty::Mixed);
        let one = [10.0, 10.1, 10.2, 9.9, 9.8];
        let slower = one.map(|value| value - 1.0);
        let (difference, _, interval, certainty) = of(&one, &slower, None);
        assert!((difference + 1.0).abs() < 1e-9 && interval);
        assert_eq!(certainty, Certainty::Clear);
        let alike = [10.05, 9.95, 10.15, 9.85, 10.0];
        assert_eq!(of(&one, &alike, None).3, Certainty::NotClear);
    }

    #[test]
    fn what_all_runs_of_a_block_share_falls_out() {
        let one = [10.0, 20.0, 30.0, 40.0, 50.0];
        let two = one.map(|value| value + 1.0);
        assert_eq!(of(&one, &two, None).3, Certainty::NotClear);
        let paired = [1.0; 5];
        let (difference, _, _, certainty) = of(&one, &two, Some(&paired));
        assert_eq!((difference, certainty), (1.0, Certainty::Clear));
    }
}
