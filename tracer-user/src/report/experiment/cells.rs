//! Names of cells, pressures and models.

use std::collections::BTreeMap;

use crate::{
    schema::{ExperimentRecord, PlannedPressure},
    units::bytes,
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
    experiment
        .axes
        .iter()
        .filter(|axis| axis.values.len() > 1)
        .map(|axis| axis.name.as_str())
        .filter(|name| *name != "model" && *name != "pressure")
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
    use super::{short, values};

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
