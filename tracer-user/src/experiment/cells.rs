//! From axes to runs: every combination, as often as asked for, in the plan's order.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::{
    schema::{ExperimentRunRecord, PlannedPressure},
    units::bytes,
};

use super::plan::{Axis, Order, Plan, parse_pressure};

/// The value of every axis.
pub type Cell = BTreeMap<String, String>;

/// A run that is planned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PlannedRun {
    /// Its number in the order of execution, from 0.
    pub number: u64,
    /// Block of the order, from 0.
    pub block: u64,
    /// The value of every axis.
    pub cell: Cell,
}

impl PlannedRun {
    /// Its folder below the experiment's.
    #[must_use]
    pub fn directory(&self) -> String {
        format!("runs/{:04}", self.number)
    }

    /// Where it is made before it is whole.
    #[must_use]
    pub fn partial_directory(&self) -> String {
        format!("runs/.{:04}.partial", self.number)
    }

    /// What is done to the memory. The plan's check has seen that it can be read.
    #[must_use]
    pub fn pressure(&self) -> PlannedPressure {
        self.cell
            .get("pressure")
            .and_then(|text| parse_pressure(text).ok())
            .unwrap_or_default()
    }

    /// The model as the plan writes it.
    #[must_use]
    pub fn model(&self) -> &str {
        self.cell.get("model").map_or("", String::as_str)
    }

    /// Its record as long as it has not been made.
    #[must_use]
    pub fn record(&self) -> ExperimentRunRecord {
        ExperimentRunRecord {
            number: self.number,
            directory: self.directory(),
            block: self.block,
            cell: self.cell.clone(),
            pressure: self.pressure(),
            ..ExperimentRunRecord::default()
        }
    }

    /// The values of the axes that are varied, in the order of the plan, as a person says them: `limit 102.86 MiB,
    /// threads 2`. All values where none is varied.
    #[must_use]
    pub fn describe(&self, axes: &[Axis]) -> String {
        let varied: Vec<&Axis> = axes.iter().filter(|axis| axis.values.len() > 1).collect();
        let shown = if varied.is_empty() {
            axes.iter().collect()
        } else {
            varied
        };
        let words: Vec<String> = shown
            .iter()
            .filter_map(|axis| {
                let value = self.cell.get(&axis.name)?;
                Some(match axis.name.as_str() {
                    "pressure" => match self.pressure() {
                        PlannedPressure::None => "no pressure".to_owned(),
                        PlannedPressure::Lock(size) => format!("{} locked", bytes(size)),
                        PlannedPressure::LeaveFree(size) => format!("{} left free", bytes(size)),
                        PlannedPressure::MemoryMax(size) => format!("limit {}", bytes(size)),
                    },
                    "model" => value.clone(),
                    name => format!("{name} {value}"),
                })
            })
            .collect();
        words.join(", ")
    }
}

/// The runs of a plan in the order of their execution, of a search its first ones. The same plan gives the same order.
#[must_use]
pub fn expand(plan: &Plan) -> Vec<PlannedRun> {
    if plan.tune.is_some() {
        // The settings as they are, which stand first on each axis.
        let axes: Vec<Axis> = plan
            .axes
            .iter()
            .map(|axis| Axis {
                name: axis.name.clone(),
                values: axis.values.first().cloned().into_iter().collect(),
            })
            .collect();
        return runs(&cells(&axes), 1, Order::Plan, plan.seed, 0, 0);
    }
    runs(
        &cells(&plan.axes),
        plan.repetitions,
        plan.order,
        plan.seed,
        0,
        0,
    )
}

/// `repetitions` blocks of these cells, numbered on from `first_number` and `first_block`.
#[must_use]
pub fn runs(
    cells: &[Cell],
    repetitions: u64,
    order: Order,
    seed: u64,
    first_number: u64,
    first_block: u64,
) -> Vec<PlannedRun> {
    let mut numbers = first_number..;
    let mut all = Vec::new();
    let mut seeds = fastrand::Rng::with_seed(seed);
    for block in 0..first_block.saturating_add(repetitions) {
        // A stream of its own for each block, those before included: more repetitions leave the earlier blocks as they are.
        let mut random = seeds.fork();
        if block < first_block {
            continue;
        }
        let mut block_cells = cells.to_vec();
        if order == Order::Blocks {
            random.shuffle(&mut block_cells);
        }
        all.extend(
            block_cells
                .into_iter()
                .zip(numbers.by_ref())
                .map(|(cell, number)| PlannedRun {
                    number,
                    block,
                    cell,
                }),
        );
    }
    all
}

/// Every combination of the axes' values, the last axis varying fastest.
#[must_use]
pub fn cells(axes: &[Axis]) -> Vec<Cell> {
    axes.iter().fold(vec![Cell::new()], |cells, axis| {
        cells
            .iter()
            .flat_map(|cell| {
                axis.values.iter().map(|value| {
                    let mut cell = cell.clone();
                    cell.insert(axis.name.clone(), value.clone());
                    cell
                })
            })
            .collect()
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use crate::experiment::plan::{Axis, Order};

    use super::{Cell, cells, runs};

    fn axes(sizes: &[usize]) -> Vec<Axis> {
        sizes
            .iter()
            .enumerate()
            .map(|(number, size)| Axis {
                name: format!("axis{number}"),
                values: (0..*size).map(|value| format!("value {value}")).collect(),
            })
            .collect()
    }

    #[test]
    fn the_last_axis_varies_fastest() {
        let written: Vec<String> = cells(&axes(&[2, 2]))
            .iter()
            .map(|cell| cell.values().cloned().collect::<Vec<_>>().join(", "))
            .collect();
        assert_eq!(
            written,
            [
                "value 0, value 0",
                "value 0, value 1",
                "value 1, value 0",
                "value 1, value 1"
            ]
        );
    }

    proptest! {
        /// Each block holds each cell exactly once, numbers run on without a gap, and the order is the seed's.
        #[test]
        fn blocks_are_complete(
            sizes in proptest::collection::vec(1usize..4, 1..4),
            repetitions in 1u64..5,
            seed: u64,
            by_plan: bool,
        ) {
            let cells = cells(&axes(&sizes));
            prop_assert_eq!(cells.len(), sizes.iter().product::<usize>());
            let order = if by_plan { Order::Plan } else { Order::Blocks };
            let made = runs(&cells, repetitions, order, seed, 7, 3);
            prop_assert!(made.iter().map(|run| run.number).eq(7..7 + made.len() as u64));
            let distinct: BTreeSet<&Cell> = cells.iter().collect();
            prop_assert_eq!(distinct.len(), cells.len());
            for (index, block) in made.chunks(cells.len()).enumerate() {
                prop_assert!(block.iter().all(|run| run.block == 3 + index as u64));
                let in_block: Vec<&Cell> = block.iter().map(|run| &run.cell).collect();
                prop_assert_eq!(in_block.len(), cells.len());
                prop_assert_eq!(&in_block.iter().copied().collect::<BTreeSet<_>>(), &distinct);
                if by_plan {
                    prop_assert!(in_block.into_iter().eq(&cells));
                }
            }
            prop_assert_eq!(made.len(), cells.len() * repetitions as usize);
            prop_assert_eq!(&runs(&cells, repetitions, order, seed, 7, 3), &made);
            let more = runs(&cells, repetitions + 1, order, seed, 7, 3);
            prop_assert_eq!(more.get(..made.len()), Some(made.as_slice()));
        }
    }

    #[test]
    fn seeds_and_blocks_differ_in_their_order() {
        let cells = cells(&axes(&[5, 5]));
        let order = |seed, block| {
            runs(&cells, 1, Order::Blocks, seed, 0, block)
                .into_iter()
                .map(|run| run.cell)
                .collect::<Vec<_>>()
        };
        assert_ne!(order(1, 0), order(2, 0));
        assert_ne!(order(1, 0), order(1, 1));
        assert_ne!(order(1, 0), cells);
    }
}
