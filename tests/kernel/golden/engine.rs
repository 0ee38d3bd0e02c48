//! The built-in engine, whose reads are page faults on a mapped model.

use std::{fs::File, os::unix::fs::FileExt as _, path::Path};

use anyhow::{Context as _, Result, ensure};
use tests::{
    disk::MountedDisk,
    environment::MachineLock,
    model_file::{GgufLayout, ModelFile, extents_of},
    plan::ExpectedFigures,
    tracer::{self, TracerCall},
};

use super::{
    SECTOR_BYTES,
    audited::{self, Order},
    check_device,
    recording::Recording,
};
use crate::{
    ground::{Ground, check_figures, check_sound, sectors_between},
    models::make_expert_model,
    shapes::PAGE_BYTES,
};

/// The tracer reads the header in pieces, of which the last reaches beyond its end.
const BEYOND_HEADER_BYTES: u64 = 64 << 10;

/// Loads a model, which reads all of it, and generates from memory: beside another recorder.
pub fn golden(ground: &Ground, lock: &MachineLock, disk: &MountedDisk) -> Result<()> {
    let path = make_expert_model(ground, disk)?;
    let header_bytes = header_bytes(&path)?;
    let model = ModelFile::existing(path)?;
    disk.remount()?;
    extents_of(model.path())?;
    let cached = read_pages(model.path(), header_bytes + BEYOND_HEADER_BYTES)?;
    disk.set_read_ahead_kb(128)?;
    disk.synchronise()?;

    let arguments = [
        "engine".as_ref(),
        "--model".as_ref(),
        model.path().as_os_str(),
        "--tokens".as_ref(),
        "2".as_ref(),
        "--prompt-tokens".as_ref(),
        "1".as_ref(),
        "--threads".as_ref(),
        "1".as_ref(),
    ];
    let call =
        TracerCall::launch(&ground.scratch, model.path())?.engine(&tracer::binary()?, &arguments);
    let before = disk.statistics()?;
    let recording = Recording::start(ground, disk, lock)?;
    let run = call.run()?;
    let after = disk.statistics()?;
    let recorded = recording.finish()?;
    run.finished.succeeded().context("the traced engine")?;
    let record = run.record()?;
    check_sound(&record)?;

    let trace = recorded.trace();
    let by_recorder = ExpectedFigures::of_requests(&trace.first_issues()?, &model);
    // The kernel may let go of a page of the header meanwhile, which is then read too.
    let (least, most) = (model.size_bytes() - cached, model.size_bytes());
    ensure!(
        by_recorder.total_bytes == by_recorder.unique_bytes
            && (least..=most).contains(&by_recorder.total_bytes),
        "{least} to {most} bytes were to be read, each once, and the recorder saw {by_recorder:?}"
    );
    check_figures(&record, &by_recorder)?;
    check_device(&record, disk, sectors_between(&before, &after), trace)?;
    if let Some(recording) = recorded.blktrace() {
        // The audit counts whole sectors, also the one within which the file ends; it was read once.
        let beyond_end = model.size_bytes().next_multiple_of(SECTOR_BYTES) - model.size_bytes();
        let in_sectors = ExpectedFigures {
            total_bytes: by_recorder.total_bytes + beyond_end,
            unique_bytes: by_recorder.unique_bytes + beyond_end,
            ..by_recorder
        };
        audited::check(ground, recording, &model, Order::Any, &in_sectors)?;
    }
    Ok(())
}

/// What comes before the first tensor.
fn header_bytes(path: &Path) -> Result<u64> {
    let layout = GgufLayout::read(path)?;
    layout
        .pieces()
        .iter()
        .find(|piece| piece.name == "(header)")
        .map(|piece| piece.range.end)
        .context("the model has no header")
}

/// Brings the pages of the file's beginning into memory, each by itself; their bytes.
fn read_pages(path: &Path, bytes: u64) -> Result<u64> {
    let file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    let pages = bytes.div_ceil(PAGE_BYTES);
    for page in 0..pages {
        file.read_exact_at(&mut [0], page * PAGE_BYTES)
            .with_context(|| format!("read {}", path.display()))?;
    }
    Ok(pages * PAGE_BYTES)
}
