//! What a plan would do.

use std::{collections::BTreeMap, path::Path};

use crate::process::Caller;

use super::{
    cells::expand,
    estimate::{RunTimes, estimate, in_words},
    folder::ExperimentFolder,
    identity::ModelIdentity,
    machine_check,
    plan::Plan,
    session::earlier_times,
};

/// Says which runs a plan makes, in their order, and how long that may take; makes nothing.
///
/// # Errors
/// [`super::PlanErrors`] where the plan cannot be run.
pub fn dry_run(plan_text: &str, plan_directory: &Path, out: &Path) -> anyhow::Result<String> {
    let plan = Plan::parse(plan_text)?;
    let runs = expand(&plan);
    let caller = Caller::of_this_process()?;
    machine_check::check(&plan, &runs, plan_directory, out, &caller)?;
    let mut times = RunTimes::default();
    if let Ok(folder) = ExperimentFolder::open(out, caller) {
        let (_, manifest) = folder.read()?;
        times = earlier_times(&folder, &manifest)?;
    }
    let mut sizes = BTreeMap::new();
    for name in plan.axis("model").map_or(&[][..], |axis| &axis.values) {
        let model = ModelIdentity::of(name, &plan_directory.join(name))?;
        sizes.insert(name.clone(), model.size_bytes());
    }
    let estimate = estimate(&plan, &runs.iter().collect::<Vec<_>>(), &times, |run| {
        sizes.get(run.model()).copied().unwrap_or_default()
    });
    let mut text = String::new();
    for run in &runs {
        text.push_str(&format!(
            "{:>5}  block {:<3} {}\n",
            run.number,
            run.block,
            run.describe(&plan.axes)
        ));
    }
    let basis = match times.count() {
        0 => "a guess: each model read once at 1 GiB/s, and 2 s around each run; a run that reads more takes longer".to_owned(),
        count => format!("by {count} earlier runs in {}", out.display()),
    };
    text.push_str(&format!(
        "{} runs, about {} ({basis}), at most {} (the time limit)\n",
        runs.len(),
        in_words(estimate.about),
        in_words(estimate.at_most)
    ));
    Ok(text)
}
