//! Names of cells, pressures and models, and the order in which cells stand.

use std::{cmp::Ordering, collections::BTreeMap};

use crate::{
    schema::{AxisRecord, ExperimentRecord, PlannedPressure},
    units::{bytes, parse_bytes},
};

/// What was done to the memory, with its size.
pub(super) fn pressure(planned: PlannedPressure) -> String {
    match planned {
        PlannedPressure::None => "none".to_owned(),
        PlannedPressure::Lock(size) => format!("balloon, {} locked", bytes(size)),
        PlannedPressure::LeaveFree(size) => format!("balloon, {} left free", bytes(size)),
        PlannedPressure::MemoryMax(size) => format!("cgroup, {}", bytes(size)),
    }
}

/// The last part of a path.
pub(super) fn short(path: &str) -> &str {
    path.rsplit('/')
        .next()
        .filter(|name| !name.is_empty())
        .unwrap_or(path)
}

/// Axes other than model and pressure that have several values in this experiment.
pub(super) fn varied(experiment: &ExperimentRecord) -> Vec<&str> {
    other_axes(experiment)
        .filter(|axis| axis.values.len() > 1)
        .map(|axis| axis.name.as_str())
        .collect()
}

fn other_axes(experiment: &ExperimentRecord) -> impl Iterator<Item = &AxisRecord> {
    let of_its_own = |axis: &&AxisRecord| axis.name != "model" && axis.name != "pressure";
    experiment.axes.iter().filter(of_its_own)
}

/// Where a value stands among those of its axis: words first, as the plan has them, then numbers and sizes from small to
/// large.
#[derive(Clone, Copy, Debug)]
pub(super) enum Place {
    Word(usize),
    Number(f64),
}

impl Place {
    fn of(axis: &AxisRecord, value: Option<&String>) -> Self {
        let number = value.and_then(|value| {
            let plain: Option<f64> = value.trim().parse().ok();
            plain
                .filter(|number| number.is_finite())
                .or_else(|| parse_bytes(value).ok().map(|size| size as f64))
        });
        number.map_or_else(
            || {
                let mut values = axis.values.iter();
                let place = values.position(|known| Some(known) == value);
                Self::Word(place.unwrap_or(usize::MAX))
            },
            Self::Number,
        )
    }
}

impl Ord for Place {
    fn cmp(&self, other: &Self) -> Ordering {
        match (self, other) {
            (Self::Word(one), Self::Word(two)) => one.cmp(two),
            (Self::Number(one), Self::Number(two)) => one.total_cmp(two),
            (Self::Word(_), Self::Number(_)) => Ordering::Less,
            (Self::Number(_), Self::Word(_)) => Ordering::Greater,
        }
    }
}

impl PartialOrd for Place {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Place {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Place {}

/// By what cells are put in order that have the same model and pressure: the axes in the plan's order, each by value.
pub(super) fn order(experiment: &ExperimentRecord, cell: &BTreeMap<String, String>) -> Vec<Place> {
    other_axes(experiment)
        .map(|axis| Place::of(axis, cell.get(&axis.name)))
        .collect()
}

/// The values of these axes in a cell: "tokens = 10, threads = 2".
pub(super) fn values(cell: &BTreeMap<String, String>, axes: &[&str]) -> String {
    let named: Vec<String> = axes
        .iter()
        .filter_map(|axis| {
            let value = cell.get(*axis)?;
            let long = value.chars().count() > 24;
            let shown: String = value.chars().take(24).collect();
            Some(format!("{axis} = {shown}{}", if long { "…" } else { "" }))
        })
        .collect();
    named.join(", ")
}

#[cfg(test)]
mod tests {
    use crate::schema::{AxisRecord, ExperimentRecord};

    use super::{order, short, values};

    #[test]
    fn cells_stand_in_the_order_of_what_their_values_mean() {
        let axis = |name: &str, values: &[&str]| AxisRecord {
            name: name.to_owned(),
            values: values.iter().map(|value| (*value).to_owned()).collect(),
        };
        let experiment = ExperimentRecord {
            axes: vec![
                axis("pressure", &["none", "memory-max=1G"]),
                axis("read_ahead", &["128K", "1M", "16K", "off"]),
                axis("load_mode", &["read", "mmap"]),
                axis("temperature", &["10", "0.5", "9"]),
            ],
            ..ExperimentRecord::default()
        };
        let in_order = |axis: &str, of: &[&str]| {
            let mut sorted: Vec<&str> = of.to_vec();
            sorted.sort_by_key(|value| {
                let cell = [(axis.to_owned(), (*value).to_owned())].into();
                order(&experiment, &cell)
            });
            sorted.join(" ")
        };
        assert_eq!(
            in_order("read_ahead", &["1M", "128K", "16K", "off"]),
            "off 16K 128K 1M"
        );
        assert_eq!(in_order("temperature", &["10", "9", "0.5"]), "0.5 9 10");
        assert_eq!(in_order("load_mode", &["mmap", "read"]), "read mmap");
        // These have an order of their own.
        assert_eq!(in_order("pressure", &["b", "a"]), "b a");
    }

    #[test]
    fn a_cell_reads_as_its_varied_axes() {
        let cell = [
            ("tokens", "10"),
            ("prompt", "Once upon a time, there was a tree"),
        ]
        .map(|(axis, value)| (axis.to_owned(), value.to_owned()))
        .into();
        assert_eq!(
            values(&cell, &["tokens", "prompt", "threads"]),
            "tokens = 10, prompt = Once upon a time, there …"
        );
        assert_eq!(short("a/b.gguf"), "b.gguf");
        assert_eq!(short("dir/"), "dir/");
    }
}
