//! Cells that differ in one axis, compared block by block.

use crate::{
    figures::{InRun, selections::DIFFERENCES},
    report::document::{Column, Document, Table},
    schema::ExperimentRecord,
    stats::experiment::{
        pairs::paired_differences,
        summary::{Spread, summarise},
    },
};

use super::spread;
use crate::report::experiment::groups::Group;

/// Two cells that differ in one axis.
pub(in crate::report::experiment) struct Pair<'g, 'a> {
    pub axis: String,
    /// Of the cells that differ in this axis the first: the least pressure, the first value.
    pub base: &'g Group<'a>,
    pub other: &'g Group<'a>,
}

impl Pair<'_, '_> {
    /// Blocks in which both cells have a sound run.
    fn blocks(&self) -> usize {
        self.differences(|_| Some(0.0)).len()
    }

    fn differences(
        &self,
        pick: impl Fn(&crate::report::experiment::groups::Traced<'_>) -> Option<f64>,
    ) -> Vec<f64> {
        let by_block = |group: &Group<'_>| -> Vec<(u64, f64)> {
            group
                .sound()
                .filter_map(|run| Some((run.run.block, pick(run)?)))
                .collect()
        };
        let paired = paired_differences(&by_block(self.base), &by_block(self.other));
        paired.differences.iter().map(|(_, value)| *value).collect()
    }

    /// Whether the differences of a figure lie on one side of 0: their interval, or all of them where it is one value or
    /// two modes. `None` where no block has both, and where too few blocks have, and nothing speaks against it.
    pub(in crate::report::experiment) fn is_clear(
        &self,
        figure: &InRun,
        seed: u64,
    ) -> Option<bool> {
        let values = self.differences(|run| run.value(figure));
        let summary = summarise(&values, spread::kind(figure.unit()), seed);
        let (low, high) = match summary.spread {
            Spread::Interval { interval, .. } => (interval.low, interval.high),
            _ => (
                values.iter().copied().reduce(f64::min)?,
                values.iter().copied().reduce(f64::max)?,
            ),
        };
        let one_side = low > 0.0 || high < 0.0;
        let too_few = matches!(summary.spread, Spread::TooFew { .. });
        (!one_side || !too_few).then_some(one_side)
    }

    /// The median difference of a figure, other − base, with its interval. `None` where no block has both.
    pub(in crate::report::experiment) fn of(&self, figure: &InRun, seed: u64) -> Option<String> {
        let values = self.differences(|run| run.value(figure));
        // The difference of two ratios is no ratio of its own, but as uncertain as they are.
        let show = |value| figure.unit().show_difference(value);
        (!values.is_empty())
            .then(|| spread::of_values(&values, spread::kind(figure.unit()), seed, &show))
    }
}

/// Every pair: each cell with the first one before it that differs in one axis, for each axis.
pub(in crate::report::experiment) fn pairs<'g, 'a>(groups: &'g [Group<'a>]) -> Vec<Pair<'g, 'a>> {
    let mut pairs = Vec::new();
    for (at, other) in groups.iter().enumerate() {
        let mut compared: Vec<String> = Vec::new();
        for base in groups.iter().take(at) {
            let axis = one_axis_apart(base, other).filter(|axis| !compared.contains(axis));
            if let Some(axis) = axis {
                compared.push(axis.clone());
                pairs.push(Pair { axis, base, other });
            }
        }
    }
    pairs.retain(|pair| pair.blocks() > 0);
    pairs
}

/// The axis in which two cells differ, where it is one; `None` also where their runs must not be compared.
fn one_axis_apart(base: &Group<'_>, other: &Group<'_>) -> Option<String> {
    use crate::report::experiment::groups::MemoryClass::{Balloon, Cgroup, Swapped};
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

pub(in crate::report::experiment) fn differences(
    document: &mut Document,
    experiment: &ExperimentRecord,
    groups: &[Group<'_>],
) {
    let pairs = pairs(groups);
    if pairs.is_empty() {
        return;
    }
    document.heading(3, "Differences between cells, paired by block");
    let columns = ["axis", "first cell", "other cell"].map(Column::left);
    let amounts = std::iter::once("blocks")
        .chain(DIFFERENCES.iter().map(InRun::label))
        .map(Column::right);
    let rows = pairs.iter().map(|pair| {
        let mut row = vec![
            pair.axis.clone(),
            pair.base.name.clone(),
            pair.other.name.clone(),
            pair.blocks().to_string(),
        ];
        row.extend(
            DIFFERENCES
                .iter()
                .map(|figure| pair.of(figure, experiment.seed).unwrap_or_default()),
        );
        row
    });
    document.table(
        Table::new(columns.into_iter().chain(amounts))
            .captioned("Other − first cell, of the runs of one block; blocks with only one of the two are left out. A cell is compared with the first one that differs in one axis, if the runs of both may be pooled; a balloon is never compared with a cgroup.")
            .with_rows(rows),
    );
}

#[cfg(test)]
mod tests {
    use crate::{
        report::{
            document::{Document, markdown},
            experiment::{
                groups::groups,
                sample::{GIB, experiment, finished, with_record},
            },
        },
        schema::PlannedPressure,
    };

    use super::differences;

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
        let made = experiment(runs);
        let mut document = Document::default();
        differences(&mut document, &made, &groups(&made));
        let text = markdown(&document);
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("| pressure | no pressure |"))
            .collect();
        assert_eq!(lines.len(), 2, "{text}");
        assert!(
            lines.iter().any(|line| line.contains("cgroup")
                && line.contains("| 5 | +5.00 s in all 5 | 0.00 in all 5 |")),
            "{text}"
        );
        assert!(
            !lines
                .iter()
                .any(|line| line.contains("cgroup") && line.contains("balloon"))
        );
    }
}
