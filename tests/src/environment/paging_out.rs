//! What the kernel pages out by itself while a test runs.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};

const KDAMONDS: &str = "/sys/kernel/mm/damon/admin/kdamonds";

/// The bytes that DAMON's schemes have paged out since they began (Documentation/admin-guide/mm/damon/usage.rst, `stats`).
/// `None` where no scheme runs: the kernel has no DAMON, or nobody has set it up.
///
/// Such a scheme throws out of the page cache, at any moment and without need, what nobody maps. A test that has said what
/// is in memory then finds another state than its own.
pub fn paged_out_bytes() -> Result<Option<u64>> {
    let Ok(threads) = fs::read_dir(KDAMONDS) else {
        return Ok(None);
    };
    let mut bytes = None;
    for thread in threads {
        let thread = thread.context(KDAMONDS)?.path();
        let state = thread.join("state");
        if !fs::read_to_string(&state).is_ok_and(|state| state.trim() == "on") {
            continue;
        }
        // The numbers stand as they were when somebody last asked for them.
        fs::write(&state, "update_schemes_stats")
            .with_context(|| format!("ask {} for its numbers", state.display()))?;
        for scheme in schemes(&thread) {
            let applied = scheme.join("stats/sz_applied");
            let text = fs::read_to_string(&applied)
                .with_context(|| format!("read {}", applied.display()))?;
            let applied: u64 = text
                .trim()
                .parse()
                .with_context(|| format!("{} is {text:?}", applied.display()))?;
            *bytes.get_or_insert(0) += applied;
        }
    }
    Ok(bytes)
}

/// Those of a kdamond that page out.
fn schemes(thread: &Path) -> Vec<PathBuf> {
    let below = |folder: PathBuf| {
        fs::read_dir(folder)
            .into_iter()
            .flatten()
            .flatten()
            .map(|entry| entry.path())
    };
    below(thread.join("contexts"))
        .flat_map(|context| below(context.join("schemes")))
        .filter(|scheme| {
            fs::read_to_string(scheme.join("action")).is_ok_and(|action| action.trim() == "pageout")
        })
        .collect()
}
