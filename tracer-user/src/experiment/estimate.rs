//! How long an experiment may take: at most by its time limit, and about by its finished runs or by the sizes of its models.

use std::{collections::BTreeMap, time::Duration};

use super::{cells::PlannedRun, plan::Plan};

/// What starting and ending a run costs beside the engine, about.
const AROUND_A_RUN: Duration = Duration::from_secs(2);
/// A disk reads about so much in a second. A guess, used only where no run has been made, and said to be one.
const GUESSED_BYTES_PER_S: f64 = (1u64 << 30) as f64;

/// Times of runs that were made, by their cells.
#[derive(Clone, Debug, Default)]
pub struct RunTimes {
    by_cell: BTreeMap<Vec<(String, String)>, (f64, u32)>,
    sum_s: f64,
    count: u32,
}

impl RunTimes {
    /// Adds a run that took so long.
    pub fn add(&mut self, run: &PlannedRun, wall_s: f64) {
        let (sum_s, count) = self.by_cell.entry(key(run)).or_default();
        *sum_s += wall_s;
        *count += 1;
        self.sum_s += wall_s;
        self.count += 1;
    }

    /// How many there are.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// Time of all of them.
    #[must_use]
    pub fn total(&self) -> Duration {
        Duration::try_from_secs_f64(self.sum_s).unwrap_or_default()
    }

    /// Mean of the runs of the same cell, else of all; `None` without any.
    #[must_use]
    pub fn expected(&self, run: &PlannedRun) -> Option<Duration> {
        let (sum_s, count) = self
            .by_cell
            .get(&key(run))
            .copied()
            .unwrap_or((self.sum_s, self.count));
        (count > 0)
            .then(|| Duration::try_from_secs_f64(sum_s / f64::from(count)).ok())
            .flatten()
    }
}

fn key(run: &PlannedRun) -> Vec<(String, String)> {
    run.cell
        .iter()
        .map(|(axis, value)| (axis.clone(), value.clone()))
        .collect()
}

/// How long these runs take together, rests included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Estimate {
    pub about: Duration,
    /// At most, where every run uses its time up.
    pub at_most: Duration,
}

/// By the times of earlier runs; by the sizes of the models where there is none.
pub fn estimate(
    plan: &Plan,
    runs: &[&PlannedRun],
    times: &RunTimes,
    model_bytes: impl Fn(&PlannedRun) -> u64,
) -> Estimate {
    let count = u32::try_from(runs.len()).unwrap_or(u32::MAX);
    let rests = plan.cool_down.saturating_mul(count.saturating_sub(1));
    let about = runs
        .iter()
        .map(|run| {
            times.expected(run).unwrap_or_else(|| {
                let once = model_bytes(run) as f64 / GUESSED_BYTES_PER_S;
                AROUND_A_RUN.saturating_add(Duration::try_from_secs_f64(once).unwrap_or_default())
            })
        })
        .fold(rests, Duration::saturating_add);
    Estimate {
        about,
        at_most: plan.time_limit.saturating_mul(count).saturating_add(rests),
    }
}

/// A time for people: whole seconds.
#[must_use]
pub fn in_words(time: Duration) -> String {
    humantime::format_duration(Duration::from_secs(time.as_secs_f64().ceil() as u64)).to_string()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{RunTimes, estimate, in_words};
    use crate::experiment::{cells::expand, plan::Plan};

    #[test]
    fn runs_of_the_same_cell_go_first() {
        let plan = Plan::parse(
            "name = \"x\"\nrepetitions = 2\norder = \"plan\"\ncool_down = \"1s\"\ntime_limit = \"10s\"\n[engine]\nadapter = \"built-in\"\n[axes]\nmodel = [\"m\", \"n\"]\n",
        )
        .expect("a plan");
        let all = expand(&plan);
        let runs: Vec<_> = all.iter().collect();
        let of = |times: &RunTimes| estimate(&plan, &runs, times, |_| 3 << 30);
        let mut times = RunTimes::default();
        let guessed = of(&times);
        assert_eq!(guessed.about, Duration::from_secs(4 * (2 + 3) + 3));
        assert_eq!(guessed.at_most, Duration::from_secs(43));
        if let Some(first) = runs.first() {
            times.add(first, 4.0);
        }
        assert_eq!(of(&times).about, Duration::from_secs(4 * 4 + 3));
        if let Some(second) = runs.get(1) {
            times.add(second, 8.0);
        }
        assert_eq!(of(&times).about, Duration::from_secs(2 * 4 + 2 * 8 + 3));
        let first_only = estimate(&plan, &runs[..1], &times, |_| 0);
        assert_eq!(first_only.about, Duration::from_secs(4));
        assert_eq!(in_words(Duration::from_millis(61_200)), "1m 2s");
    }
}
