//! What to attach to: the process that has the model, out of those that people know by pid, name or container.

use std::{
    collections::HashSet,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};

use crate::{
    place::RequestedModel,
    probe::in_first_pid_namespace,
    process::{
        Family, LargeFiles, ModelHolder, ObservedProcess, OpenModel, OpenModels, holders_among,
        processes_named, processes_of_container, with_descendants,
    },
    units::bytes,
};

/// How a process is named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttachTarget {
    Pid(i32),
    /// By its program's name.
    Name(String),
    /// By the id of its container.
    Container(String),
}

/// The process that is traced, with those that belong to it.
#[derive(Debug)]
pub(super) struct Target {
    /// The one that has the model.
    pub process: ObservedProcess,
    pub family: Family,
    /// The models that it has open, as they are to be traced.
    pub models: Vec<RequestedModel>,
    /// What a reader should know of the choice.
    pub notes: Vec<String>,
}

/// Finds the process. `named` are files of the models that were asked for, as we or as the process sees them; where
/// there are none, the models are those that the processes have open.
///
/// # Errors
/// No such process, several of them, or none that has a model.
pub(super) fn find(target: &AttachTarget, named: &[PathBuf]) -> anyhow::Result<Target> {
    let roots = narrowed(roots(target)?, target)?;
    let mut pids = Vec::new();
    for root in &roots {
        for pid in with_descendants(*root)? {
            if !pids.contains(&pid) {
                pids.push(pid);
            }
        }
    }
    let first = roots.first().context("no process")?;
    let given = ObservedProcess::open(*first)?;
    let named = named
        .iter()
        .map(|path| named_model(path, *first))
        .collect::<anyhow::Result<Vec<_>>>()?;
    // Asked of the given one itself first: that it may not be looked at is an error.
    OpenModels::find(&given)?;
    let mut holders = holders_among(&pids);
    let refused: Vec<String> = holders
        .iter()
        .flat_map(|holder| &holder.open.refused)
        .map(ToString::to_string)
        .collect();
    holders.retain(|holder| !holder.open.models.is_empty());
    if !named.is_empty() {
        let keys = keys_of(&named);
        holders.retain(|holder| {
            let mut files = holder.open.models.iter().flat_map(|model| &model.files);
            files.any(|file| keys.contains(&(file.device, file.inode)))
        });
    }
    // The given one's own models come before those of its descendants.
    if let AttachTarget::Pid(pid) = target
        && holders.iter().any(|holder| holder.process.pid() == *pid)
    {
        holders.retain(|holder| holder.process.pid() == *pid);
    }
    let mut notes = refused.clone();
    let models = if named.is_empty() {
        union(&holders)
    } else {
        named
    };
    if models.is_empty() {
        bail!("{}", without_model(target, &given, &pids, &refused));
    }
    notes.extend(
        models
            .iter()
            .flat_map(|model| &model.files)
            .filter_map(deleted),
    );
    holders.sort_by_key(|holder| std::cmp::Reverse(holder.size_bytes()));
    let others = holders.len().saturating_sub(1);
    let process = match holders.into_iter().next() {
        Some(holder) => holder.process,
        None => given,
    };
    if let AttachTarget::Pid(pid) = target
        && process.pid() != *pid
    {
        notes.push(format!(
            "process {pid} has no model open itself: its descendant {} has, and was traced",
            in_words(&process)
        ));
    }
    if others > 0 {
        notes.push(format!(
            "{others} more of its processes have the model open; memory is shown of {}, reads of all",
            in_words(&process)
        ));
    }
    Ok(Target {
        process,
        family: Family::Of(roots),
        models,
        notes,
    })
}

/// A model by a path that is ours, or else the process's own: in a container the same file is called otherwise.
fn named_model(path: &Path, pid: i32) -> anyhow::Result<RequestedModel> {
    let ours = RequestedModel::from_path(path);
    if path.exists() || !path.is_absolute() {
        return ours;
    }
    let root = Path::new("/proc").join(pid.to_string()).join("root");
    let theirs = root.join(path.strip_prefix("/").unwrap_or(path));
    let Ok(mut model) = RequestedModel::from_path(&theirs) else {
        return ours;
    };
    let shown = |path: &Path| match path.strip_prefix(&root) {
        Ok(below) => Path::new("/").join(below),
        Err(_) => path.to_owned(),
    };
    for (path, _) in &mut model.files {
        *path = shown(path);
    }
    model.name = shown(Path::new(&model.name)).display().to_string();
    Ok(model)
}

/// What to do where the process may be one that cannot be seen from here; empty where all can.
fn seen_from_here() -> &'static str {
    if in_first_pid_namespace() {
        ""
    } else {
        "; the tracer is in a pid namespace of its own (a container) and sees only that one's processes: share the host's with `docker run --pid=host`, in Kubernetes with `hostPID: true` (docs/DEPLOY.md)"
    }
}

fn roots(target: &AttachTarget) -> anyhow::Result<Vec<i32>> {
    Ok(match target {
        AttachTarget::Pid(pid) => {
            if let Err(error) = ObservedProcess::open(*pid) {
                bail!("{error}{}", seen_from_here());
            }
            vec![*pid]
        }
        AttachTarget::Name(name) => {
            let found = processes_named(name)?;
            if found.is_empty() {
                bail!(
                    "no process is called {name}; `tracer attach` without arguments lists those that have a model open{}",
                    seen_from_here()
                );
            }
            found
        }
        AttachTarget::Container(id) => {
            let found = processes_of_container(id)?;
            if found.is_empty() {
                bail!(
                    "no process has the container {id} in the path of its control group; give its id as `docker ps`, `podman ps` or `crictl ps` print it, and run the tracer where it sees all processes{}",
                    seen_from_here()
                );
            }
            found
        }
    })
}

/// Of several processes of one name, the only one that has a model, or whose descendants have one.
fn narrowed(roots: Vec<i32>, target: &AttachTarget) -> anyhow::Result<Vec<i32>> {
    let AttachTarget::Name(name) = target else {
        return Ok(roots);
    };
    if roots.len() == 1 {
        return Ok(roots);
    }
    let mut with_models = Vec::new();
    let mut list = Vec::new();
    for root in &roots {
        let holders = holders_among(&with_descendants(*root)?);
        let models = union(&holders);
        if !models.is_empty() {
            with_models.push(*root);
            let names: Vec<&str> = models.iter().map(|model| model.name.as_str()).collect();
            list.push(format!("{root} ({})", names.join(", ")));
        }
    }
    match with_models.as_slice() {
        [_] => Ok(with_models),
        [] => bail!(
            "{} processes are called {name}, and none of them has a model open; name one with --pid: {roots:?}",
            roots.len()
        ),
        _ => bail!(
            "{} processes called {name} have a model open; name one with --pid: {}",
            list.len(),
            list.join(", ")
        ),
    }
}

/// Device and inode of the models' files, as far as they can be looked at.
fn keys_of(models: &[RequestedModel]) -> HashSet<(u64, u64)> {
    models
        .iter()
        .flat_map(|model| &model.files)
        .filter_map(|(_, openable)| openable.metadata().ok())
        .map(|metadata| (metadata.dev(), metadata.ino()))
        .collect()
}

/// The models of all of them, each once.
fn union(holders: &[ModelHolder]) -> Vec<RequestedModel> {
    let mut seen = HashSet::new();
    holders
        .iter()
        .flat_map(|holder| &holder.open.models)
        .filter(|model| {
            let first = model.files.first().map(|file| (file.device, file.inode));
            seen.insert(first)
        })
        .map(requested)
        .collect()
}

/// Says so of a file that has no name any more: the path to show, and the one to open.
fn deleted((path, openable): &(PathBuf, PathBuf)) -> Option<String> {
    let is_deleted = openable
        .metadata()
        .is_ok_and(|metadata| metadata.nlink() == 0);
    is_deleted.then(|| {
        format!(
            "{} has no name any more: the file that the process still has is traced, which is no longer to be found on the disk once the process lets it go",
            path.display()
        )
    })
}

/// A model that a process has open.
fn requested(model: &OpenModel) -> RequestedModel {
    RequestedModel {
        name: match model.files.as_slice() {
            [only] => only.path_in_process.display().to_string(),
            _ => model.display_name.clone(),
        },
        files: model
            .files
            .iter()
            .map(|file| (file.path_in_process.clone(), file.openable_path.clone()))
            .collect(),
    }
}

fn without_model(
    target: &AttachTarget,
    given: &ObservedProcess,
    pids: &[i32],
    refused: &[String],
) -> String {
    let who = match (target, pids.len()) {
        (AttachTarget::Container(id), number) => {
            format!("the container {id} ({number} processes) has")
        }
        (_, 1) => format!("process {} has", in_words(given)),
        (_, number) => format!(
            "process {} and its {} descendants have",
            in_words(given),
            number - 1
        ),
    };
    let refused = if refused.is_empty() {
        String::new()
    } else {
        format!(" that can be traced ({})", refused.join("; "))
    };
    let processes: Vec<ObservedProcess> = pids
        .iter()
        .filter_map(|pid| ObservedProcess::open(*pid).ok())
        .collect();
    let large = LargeFiles::in_use_by(&processes)
        .in_words()
        .map_or_else(String::new, |files| {
            format!(" (large files that are in use: {files})")
        });
    format!("{who} no model file mapped or open{refused}; name one with --model{large}")
}

fn in_words(process: &ObservedProcess) -> String {
    format!("{} ({})", process.pid(), process.identity().command_name)
}

/// A process that has models open, for a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListedProcess {
    pub pid: i32,
    pub command_name: String,
    /// Its models with their sizes, in words.
    pub models: Vec<String>,
}

/// All processes that have models open, those with the most bytes first.
///
/// # Errors
/// `/proc` cannot be listed.
pub fn processes_with_models() -> anyhow::Result<Vec<ListedProcess>> {
    let mut holders = holders_among(&crate::process::all_processes()?);
    holders.retain(|holder| !holder.open.models.is_empty());
    holders.sort_by_key(|holder| (std::cmp::Reverse(holder.size_bytes()), holder.process.pid()));
    Ok(holders
        .iter()
        .map(|holder| ListedProcess {
            pid: holder.process.pid(),
            command_name: holder.process.identity().command_name.clone(),
            models: holder
                .open
                .models
                .iter()
                .map(|model| format!("{} ({})", model.display_name, bytes(model.size_bytes())))
                .collect(),
        })
        .collect())
}
