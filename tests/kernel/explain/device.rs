//! Causes that a test of the device decides.

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use tests::{disk::FileSystem, plan::ReadPlan, tracer::TracerCall};

use super::{
    MODEL_BYTES, PAGE_BYTES, passes,
    reading::{Reading, Said},
};
use crate::ground::Ground;

/// Seconds that a test of the device may take.
const SECONDS: &str = "4";

/// How often a run is made again.
const MOST_AGAIN: u32 = 5;

/// What is said of a run without a test of the device, with it, and the test.
pub fn tested(ground: &Ground, reading: &Reading) -> Result<(Said, Said, Value)> {
    let disk = ground.disk(FileSystem::Ext4)?;
    let model = reading.model(&disk)?;
    let mut run = reading.traced(ground, &disk, &model, model.path())?;
    // Where the kernel hid a completion, how long reads were in flight is not known, and there is no rate to compare.
    for _ in 0..MOST_AGAIN {
        if run.record()?.count("loss.unseen_completions")? == 0 {
            break;
        }
        run = reading.traced(ground, &disk, &model, model.path())?;
    }
    let folder = ground.scratch.fresh_path("device");
    let call = TracerCall::bare(&ground.scratch, &["device"])?
        .adjusted(|command| {
            command.arg(model.path());
        })
        .option("--seconds", SECONDS)
        .option("--run", &run.directory)
        .option("--out", &folder);
    call.run()?
        .finished
        .succeeded()
        .context("test the device")?;
    let test = serde_json::from_slice(&std::fs::read(folder.join("device.json"))?)?;
    Ok((
        Said::of(ground, &run, None)?,
        Said::of(ground, &run, Some(&folder))?,
        test,
    ))
}

fn is_not_decided(said: &Said, name: &str) -> Result<()> {
    let undecided = said.model()["not_decided"].as_array();
    let found = undecided
        .into_iter()
        .flatten()
        .find(|cause| cause["name"] == name)
        .with_context(|| format!("{name} is decided: {:#}", said.0))?;
    let why = found["why"].as_str().unwrap_or_default();
    ensure!(why.contains("tracer device"), "{why}");
    Ok(())
}

/// Single pages, one after the other: a small part of what the same disk gives in order.
pub fn below(ground: &Ground) -> Result<()> {
    let mut reading = Reading::new(ReadPlan::random(MODEL_BYTES, PAGE_BYTES, 3000, 5));
    reading.random_advice = true;
    let (before, after, test) = tested(ground, &reading)?;
    is_not_decided(&before, "below_device")?;
    after
        .comes("below_device")
        .with_context(|| test.to_string())?;
    after.does_not_come("device_at_limit")
}

/// What small pieces cost is the test's to say: on a disk without moving parts it may be nothing, and then it is no cause.
pub fn fragmentation(ground: &Ground) -> Result<()> {
    let mut reading = Reading::new(passes(1));
    reading.read_ahead_kb = 128;
    reading.piece_bytes = Some(64 << 10);
    let (before, after, test) = tested(ground, &reading)?;
    ensure!(
        before.comes("fragmentation")?["only_likely"] == true,
        "{:#}",
        before.0
    );
    let factor = test["order"]["recorded_to_sorted"]["median"]
        .as_f64()
        .with_context(|| format!("the test has no cost of the order: {test}"))?;
    if factor < 1.05 {
        return after.does_not_come("fragmentation");
    }
    let cause = after.comes("fragmentation")?;
    ensure!(
        cause["only_likely"] == false && cause["cost"]["seconds"].is_number(),
        "{cause}"
    );
    Ok(())
}
