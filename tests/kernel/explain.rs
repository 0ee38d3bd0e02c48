//! What `tracer explain` says of runs in which one cause was made, and of the same runs without it.

use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::{
    disk::{FileSystem, LoopDisk},
    model_file::{HeldPages, ModelFile},
    plan::ReadPlan,
    reader::{Finished, ReadMode, RunningProgram},
    tracer::TracerCall,
};

use crate::ground::{Case, Ground, case};

const MODEL_BYTES: u64 = 48 << 20;
const READ_BYTES: u64 = 64 << 10;
const PAGE_BYTES: u64 = 4096;
/// A third of the model, with room for the reader itself.
const TIGHT_BYTES: u64 = 20 << 20;

pub fn cases() -> Vec<Case> {
    vec![
        case("explain::all_in_memory", |ground, _| all_in_memory(ground)),
        case("explain::working_set", |ground, _| working_set(ground)),
        case("explain::read_ahead_in_vain", |ground, _| {
            read_ahead_in_vain(ground)
        }),
        case("explain::small_reads", |ground, _| small_reads(ground)),
        case("explain::limit", |ground, _| limit(ground)),
        case("explain::other_load", |ground, _| other_load(ground)),
        case("explain::thrown_out", |ground, _| thrown_out(ground)),
        case("explain::fragmentation", |ground, _| fragmentation(ground)),
        case("explain::what_is_no_run", |ground, _| {
            what_is_no_run(ground)
        }),
    ]
}

/// What was said of a run.
struct Said(Value);

impl Said {
    fn model(&self) -> &Value {
        &self.0["models"][0]
    }

    /// Causes that are present, in their order.
    fn causes(&self) -> Vec<&str> {
        let causes = self.model()["causes"].as_array();
        causes
            .into_iter()
            .flatten()
            .filter_map(|cause| cause["name"].as_str())
            .collect()
    }

    fn comes_first(&self, name: &str) -> Result<()> {
        ensure!(
            self.causes().first() == Some(&name),
            "{name} does not come first: {:#}",
            self.0
        );
        Ok(())
    }

    fn does_not_come(&self, name: &str) -> Result<()> {
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

    fn storage(&self) -> &Value {
        &self.model()["storage"]["answer"]
    }
}

/// How a reader meets the model.
struct Reading {
    plan: ReadPlan,
    mode: ReadMode,
    read_ahead_kb: u64,
    memory_max: Option<u64>,
    random_advice: bool,
    /// Whether the model is in memory before.
    warm: bool,
    /// Size of the pieces that the model lies in; in one where there is none.
    piece_bytes: Option<u64>,
    /// What a shell does over and over meanwhile, with the paths of the model and of another file on its disk.
    beside: Option<&'static str>,
}

impl Reading {
    fn new(plan: ReadPlan) -> Self {
        Self {
            plan,
            mode: ReadMode::Buffered,
            read_ahead_kb: 0,
            memory_max: None,
            random_advice: false,
            warm: false,
            piece_bytes: None,
            beside: None,
        }
    }

    fn explained(&self, ground: &Ground) -> Result<Said> {
        let disk: LoopDisk = ground.disk(FileSystem::Ext4)?;
        disk.set_read_ahead_kb(self.read_ahead_kb)?;
        let model = match self.piece_bytes {
            None => ModelFile::contiguous(&disk, "model", MODEL_BYTES)?,
            Some(piece) => ModelFile::fragmented(&disk, "model", MODEL_BYTES / piece, piece)?.model,
        };
        model.evict()?;
        let _held = self.warm.then(|| HeldPages::of(model.path())).transpose()?;
        let mut reader = ground.reader(&model, &self.plan, self.mode)?;
        if self.random_advice {
            reader = reader.option("--random-advice");
        }
        let _beside = self
            .beside
            .map(|script| beside(ground, &disk, &model, script))
            .transpose()?;
        let mut call = TracerCall::launch(&ground.scratch, model.path())?;
        if let Some(limit) = self.memory_max {
            call = call.option("--memory-max", limit.to_string());
        }
        let run = call.reader(&reader).run()?;
        run.finished.succeeded().context("the traced run")?;
        let folder = run.directory.to_string_lossy().into_owned();
        let finished = explain(ground, &[&folder, "--json"])?;
        let said = Said(serde_json::from_str(finished.succeeded()?)?);
        // The report says the same on top.
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
}

fn explain(ground: &Ground, arguments: &[&str]) -> Result<Finished> {
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

/// The whole model, some times over.
fn passes(number: usize) -> ReadPlan {
    let mut plan = ReadPlan::sequential(MODEL_BYTES, READ_BYTES);
    let pass = plan.reads.clone();
    for _ in 1..number {
        plan.reads.extend_from_slice(&pass);
    }
    plan
}

fn all_in_memory(ground: &Ground) -> Result<()> {
    let mut reading = Reading::new(passes(3));
    reading.warm = true;
    let said = reading.explained(ground)?;
    ensure!(said.storage() == "no", "{:#}", said.0);
    ensure!(said.causes().is_empty(), "{:#}", said.0);
    reading.warm = false;
    let said = reading.explained(ground)?;
    ensure!(said.storage() == "yes", "{:#}", said.0);
    Ok(())
}

/// A scan larger than memory, again and again, that uses all it reads.
fn working_set(ground: &Ground) -> Result<()> {
    let mut reading = Reading::new(passes(4));
    reading.read_ahead_kb = 128;
    reading.memory_max = Some(TIGHT_BYTES);
    let said = reading.explained(ground)?;
    said.comes_first("working_set")?;
    reading.memory_max = Some(4 * MODEL_BYTES);
    reading.explained(ground)?.does_not_come("working_set")
}

/// Single pages of a mapping, anywhere in the model.
fn read_ahead_in_vain(ground: &Ground) -> Result<()> {
    let mut reading = Reading::new(ReadPlan::random(MODEL_BYTES, PAGE_BYTES, 3000, 7));
    reading.mode = ReadMode::Mmap;
    reading.read_ahead_kb = 1024;
    reading.memory_max = Some(TIGHT_BYTES);
    reading
        .explained(ground)?
        .comes_first("read_ahead_in_vain")?;
    reading.read_ahead_kb = 0;
    let said = reading.explained(ground)?;
    ensure!(
        !said.causes().contains(&"read_ahead_in_vain"),
        "{:#}",
        said.0
    );
    Ok(())
}

fn small_reads(ground: &Ground) -> Result<()> {
    let mut reading = Reading::new(ReadPlan::sequential(MODEL_BYTES, PAGE_BYTES));
    reading.random_advice = true;
    reading.read_ahead_kb = 1024;
    reading.explained(ground)?.comes_first("small_reads")?;
    reading.random_advice = false;
    reading.explained(ground)?.does_not_come("small_reads")
}

/// One scan, of which nothing comes back, under a limit of the group: there is room to be made, and nothing is lost.
fn limit(ground: &Ground) -> Result<()> {
    let mut reading = Reading::new(passes(1));
    reading.read_ahead_kb = 128;
    reading.memory_max = Some(TIGHT_BYTES);
    let said = reading.explained(ground)?;
    said.comes_first("reclaim")?;
    let advice = &said.model()["causes"][0]["advice"];
    ensure!(
        advice
            .as_str()
            .is_some_and(|advice| advice.contains("limit of the engine's own control group")),
        "{advice}"
    );
    reading.memory_max = None;
    reading.explained(ground)?.does_not_come("reclaim")
}

/// Somebody reads another file from the same disk, as fast as it can.
fn other_load(ground: &Ground) -> Result<()> {
    let mut reading = Reading::new(passes(1));
    reading.read_ahead_kb = 128;
    reading.beside = Some(r#"dd if="$2" of=/dev/null iflag=direct bs=1M 2>/dev/null"#);
    reading.explained(ground)?.comes_first("other_load")?;
    reading.beside = None;
    reading.explained(ground)?.does_not_come("other_load")
}

/// Somebody drops the model from the cache again and again, as backup programs do.
fn thrown_out(ground: &Ground) -> Result<()> {
    let mut reading = Reading::new(passes(12));
    reading.read_ahead_kb = 128;
    reading.beside = Some(r#"dd if="$1" iflag=nocache count=0 2>/dev/null; sleep 0.02"#);
    let said = reading.explained(ground)?;
    ensure!(said.causes().contains(&"thrown_out"), "{:#}", said.0);
    ensure!(
        !said.causes().contains(&"reclaim"),
        "nobody was short of memory: {:#}",
        said.0
    );
    reading.beside = None;
    reading.explained(ground)?.does_not_come("thrown_out")
}

/// What it costs only a test of the device tells, so it has no time here, and comes last.
fn fragmentation(ground: &Ground) -> Result<()> {
    let mut reading = Reading::new(passes(1));
    reading.read_ahead_kb = 128;
    reading.piece_bytes = Some(64 << 10);
    let said = reading.explained(ground)?;
    ensure!(
        said.causes().last() == Some(&"fragmentation"),
        "{:#}",
        said.0
    );
    reading.piece_bytes = None;
    reading.explained(ground)?.does_not_come("fragmentation")
}

/// The error says what is wrong and what to do.
fn what_is_no_run(ground: &Ground) -> Result<()> {
    let folder = ground.scratch.fresh_directory("no_run")?;
    let file = folder.join("run.json");
    let path = folder.to_string_lossy().into_owned();
    let wrong = |content: Option<&str>, words: &str| -> Result<()> {
        if let Some(content) = content {
            std::fs::write(&file, content)?;
        }
        let finished = explain(ground, &[&path])?;
        ensure!(
            finished.code() == 125
                && finished.errors.contains(words)
                && finished.errors.contains("run.json"),
            "{words}: {} {}",
            finished.code(),
            finished.errors
        );
        Ok(())
    };
    wrong(None, "--out")?;
    wrong(Some(r#"{"schema_version": 2, "tracer_ver"#), "cut off")?;
    wrong(Some(r#"{"schema_version": 9000}"#), "newer tracer")?;
    wrong(Some(r#"{"a": 1}"#), "no record of `tracer launch`")
}
