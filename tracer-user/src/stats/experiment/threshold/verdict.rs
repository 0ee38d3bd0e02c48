//! Onset, collapse and the band between them, from all runs of a grid of sizes.

use std::collections::BTreeMap;

use thiserror::Error;

use super::{
    band::{Band, band},
    run::{RunFigures, ThresholdRun, Unjudged, judge},
};

/// Fewest judged runs at a size of which it can be said that **every** run is clean, or has collapsed.
pub const FEWEST_RUNS: usize = 5;

/// Whether every run of a size has a property. One run that has not decides it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Every run has it, and there are at least [`FEWEST_RUNS`].
    All,
    /// At least one has not.
    NotAll,
    /// It cannot be said.
    Undecided(UndecidedSize),
}

/// Why it cannot be said what the runs of a size do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UndecidedSize {
    /// Too few runs.
    #[error("it has {0} runs that can be judged, and {FEWEST_RUNS} are needed")]
    TooFewRuns(usize),
    /// A run that did not fail says nothing.
    #[error("run {run} cannot be judged: {why}")]
    Unjudged {
        /// The run.
        run: u64,
        /// Why.
        why: Unjudged,
    },
    /// The engine does not run there.
    #[error("all of its {0} runs failed")]
    AllFailed(usize),
}

/// The runs of one size.
#[derive(Clone, Debug, PartialEq)]
pub struct SizeFigures {
    /// The memory, bytes.
    pub size_bytes: u64,
    /// Judged runs.
    pub runs: Vec<RunFigures>,
    /// The others, by number. Failed runs among them are left out of the verdict.
    pub unjudged: Vec<(u64, Unjudged)>,
    /// Whether every run is clean.
    pub clean: Standing,
    /// Whether every run has collapsed.
    pub collapsed: Standing,
}

/// The smallest tested size at which, and at every larger tested size, every run is clean.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Onset {
    /// That size, bytes.
    pub size_bytes: u64,
    /// The next tested size below, at which a run is not clean: the true onset lies above it.
    pub unclean_bytes: u64,
}

impl Onset {
    /// How exact the answer is: the distance to the next tested size below.
    #[must_use]
    pub const fn resolution_bytes(&self) -> u64 {
        self.size_bytes.saturating_sub(self.unclean_bytes)
    }
}

/// Why there is no onset.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum OnsetError {
    /// No runs.
    #[error("there are no runs under pressure")]
    NoRuns,
    /// Even the largest size is not clean.
    #[error("no tested size is clean: a run still reads at the largest, {largest_bytes} bytes")]
    NoCleanSize {
        /// That size.
        largest_bytes: u64,
    },
    /// Every size is clean, so that nothing bounds it from below.
    #[error("every tested size is clean: it lies at or below the smallest, {smallest_bytes} bytes")]
    AllClean {
        /// That size.
        smallest_bytes: u64,
    },
    /// A size on the way down cannot be decided.
    #[error("at {size_bytes} bytes it cannot be decided: {why}{}", bound("at most", *at_most_bytes))]
    Undecided {
        /// The size.
        size_bytes: u64,
        /// Why.
        why: UndecidedSize,
        /// The smallest size above it of which all are clean: an upper bound.
        at_most_bytes: Option<u64>,
    },
}

/// The largest tested size at which, and at every smaller tested size, every run has collapsed. Sizes at which every
/// run failed, at the lower end of the grid, are left out: the engine does not run there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Collapse {
    /// That size, bytes.
    pub size_bytes: u64,
    /// The next tested size above, at which a run has not collapsed.
    pub uncollapsed_bytes: u64,
}

/// Why there is no collapse.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum CollapseError {
    /// No runs.
    #[error("there are no runs under pressure")]
    NoRuns,
    /// Not even the smallest size has collapsed.
    #[error(
        "no tested size has collapsed: a run reads less than half of its need at the smallest, {smallest_bytes} bytes"
    )]
    NoCollapsedSize {
        /// That size.
        smallest_bytes: u64,
    },
    /// Every size has collapsed.
    #[error(
        "every tested size has collapsed: it lies at or above the largest, {largest_bytes} bytes"
    )]
    AllCollapsed {
        /// That size.
        largest_bytes: u64,
    },
    /// A size on the way up cannot be decided.
    #[error("at {size_bytes} bytes it cannot be decided: {why}{}", bound("at least", *at_least_bytes))]
    Undecided {
        /// The size.
        size_bytes: u64,
        /// Why.
        why: UndecidedSize,
        /// The largest size below it up to which all have collapsed: a lower bound.
        at_least_bytes: Option<u64>,
    },
}

fn bound(word: &str, bytes: Option<u64>) -> String {
    bytes.map_or_else(String::new, |bytes| format!("; it is {word} {bytes} bytes"))
}

/// What a grid of sizes says.
#[derive(Clone, Debug, PartialEq)]
pub struct Verdict {
    /// Every tested size, descending.
    pub sizes: Vec<SizeFigures>,
    /// Where steps stop reading.
    pub onset: Result<Onset, OnsetError>,
    /// Where all of them read.
    pub collapse: Result<Collapse, CollapseError>,
    /// The sizes between. `None` without an onset.
    pub band: Option<Band>,
}

/// Judges every run, every size, and the grid.
#[must_use]
pub fn verdict(runs: &[ThresholdRun]) -> Verdict {
    let mut by_size: BTreeMap<u64, Vec<&ThresholdRun>> = BTreeMap::new();
    for run in runs {
        by_size.entry(run.size_bytes).or_default().push(run);
    }
    let sizes: Vec<SizeFigures> = by_size
        .into_iter()
        .rev()
        .map(|(size_bytes, runs)| size_figures(size_bytes, &runs))
        .collect();
    let (onset, collapse) = (onset(&sizes), collapse(&sizes));
    let band = onset.as_ref().ok().map(|onset| {
        let bottom = collapse.as_ref().ok().map(|collapse| collapse.size_bytes);
        let from = |lowest: u64, highest: u64| -> Vec<&SizeFigures> {
            // A size at which no run could be judged is tested by none.
            let within = |size: &&SizeFigures| {
                (lowest..=highest).contains(&size.size_bytes) && !size.runs.is_empty()
            };
            sizes.iter().rev().filter(within).collect()
        };
        let inside = from(bottom.map_or(0, |bytes| bytes + 1), onset.unclean_bytes);
        band(
            &inside,
            &from(bottom.unwrap_or(0), onset.size_bytes),
            bottom.is_some(),
        )
    });
    Verdict {
        sizes,
        onset,
        collapse,
        band,
    }
}

fn size_figures(size_bytes: u64, runs: &[&ThresholdRun]) -> SizeFigures {
    let mut judged = Vec::new();
    let mut unjudged = Vec::new();
    for run in runs {
        match judge(run) {
            Ok(figures) => judged.push(figures),
            Err(why) => unjudged.push((run.run, why)),
        }
    }
    let standing = |has: &dyn Fn(&RunFigures) -> bool| {
        if judged.iter().any(|run| !has(run)) {
            return Standing::NotAll;
        }
        let mut silent = unjudged.iter().filter(|(_, why)| *why != Unjudged::Failed);
        Standing::Undecided(if let Some((run, why)) = silent.next() {
            UndecidedSize::Unjudged {
                run: *run,
                why: *why,
            }
        } else if judged.is_empty() {
            UndecidedSize::AllFailed(unjudged.len())
        } else if judged.len() < FEWEST_RUNS {
            UndecidedSize::TooFewRuns(judged.len())
        } else {
            return Standing::All;
        })
    };
    let (clean, collapsed) = (standing(&|run| run.clean), standing(&|run| run.collapsed));
    SizeFigures {
        size_bytes,
        clean,
        collapsed,
        runs: judged,
        unjudged,
    }
}

fn onset(descending: &[SizeFigures]) -> Result<Onset, OnsetError> {
    let mut clean_from = None;
    for size in descending {
        match (&size.clean, clean_from) {
            (Standing::All, _) => clean_from = Some(size.size_bytes),
            (Standing::NotAll, None) => {
                return Err(OnsetError::NoCleanSize {
                    largest_bytes: size.size_bytes,
                });
            }
            (Standing::NotAll, Some(size_bytes)) => {
                return Ok(Onset {
                    size_bytes,
                    unclean_bytes: size.size_bytes,
                });
            }
            (Standing::Undecided(why), at_most_bytes) => {
                return Err(OnsetError::Undecided {
                    size_bytes: size.size_bytes,
                    why: why.clone(),
                    at_most_bytes,
                });
            }
        }
    }
    Err(
        clean_from.map_or(OnsetError::NoRuns, |smallest_bytes| OnsetError::AllClean {
            smallest_bytes,
        }),
    )
}

fn collapse(descending: &[SizeFigures]) -> Result<Collapse, CollapseError> {
    let mut collapsed_up_to = None;
    let cannot_run = |size: &&SizeFigures| {
        matches!(
            size.collapsed,
            Standing::Undecided(UndecidedSize::AllFailed(_))
        )
    };
    for size in descending.iter().rev().skip_while(cannot_run) {
        match (&size.collapsed, collapsed_up_to) {
            (Standing::All, _) => collapsed_up_to = Some(size.size_bytes),
            (Standing::NotAll, None) => {
                return Err(CollapseError::NoCollapsedSize {
                    smallest_bytes: size.size_bytes,
                });
            }
            (Standing::NotAll, Some(size_bytes)) => {
                return Ok(Collapse {
                    size_bytes,
                    uncollapsed_bytes: size.size_bytes,
                });
            }
            (Standing::Undecided(why), at_least_bytes) => {
                return Err(CollapseError::Undecided {
                    size_bytes: size.size_bytes,
                    why: why.clone(),
                    at_least_bytes,
                });
            }
        }
    }
    Err(
        collapsed_up_to.map_or(CollapseError::NoRuns, |largest_bytes| {
            CollapseError::AllCollapsed { largest_bytes }
        }),
    )
}

#[cfg(test)]
mod tests;
