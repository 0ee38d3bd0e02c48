//! What an experiment is, fixed when it begins: the plan, its models, the software, and the runs in their order.

use std::{fs::File, io, path::PathBuf};

use anyhow::{Context as _, bail};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{probe::kernel_release, schema::EXPERIMENT_SCHEMA_VERSION};

use super::{
    cells::{Cell, PlannedRun},
    identity::ModelIdentity,
    plan::{Plan, hexadecimal},
};

/// With what runs are made.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Software {
    /// Version of the tracer.
    pub tracer_version: String,
    /// SHA-256 of the tracer's program: two builds of one version are not the same.
    pub tracer_digest: String,
    /// Release of the kernel.
    pub kernel: String,
}

impl Software {
    /// Of this process.
    ///
    /// # Errors
    /// The tracer's own program cannot be read.
    pub fn current() -> anyhow::Result<Self> {
        let mut program =
            File::open("/proc/self/exe").context("cannot read the tracer's own program")?;
        let mut hash = HashWriter(Sha256::new());
        io::copy(&mut program, &mut hash).context("cannot read the tracer's own program")?;
        Ok(Self {
            tracer_version: env!("CARGO_PKG_VERSION").to_owned(),
            tracer_digest: hexadecimal(&hash.0.finalize()),
            kernel: kernel_release(),
        })
    }

    /// What is different now, in words.
    #[must_use]
    pub fn changes(&self, now: &Self) -> Vec<String> {
        let mut changes = Vec::new();
        if self.kernel != now.kernel {
            changes.push(format!(
                "the kernel was {}, and is {}",
                self.kernel, now.kernel
            ));
        }
        if self.tracer_version != now.tracer_version {
            changes.push(format!(
                "the tracer was version {}, and is {}",
                self.tracer_version, now.tracer_version
            ));
        } else if self.tracer_digest != now.tracer_digest {
            changes.push(format!(
                "the tracer is another build of version {}",
                now.tracer_version
            ));
        }
        changes
    }
}

struct HashWriter(Sha256);

impl io::Write for HashWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// An experiment as it was begun.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`EXPERIMENT_SCHEMA_VERSION`] of the writer.
    pub schema_version: u32,
    /// [`Plan::digest`] of the plan, of which a copy lies beside this.
    pub plan_digest: String,
    /// Absolute path of the folder that the plan's paths are relative to.
    pub plan_directory: PathBuf,
    /// When it began, RFC 3339 in UTC.
    pub began_at: String,
    /// With what it began, or goes on since a change was accepted.
    pub software: Software,
    /// Changes that were accepted, and from which run on they hold.
    pub accepted_changes: Vec<String>,
    /// The models, and the copies that were made of them.
    pub models: Vec<ModelIdentity>,
    /// All runs in the order of their execution. A search for a threshold adds to them.
    pub runs: Vec<PlannedRun>,
}

impl Manifest {
    /// Whether this manifest is that of this plan.
    ///
    /// # Errors
    /// What does not fit.
    pub fn check(&self, plan: &Plan) -> anyhow::Result<()> {
        if self.schema_version != EXPERIMENT_SCHEMA_VERSION {
            bail!(
                "the experiment's files have layout {}, and this tracer writes {EXPERIMENT_SCHEMA_VERSION}: go on with the tracer that began it",
                self.schema_version
            );
        }
        if self.plan_digest != plan.digest() {
            bail!(
                "the copy of the plan is not the plan that the experiment began with: put it back, or begin a new experiment"
            );
        }
        let fits = self.runs.iter().zip(0..).all(|(run, number)| {
            run.number == number
                && run.cell.len() == plan.axes.len()
                && plan
                    .axes
                    .iter()
                    .all(|axis| run.cell.contains_key(&axis.name))
        });
        if !fits {
            bail!("the list of runs does not fit the plan: the manifest was changed");
        }
        Ok(())
    }

    /// The model of a run.
    ///
    /// # Errors
    /// The manifest has none: it was changed.
    pub fn model(&self, cell: &Cell) -> anyhow::Result<&ModelIdentity> {
        let name = cell.get("model").map_or("", String::as_str);
        let extents: Option<u64> = cell.get("extents").and_then(|extents| extents.parse().ok());
        self.models
            .iter()
            .find(|model| model.name == name && model.extents == extents)
            .with_context(|| format!("the manifest has no model {name:?}: it was changed"))
    }
}
