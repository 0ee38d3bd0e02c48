//! The one place where the experiment takes hold of what other rooms give it.

use super::{
    fragmented::{FragmentedCopy, not_built_in},
    threshold::Grid,
};
use crate::record::ExperimentRecord;

/// Copies of a model in a given number of pieces.
pub const FRAGMENTED_COPY: FragmentedCopy = not_built_in;

/// `report.md` of an experiment.
#[must_use]
pub fn experiment_report(experiment: &ExperimentRecord) -> String {
    super::listing::markdown(experiment)
}

/// Sizes of the first stage of a search for a threshold, largest first, each once.
#[must_use]
pub fn threshold_grid(grid: &Grid) -> Vec<u64> {
    super::threshold::even_grid(grid)
}

/// Sizes to look at next, after all planned runs of a search for a threshold were made; empty: the search is over.
#[must_use]
pub const fn threshold_refinement(_: &ExperimentRecord) -> Vec<u64> {
    Vec::new()
}
