//! The audit of a live run: the same reads, each counted once and each counted at several stages.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::{
    disk::FileSystem, model_file::ModelFile, plan::ReadPlan, reader::ReadMode, tracer::TracerCall,
};

use crate::{
    ground::{Case, FILE_SYSTEMS, Ground, Traced, case, check_sound},
    shapes::FILE_BYTES,
};

const READ_BYTES: u64 = 64 << 10;

pub fn cases() -> Vec<Case> {
    FILE_SYSTEMS
        .into_iter()
        .map(|file_system| {
            case(
                format!("audit::{file_system}::one_read_after_the_other"),
                move |ground, _| one_read_after_the_other(ground, file_system),
            )
        })
        .collect()
}

/// Direct reads by one thread, from start to end: each completes before the next is queued, so that Q + D + C makes of one
/// forward read a forward one and two backward ones.
fn one_read_after_the_other(ground: &Ground, file_system: FileSystem) -> Result<()> {
    let disk = ground.disk(file_system)?;
    let file = ModelFile::contiguous(&disk, "model", FILE_BYTES)?;
    let plan = ReadPlan::sequential(FILE_BYTES, READ_BYTES);
    let reader = ground.reader(&file, &plan, ReadMode::Direct)?;
    let call = TracerCall::launch(&ground.scratch, file.path())?.option("--detail", "audit");
    let traced = Traced::of(call.reader(&reader).run()?)?;
    check_sound(&traced.record)?;
    let accountings = traced.record.value("accountings")?;
    let accountings = accountings.as_array().context("no accountings")?;
    let reads = plan.reads.len() as u64;
    for (name, records_of_a_read) in [
        ("each request once", 1),
        ("D", 1),
        ("C", 1),
        ("Q", 1),
        ("Q+D+C", 3),
        ("Q+G+D+C", 4),
    ] {
        let found = accountings
            .iter()
            .find(|accounting| accounting["name"] == name)
            .with_context(|| format!("no accounting {name}"))?;
        let count = |member: &str| found[member].as_u64();
        // A completion that the kernel hid is a record less, of the accountings with C.
        let hidden = traced.record.count("loss.unseen_completions")?;
        let hidden = if name.contains('C') { hidden } else { 0 };
        let records = records_of_a_read * reads - hidden;
        ensure!(
            count("records") == Some(records)
                && count("total_bytes") == Some(records * READ_BYTES)
                && found["not_recorded"] == Value::Array(Vec::new()),
            "{name}: {found:#}"
        );
        let gap = |class: &str| found[class]["count"].as_u64();
        if hidden == 0 {
            ensure!(
                count("unique_bytes") == Some(FILE_BYTES)
                    && gap("sequential") == Some(reads - 1)
                    && gap("backward") == Some((records_of_a_read - 1) * reads),
                "{name}: {found:#}"
            );
        }
    }
    Ok(())
}
