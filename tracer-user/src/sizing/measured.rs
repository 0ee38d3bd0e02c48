//! Other runs of the same model, to be shown beside what is predicted.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use crate::{
    output::{RECORD, load_run},
    schema::{MeasuredSize, RunRecord},
};

use super::Facts;

/// Deepest that runs lie below a folder that is named: an experiment has them in `runs`.
const DEEPEST: usize = 3;

/// What the runs in these folders read, those of the same model that had a limit. A folder is a run, or has runs below it.
///
/// # Errors
/// A folder cannot be read, or has no such run.
pub fn measured(folders: &[PathBuf], like: &RunRecord) -> anyhow::Result<Vec<MeasuredSize>> {
    let mut measured = Vec::new();
    for folder in folders {
        let mut found = Vec::new();
        find_runs(folder, DEEPEST, &mut found)
            .with_context(|| format!("cannot look for runs in {}", folder.display()))?;
        let before = measured.len();
        for run in found {
            // One that failed or was killed has no whole record: it says nothing.
            let Ok(record) = load_run(&run) else { continue };
            // The run itself proves nothing of what is predicted from it.
            if is_of_same_model(&record, like)
                && record.started_at != like.started_at
                && let Ok(facts) = Facts::of(&record, None)
            {
                measured.extend(facts.measured);
            }
        }
        if measured.len() == before {
            bail!(
                "{} has no run of the same model with a memory limit (`--memory-max`) and at least {} tokens",
                folder.display(),
                super::not_known::FEWEST_STEPS
            );
        }
    }
    measured.sort_by_key(|run| run.memory_bytes);
    Ok(measured)
}

fn is_of_same_model(record: &RunRecord, like: &RunRecord) -> bool {
    let sizes = |record: &RunRecord| -> Vec<(u64, Option<u64>)> {
        record
            .all_models()
            .map(|model| (model.model.size_bytes, model.model.layers))
            .collect()
    };
    sizes(record) == sizes(like)
}

fn find_runs(folder: &Path, depth: usize, found: &mut Vec<PathBuf>) -> std::io::Result<()> {
    if folder.is_file() || folder.join(RECORD).is_file() {
        found.push(folder.to_owned());
        return Ok(());
    }
    let mut inner: Vec<PathBuf> = std::fs::read_dir(folder)?
        .filter_map(Result::ok)
        .map(|entry| entry.path())
        .filter(|path| path.is_dir())
        .collect();
    inner.sort();
    for path in inner {
        if depth > 0 {
            find_runs(&path, depth - 1, found)?;
        }
    }
    Ok(())
}
