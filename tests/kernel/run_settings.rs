//! What `launch` sets for one run beside read-ahead, and what it keeps in memory: it holds while the engine runs, and is gone
//! afterwards whatever happens.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use tests::{
    disk::{FileSystem, LoopDisk},
    environment::unavailable,
    model_file::ModelFile,
    reader::RunningProgram,
    run_record::RunRecord,
    tracer::{self, TracedRun, TracerCall},
};

use crate::{
    ground::{Case, Ground, case},
    models::make_expert_model,
    tune::sleeping_engine,
};

const LIMIT: Duration = Duration::from_secs(60);
/// Two thirds of the model of [`make_expert_model`].
const MEMORY: &str = "75M";
const PIN_BYTES: u64 = 30 << 20;

pub fn cases() -> Vec<Case> {
    vec![
        case("run_settings::queue_holds_for_the_run", |ground, _| {
            queue_holds_for_the_run(ground)
        }),
        case("run_settings::queue_tracer_killed", |ground, _| {
            queue_after(ground, &[])
        }),
        case(
            "run_settings::queue_tracer_and_keeper_killed",
            |ground, _| queue_after(ground, &["settings-keeper"]),
        ),
        case("run_settings::queue_refused", |ground, _| {
            queue_refused(ground)
        }),
        case("run_settings::shared_tensors_are_pinned", |ground, _| {
            shared_tensors_are_pinned(ground)
        }),
        case("run_settings::pinned_go_with_the_tracer", |ground, _| {
            pinned_go_with_the_tracer(ground)
        }),
        case(
            "run_settings::pinned_and_their_keeper_killed",
            |ground, _| pinned_and_their_keeper_killed(ground),
        ),
        case("run_settings::pin_refused", |ground, _| pin_refused(ground)),
    ]
}

/// Waits for something that is about to happen.
fn soon(what: &str, mut is_so: impl FnMut() -> Result<bool>) -> Result<()> {
    for _ in 0..100 {
        if is_so()? {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    anyhow::bail!("not so within 5 s: {what}")
}

/// Processes of this name.
fn processes(name: &str) -> Result<Vec<i32>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let comm = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        let pid = entry
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        // One that has ended and that nobody has waited for has no program any more.
        if let Some(pid) = pid.filter(|_| comm.trim() == name && entry.path().join("exe").exists())
        {
            found.push(pid);
        }
    }
    Ok(found)
}

/// Scheduler in use, and requests, of a disk.
fn queue(disk: &LoopDisk) -> Result<(String, String)> {
    let read = |file: &str| fs::read_to_string(format!("/sys/block/{}/queue/{file}", disk.name()));
    let schedulers = read("scheduler")?;
    let in_use = schedulers
        .split_whitespace()
        .find_map(|word| word.strip_prefix('[')?.strip_suffix(']'));
    Ok((
        in_use.context("no scheduler")?.to_owned(),
        read("nr_requests")?.trim().to_owned(),
    ))
}

fn before() -> (String, String) {
    ("none".into(), "100".into())
}

fn during() -> (String, String) {
    ("mq-deadline".into(), "32".into())
}

/// A disk whose queue has a size that no scheduler would give it.
fn disk_with_queue(ground: &Ground) -> Result<LoopDisk> {
    let disk = ground.disk(FileSystem::Ext4)?;
    let path = format!("/sys/block/{}/queue", disk.name());
    let known = fs::read_to_string(format!("{path}/scheduler"))?;
    if !known.contains("mq-deadline") || !known.contains("none") {
        return Err(unavailable(format!(
            "this kernel's loop devices have no other scheduler: {known}"
        )));
    }
    fs::write(format!("{path}/scheduler"), "none")?;
    fs::write(format!("{path}/nr_requests"), "100")?;
    ensure!(queue(&disk)? == before(), "{:?}", queue(&disk)?);
    Ok(disk)
}

/// A run that goes on until it is told to end, with another scheduler and number of requests.
fn begun(ground: &Ground, disk: &LoopDisk) -> Result<(RunningProgram, std::path::PathBuf)> {
    let model = ModelFile::contiguous(disk, "model", 1 << 20)?;
    let call = TracerCall::launch(&ground.scratch, model.path())?
        .option("--scheduler", "mq-deadline")
        .option("--nr-requests", "32");
    let (running, directory) = sleeping_engine(call)?;
    ensure!(queue(disk)? == during(), "{:?}", queue(disk)?);
    Ok((running, directory))
}

fn queue_holds_for_the_run(ground: &Ground) -> Result<()> {
    let disk = disk_with_queue(ground)?;
    let (running, directory) = begun(ground, &disk)?;
    running.signal(Signal::SIGTERM)?;
    running.ended(LIMIT)?;
    ensure!(queue(&disk)? == before(), "{:?}", queue(&disk)?);
    let record = RunRecord::load(&directory)?;
    let device = &record.value("devices")?[0]["scheduler"];
    ensure!(*device == "mq-deadline", "{device}");
    let set = record.value("pressure.queues")?;
    ensure!(
        set[0]["setting"] == "scheduler"
            && set[0]["before"] == "none"
            && set[1]["setting"] == "nr_requests"
            && set[1]["set"] == "32",
        "{set}"
    );
    Ok(())
}

/// The tracer gets SIGKILL, and processes of these names SIGKILL before: at the end the queue is as it was.
fn queue_after(ground: &Ground, killed: &[&str]) -> Result<()> {
    let disk = disk_with_queue(ground)?;
    let (running, _) = begun(ground, &disk)?;
    for name in killed {
        for pid in processes(name)? {
            kill(Pid::from_raw(pid), Signal::SIGKILL)?;
        }
    }
    running.signal(Signal::SIGKILL)?;
    running.ended(LIMIT)?;
    if !killed.is_empty() {
        ensure!(queue(&disk)? == during(), "who has put it back?");
        // The next run finds it noted.
        let model = ModelFile::contiguous(&disk, "other", 1 << 20)?;
        let run = TracerCall::launch(&ground.scratch, model.path())?
            .engine(Path::new("/bin/true"), &[] as &[&str])
            .run()?;
        run.finished.succeeded()?;
        let notes = run.record()?.value("notes")?.to_string();
        ensure!(notes.contains("queue/scheduler"), "{notes}");
    }
    soon("the queue is as it was", || Ok(queue(&disk)? == before()))
}

/// A scheduler that there is not: the error names it, and nothing is changed.
fn queue_refused(ground: &Ground) -> Result<()> {
    let disk = disk_with_queue(ground)?;
    let model = ModelFile::contiguous(&disk, "model", 1 << 20)?;
    let run = TracerCall::launch(&ground.scratch, model.path())?
        .option("--nr-requests", "32")
        .option("--scheduler", "no-such-scheduler")
        .engine(Path::new("/bin/true"), &[] as &[&str])
        .run()?;
    ensure!(
        run.finished.code() == 125 && run.finished.errors.contains("no-such-scheduler"),
        "{} {}",
        run.finished.code(),
        run.finished.errors
    );
    soon("the queue is as it was", || Ok(queue(&disk)? == before()))
}

/// A run of the built-in engine under pressure.
fn engine<'a>(ground: &'a Ground, model: &Path, tokens: &str) -> Result<TracerCall<'a>> {
    let path = model.to_string_lossy().into_owned();
    let call = TracerCall::launch(&ground.scratch, model)?.option("--memory-max", MEMORY);
    Ok(call.engine(
        &tracer::binary()?,
        &["engine", "--tokens", tokens, "--model", &path],
    ))
}

/// The same with what came back most in an earlier run kept in memory.
fn pinned<'a>(
    ground: &'a Ground,
    model: &Path,
    tokens: &str,
    from: &Path,
    budget: u64,
) -> Result<TracerCall<'a>> {
    let path = model.to_string_lossy().into_owned();
    let call = TracerCall::launch(&ground.scratch, model)?
        .option("--memory-max", MEMORY)
        .option("--pin", "shared")
        .option("--pin-from", from)
        .option("--pin-budget", budget.to_string());
    Ok(call.engine(
        &tracer::binary()?,
        &["engine", "--tokens", tokens, "--model", &path],
    ))
}

fn first_run(ground: &Ground) -> Result<(LoopDisk, std::path::PathBuf, TracedRun)> {
    let disk = ground.disk(FileSystem::Ext4)?;
    disk.set_read_ahead_kb(128)?;
    let model = make_expert_model(ground, &disk)?;
    let run = engine(ground, &model, "6")?.run()?;
    run.finished.succeeded().context("the run without")?;
    Ok((disk, model, run))
}

/// Ranges of the model that a process maps, by the kernel's list.
fn mapped_ranges(process: i32, model: &Path) -> Result<Vec<std::ops::Range<u64>>> {
    let number = |text: &str| u64::from_str_radix(text, 16).context("no hexadecimal number");
    let maps = fs::read_to_string(format!("/proc/{process}/maps"))?;
    maps.lines()
        .filter(|line| line.ends_with(&*model.to_string_lossy()))
        .map(|line| {
            let mut words = line.split_whitespace();
            let (start, end) = words
                .next()
                .and_then(|addresses| addresses.split_once('-'))
                .with_context(|| line.to_owned())?;
            let offset = number(words.nth(1).with_context(|| line.to_owned())?)?;
            Ok(offset..offset + number(end)? - number(start)?)
        })
        .collect()
}

/// Bytes of the tensors that lie wholly in these ranges, and what came back of them.
fn came_back(record: &RunRecord, ranges: &[std::ops::Range<u64>]) -> Result<(u64, u64)> {
    let tensors = record.value("tensors")?;
    let mut sums = (0, 0);
    for tensor in tensors.as_array().context("no tensors")? {
        let number = |key: &str| tensor[key].as_u64().context(key.to_owned());
        let (start, bytes) = (number("offset_bytes")?, number("bytes")?);
        if ranges
            .iter()
            .any(|range| range.start <= start && start + bytes <= range.end)
        {
            sums.0 += bytes;
            sums.1 += number("refaults_bytes")?;
        }
    }
    Ok(sums)
}

/// Tensors that every token uses come back under pressure. Nothing comes back of those that are kept in memory, which count
/// against the engine's limit.
fn shared_tensors_are_pinned(ground: &Ground) -> Result<()> {
    let (_disk, model, first) = first_run(ground)?;
    let (running, directory, keeper) = pinned_and_begun(ground, &model, &first.directory, "30")?;
    let ranges = mapped_ranges(keeper, &model)?;
    running.ended(LIMIT)?.succeeded().context("the run with")?;
    let record = RunRecord::load(&directory)?;
    let bytes = record.count("pressure.pinned.bytes")?;
    let mapped: u64 = ranges.iter().map(|range| range.end - range.start).sum();
    ensure!(
        bytes > PIN_BYTES / 2
            && bytes <= PIN_BYTES
            && bytes == mapped
            && record.flag("pressure.pinned.held")?,
        "{mapped} bytes are mapped: {}",
        record.value("pressure.pinned")?
    );
    // Whole pages are kept, of which a neighbour may have a part.
    let (kept, without) = came_back(&first.record()?, &ranges)?;
    ensure!(
        kept >= bytes - bytes / 10 && without > kept,
        "{bytes} bytes are kept, {kept} as whole tensors, of which {without} came back without it"
    );
    let (_, again) = came_back(&record, &ranges)?;
    ensure!(again == 0, "{again} bytes of what was kept came back");
    let peak = record.count("pressure.cgroup.peak_bytes")?;
    let limit = record.count("pressure.cgroup.limit_bytes")?;
    ensure!(peak <= limit, "{peak} of {limit}");
    ensure!(
        processes("weights-keeper")?.is_empty(),
        "the keeper is still there"
    );
    Ok(())
}

/// Bytes that a process has locked; 0 when it is gone.
fn locked_bytes(process: i32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let kib = status
        .lines()
        .find_map(|line| line.strip_prefix("VmLck:"))
        .and_then(|text| text.split_whitespace().next());
    Ok(kib.map_or(Ok(0), str::parse::<u64>)? << 10)
}

/// A run with pinned tensors that goes on, and the keeper's process.
fn pinned_and_begun(
    ground: &Ground,
    model: &Path,
    from: &Path,
    tokens: &str,
) -> Result<(RunningProgram, std::path::PathBuf, i32)> {
    let call = pinned(ground, model, tokens, from, PIN_BYTES)?;
    let directory = call.directory().to_owned();
    let running = call.start()?;
    let log = directory.join("engine.stderr");
    running.wait_until("the engine runs", LIMIT, |_| {
        [&log, &directory.join("engine.stdout")]
            .iter()
            .any(|path| fs::metadata(path).is_ok_and(|found| found.len() > 0))
    })?;
    let [keeper] = processes("weights-keeper")?[..] else {
        anyhow::bail!("no keeper, or several");
    };
    // In the engine's group, which is the tracer's own, with the pages locked.
    let groups = fs::read_to_string(format!("/proc/{keeper}/cgroup"))?;
    ensure!(groups.contains("tracer"), "{groups}");
    let locked = locked_bytes(keeper)?;
    ensure!(
        locked > 0 && locked <= PIN_BYTES,
        "{locked} bytes are locked"
    );
    Ok((running, directory, keeper))
}

fn pinned_go_with_the_tracer(ground: &Ground) -> Result<()> {
    let (_disk, model, first) = first_run(ground)?;
    let (running, _, keeper) = pinned_and_begun(ground, &model, &first.directory, "2000")?;
    running.signal(Signal::SIGKILL)?;
    running.ended(LIMIT)?;
    soon("the keeper is gone", || {
        Ok(!Path::new(&format!("/proc/{keeper}/exe")).exists())
    })?;
    // The cgroup goes with the next run, as without pinning.
    engine(ground, &model, "1")?.run()?.finished.succeeded()?;
    Ok(())
}

/// The engine goes on without, and the record says that they were not held to the end.
fn pinned_and_their_keeper_killed(ground: &Ground) -> Result<()> {
    let (_disk, model, first) = first_run(ground)?;
    let (running, directory, keeper) = pinned_and_begun(ground, &model, &first.directory, "2000")?;
    kill(Pid::from_raw(keeper), Signal::SIGKILL)?;
    running.signal(Signal::SIGTERM)?;
    running.ended(LIMIT)?;
    let record = RunRecord::load(&directory)?;
    ensure!(
        !record.flag("pressure.pinned.held")?,
        "{}",
        record.value("pressure.pinned")?
    );
    let notes = record.value("notes")?.to_string();
    ensure!(notes.contains("not held to its end"), "{notes}");
    Ok(())
}

/// More than the engine has; a run that says nothing; a model that has changed since.
fn pin_refused(ground: &Ground) -> Result<()> {
    let (disk, model, first) = first_run(ground)?;
    let refused = |call: TracerCall<'_>, words: &str| -> Result<()> {
        let run = call.run()?;
        ensure!(
            run.finished.code() == 125 && run.finished.errors.contains(words),
            "{words}: {} {}",
            run.finished.code(),
            run.finished.errors
        );
        ensure!(processes("weights-keeper")?.is_empty(), "a keeper is left");
        Ok(())
    };
    let all = TracerCall::launch(&ground.scratch, &model)?
        .option("--memory-max", "40M")
        .option("--pin", "hot")
        .option("--pin-from", &first.directory)
        .option("--pin-budget", "39M")
        .engine(Path::new("/bin/true"), &[] as &[&str]);
    refused(all, "--pin-budget that leaves more")?;
    let empty = ground.scratch.fresh_directory("no-run")?;
    refused(pinned(ground, &model, "1", &empty, PIN_BYTES)?, "run.json")?;
    let idle = TracerCall::launch(&ground.scratch, &model)?
        .engine(Path::new("/bin/true"), &[] as &[&str])
        .run()?;
    idle.finished.succeeded()?;
    refused(
        pinned(ground, &model, "1", &idle.directory, PIN_BYTES)?,
        "nothing came back",
    )?;
    fs::OpenOptions::new()
        .append(true)
        .open(&model)?
        .set_len(fs::metadata(&model)?.len() + 4096)?;
    refused(
        pinned(ground, &model, "1", &first.directory, PIN_BYTES)?,
        "another model",
    )?;
    drop(disk);
    Ok(())
}
