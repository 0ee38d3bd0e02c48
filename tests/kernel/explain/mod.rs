//! What `tracer explain` says of runs in which one cause was made, and of the same runs without it.

mod device;
mod engine;
mod experts;
mod memory;
mod place;
mod questions;
mod reading;
mod reads;

use anyhow::{Result, ensure};
use tests::plan::ReadPlan;

use crate::ground::{Case, Ground, case};
use reading::explain;

const MODEL_BYTES: u64 = 48 << 20;
const READ_BYTES: u64 = 64 << 10;
const PAGE_BYTES: u64 = 4096;
/// A third of the model, with room for the reader itself.
const TIGHT_BYTES: u64 = 20 << 20;

/// A case, and what it does.
type Named = (&'static str, fn(&Ground) -> Result<()>);

const CASES: [Named; 22] = [
    ("all_in_memory", reads::all_in_memory),
    ("working_set", reads::working_set),
    ("read_ahead_in_vain", reads::read_ahead_in_vain),
    ("small_reads", reads::small_reads),
    ("other_load", reads::other_load),
    ("other_writes", reads::other_writes),
    ("thrown_out", reads::thrown_out),
    ("limit", memory::limit),
    ("limit_of_a_container", memory::limit_of_a_container),
    ("limit_counts_cache", memory::limit_counts_cache),
    ("second_copy", memory::second_copy),
    ("dead_weights", memory::dead_weights),
    ("memory_growth", memory::memory_growth),
    ("swap", memory::swap),
    ("lock_without_effect", memory::lock_without_effect),
    ("hot_experts", experts::hot),
    ("dense_evicted", experts::dense_evicted),
    ("file_system", place::file_system),
    ("fragmentation", place::fragmentation),
    ("fragmentation_measured", device::fragmentation),
    ("below_device", device::below),
    ("what_is_no_run", what_is_no_run),
];

pub fn cases() -> Vec<Case> {
    let causes = CASES
        .iter()
        .map(|(name, of)| case(format!("explain::{name}"), |ground, _| of(ground)));
    causes.chain(questions::cases()).collect()
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
