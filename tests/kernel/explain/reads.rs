//! Causes that are in the order, the size and the company of reads.

use anyhow::{Result, ensure};
use tests::{plan::ReadPlan, reader::ReadMode};

use super::{MODEL_BYTES, PAGE_BYTES, TIGHT_BYTES, passes, reading::Reading};
use crate::ground::Ground;

pub fn all_in_memory(ground: &Ground) -> Result<()> {
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
pub fn working_set(ground: &Ground) -> Result<()> {
    let mut reading = Reading::new(passes(4));
    reading.read_ahead_kb = 128;
    reading.memory_max = Some(TIGHT_BYTES);
    let said = reading.explained(ground)?;
    said.comes_first("working_set")?;
    reading.memory_max = Some(4 * MODEL_BYTES);
    reading.explained(ground)?.does_not_come("working_set")
}

/// Single pages of a mapping, anywhere in the model.
pub fn read_ahead_in_vain(ground: &Ground) -> Result<()> {
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

pub fn small_reads(ground: &Ground) -> Result<()> {
    let mut reading = Reading::new(ReadPlan::sequential(MODEL_BYTES, PAGE_BYTES));
    reading.random_advice = true;
    reading.read_ahead_kb = 1024;
    reading.explained(ground)?.comes_first("small_reads")?;
    reading.random_advice = false;
    reading.explained(ground)?.does_not_come("small_reads")
}

/// Somebody reads another file from the same disk, as fast as it can.
pub fn other_load(ground: &Ground) -> Result<()> {
    let mut reading = Reading::new(passes(1));
    reading.read_ahead_kb = 128;
    reading.beside = Some(r#"dd if="$2" of=/dev/null iflag=direct bs=1M 2>/dev/null"#);
    reading.explained(ground)?.comes_first("other_load")?;
    reading.beside = None;
    reading.explained(ground)?.does_not_come("other_load")
}

/// Somebody writes to the same disk, as fast as it can.
pub fn other_writes(ground: &Ground) -> Result<()> {
    let mut reading = Reading::new(passes(1));
    reading.read_ahead_kb = 128;
    reading.beside =
        Some(r#"dd if=/dev/zero of="$2" oflag=direct conv=notrunc bs=1M count=48 2>/dev/null"#);
    let said = reading.explained(ground)?;
    said.comes_first("other_load")?;
    let shown = said.comes("other_load")?["evidence"].to_string();
    ensure!(shown.contains("written to"), "{shown}");
    Ok(())
}

/// Somebody drops the model from the cache again and again, as backup programs do.
pub fn thrown_out(ground: &Ground) -> Result<()> {
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
