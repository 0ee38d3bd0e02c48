//! The folder of an experiment, and what makes it durable: a run is made in a folder of its own that has another name until
//! everything in it is on the disk.
//!
//! ```text
//! plan.toml          copy of the plan
//! manifest.json      what the experiment is: models, software, runs in their order
//! experiment.lock    one session at a time
//! runs/0007/         run.json, report.html, report.md, the engine's output, outcome.json
//! runs/.0008.partial a run that was not finished: removed by the next session
//! copies/            copies of models in a given number of pieces
//! experiment.json    what became of every run
//! report.md          the report
//! report.html        the same as a page, with charts
//! ```

use std::{
    fs::{self, File},
    io::{self, ErrorKind},
    path::{Path, PathBuf},
};

use anyhow::{Context as _, bail};
use nix::sys::statvfs::statvfs;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    output::{FolderLock, write_whole_file},
    process::Caller,
    schema::{ExperimentRunRecord, RunRecord},
};

use super::manifest::Manifest;
use crate::experiment::{cells::PlannedRun, plan::Plan};

/// One session at a time.
const LOCK_FILE: &str = "experiment.lock";
/// The copy of the plan.
pub const PLAN_FILE: &str = "plan.toml";
/// What the experiment is.
const MANIFEST_FILE: &str = "manifest.json";
/// What became of every run.
pub const EXPERIMENT_FILE: &str = "experiment.json";
pub const REPORT_FILE: &str = "report.md";
/// The page, of the experiment and of each run.
pub const PAGE_FILE: &str = "report.html";
const RUNS: &str = "runs";
const COPIES: &str = "copies";
/// The record of a run.
pub const RUN_FILE: &str = "run.json";
/// What became of a run.
const OUTCOME_FILE: &str = "outcome.json";

/// Whether an experiment has begun in this folder.
#[must_use]
pub fn is_experiment(folder: &Path) -> bool {
    folder.join(MANIFEST_FILE).is_file()
}

/// What became of a run, beside its record.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Outcome {
    /// The plan that it belongs to.
    pub plan_digest: String,
    /// Release of the kernel.
    pub kernel: String,
    /// Version of the tracer.
    pub tracer_version: String,
    /// When it was begun, RFC 3339 in UTC.
    pub began_at: String,
    /// How long it took, conditions included, seconds.
    pub wall_s: f64,
    /// The run; its record is in a file of its own.
    pub run: ExperimentRunRecord,
}

#[derive(Debug)]
pub struct ExperimentFolder {
    path: PathBuf,
    caller: Caller,
}

impl ExperimentFolder {
    /// A folder for a new experiment, locked. It may exist, without anything in it that an experiment did not put there
    /// before it began.
    ///
    /// # Errors
    /// The folder holds an experiment or something else, another session has it, or it cannot be made.
    pub fn create(path: &Path, caller: Caller) -> anyhow::Result<(Self, FolderLock)> {
        let failed = || format!("cannot make the folder {}", path.display());
        for folder in missing_ancestors(path).into_iter().rev() {
            fs::create_dir(&folder).with_context(failed)?;
            caller.give_path(&folder).with_context(failed)?;
        }
        let path = path.canonicalize().with_context(failed)?;
        if path.join(MANIFEST_FILE).exists() {
            bail!(
                "{} holds an experiment already: go on with `tracer experiment resume`, or choose another folder with --out",
                path.display()
            );
        }
        for entry in fs::read_dir(&path).with_context(failed)? {
            let name = entry.with_context(failed)?.file_name();
            // Left by a session that was killed before it had begun.
            let is_ours = [LOCK_FILE, PLAN_FILE, RUNS, COPIES]
                .iter()
                .any(|own| name == *own);
            if !is_ours {
                bail!(
                    "{} is not empty ({} is in it); choose another folder with --out",
                    path.display(),
                    name.display()
                );
            }
        }
        let lock = FolderLock::take(&path, LOCK_FILE, &caller)?;
        let folder = Self { path, caller };
        folder.make_directory(RUNS)?;
        Ok((folder, lock))
    }

    /// The folder of an experiment that was begun, not locked.
    ///
    /// # Errors
    /// There is none.
    pub fn open(path: &Path, caller: Caller) -> anyhow::Result<Self> {
        let canonical = path
            .canonicalize()
            .with_context(|| format!("cannot find the folder {}", path.display()))?;
        if !canonical.join(MANIFEST_FILE).is_file() {
            bail!(
                "{} holds no experiment; begin one with `tracer experiment run PLAN --out {}`",
                path.display(),
                path.display()
            );
        }
        Ok(Self {
            path: canonical,
            caller,
        })
    }

    /// Locks it.
    ///
    /// # Errors
    /// Another session has it.
    pub fn lock(&self) -> anyhow::Result<FolderLock> {
        FolderLock::take(&self.path, LOCK_FILE, &self.caller)
    }

    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    #[must_use]
    pub const fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Bytes that can still be written.
    ///
    /// # Errors
    /// As of statvfs(3).
    pub fn free_bytes(&self) -> io::Result<u64> {
        let statistics = statvfs(&self.path)?;
        Ok(statistics
            .blocks_available()
            .saturating_mul(statistics.fragment_size()))
    }

    /// Writes one of the experiment's own files whole.
    ///
    /// # Errors
    /// A full disk, a folder that went away.
    pub fn write(&self, name: &str, content: &[u8]) -> anyhow::Result<()> {
        let path = self.path.join(name);
        write_whole_file(&path, content, &self.caller)
            .with_context(|| format!("cannot write {}", path.display()))
    }

    fn write_json(&self, name: &str, value: &impl Serialize) -> anyhow::Result<()> {
        let mut json = serde_json::to_vec_pretty(value)
            .with_context(|| format!("cannot write {name} as JSON"))?;
        json.push(b'\n');
        self.write(name, &json)
    }

    /// Writes the manifest: from then on the folder holds an experiment.
    ///
    /// # Errors
    /// As of [`ExperimentFolder::write`].
    pub fn write_manifest(&self, manifest: &Manifest) -> anyhow::Result<()> {
        self.write_json(MANIFEST_FILE, manifest)
    }

    /// Writes what became of every run.
    ///
    /// # Errors
    /// As of [`ExperimentFolder::write`].
    pub fn write_experiment(&self, experiment: &impl Serialize) -> anyhow::Result<()> {
        self.write_json(EXPERIMENT_FILE, experiment)
    }

    /// The plan and the manifest, which fit each other.
    ///
    /// # Errors
    /// They cannot be read, or do not.
    pub fn read(&self) -> anyhow::Result<(Plan, Manifest)> {
        let path = self.path.join(PLAN_FILE);
        let text =
            fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let plan = Plan::parse(&text).with_context(|| path.display().to_string())?;
        let manifest: Manifest = read_json(&self.path.join(MANIFEST_FILE))?;
        manifest
            .check(&plan)
            .with_context(|| format!("{} cannot be used", self.path.display()))?;
        Ok((plan, manifest))
    }

    /// What became of a run; `None` where it has not been made.
    ///
    /// # Errors
    /// Its folder is there and holds something else.
    pub fn outcome(&self, run: &PlannedRun, plan_digest: &str) -> anyhow::Result<Option<Outcome>> {
        let directory = self.path.join(run.directory());
        if !directory.exists() {
            return Ok(None);
        }
        let outcome: Outcome = read_json(&directory.join(OUTCOME_FILE))?;
        let fits = outcome.plan_digest == plan_digest
            && outcome.run.number == run.number
            && outcome.run.cell == run.cell;
        if !fits {
            bail!(
                "{} belongs to another experiment: runs of different plans are never mixed. Move it away",
                directory.display()
            );
        }
        Ok(Some(outcome))
    }

    /// The record of a run that was made, where it has one.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn run_record(&self, run: &PlannedRun) -> anyhow::Result<Option<RunRecord>> {
        run_record(&self.path.join(run.directory()))
    }

    /// Removes what sessions left that were stopped in a run. Call it with the lock held.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn remove_partial_runs(&self) -> anyhow::Result<()> {
        let runs = self.path.join(RUNS);
        for entry in
            fs::read_dir(&runs).with_context(|| format!("cannot list {}", runs.display()))?
        {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if name.starts_with('.') && name.ends_with(".partial") {
                remove_folder(&path)?;
            }
        }
        Ok(())
    }

    /// An empty folder for a run that begins.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn begin_run(&self, run: &PlannedRun) -> anyhow::Result<PathBuf> {
        let path = self.path.join(run.partial_directory());
        remove_folder(&path)?;
        self.make_directory(&run.partial_directory())?;
        Ok(path)
    }

    /// Removes a run that was not made.
    ///
    /// # Errors
    /// It cannot be removed.
    pub fn abandon_run(&self, run: &PlannedRun) -> anyhow::Result<()> {
        remove_folder(&self.path.join(run.partial_directory()))
    }

    /// Makes a run's folder final: everything in it is synced, then it gets its name.
    ///
    /// # Errors
    /// A full disk, a folder that went away.
    pub fn complete_run(&self, run: &PlannedRun, outcome: &Outcome) -> anyhow::Result<()> {
        let partial = self.path.join(run.partial_directory());
        self.write_json(
            &format!("{}/{OUTCOME_FILE}", run.partial_directory()),
            outcome,
        )?;
        let whole = self.path.join(run.directory());
        let complete = || -> io::Result<()> {
            sync_folder(&partial)?;
            fs::rename(&partial, &whole)?;
            File::open(self.path.join(RUNS))?.sync_all()
        };
        complete().with_context(|| format!("cannot keep {}", whole.display()))
    }

    /// Where a copy of a model in so many pieces lies.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn copy_path(&self, model: &Path, extents: u64) -> anyhow::Result<PathBuf> {
        self.make_directory(COPIES)?;
        let name = model.file_name().unwrap_or(model.as_os_str());
        let mut copy = std::ffi::OsString::from(format!("{extents}-pieces-"));
        copy.push(name);
        Ok(self.path.join(COPIES).join(copy))
    }

    fn make_directory(&self, name: &str) -> anyhow::Result<()> {
        let path = self.path.join(name);
        let failed = || format!("cannot make the folder {}", path.display());
        match fs::create_dir(&path) {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(()),
            result => result.with_context(failed)?,
        }
        self.caller.give_path(&path).with_context(failed)
    }
}

/// The record in a run's folder, where there is one.
pub fn run_record(directory: &Path) -> anyhow::Result<Option<RunRecord>> {
    let path = directory.join(RUN_FILE);
    if !path.exists() {
        return Ok(None);
    }
    read_json(&path).map(Some)
}

/// Whether a disk without room is why this failed.
#[must_use]
pub fn is_full_disk(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|error| {
            matches!(error.raw_os_error(), Some(libc::ENOSPC | libc::EDQUOT))
                || error.kind() == ErrorKind::StorageFull
        })
    })
}

/// The folders that have to be made, the deepest first.
fn missing_ancestors(path: &Path) -> Vec<PathBuf> {
    path.ancestors()
        .take_while(|folder| !folder.as_os_str().is_empty() && !folder.exists())
        .map(Path::to_owned)
        .collect()
}

fn read_json<T: DeserializeOwned>(path: &Path) -> anyhow::Result<T> {
    let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    serde_json::from_slice(&text)
        .with_context(|| format!("{} is not what an experiment writes", path.display()))
}

fn remove_folder(path: &Path) -> anyhow::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}

/// Syncs the files of a folder, those below it, and the folder itself.
fn sync_folder(path: &Path) -> io::Result<()> {
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            sync_folder(&entry.path())?;
        } else if kind.is_file() {
            File::open(entry.path())?.sync_all()?;
        }
    }
    File::open(path)?.sync_all()
}

#[cfg(test)]
mod tests;
