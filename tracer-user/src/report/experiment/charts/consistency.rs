//! How alike one and the same run came out each time.

use crate::{
    chart::{Axis, Chart, Dot, Ink, Mark},
    figures::Unit,
    report::{
        document::{Column, Document, Drawing, Table},
        experiment::groups::{Group, Traced},
    },
    schema::ExperimentRecord,
    stats::{experiment::bootstrap::median, formulas::quotient},
    units::{count, share},
};

/// A run this close to the median of its cell is like it.
const LIKE: f64 = 0.05;

/// Draws each run's speed beside the median of its cell, in the order in which the runs were made; nothing where no cell
/// has two runs that may be compared.
pub(super) fn write(document: &mut Document, experiment: &ExperimentRecord, groups: &[Group<'_>]) {
    let Some(drawing) = drawing(experiment, groups) else {
        return;
    };
    document.heading(2, "Does the same run come out alike?");
    document.drawing(drawing);
}

type Pick = fn(&Traced<'_>) -> Option<f64>;

/// Tokens per second where the engines say them, else the time that a run took.
fn figure(groups: &[Group<'_>]) -> (&'static str, Unit, Pick) {
    let speed = |run: &Traced<'_>| run.record.engine.tokens_per_s;
    let mut runs = groups.iter().flat_map(Group::sound);
    if runs.any(|run| speed(run).is_some()) {
        ("tokens per second", Unit::PerSecond, speed)
    } else {
        ("time of the run", Unit::Seconds, |run| {
            Some(run.record.time.wall_s)
        })
    }
}

fn drawing(experiment: &ExperimentRecord, groups: &[Group<'_>]) -> Option<Drawing> {
    let (label, unit, pick) = figure(groups);
    let mut found = Vec::new();
    for group in groups.iter().filter(|group| group.pooled.is_ok()) {
        let values = group.figures(pick);
        let Some(middle) = median(&values).filter(|_| values.len() > 1) else {
            continue;
        };
        for run in group.sound() {
            if let Some(value) = pick(run)
                && let Some(ratio) = quotient(value, middle)
            {
                found.push((run.run.number, group.name.as_str(), value, ratio));
            }
        }
    }
    found.sort_by_key(|(run, ..)| *run);
    let mut table = Table::new([
        Column::right("run"),
        Column::left("cell"),
        Column::right(label),
        Column::right("of its cell's median"),
    ]);
    for (run, name, value, ratio) in &found {
        table.row([
            run.to_string(),
            (*name).to_owned(),
            unit.show(*value),
            share(Some(*ratio)),
        ]);
    }
    let last = experiment.runs.iter().map(|run| run.number).max()?;
    let most = found.iter().map(|(.., ratio)| *ratio).reduce(f64::max)?;
    let like = found
        .iter()
        .filter(|(.., ratio)| (ratio - 1.0).abs() <= LIKE);
    let like = like.count();
    let dots = found.iter().map(|(run, name, value, ratio)| Dot {
        x: *run as f64,
        y: *ratio,
        says: format!(
            "run {run} · {name} · {} · {} of its cell's median",
            unit.show(*value),
            share(Some(*ratio))
        ),
    });
    Some(Drawing {
        chart: Chart {
            name: "consistency".into(),
            title: "Each run beside the others of its cell, in the order of the runs".into(),
            sees: format!(
                "{} of {} runs lie within 5 % of their cell's median in {label}. A slope over all points is the machine changing; points far from the line are runs that came out otherwise.",
                count(like as u64),
                count(found.len() as u64)
            ),
            x: Axis::linear(
                "run, in the order in which they were made",
                Unit::Count,
                -0.5,
                last as f64 + 0.5,
            ),
            y: Axis::linear(
                &format!("{label}, of the cell's median"),
                Unit::Share,
                0.0,
                (most * 1.08).max(1.2),
            ),
            edges: Vec::new(),
            marks: vec![
                Mark::Level {
                    name: "the median of its cell".into(),
                    ink: Ink::Limit,
                    at: 1.0,
                },
                Mark::Dots {
                    name: "a run".into(),
                    ink: Ink::Read,
                    dots: dots.collect(),
                },
            ],
        },
        table,
    })
}

#[cfg(test)]
mod tests {
    use crate::{
        report::experiment::{
            groups::groups,
            sample::{experiment, finished, with_record},
        },
        schema::PlannedPressure,
    };

    use super::drawing;

    #[test]
    fn a_run_is_compared_with_its_own_cell() {
        let of = |model: &str, rate: f64| {
            with_record(finished(model, PlannedPressure::None), |record| {
                record.engine.tokens_per_s = Some(rate);
            })
        };
        let made = experiment(vec![
            of("a.gguf", 10.0),
            of("b.gguf", 1.0),
            of("a.gguf", 10.2),
            of("b.gguf", 2.0),
            of("b.gguf", 1.0),
        ]);
        let drawn = drawing(&made, &groups(&made)).expect("a chart");
        assert!(
            drawn.chart.sees.starts_with("4 of 5 runs lie within 5 %"),
            "{}",
            drawn.chart.sees
        );
        let alone = experiment(vec![of("a.gguf", 10.0), of("b.gguf", 1.0)]);
        assert_eq!(drawing(&alone, &groups(&alone)), None);
    }
}
