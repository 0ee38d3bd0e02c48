//! Causes in models of a mixture of experts.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use tests::{
    disk::FileSystem,
    model_file::{GgufLayout, ModelFile, Piece},
    plan::{PlannedRead, ReadPlan},
    reader::ReadMode,
    tracer::{self, TracerCall},
};

use super::{READ_BYTES, TIGHT_BYTES, reading::Said};
use crate::{ground::Ground, models::make_expert_model};

/// The expert of each layer that is used over and over.
const HOT: u32 = 3;
/// Parts that the others are used in: each larger than memory.
const PARTS: usize = 4;

fn reads_of<'a>(pieces: impl IntoIterator<Item = &'a Piece>) -> Vec<PlannedRead> {
    let mut reads = Vec::new();
    for piece in pieces {
        let mut offset_bytes = piece.range.start;
        while offset_bytes < piece.range.end {
            let length_bytes = READ_BYTES.min(piece.range.end - offset_bytes);
            reads.push(PlannedRead {
                offset_bytes,
                length_bytes,
            });
            offset_bytes += length_bytes;
        }
    }
    reads
}

fn explained(ground: &Ground, model: &ModelFile, plan: &ReadPlan) -> Result<Said> {
    model.evict()?;
    let reader = ground.reader(model, plan, ReadMode::Buffered)?;
    let run = TracerCall::launch(&ground.scratch, model.path())?
        .option("--memory-max", TIGHT_BYTES.to_string())
        .reader(&reader)
        .run()?;
    run.finished.succeeded().context("the traced reader")?;
    Said::of(ground, &run, None)
}

/// One expert of each layer is used again and again, the others once: keeping it saves what it is read again. Where all are
/// used alike, none is worth keeping.
pub fn hot(ground: &Ground) -> Result<()> {
    // Without read-ahead, which would bring in the next expert's beginning each time.
    let disk = ground.disk(FileSystem::Ext4)?;
    let path = make_expert_model(ground, &disk)?;
    let pieces = GgufLayout::read(&path)?.pieces();
    let model = ModelFile::existing(path)?;
    let hot: Vec<&Piece> = pieces
        .iter()
        .filter(|piece| piece.expert == Some(HOT))
        .collect();
    let cold: Vec<&Piece> = pieces
        .iter()
        .filter(|piece| piece.expert != Some(HOT))
        .collect();
    let mut plan = ReadPlan {
        reads: reads_of(hot.iter().copied()),
    };
    for part in cold.chunks(cold.len().div_ceil(PARTS)) {
        plan.reads.extend(reads_of(part.iter().copied()));
        plan.reads.extend(reads_of(hot.iter().copied()));
    }
    let said = explained(ground, &model, &plan)?;
    let cause = said.comes("hot_experts")?;
    let size: u64 = hot.iter().map(|piece| piece.bytes()).sum();
    let layers = pieces
        .iter()
        .filter_map(Piece::layer)
        .max()
        .map_or(0, |last| last + 1);
    let shown = cause["evidence"].to_string();
    ensure!(
        shown.contains(&format!("{layers} of ")),
        "one expert of {layers} layers is hot, {size} bytes: {shown}"
    );
    let mut plan = ReadPlan::sequential(model.size_bytes(), READ_BYTES);
    plan.reads.extend_from_within(..);
    explained(ground, &model, &plan)?.does_not_come("hot_experts")
}

/// The built-in engine with two thirds of its model's size, and with room for all of it.
pub fn dense_evicted(ground: &Ground) -> Result<()> {
    let disk = ground.disk(FileSystem::Ext4)?;
    disk.set_read_ahead_kb(128)?;
    let model = make_expert_model(ground, &disk)?;
    let said = generated(ground, &model, "75M")?;
    said.comes("dense_evicted")?;
    said.comes_first("working_set")?;
    generated(ground, &model, "400M")?.does_not_come("dense_evicted")
}

/// What is said of a run of the built-in engine with so much memory.
pub fn generated(ground: &Ground, model: &Path, memory_max: &str) -> Result<Said> {
    let path = model.to_string_lossy();
    let run = TracerCall::launch(&ground.scratch, model)?
        .option("--memory-max", memory_max)
        .engine(
            &tracer::binary()?,
            &["engine", "--tokens", "6", "--model", &path],
        )
        .run()?;
    run.finished.succeeded().context("the traced engine")?;
    Said::of(ground, &run, None)
}
