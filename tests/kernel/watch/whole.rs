//! All of it, with real others: a llama.cpp comes and is followed, Prometheus scrapes, memory is taken away, the alert fires,
//! a recording is there and opens, and at the end nothing is left.

use std::{fs, path::Path, process::Command};

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use tests::{
    disk::LoopDisk, environment::MemoryGroup, reader::RunningProgram, run_record::RunRecord,
    tracer::TracerCall,
};

use super::{
    FILE_SYSTEM,
    condition::opened,
    scene::{LIMIT, Service, folders},
};
use crate::{
    ground::{Ground, check_no_violation},
    metrics::{fires, free_port, get, promtool, start_prometheus},
    models::make_model,
    real_engine::python,
};

const MODEL_SIZE: &str = "120M";
const AMPLE_BYTES: u64 = 1 << 30;
const TIGHT_BYTES: u64 = 160 << 20;
const DISK_BYTES: u64 = 300 << 20;
/// More tokens than are made in the test's time.
const TOKENS: &str = "4000";

pub fn llama_cpp_and_prometheus(ground: &Ground) -> Result<()> {
    let python = python()?;
    let disk = LoopDisk::new(&ground.scratch, FILE_SYSTEM, DISK_BYTES)?;
    disk.set_read_ahead_kb(128)?;
    let model = make_model(ground, &disk, "model.gguf", MODEL_SIZE, &[])?;
    disk.remount()?;
    let (port, own_port) = (free_port()?, free_port()?);
    let prometheus = ground.scratch.fresh_directory("prometheus")?;
    let server = start_prometheus(ground, &prometheus, port, own_port)?;

    let folder = ground.scratch.fresh_path("watch");
    let call = TracerCall::bare(&ground.scratch, &["watch", "--any-model"])?
        .option("--out", &folder)
        .option("--serve", format!("127.0.0.1:{port}"))
        .option("--record-on", "refaults/s>1000")
        .option("--record-for", "5s");
    let service = Service::of(call, &folder)?;
    let group = MemoryGroup::new(AMPLE_BYTES)?;
    let engine = start_engine(ground, &python, &model, &group)?;
    service.counting(1)?;
    let alerts = || get(own_port, "/api/v1/alerts").unwrap_or_default();
    ensure!(!fires(&alerts(), "TracerModelThrashes"), "{}", alerts());
    group.set_limit(TIGHT_BYTES)?;
    service
        .program
        .wait_until("the alert fires", 2 * LIMIT, |_| {
            fires(&alerts(), "TracerModelThrashes")
        })?;
    let fired = alerts();
    ensure!(
        fired.contains("\"model\":\"model.gguf\"") && fired.contains("\"engine\":\""),
        "{fired}"
    );
    promtool(&get(port, "/metrics")?)?;
    service.said("the recording of", 1)?;
    engine.signal(Signal::SIGKILL)?;
    engine.ended(LIMIT)?;
    service.said("window 1 of", 2)?;
    let said = service.stop()?;
    server.signal(Signal::SIGTERM)?;
    server.ended(LIMIT)?;
    let recordings = folders(&folder, "recording=");
    let [recording] = recordings.as_slice() else {
        anyhow::bail!("{recordings:?} are there: {said}");
    };
    ensure!(opened(ground, recording)? > 0, "nothing is in it: {said}");
    let windows = folders(&folder, "run=");
    let [window] = windows.as_slice() else {
        anyhow::bail!("{windows:?} are there: {said}");
    };
    let record = RunRecord::load(window)?;
    check_no_violation(&record)?;
    ensure!(record.count("cache.refaults")? > 1000, "it did not thrash");
    // What is left of the service are the folders that it was to write.
    let own: Vec<_> = fs::read_dir(folder.join(".watch"))?.flatten().collect();
    ensure!(own.len() == 1 && own[0].file_name() == "lock", "{own:?}");
    Ok(())
}

/// Within the group from its first page on.
fn start_engine(
    ground: &Ground,
    python: &Path,
    model: &Path,
    group: &MemoryGroup,
) -> Result<RunningProgram> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/programs/llama_generate.py");
    let mut command = Command::new(python);
    command.arg(script).arg(model).arg(TOKENS);
    let command = group.command(&command);
    let engine = RunningProgram::start(&ground.scratch, command)?;
    engine.wait_until("it has the model", 2 * LIMIT, |engine| {
        let maps = format!("/proc/{}/maps", engine.process_id());
        fs::read_to_string(maps).is_ok_and(|maps| maps.contains("model.gguf"))
    })?;
    Ok(engine)
}
