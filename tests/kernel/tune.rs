//! `tracer tune`, and settings of the machine that hold for a run.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use serde_json::Value;
use tests::{
    disk::{FileSystem, LoopDisk},
    model_file::ModelFile,
    reader::RunningProgram,
    run_record::RunRecord,
    surroundings::Surroundings,
    tracer::{self, TracerCall},
};

use crate::{
    ground::{Case, Ground, case},
    lifecycle::kill_often,
    models::make_expert_model,
};

/// What a machine may have, and no test sets.
const BEFORE_KB: u64 = 2560;
const LIMIT: Duration = Duration::from_secs(60);

pub fn cases() -> Vec<Case> {
    vec![
        case("tune::read_ahead", |ground, _| read_ahead(ground)),
        case("tune::queue_and_pinned_tensors", |ground, _| {
            queue_and_pinned_tensors(ground)
        }),
        case("tune::nothing_may_be_tried", |ground, _| {
            nothing_may_be_tried(ground)
        }),
        case("tune::setting_holds_for_the_run", |ground, _| {
            setting_holds_for_the_run(ground)
        }),
        case("tune::tracer_killed", |ground, _| tracer_killed(ground)),
        case("tune::tracer_and_keeper_killed", |ground, _| {
            tracer_and_keeper_killed(ground)
        }),
        case("tune::somebody_else_sets_it", |ground, _| {
            somebody_else_sets_it(ground)
        }),
        case("tune::interrupted", |ground, _| interrupted(ground)),
        case("tune::killed_at_random", |ground, _| {
            killed_at_random(ground)
        }),
    ]
}

fn tune<'a>(ground: &'a Ground, model: &Path, options: &[&str]) -> Result<TracerCall<'a>> {
    let mut call = TracerCall::bare(&ground.scratch, &["tune", "--memory-max", "90M"])?;
    let directory = call.directory().to_owned();
    call = call.option("--out", directory);
    for option in options {
        call = call.flag(option);
    }
    let tracer = tracer::binary()?;
    let model = model.to_string_lossy().into_owned();
    Ok(call.engine(&tracer, &["engine", "--model", &model, "--tokens", "6"]))
}

fn disk(ground: &Ground) -> Result<LoopDisk> {
    let disk = ground.disk(FileSystem::Ext4)?;
    disk.set_read_ahead_kb(BEFORE_KB)?;
    Ok(disk)
}

/// An engine that reads pages here and there under pressure: far less read-ahead makes it several times as fast.
fn read_ahead(ground: &Ground) -> Result<()> {
    let disk = disk(ground)?;
    let model = make_expert_model(ground, &disk)?;
    let options = [
        "--allow=read-ahead",
        "--budget=100s",
        "--repetitions=3",
        "--cool-down=0s",
    ];
    let run = tune(ground, &model, &options)?.run()?;
    let output = run.finished.succeeded()?;
    ensure!(
        output.contains("to make it lasting") || output.contains("To make it lasting"),
        "{output}"
    );
    let found: Value =
        serde_json::from_slice(&fs::read(run.directory.join("tune.json")).context("tune.json")?)?;
    let best = found["best"]["read_ahead_kb"].as_u64();
    ensure!(
        found["helps"] == true && best.is_some_and(|kb| kb <= 256),
        "{found:#}"
    );
    ensure!(
        found["factor"].as_f64().is_some_and(|factor| factor > 1.5),
        "{found:#}"
    );
    // The first run had what the machine has, and the engine of another got what was set.
    let mut seen = Vec::new();
    for entry in fs::read_dir(run.directory.join("runs"))? {
        let record = RunRecord::load(&entry?.path())?;
        let device = record.value("devices")?[0]["read_ahead_kb"].as_u64();
        seen.push(device.context("no read-ahead")?);
    }
    ensure!(
        seen.contains(&BEFORE_KB) && best.is_some_and(|best| seen.contains(&best)),
        "{seen:?}"
    );
    for name in ["report.html", "report.md", "experiment.json"] {
        ensure!(run.directory.join(name).is_file(), "no {name}");
    }
    put_back(&disk)
}

/// Schedulers, the queue's size and tensors in memory are tried one by one, each in a run that has it.
fn queue_and_pinned_tensors(ground: &Ground) -> Result<()> {
    let disk = disk(ground)?;
    let path = format!("/sys/block/{}/queue/", disk.name());
    let before = fs::read_to_string(format!("{path}scheduler"))?;
    let requests = fs::read_to_string(format!("{path}nr_requests"))?;
    let model = make_expert_model(ground, &disk)?;
    let options = [
        "--allow=scheduler,nr-requests",
        "--pin-budget=30M",
        "--budget=150s",
        "--repetitions=1",
        "--cool-down=0s",
    ];
    let run = tune(ground, &model, &options)?.run()?;
    run.finished.succeeded()?;
    let found: Value =
        serde_json::from_slice(&fs::read(run.directory.join("tune.json")).context("tune.json")?)?;
    let tried = found["tried"].as_array().context("nothing tried")?;
    let gave_a_figure = |member: &str, value: &str| {
        tried.iter().any(|tried| {
            let set = &tried[member];
            let is_set = set == value
                || set
                    .as_u64()
                    .is_some_and(|number| Ok(number) == value.parse());
            is_set && tried["median"].is_number()
        })
    };
    let requests_now: u64 = requests.trim().parse()?;
    for (member, value) in [
        ("pinned", "shared"),
        ("pinned", "hot"),
        ("scheduler", "mq-deadline"),
        ("nr_requests", &(requests_now / 4).to_string()),
    ] {
        ensure!(gave_a_figure(member, value), "{member} {value}: {found:#}");
    }
    let (mut pinned, mut scheduled) = (0, 0);
    for entry in fs::read_dir(run.directory.join("runs"))? {
        let record = RunRecord::load(&entry?.path())?;
        pinned += usize::from(
            record
                .value("pressure.pinned")
                .is_ok_and(|it| it.is_object()),
        );
        scheduled += usize::from(record.value("devices")?[0]["scheduler"] == "mq-deadline");
    }
    ensure!(
        pinned >= 2 && scheduled >= 1,
        "{pinned} and {scheduled} runs"
    );
    ensure!(
        fs::read_to_string(format!("{path}scheduler"))? == before
            && fs::read_to_string(format!("{path}nr_requests"))? == requests,
        "the queue is not as it was"
    );
    put_back(&disk)
}

fn put_back(disk: &LoopDisk) -> Result<()> {
    let now = disk.read_ahead_kb()?;
    ensure!(now == BEFORE_KB, "the read-ahead stays at {now} KiB");
    Ok(())
}

/// Nobody was asked, and the engine knows no option: that is said, with the way out, and nothing is left.
fn nothing_may_be_tried(ground: &Ground) -> Result<()> {
    let disk = disk(ground)?;
    let model = ModelFile::contiguous(&disk, "model", 1 << 20)?;
    let path = model.path().to_string_lossy().into_owned();
    let call = TracerCall::bare(&ground.scratch, &["tune", "--model", &path])?;
    let directory = call.directory().to_owned();
    let run = call
        .option("--out", &directory)
        .engine(Path::new("/bin/cat"), &[&path])
        .run()?;
    ensure!(
        run.finished.code() == 125
            && run.finished.errors.contains("--allow read-ahead")
            && run.finished.errors.contains("--try"),
        "{} {}",
        run.finished.code(),
        run.finished.errors
    );
    ensure!(!directory.exists(), "a folder is left behind");
    put_back(&disk)
}

/// The run of an engine that goes on until it is told to end, and its folder.
pub(crate) fn sleeping_engine(call: TracerCall) -> Result<(RunningProgram, std::path::PathBuf)> {
    let directory = call.directory().to_owned();
    let started = directory.join("engine.stdout");
    let running = call
        .engine(
            Path::new("/bin/sh"),
            &["-c", "echo started; exec sleep 100"],
        )
        .start()?;
    running.wait_until("the engine has started", LIMIT, |_| {
        fs::read_to_string(&started).is_ok_and(|text| text.contains("started"))
    })?;
    Ok((running, directory))
}

/// The same with another read-ahead.
fn begun(
    ground: &Ground,
    disk: &LoopDisk,
    kb: u64,
) -> Result<(RunningProgram, std::path::PathBuf)> {
    let model = ModelFile::contiguous(disk, "model", 1 << 20)?;
    let call =
        TracerCall::launch(&ground.scratch, model.path())?.option("--read-ahead", format!("{kb}K"));
    let (running, directory) = sleeping_engine(call)?;
    let now = disk.read_ahead_kb()?;
    ensure!(
        now == kb,
        "the read-ahead is {now} KiB while the engine runs"
    );
    Ok((running, directory))
}

fn setting_holds_for_the_run(ground: &Ground) -> Result<()> {
    let disk = disk(ground)?;
    let (running, directory) = begun(ground, &disk, 64)?;
    running.signal(Signal::SIGTERM)?;
    running.ended(LIMIT)?;
    put_back(&disk)?;
    let record = RunRecord::load(&directory)?;
    let set = &record.value("pressure.read_ahead")?[0];
    ensure!(
        set["set_kb"] == 64 && set["before_kb"] == BEFORE_KB,
        "{set}"
    );
    let device = &record.value("devices")?[0]["read_ahead_kb"];
    ensure!(*device == 64, "{device}");
    Ok(())
}

fn tracer_killed(ground: &Ground) -> Result<()> {
    let disk = disk(ground)?;
    let (running, _) = begun(ground, &disk, 64)?;
    running.signal(Signal::SIGKILL)?;
    running.ended(LIMIT)?;
    // By the process that keeps the setting, which sees that the tracer is gone.
    for _ in 0..100 {
        if disk.read_ahead_kb()? == BEFORE_KB {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    put_back(&disk)
}

fn tracer_and_keeper_killed(ground: &Ground) -> Result<()> {
    let disk = disk(ground)?;
    let (running, _) = begun(ground, &disk, 64)?;
    for keeper in keepers()? {
        kill(keeper, Signal::SIGKILL)?;
    }
    running.signal(Signal::SIGKILL)?;
    running.ended(LIMIT)?;
    ensure!(disk.read_ahead_kb()? == 64, "who has put it back?");
    // The next run finds it noted, says so, and puts it back before it does anything.
    let model = ModelFile::contiguous(&disk, "other", 1 << 20)?;
    let run = TracerCall::launch(&ground.scratch, model.path())?
        .engine(Path::new("/bin/true"), &[] as &[&str])
        .run()?;
    run.finished.succeeded()?;
    put_back(&disk)?;
    let notes = run.record()?.value("notes")?.to_string();
    ensure!(notes.contains("read_ahead_kb"), "{notes}");
    Ok(())
}

/// What somebody else has set meanwhile is not ours to undo.
fn somebody_else_sets_it(ground: &Ground) -> Result<()> {
    let disk = disk(ground)?;
    let (running, directory) = begun(ground, &disk, 64)?;
    disk.set_read_ahead_kb(512)?;
    running.signal(Signal::SIGTERM)?;
    running.ended(LIMIT)?;
    let now = disk.read_ahead_kb()?;
    ensure!(now == 512, "{now} KiB, and somebody else has set 512");
    let notes = RunRecord::load(&directory)?.value("notes")?.to_string();
    ensure!(notes.contains("somebody else has changed it"), "{notes}");
    Ok(())
}

/// Ctrl-C in the middle of a try: what was found is kept, and the setting is put back.
fn interrupted(ground: &Ground) -> Result<()> {
    let disk = disk(ground)?;
    let model = make_expert_model(ground, &disk)?;
    let call = tune(ground, &model, &["--allow=read-ahead"])?;
    let directory = call.directory().to_owned();
    let running = call.start()?;
    running.wait_until("another read-ahead is tried", LIMIT, |_| {
        disk.read_ahead_kb().is_ok_and(|kb| kb != BEFORE_KB)
    })?;
    running.signal(Signal::SIGINT)?;
    let finished = running.ended(LIMIT)?;
    ensure!(
        finished.code() == 130,
        "{}: {}",
        finished.code(),
        finished.errors
    );
    ensure!(
        finished.errors.contains("tracer experiment resume"),
        "{}",
        finished.errors
    );
    ensure!(directory.join("tune.json").is_file(), "no tune.json");
    put_back(&disk)
}

/// How often it is killed where nobody says otherwise, and within which time: a few of its tries.
const KILLS: u32 = 8;
const TRIES: Duration = Duration::from_secs(8);

/// SIGKILL at any moment: what is tried at that moment ends, and the disk has its read-ahead again.
fn killed_at_random(ground: &Ground) -> Result<()> {
    let disk = disk(ground)?;
    let model = ModelFile::contiguous(&disk, "model.gguf", 1 << 20)?;
    let before = Surroundings::observe()?;
    kill_often(KILLS, TRIES, &before, || {
        let path = model.path().to_string_lossy().into_owned();
        let call = TracerCall::bare(
            &ground.scratch,
            &[
                "tune",
                "--memory-max",
                "64M",
                "--allow=read-ahead",
                "--budget=100s",
                "--cool-down=0s",
                "--rate",
                "([0-9.]+)tok/s",
                "--model",
                &path,
            ],
        )?;
        let directory = call.directory().to_owned();
        let script = r#"dd if="$1" of=/dev/null bs=4096 status=none; echo 5tok/s"#;
        call.option("--out", directory)
            .engine(Path::new("/bin/sh"), &["-c", script, "sh", &path])
            .start()
    })?;
    for _ in 0..100 {
        if disk.read_ahead_kb()? == BEFORE_KB {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    put_back(&disk)?;
    // Control groups go with the next run.
    let call = TracerCall::launch(&ground.scratch, model.path())?.option("--memory-max", "64M");
    call.engine(Path::new("/bin/true"), &[] as &[&str])
        .run()?
        .finished
        .succeeded()?;
    Surroundings::check_nothing_left_since(&before)
}

/// Processes that keep settings. Tests take turns, so they are the test's own.
fn keepers() -> Result<Vec<Pid>> {
    let mut found = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let entry = entry?;
        let name = fs::read_to_string(entry.path().join("comm")).unwrap_or_default();
        if name.trim() == "settings-keeper"
            && let Some(pid) = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok())
        {
            found.push(Pid::from_raw(pid));
        }
    }
    ensure!(!found.is_empty(), "no process keeps the setting");
    Ok(found)
}
