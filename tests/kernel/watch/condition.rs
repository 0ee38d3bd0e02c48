//! A condition is met: a recording is there, and opens.

use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use tests::tracer::TracerCall;

use super::scene::{Engine, LIMIT, MODEL_BYTES, Service, disk, folders, model, windows};
use crate::ground::Ground;

/// Recorded while it reads more than it should, once within the pause, and when somebody asks; the window counts all of it all
/// the same.
pub fn condition_is_met(ground: &Ground) -> Result<()> {
    let disk = disk(ground)?;
    let model = model(&disk, "model.gguf")?;
    let folder = ground.scratch.fresh_path("watch");
    let options = ["--record-on", "read/s>100K", "--record-for", "4s"];
    let service = Service::start(ground, &folder, &options)?;
    let mut engine = Engine::start(ground)?;
    engine.open(&model)?;
    service.counting(1)?;
    let mut reads = 0;
    let mut read = |engine: &mut Engine| -> Result<()> {
        reads += 1;
        engine.read(&model)?;
        std::thread::sleep(std::time::Duration::from_millis(300));
        Ok(())
    };
    let deadline = std::time::Instant::now() + LIMIT;
    while !service.program.errors_so_far().contains("the recording of") {
        ensure!(
            std::time::Instant::now() < deadline,
            "{}",
            service.program.errors_so_far()
        );
        read(&mut engine)?;
    }
    let said = service.program.errors_so_far();
    ensure!(
        said.contains("since read/s>100K: it is") && said.contains("of model.gguf"),
        "{said}"
    );
    for _ in 0..45 {
        read(&mut engine)?;
    }
    ensure!(
        service
            .program
            .errors_so_far()
            .matches("is recorded for")
            .count()
            == 1,
        "it was recorded again within the pause"
    );
    service.program.signal(Signal::SIGUSR1)?;
    service.said("since it was asked for", 1)?;
    read(&mut engine)?;
    service.said("the recording of", 2)?;
    service.stop()?;
    engine.end()?;
    let recordings = folders(&folder, "recording=");
    ensure!(recordings.len() == 2, "{recordings:?}");
    let opened = opened(ground, &recordings[0])?;
    ensure!(opened > 0, "nothing is in the recording");
    let windows = windows(&folder)?;
    let counted = windows
        .iter()
        .map(|it| it.read_bytes())
        .sum::<Result<u64>>()?;
    // A recording reads the model's header, which was cold.
    let headers = counted.saturating_sub(reads * MODEL_BYTES);
    ensure!(
        counted >= reads * MODEL_BYTES && headers <= 128 << 10 && headers % 4096 == 0,
        "{counted} bytes of {reads} reads"
    );
    Ok(())
}

/// Bytes read, by the recording's events.
pub fn opened(ground: &Ground, recording: &Path) -> Result<u64> {
    let folder = recording.to_str().context("a path of text")?;
    let run = TracerCall::bare(&ground.scratch, &["open", folder, "--json"])?.run()?;
    let record = tests::run_record::RunRecord::parse(run.finished.succeeded()?)?;
    record.count("reads.total_bytes")
}
