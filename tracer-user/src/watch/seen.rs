//! Which engines there are now, and what they have open.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    fs,
    os::unix::fs::MetadataExt as _,
};

use crate::process::{
    ModelHolder, ObservedProcess, OpenModel, all_processes, holders_among, parents,
    processes_named, processes_of_container,
};

use super::{
    engine::{EngineKey, FileKey, OpenedModel, SeenEngine},
    options::EngineChoice,
};

/// The engines of a choice, those first that have run longest.
///
/// # Errors
/// `/proc` cannot be listed.
pub fn look(choice: &EngineChoice) -> anyhow::Result<Vec<SeenEngine>> {
    let parents = parents()?;
    let mut named: HashMap<i32, &str> = HashMap::new();
    let mut candidates: BTreeSet<i32> = BTreeSet::new();
    for name in &choice.names {
        let pids = processes_named(name)?.into_iter();
        named.extend(pids.map(|pid| (pid, name.as_str())));
    }
    candidates.extend(named.keys());
    candidates.extend(parents.keys().filter(|pid| {
        let mut above = ancestors(**pid, &parents);
        above.any(|pid| named.contains_key(&pid))
    }));
    for group in &choice.cgroups {
        candidates.extend(processes_of_container(group)?);
    }
    if choice.any_model {
        candidates.extend(all_processes()?);
    }
    let own = i32::try_from(std::process::id()).unwrap_or_default();
    candidates.retain(|pid| *pid != own && !is_a_tracer(*pid));
    let candidates: Vec<i32> = candidates.into_iter().collect();
    let mut holders = holders_among(&candidates);
    holders.retain(|holder| !holder.open.models.is_empty());
    let with_models: HashSet<i32> = holders.iter().map(|holder| holder.process.pid()).collect();
    let mut engines: BTreeMap<i32, Vec<ModelHolder>> = BTreeMap::new();
    for holder in holders {
        let root = root_of(holder.process.pid(), &parents, |pid| {
            named.contains_key(&pid) || with_models.contains(&pid)
        });
        engines.entry(root).or_default().push(holder);
    }
    let mut seen: Vec<SeenEngine> = engines
        .into_iter()
        .filter_map(|(root, holders)| engine(root, named.get(&root).copied(), &holders))
        .collect();
    seen.sort_by_key(|engine| engine.key);
    Ok(seen)
}

/// Processes above one, the nearest first.
fn ancestors(pid: i32, parents: &HashMap<i32, i32>) -> impl Iterator<Item = i32> {
    let mut seen = HashSet::from([pid]);
    // A pid that was used again while the list was read could make a circle.
    std::iter::successors(parents.get(&pid).copied(), |pid| parents.get(pid).copied())
        .take_while(move |pid| *pid > 0 && seen.insert(*pid))
}

/// The uppermost process of those that belong to an engine, above this one or itself.
fn root_of(pid: i32, parents: &HashMap<i32, i32>, belongs: impl Fn(i32) -> bool) -> i32 {
    ancestors(pid, parents)
        .filter(|pid| belongs(*pid))
        .last()
        .unwrap_or(pid)
}

/// A tracer has the model that it traces open itself, and is no engine. Its built-in engine is one.
fn is_a_tracer(pid: i32) -> bool {
    let file = |path: String| {
        let metadata = fs::metadata(path).ok()?;
        Some((metadata.dev(), metadata.ino()))
    };
    let own = file("/proc/self/exe".to_owned());
    own.is_some()
        && file(format!("/proc/{pid}/exe")) == own
        && fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line.split(|&byte| byte == 0).nth(1) != Some(b"engine"))
}

/// An engine with all that it and those below it have open, called as it was asked for. None where it has ended.
fn engine(root: i32, name: Option<&str>, holders: &[ModelHolder]) -> Option<SeenEngine> {
    let process = ObservedProcess::open(root).ok()?;
    let identity = process.identity();
    let mut models: Vec<OpenedModel> = Vec::new();
    for model in holders.iter().flat_map(|holder| &holder.open.models) {
        let model = opened(model);
        if !models.iter().any(|known| known.files == model.files) {
            models.push(model);
        }
    }
    // `tracer attach` takes the given process's own models, and those of its descendants only where it has none.
    let its_own = holders.iter().find(|holder| holder.process.pid() == root);
    let found: BTreeSet<BTreeSet<FileKey>> = match its_own {
        Some(own) => own.open.models.iter().map(files).collect(),
        None => models.iter().map(|model| model.files.clone()).collect(),
    };
    Some(SeenEngine {
        key: EngineKey {
            start_time_ticks: identity.start_time_ticks,
            pid: root,
        },
        name: name.unwrap_or(&identity.command_name).to_owned(),
        command_line: identity.command_line.clone(),
        found_by_attach: found.len() == models.len(),
        models,
    })
}

fn files(model: &OpenModel) -> BTreeSet<FileKey> {
    let files = model.files.iter();
    files.map(|file| (file.device, file.inode)).collect()
}

fn opened(model: &OpenModel) -> OpenedModel {
    let first = model.files.first();
    OpenedModel {
        name: model.display_name.clone(),
        files: files(model),
        // Otherwise it is a link in /proc: the file has lost its name, or nothing beside it can be reached.
        path: first
            .filter(|file| file.openable_path.file_name() == file.path_in_process.file_name())
            .map(|file| file.path_in_process.clone()),
        openable_path: first
            .map(|file| file.openable_path.clone())
            .unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::{ancestors, root_of};

    #[test]
    fn an_engine_is_the_uppermost_that_belongs_to_it() {
        // 1 ← 10 (a shell) ← 20 ← 30 ← 31; 40 is on its own.
        let parents = HashMap::from([(1, 0), (10, 1), (20, 10), (30, 20), (31, 30), (40, 1)]);
        let engine = |pid: i32| [20, 31, 40].contains(&pid);
        assert_eq!(root_of(31, &parents, engine), 20);
        assert_eq!(root_of(20, &parents, engine), 20);
        let both = |pid: i32| [10, 30, 31].contains(&pid);
        assert_eq!(root_of(31, &parents, both), 10);
        assert_eq!(root_of(40, &parents, engine), 40);
        assert_eq!(ancestors(31, &parents).collect::<Vec<_>>(), [30, 20, 10, 1]);
        let circle = HashMap::from([(2, 3), (3, 2)]);
        assert_eq!(ancestors(2, &circle).collect::<Vec<_>>(), [3]);
    }
}
