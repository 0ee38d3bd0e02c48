//! Runs that lie apart from the others of their cell, and what in their records differs too.

use crate::{
    figures::selections::COMPARED,
    stats::experiment::disagreement::{Circumstances, likely_causes, outliers},
};

use super::groups::{Group, Traced, unsound};

fn circumstances(run: &Traced<'_>) -> Circumstances {
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
    for figure in COMPARED {
        let values: Vec<(usize, f64)> = group
            .runs
            .iter()
            .enumerate()
            .filter_map(|(at, run)| Some((at, run.value(figure)?)))
            .collect();
        let numbers: Vec<f64> = values.iter().map(|(_, value)| *value).collect();
        for place in outliers(&numbers) {
            let run = values.get(place).and_then(|(at, _)| apart.get_mut(*at));
            run.into_iter()
                .for_each(|figures| figures.push(figure.label()));
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

#[cfg(test)]
mod tests {
    use crate::{
        report::experiment::{
            groups::groups,
            sample::{GIB, experiment, finished, with_record},
        },
        schema::PlannedPressure,
    };

    use super::disagreeing;

    #[test]
    fn a_run_that_disagrees_is_named_with_what_differs() {
        let mut made = experiment(
            [20.0, 20.1, 20.2, 20.05, 34.0]
                .map(|seconds| {
                    with_record(finished("a.gguf", PlannedPressure::None), |record| {
                        record.time.wall_s = seconds;
                    })
                })
                .to_vec(),
        );
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
}
