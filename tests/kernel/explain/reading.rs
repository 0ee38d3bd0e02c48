//! A reader of a model, what was done to it, and what `tracer explain` says of its run.

use std::{path::Path, process::Command};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::{
    disk::{FileSystem, LoopDisk, Mount},
    model_file::{HeldPages, ModelFile},
    plan::ReadPlan,
    reader::{Finished, ReadMode, RunningProgram},
    tracer::{TracedRun, TracerCall},
};

use super::MODEL_BYTES;
use crate::ground::Ground;

/// What was said of a run.
pub struct Said(pub Value);

impl Said {
    /// What is said of a run, with a device test where there is one. The report of the run says the same on top.
    pub fn of(ground: &Ground, run: &TracedRun, device: Option<&Path>) -> Result<Self> {
        let folder = run.directory.to_string_lossy().into_owned();
        let device = device.map(|device| device.to_string_lossy().into_owned());
        let mut arguments = vec![folder.as_str(), "--json"];
        arguments.extend(
            device
                .as_deref()
                .map(|device| ["--device", device])
                .into_iter()
                .flatten(),
        );
        let finished = explain(ground, &arguments)?;
        let said = Self(serde_json::from_str(finished.succeeded()?)?);
        let report = std::fs::read_to_string(run.directory.join("report.md"))?;
        let sentence = said.model()["storage"]["sentence"]
            .as_str()
            .context("no sentence")?;
        let start: String = sentence.chars().take(30).collect();
        ensure!(
            report.contains(&start),
            "report.md does not begin with {sentence:?}:\n{report}"
        );
        Ok(said)
    }

    pub fn model(&self) -> &Value {
        &self.0["models"][0]
    }

    /// Causes that are present, in their order.
    pub fn causes(&self) -> Vec<&str> {
        let causes = self.model()["causes"].as_array();
        causes
            .into_iter()
            .flatten()
            .filter_map(|cause| cause["name"].as_str())
            .collect()
    }

    pub fn comes_first(&self, name: &str) -> Result<()> {
        ensure!(
            self.causes().first() == Some(&name),
            "{name} does not come first: {:#}",
            self.0
        );
        Ok(())
    }

    pub fn does_not_come(&self, name: &str) -> Result<()> {
        let absent = self.model()["absent"].as_array();
        ensure!(
            absent
                .into_iter()
                .flatten()
                .any(|cause| cause["name"] == name),
            "{name} is not absent: {:#}",
            self.0
        );
        Ok(())
    }

    pub fn comes(&self, name: &str) -> Result<&Value> {
        let causes = self.model()["causes"].as_array();
        causes
            .into_iter()
            .flatten()
            .find(|cause| cause["name"] == name)
            .with_context(|| format!("{name} does not come: {:#}", self.0))
    }

    pub fn storage(&self) -> &Value {
        &self.model()["storage"]["answer"]
    }
}

/// How a reader meets the model.
pub struct Reading {
    pub plan: ReadPlan,
    pub mode: ReadMode,
    pub read_ahead_kb: u64,
    pub memory_max: Option<u64>,
    pub random_advice: bool,
    /// Whether the model is in memory before.
    pub warm: bool,
    /// Size of the pieces that the model lies in; in one where there is none.
    pub piece_bytes: Option<u64>,
    /// Whether the loop device below reads past the page cache.
    pub loop_direct_io: bool,
    /// What a shell does over and over meanwhile, with the paths of the model and of another file on its disk.
    pub beside: Option<&'static str>,
}

impl Reading {
    pub fn new(plan: ReadPlan) -> Self {
        Self {
            plan,
            mode: ReadMode::Buffered,
            read_ahead_kb: 0,
            memory_max: None,
            random_advice: false,
            warm: false,
            piece_bytes: None,
            loop_direct_io: true,
            beside: None,
        }
    }

    /// The run of it on a disk of its own, explained.
    pub fn explained(&self, ground: &Ground) -> Result<Said> {
        let disk = ground.disk(FileSystem::Ext4)?;
        let model = self.model(&disk)?;
        Said::of(
            ground,
            &self.traced(ground, &disk, &model, model.path())?,
            None,
        )
    }

    /// The same with the model seen through an overlay, as a container sees what lies in its image.
    pub fn explained_on_overlay(&self, ground: &Ground) -> Result<Said> {
        let disk = ground.disk(FileSystem::Ext4)?;
        let model = self.model(&disk)?;
        let [upper, lower] = ["upper", "lower"].map(|name| disk.mount_point().join(name));
        for folder in [&upper, &lower] {
            std::fs::create_dir(folder).context("make a folder")?;
        }
        std::fs::hard_link(model.path(), lower.join("model")).context("link the model")?;
        let overlay = Mount::overlay(&ground.scratch, &[&upper, &lower])?;
        let path = overlay.mount_point().join("model");
        Said::of(ground, &self.traced(ground, &disk, &model, &path)?, None)
    }

    /// The same on a file system in memory.
    pub fn explained_in_memory(&self, ground: &Ground) -> Result<Said> {
        let mount = Mount::tmpfs(&ground.scratch)?;
        let path = mount.mount_point().join("model");
        std::fs::write(&path, vec![1; usize::try_from(MODEL_BYTES)?])?;
        let reader = ground.reader_of(&path, &self.plan, self.mode)?;
        let run = TracerCall::launch(&ground.scratch, &path)?
            .reader(&reader)
            .run()?;
        run.finished.succeeded().context("the traced run")?;
        Said::of(ground, &run, None)
    }

    pub fn model(&self, disk: &LoopDisk) -> Result<ModelFile> {
        match self.piece_bytes {
            None => ModelFile::contiguous(disk, "model", MODEL_BYTES),
            Some(piece) => {
                Ok(ModelFile::fragmented(disk, "model", MODEL_BYTES / piece, piece)?.model)
            }
        }
    }

    /// The run of it: the model is seen at `path`.
    pub fn traced(
        &self,
        ground: &Ground,
        disk: &LoopDisk,
        model: &ModelFile,
        path: &Path,
    ) -> Result<TracedRun> {
        disk.set_read_ahead_kb(self.read_ahead_kb)?;
        disk.set_loop_direct_io(self.loop_direct_io)?;
        model.evict()?;
        let _held = self.warm.then(|| HeldPages::of(model.path())).transpose()?;
        let mut reader = ground.reader_of(path, &self.plan, self.mode)?;
        if self.random_advice {
            reader = reader.option("--random-advice");
        }
        let _beside = self
            .beside
            .map(|script| beside(ground, disk, model, script))
            .transpose()?;
        let mut call = TracerCall::launch(&ground.scratch, path)?;
        if let Some(limit) = self.memory_max {
            call = call.option("--memory-max", limit.to_string());
        }
        let run = call.reader(&reader).run()?;
        run.finished.succeeded().context("the traced run")?;
        Ok(run)
    }
}

pub fn explain(ground: &Ground, arguments: &[&str]) -> Result<Finished> {
    let mut all = vec!["explain"];
    all.extend(arguments);
    Ok(TracerCall::bare(&ground.scratch, &all)?.run()?.finished)
}

/// A shell that does something over and over until it is dropped.
fn beside(
    ground: &Ground,
    disk: &LoopDisk,
    model: &ModelFile,
    script: &str,
) -> Result<RunningProgram> {
    let other = ModelFile::contiguous(disk, "other", MODEL_BYTES)?;
    let mut command = Command::new("/bin/sh");
    command
        .arg("-c")
        .arg(format!("while :; do {script}; done"))
        .arg("sh")
        .args([model.path(), other.path()]);
    RunningProgram::start(&ground.scratch, command)
}
