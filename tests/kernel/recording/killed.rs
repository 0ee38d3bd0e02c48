//! A tracer that is killed in the middle of a recording (SIGKILL): all but the last seconds are there.

use std::{
    process::{Command, Output},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use tests::{
    disk::FileSystem, model_file::ModelFile, plan::ReadPlan, reader::ReadMode, tracer,
    tracer::TracerCall,
};

use super::perfetto::Tracks;
use crate::{ground::Ground, processes::holds_open, shapes::FILE_BYTES};

const LIMIT: Duration = Duration::from_secs(60);
/// A segment is closed after 5 s, and what is fewer than a batch waits 1 s before it; the rest is for a busy machine.
const LAST_SECONDS: f64 = 8.0;

fn command(arguments: &[&str], run: &std::path::Path) -> Result<Output> {
    Command::new(tracer::binary()?)
        .arg(arguments.first().context("a command")?)
        .arg(run)
        .args(arguments.iter().skip(1))
        .output()
        .context("run the tracer")
}

/// Attached, so that what it traces goes on reading.
pub fn check(ground: &Ground) -> Result<()> {
    let disk = ground.disk(FileSystem::Ext4)?;
    let file = ModelFile::contiguous(&disk, "model", FILE_BYTES)?;
    let plan = ReadPlan::random(FILE_BYTES, 4096, 3000, 7);
    let mark = ground.scratch.fresh_path("first-round");
    let reader = ground
        .reader(&file, &plan, ReadMode::Direct)?
        .option("--until-input-closes")
        .option_with("--mark-round", mark.display());
    let before = disk.statistics()?;
    let server = ground.start_reader(&reader)?;
    server.wait_until("it has read", LIMIT, |server| {
        mark.exists() && holds_open(server.process_id(), file.path())
    })?;
    let call = TracerCall::attach(&ground.scratch, server.process_id())?
        .option("--model", file.path())
        .option("--detail", "events")
        .flag("--record");
    let run = call.directory().to_owned();
    let third = run.join("recording/events-000001.parquet");
    let tracer = call.start()?;
    tracer.wait_until("it records", LIMIT, |_| {
        run.join("recording/setup.json").exists()
    })?;
    let begun = Instant::now();
    tracer.wait_until("two segments are there", LIMIT, |_| third.exists())?;
    // In the middle of the third.
    std::thread::sleep(Duration::from_secs(2));
    tracer.signal(Signal::SIGKILL)?;
    let recorded_s = begun.elapsed().as_secs_f64();
    tracer.ended(LIMIT)?;
    server.finish(LIMIT)?.succeeded()?;
    ensure!(
        !run.join("run.json").exists(),
        "it was not killed in the middle"
    );

    let validated = command(&["validate"], &run)?;
    let words = String::from_utf8_lossy(&validated.stdout).into_owned();
    ensure!(
        validated.status.code() == Some(1)
            && words.contains("killed")
            && words.contains("in 2 segments"),
        "validate says {words}, {:?}",
        validated.status
    );
    let opened = command(&["open", "--json"], &run)?;
    let words = String::from_utf8_lossy(&opened.stderr).into_owned();
    ensure!(
        opened.status.success() && words.contains("a part of the run"),
        "{words}"
    );
    let record: Value = serde_json::from_slice(&opened.stdout)?;
    ensure!(
        record["partial"] == true && record["complete"] == false,
        "it is not called a part: {}",
        record["partial_reason"]
    );
    let wall_s = record["time"]["wall_s"].as_f64().context("no time")?;
    ensure!(
        wall_s > recorded_s - LAST_SECONDS && wall_s < recorded_s + 1.0,
        "{wall_s} s of {recorded_s} s are there"
    );
    let reads = record["reads"]["count"].as_u64().context("no reads")?;
    let bytes = record["reads"]["total_bytes"]
        .as_u64()
        .context("no bytes")?;
    let device = (disk.statistics()?.sectors_read - before.sectors_read) * 512;
    ensure!(
        reads > 1000 && bytes <= device,
        "{reads} reads of {bytes} bytes, and the device read {device}"
    );
    // They reach to the end, at the pace of before.
    let second = |from: f64| -> Result<u64> {
        let (from, to) = (
            format!("{}ms", (from * 1e3) as u64),
            format!("{}ms", (from * 1e3) as u64 + 1000),
        );
        let part = command(&["open", "--json", "--from", &from, "--to", &to], &run)?;
        let part: Value = serde_json::from_slice(&part.stdout)?;
        part["reads"]["count"].as_u64().context("no reads")
    };
    let (early, late) = (second(2.0)?, second(wall_s - 1.5)?);
    ensure!(
        late > 0 && late * 20 > early,
        "{early} reads in one second, and {late} in one before the end"
    );
    for course in ["memory_course", "residency_course"] {
        let last = record[course]
            .as_array()
            .and_then(|points| points.last()?["at_s"].as_f64());
        ensure!(
            last.is_some_and(|last| last > wall_s - LAST_SECONDS),
            "{course} ends at {last:?}, and the recording at {wall_s}"
        );
    }

    // No list of reads was finished: the trace has them from the recording.
    let exported = command(&["export", "--perfetto"], &run)?;
    let words = String::from_utf8_lossy(&exported.stderr).into_owned();
    ensure!(
        exported.status.success() && words.contains("a part of the run"),
        "{words}"
    );
    let tracks = Tracks::decode(&run.join("trace.perfetto"))?;
    let shown = tracks.reads();
    ensure!(
        shown as u64 == reads,
        "{shown} reads in the trace, and {reads} in the record"
    );
    ensure!(
        tracks.slices("", "run")[0][3]["partial"] == true,
        "the trace is not called a part"
    );
    Ok(())
}
