//! The built-in engine says which experts its router picked in which step, and forgets the model before each
//! step: what the tracer says was read is what each step uses.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    ops::Range,
    path::Path,
};

use anyhow::{Context as _, Result, ensure};
use tests::{
    disk::LoopDisk,
    model_file::{GgufLayout, ModelFile, Piece},
    run_record::RunRecord,
    tracer::{self, TracerCall},
};

use crate::{
    ground::{Case, FILE_SYSTEMS, Ground, case, check_sound},
    models::make_expert_model,
    shapes::PAGE_BYTES,
    tensor_table::{Row, rows},
};

const TOKENS: u64 = 5;
const PROMPT_TOKENS: u64 = 3;

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for file_system in FILE_SYSTEMS {
        for threads in [1, 2] {
            cases.push(case(
                format!("experts::{file_system}::read_ahead_0_threads_{threads}"),
                move |ground, _| {
                    let disk = ground.disk(file_system)?;
                    exactly_what_is_used(ground, &disk, threads)
                },
            ));
        }
        for read_ahead_kb in [128, 2560] {
            cases.push(case(
                format!("experts::{file_system}::read_ahead_{read_ahead_kb}"),
                move |ground, _| {
                    let disk = ground.disk(file_system)?;
                    surplus_is_read_ahead(ground, &disk, read_ahead_kb)
                },
            ));
        }
    }
    cases
}

/// A step by the engine's log.
#[derive(Clone, Debug, Default)]
struct Step {
    phase: String,
    token: u64,
    experts: BTreeMap<u32, BTreeSet<u32>>,
    /// Whether the engine needed the logits: not for a prompt's tokens but the last.
    logits: bool,
}

fn read_log(path: &Path) -> Result<Vec<Step>> {
    let text = fs::read_to_string(path).context("read the expert log")?;
    let mut steps = BTreeMap::<u64, Step>::new();
    for line in text.lines().skip(1) {
        let fields: Vec<_> = line.split('\t').collect();
        let [step, phase, token, layer, experts] = fields[..] else {
            anyhow::bail!("a line of the expert log is {line:?}");
        };
        let step = steps.entry(step.parse()?).or_default();
        step.phase = phase.to_owned();
        step.token = token.parse()?;
        let experts = experts
            .split(',')
            .map(str::parse)
            .collect::<Result<BTreeSet<u32>, _>>()?;
        ensure!(
            step.experts.insert(layer.parse()?, experts).is_none(),
            "a step has a layer twice: {line:?}"
        );
    }
    let last_of_prompt = PROMPT_TOKENS - 1;
    for (number, step) in &mut steps {
        step.logits = *number >= last_of_prompt;
    }
    ensure!(
        steps.keys().copied().eq(0..PROMPT_TOKENS + TOKENS - 1),
        "the log has the steps {:?}",
        steps.keys()
    );
    Ok(steps.into_values().collect())
}

/// A run of the engine on a model.
struct Run {
    record: RunRecord,
    steps: Vec<Step>,
    layout: GgufLayout,
    pieces: Vec<Piece>,
    size_bytes: u64,
}

impl Run {
    fn trace(ground: &Ground, disk: &LoopDisk, threads: u64) -> Result<Self> {
        let path = make_expert_model(ground, disk)?;
        let layout = GgufLayout::read(&path)?;
        let model = ModelFile::existing(path)?;
        let log = ground.scratch.fresh_path("experts");
        let mut arguments: Vec<String> = ["engine", "--lazy", "--zap-before-step", "--model"]
            .map(Into::into)
            .into();
        arguments.push(model.path().to_string_lossy().into_owned());
        for (option, value) in [
            ("--tokens", TOKENS),
            ("--prompt-tokens", PROMPT_TOKENS),
            ("--threads", threads),
        ] {
            arguments.extend([option.into(), value.to_string()]);
        }
        arguments.extend(["--expert-log".into(), log.to_string_lossy().into_owned()]);
        let run = TracerCall::launch(&ground.scratch, model.path())?
            .engine(&tracer::binary()?, &arguments)
            .run()?;
        run.finished.succeeded().context("the traced engine")?;
        let record = run.record()?;
        check_sound(&record)?;
        ensure!(
            record.text("marks.source")? == "uprobes",
            "the steps come from {}",
            record.value("marks")?
        );
        Ok(Self {
            record,
            steps: read_log(&log)?,
            pieces: layout.pieces(),
            layout,
            size_bytes: model.size_bytes(),
        })
    }

    /// The bytes of the file that a step uses, as ranges that may touch.
    fn used(&self, step: &Step) -> Result<Vec<Range<u64>>> {
        let mut used = vec![self.layout.row("token_embd.weight", step.token)?];
        for piece in &self.pieces {
            let is_used = match (piece.layer(), piece.expert) {
                (Some(layer), Some(expert)) => step
                    .experts
                    .get(&layer)
                    .is_some_and(|experts| experts.contains(&expert)),
                (Some(_), None) => true,
                (None, _) => step.logits && piece.name.starts_with("output"),
            };
            if is_used {
                used.push(piece.range.clone());
            }
        }
        Ok(used)
    }

    /// The pages that a step uses, each once: ranges of the file that do not touch.
    fn used_pages(&self, step: &Step) -> Result<Vec<Range<u64>>> {
        let mut pages = BTreeSet::new();
        for range in self.used(step)? {
            pages.extend(range.start / PAGE_BYTES..range.end.div_ceil(PAGE_BYTES));
        }
        Ok(pages
            .into_iter()
            .map(|page| page * PAGE_BYTES..((page + 1) * PAGE_BYTES).min(self.size_bytes))
            .collect())
    }

    /// What the steps must read of each piece, without read-ahead.
    fn least_by_piece(&self) -> Result<Vec<u64>> {
        let mut least = vec![0; self.pieces.len()];
        for step in &self.steps {
            let pages = self.used_pages(step)?;
            for (least, piece) in least.iter_mut().zip(&self.pieces) {
                *least += piece.bytes_in(&pages);
            }
        }
        Ok(least)
    }

    /// Bytes read in the load phase: the header, and what shares its pages or was read ahead with it.
    fn load_bytes(&self) -> Result<u64> {
        self.record
            .value("phases")?
            .as_array()
            .context("phases is no array")?
            .iter()
            .find(|phase| phase.get("phase").is_some_and(|name| name == "load"))
            .and_then(|phase| phase.get("read_bytes")?.as_u64())
            .context("there is no load phase with bytes read")
    }

    fn is_of_load(piece: &Piece) -> bool {
        matches!(piece.name.as_str(), "(header)" | "token_embd.weight")
    }

    /// One entry a step of the log, with its phase.
    fn check_steps(&self) -> Result<()> {
        let tokens = self.record.value("tokens")?;
        let count = tokens.as_array().context("tokens is no array")?.len();
        ensure!(
            count == self.steps.len(),
            "{count} steps, and the engine did {}",
            self.steps.len()
        );
        for (number, step) in self.steps.iter().enumerate() {
            let phase = self.record.text(&format!("tokens.{number}.phase"))?;
            let (found, tokens) = (
                self.record.count(&format!("tokens.{number}.step"))?,
                self.record.count(&format!("tokens.{number}.tokens"))?,
            );
            ensure!(
                phase == step.phase && found == number as u64 && tokens == 1,
                "step {number} is {found}, with {tokens} tokens in the phase {phase}, and was {step:?}"
            );
        }
        Ok(())
    }
}

fn exactly_what_is_used(ground: &Ground, disk: &LoopDisk, threads: u64) -> Result<()> {
    let run = Run::trace(ground, disk, threads)?;
    run.check_steps()?;
    check_bytes_by_step(&run)?;
    check_bytes_by_phase(&run)?;
    let rows = rows(&run.record, &run.pieces)?;
    let load = run.load_bytes()?;
    let picked = picked(&run.steps);
    for ((row, piece), least) in rows.iter().zip(&run.pieces).zip(run.least_by_piece()?) {
        let most = if Run::is_of_load(piece) {
            least + load
        } else {
            least
        };
        ensure!(
            (least..=most).contains(&row.figures.read),
            "of {piece:?} {row:?} was read, and the steps use {least} bytes in whole pages"
        );
        // The same by the log alone: read whole if it was picked, else at most the two pages at its ends.
        if let (Some(layer), Some(expert)) = (piece.layer(), piece.expert) {
            let as_it_must = if picked.contains(&(layer, expert)) {
                row.figures.read >= piece.bytes()
            } else {
                row.figures.read <= 2 * PAGE_BYTES * run.steps.len() as u64
            };
            ensure!(as_it_must, "{piece:?} was read as {row:?}");
        }
        // The header is read by read(2), all of which the kernel flags so.
        ensure!(
            row.readahead == 0 || Run::is_of_load(piece),
            "{piece:?} was read ahead: {row:?}"
        );
    }
    Ok(())
}

/// Layer and expert of all that the router picked in some step.
fn picked(steps: &[Step]) -> BTreeSet<(u32, u32)> {
    steps
        .iter()
        .flat_map(|step| &step.experts)
        .flat_map(|(layer, experts)| experts.iter().map(|expert| (*layer, *expert)))
        .collect()
}

fn check_bytes_by_step(run: &Run) -> Result<()> {
    for (number, step) in run.steps.iter().enumerate() {
        let count = |member: &str| run.record.count(&format!("tokens.{number}.{member}"));
        let bytes = |ranges: Vec<Range<u64>>| {
            ranges
                .iter()
                .map(|range| range.end - range.start)
                .sum::<u64>()
        };
        let (used, in_pages) = (bytes(run.used(step)?), bytes(run.used_pages(step)?));
        let read = count("read_bytes")?;
        ensure!(
            read == in_pages,
            "step {number} read {read} bytes, and uses {used}, in whole pages {in_pages}: {step:?}"
        );
        let faults = (count("major_faults")?, count("faults")?);
        let pages = in_pages.div_ceil(PAGE_BYTES);
        ensure!(
            faults.0 == pages && faults.1 >= pages,
            "step {number} uses {pages} pages and had (major, all) {faults:?} faults"
        );
        // The need counts the output for each step.
        let need = count("need_bytes")?;
        if step.logits {
            ensure!(
                need == used,
                "step {number} needs {need} by the tracer, and uses {used}"
            );
        }
        let factor = run.record.number(&format!("tokens.{number}.need_factor"))?;
        ensure!(
            (factor - read as f64 / need as f64).abs() < 1e-9,
            "step {number}: need factor {factor}, read {read}, need {need}"
        );
        ensure!(
            !step.logits || (1.0..1.05).contains(&factor),
            "step {number}: need factor {factor}"
        );
    }
    Ok(())
}

/// Each phase has read of each layer and expert what its steps use of them, in whole pages.
fn check_bytes_by_phase(run: &Run) -> Result<()> {
    let phases = run.record.value("phases")?;
    let phases = phases.as_array().context("no phases")?;
    for name in ["prompt", "generation"] {
        let (mut layers, mut experts) = (BTreeMap::new(), BTreeMap::new());
        for step in run.steps.iter().filter(|step| step.phase == name) {
            let pages = run.used_pages(step)?;
            for piece in &run.pieces {
                let Some(layer) = piece.layer() else { continue };
                let bytes = piece.bytes_in(&pages);
                *layers.entry(u64::from(layer)).or_insert(0) += bytes;
                if let Some(expert) = piece.expert {
                    *experts
                        .entry((u64::from(layer), u64::from(expert)))
                        .or_insert(0) += bytes;
                }
            }
        }
        experts.retain(|_, bytes| *bytes > 0);
        let phase = phases
            .iter()
            .find(|phase| phase["phase"] == name)
            .with_context(|| format!("no phase {name}"))?;
        let number = |row: &serde_json::Value, member: &str| {
            row[member].as_u64().with_context(|| member.to_owned())
        };
        let rows = |member: &str| phase[member].as_array().with_context(|| member.to_owned());
        let mut by_layer = BTreeMap::new();
        for row in rows("layers")? {
            by_layer.insert(number(row, "layer")?, number(row, "read_bytes")?);
        }
        let mut by_expert = BTreeMap::new();
        for row in rows("experts")? {
            let key = (number(row, "layer")?, number(row, "expert")?);
            by_expert.insert(key, number(row, "read_bytes")?);
        }
        ensure!(
            by_layer == layers && by_expert == experts,
            "{name}: by the tracer {by_layer:?} {by_expert:?}, and used were {layers:?} {experts:?}"
        );
    }
    Ok(())
}

fn surplus_is_read_ahead(ground: &Ground, disk: &LoopDisk, read_ahead_kb: u64) -> Result<()> {
    disk.set_read_ahead_kb(read_ahead_kb)?;
    let run = Run::trace(ground, disk, 1)?;
    run.check_steps()?;
    let rows = rows(&run.record, &run.pieces)?;
    let mut surplus = 0;
    for ((row, piece), least) in rows.iter().zip(&run.pieces).zip(run.least_by_piece()?) {
        let Row { figures, readahead } = row;
        ensure!(
            figures.read >= least,
            "of {piece:?} {row:?} was read, and the steps use {least} bytes"
        );
        ensure!(
            figures.read - least <= *readahead,
            "of {piece:?} {row:?} was read, and the steps use {least} bytes: the surplus is not read-ahead"
        );
        surplus += figures.read - least;
    }
    ensure!(
        surplus > 0,
        "with read-ahead of {read_ahead_kb} KiB nothing more was read than used"
    );
    for (number, step) in run.steps.iter().enumerate() {
        let used = run.used_pages(step)?;
        let used: u64 = used.iter().map(|range| range.end - range.start).sum();
        let read = run.record.count(&format!("tokens.{number}.read_bytes"))?;
        ensure!(
            read >= used,
            "step {number} read {read} bytes, and uses {used}"
        );
    }
    Ok(())
}
