//! Attach finds the process that has the model, out of what people know it by, and the model's files, out of what that
//! process has open.

use std::{
    fs,
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use tests::{
    disk::{FileSystem, LoopDisk},
    environment::{Cleanup, on_exit, unavailable},
    model_file::{ModelFile, content_at},
    plan::ReadPlan,
    reader::{ReadMode, ReaderCommand, RunningProgram},
    run_record::RunRecord,
    surroundings::Surroundings,
    tracer::TracerCall,
};

use crate::{
    ground::{Case, Ground, case, check_figures, check_sound},
    processes::{children, holds_open},
    shapes,
};

const LIMIT: Duration = Duration::from_secs(60);
const MODEL_BYTES: u64 = 1 << 20;

/// Starts its arguments as a child, with its own input, and waits for it.
const SERVE: &str = r#"exec 3<&0; "$@" <&3 & wait"#;

type Test = fn(&Ground, &LoopDisk, &ModelFile) -> Result<()>;

pub fn cases() -> Vec<Case> {
    let tests: [(&str, Test); 7] = [
        ("child_of_the_given_process", child_of_the_given_process),
        ("given_model_of_a_child", given_model_of_a_child),
        ("second_child_reads_on", second_child_reads_on),
        ("by_name", by_name),
        ("by_container", by_container),
        ("list", list),
        ("shards_in_a_hub_cache", shards_in_a_hub_cache),
    ];
    tests
        .into_iter()
        .map(|(name, test)| {
            case(format!("attach_target::{name}"), move |ground, _| {
                let disk = ground.disk(FileSystem::Ext4)?;
                let file = ModelFile::contiguous(&disk, "model.gguf", MODEL_BYTES)?;
                let before = Surroundings::observe()?;
                test(ground, &disk, &file)?;
                Surroundings::check_nothing_left_since(&before)
            })
        })
        .collect()
}

fn plan() -> ReadPlan {
    ReadPlan::sequential(MODEL_BYTES, 4096)
}

fn reader(ground: &Ground, file: &ModelFile) -> Result<ReaderCommand> {
    Ok(ground
        .reader(file, &plan(), ReadMode::Direct)?
        .option("--start-on-line"))
}

/// A shell whose child is a reader that has its file open and waits for a line.
fn serving(ground: &Ground, reader: &ReaderCommand, path: &Path) -> Result<(RunningProgram, u32)> {
    let mut command = Command::new("sh");
    command
        .args(["-c", SERVE, "sh"])
        .arg(reader.program())
        .args(reader.arguments());
    let server = RunningProgram::start(&ground.scratch, command)?;
    let child = || {
        children(server.process_id())
            .into_iter()
            .find(|child| holds_open(*child, path))
    };
    server.wait_until("its child has the model open", LIMIT, |_| child().is_some())?;
    let child = child().context("the child has gone")?;
    Ok((server, child))
}

/// Attaches, and waits until the tracer says that it traces.
fn attached(call: TracerCall<'_>) -> Result<(RunningProgram, PathBuf)> {
    let directory = call.directory().to_owned();
    let tracer = call.start()?;
    tracer.wait_until("it traces", LIMIT, |tracer| {
        tracer.errors_so_far().contains("tracing process")
    })?;
    Ok((tracer, directory))
}

/// `attach` with its output folder, and nothing said of whom to attach to.
fn call(ground: &Ground) -> Result<TracerCall<'_>> {
    let call = TracerCall::bare(&ground.scratch, &["attach"])?;
    let directory = call.directory().to_owned();
    Ok(call.option("--out", directory))
}

fn check_counter(record: &RunRecord) -> Result<()> {
    let by_counter = record.count("devices.0.statistics_sectors_read")? * 512;
    let by_tracer = record.count("devices.0.read_bytes")?;
    ensure!(
        by_counter == by_tracer && by_tracer >= MODEL_BYTES,
        "the tracer counted {by_tracer} bytes, the device's own counter {by_counter}"
    );
    Ok(())
}

fn check_noted(record: &RunRecord, words: &str) -> Result<()> {
    let notes = record.value("notes")?.to_string();
    ensure!(notes.contains(words), "no note says {words:?}: {notes}");
    Ok(())
}

/// The reader that the server has started reads its file once under the tracer, and the record has exactly that.
fn traced(
    call: TracerCall<'_>,
    mut server: RunningProgram,
    child: u32,
    file: &ModelFile,
    disk: &LoopDisk,
) -> Result<RunRecord> {
    let (tracer, directory) = attached(call)?;
    ensure!(
        tracer
            .errors_so_far()
            .contains(&format!("tracing process {child} ")),
        "another process is traced: {}",
        tracer.errors_so_far()
    );
    server.send_line("go")?;
    server.finish(LIMIT)?.succeeded()?;
    tracer.finish(LIMIT)?.succeeded()?;
    let record = RunRecord::load(&directory)?;
    check_figures(
        &record,
        &shapes::expected(&plan(), ReadMode::Direct, file, disk)?,
    )?;
    check_sound(&record)?;
    check_counter(&record)?;
    let path = record.text("model.path")?;
    ensure!(path == file.path().to_string_lossy(), "the model is {path}");
    Ok(record)
}

fn child_of_the_given_process(ground: &Ground, disk: &LoopDisk, file: &ModelFile) -> Result<()> {
    let (server, child) = serving(ground, &reader(ground, file)?, file.path())?;
    let call = TracerCall::attach(&ground.scratch, server.process_id())?;
    let parent = server.process_id();
    let record = traced(call, server, child, file, disk)?;
    check_noted(
        &record,
        &format!("process {parent} has no model open itself: its descendant {child} "),
    )
}

/// The model is named too: the process that has this one is traced.
fn given_model_of_a_child(ground: &Ground, disk: &LoopDisk, file: &ModelFile) -> Result<()> {
    let (server, child) = serving(ground, &reader(ground, file)?, file.path())?;
    let call =
        TracerCall::attach(&ground.scratch, server.process_id())?.option("--model", file.path());
    traced(call, server, child, file, disk).map(drop)
}

/// Two children have the model; the one that is watched ends, and the other one reads after that.
fn second_child_reads_on(ground: &Ground, disk: &LoopDisk, file: &ModelFile) -> Result<()> {
    const TWO: &str = r#"exec 3<&0; model=$1; shift; (exec sleep 5 <"$model") & "$@" <&3 & wait"#;
    let reader = reader(ground, file)?;
    let mut command = Command::new("sh");
    command
        .args(["-c", TWO, "sh"])
        .arg(file.path())
        .arg(reader.program())
        .args(reader.arguments());
    let mut server = RunningProgram::start(&ground.scratch, command)?;
    server.wait_until("both have the model open", LIMIT, |server| {
        let children = children(server.process_id());
        children.len() == 2 && children.iter().all(|child| holds_open(*child, file.path()))
    })?;
    let (tracer, directory) = attached(TracerCall::attach(&ground.scratch, server.process_id())?)?;
    server.wait_until("the first has ended", LIMIT, |server| {
        children(server.process_id()).len() == 1
    })?;
    std::thread::sleep(Duration::from_millis(500));
    server.send_line("go")?;
    server.finish(LIMIT)?.succeeded()?;
    tracer.finish(LIMIT)?.succeeded()?;
    let record = RunRecord::load(&directory)?;
    check_figures(
        &record,
        &shapes::expected(&plan(), ReadMode::Direct, file, disk)?,
    )?;
    check_sound(&record)?;
    check_counter(&record)?;
    ensure!(
        record.is_null("process.major_faults")?,
        "faults of two processes were subtracted: {}",
        record.value("process.major_faults")?
    );
    check_noted(&record, "1 more of its processes have the model open")?;
    check_noted(&record, "had the model open, which was traced from then on")
}

/// Runs under a name of its own, so that no other process has it.
fn by_name(ground: &Ground, disk: &LoopDisk, file: &ModelFile) -> Result<()> {
    let reader = reader(ground, file)?;
    let name = format!("tracer-tests-engine-{}", std::process::id());
    let script = ground.scratch.fresh_directory("bin")?.join(&name);
    fs::write(&script, SERVE).context("write a script")?;
    let mut command = Command::new("sh");
    command
        .arg(&script)
        .arg(reader.program())
        .args(reader.arguments());
    let server = RunningProgram::start(&ground.scratch, command)?;
    let child = || {
        children(server.process_id())
            .into_iter()
            .find(|child| holds_open(*child, file.path()))
    };
    server.wait_until("its child has the model open", LIMIT, |_| child().is_some())?;
    let child = child().context("the child has gone")?;
    traced(
        call(ground)?.option("--name", &name),
        server,
        child,
        file,
        disk,
    )?;
    let run = call(ground)?.option("--name", name).run()?;
    ensure!(
        run.finished.code() == 125 && run.finished.errors.contains("no process is called"),
        "nobody is called so any more:\n{}",
        run.finished.errors
    );
    Ok(())
}

/// A control group that is named as Docker names those of its containers.
struct Group {
    id: String,
    _removal: Cleanup,
}

impl Group {
    /// Puts a program and its children into a new one.
    fn with(program: &RunningProgram) -> Result<Self> {
        let root = ["/sys/fs/cgroup/pids", "/sys/fs/cgroup"]
            .map(Path::new)
            .into_iter()
            .find(|root| root.join("cgroup.procs").exists())
            .ok_or_else(|| unavailable("there are no control groups here"))?;
        let id = format!("{:064x}", u128::from(std::process::id()) << 64 | 0xc0_ffee);
        let path = root.join(format!("docker-{id}.scope"));
        fs::create_dir(&path).with_context(|| format!("make {}", path.display()))?;
        let removal = on_exit({
            let path = path.clone();
            move || {
                let _ = fs::remove_dir(&path);
            }
        });
        for process_id in [vec![program.process_id()], children(program.process_id())].concat() {
            fs::write(path.join("cgroup.procs"), process_id.to_string())
                .with_context(|| format!("move {process_id} into {}", path.display()))?;
        }
        Ok(Self {
            id,
            _removal: removal,
        })
    }
}

fn by_container(ground: &Ground, disk: &LoopDisk, file: &ModelFile) -> Result<()> {
    let (server, child) = serving(ground, &reader(ground, file)?, file.path())?;
    let group = Group::with(&server)?;
    let beginning = group.id.get(..60).context("a long id")?.to_owned();
    traced(
        call(ground)?.option("--container", beginning),
        server,
        child,
        file,
        disk,
    )
    .map(drop)
}

/// Without a terminal nobody is asked: the list is printed.
fn list(ground: &Ground, _: &LoopDisk, file: &ModelFile) -> Result<()> {
    let (server, child) = serving(ground, &reader(ground, file)?, file.path())?;
    let run = call(ground)?.run()?;
    let line = run
        .finished
        .output
        .lines()
        .find(|line| line.contains(&format!(" {child} ")))
        .with_context(|| format!("{child} is not listed:\n{}", run.finished.output))?;
    ensure!(
        line.contains("scripted_reader") && line.ends_with("model.gguf (1.00 MiB)"),
        "{line}"
    );
    ensure!(
        run.finished.code() == 2 && run.finished.output.contains("tracer attach --pid"),
        "{}:\n{}",
        run.finished.code(),
        run.finished.output
    );
    ensure!(!run.directory.exists(), "a run was begun");
    drop(server);
    Ok(())
}

/// The process has a blob open whose name says nothing; the model is all that its snapshot's index names.
fn shards_in_a_hub_cache(ground: &Ground, disk: &LoopDisk, _: &ModelFile) -> Result<()> {
    let repository = disk.mount_point().join("models--someone--sharded");
    let snapshot = repository.join("snapshots/0123abcd");
    fs::create_dir_all(repository.join("blobs")).context("make the blobs' folder")?;
    fs::create_dir_all(&snapshot).context("make the snapshot's folder")?;
    let mut blobs = Vec::new();
    for (number, tensor) in (1u64..).zip(["model.embed_tokens.weight", "lm_head.weight"]) {
        let blob = repository.join("blobs").join(format!("{number:064x}"));
        let header = format!(
            r#"{{"{tensor}":{{"dtype":"U8","shape":[{MODEL_BYTES}],"data_offsets":[0,{MODEL_BYTES}]}}}}"#
        );
        let header = format!("{header:<4088}");
        let mut content = vec![0; usize::try_from(MODEL_BYTES)?];
        content_at(0, &mut content);
        let file = [
            &(header.len() as u64).to_le_bytes()[..],
            header.as_bytes(),
            &content,
        ]
        .concat();
        fs::write(&blob, file).context("write a blob")?;
        let name = format!("model-{number:05}-of-00002.safetensors");
        symlink(format!("../../blobs/{number:064x}"), snapshot.join(name)).context("link")?;
        blobs.push(ModelFile::existing(blob)?);
    }
    fs::write(
        snapshot.join("model.safetensors.index.json"),
        r#"{"weight_map": {"model.embed_tokens.weight": "model-00001-of-00002.safetensors", "lm_head.weight": "model-00002-of-00002.safetensors"}}"#,
    )
    .context("write the index")?;
    let second = blobs.last().context("two blobs")?;
    let plan = ReadPlan::sequential(second.size_bytes(), 4096);
    let reader = ground
        .reader(second, &plan, ReadMode::Direct)?
        .option("--start-on-line");
    let mut program = ground.start_reader(&reader)?;
    program.wait_until("it has the blob open", LIMIT, |program| {
        holds_open(program.process_id(), second.path())
    })?;
    let (tracer, directory) = attached(TracerCall::attach(&ground.scratch, program.process_id())?)?;
    program.send_line("go")?;
    program.finish(LIMIT)?.succeeded()?;
    tracer.finish(LIMIT)?.succeeded()?;
    let record = RunRecord::load(&directory)?;
    check_figures(
        &record,
        &shapes::expected(&plan, ReadMode::Direct, second, disk)?,
    )?;
    check_sound(&record)?;
    check_counter(&record)?;
    let files = record.value("model.files")?.as_array().map_or(0, Vec::len);
    ensure!(
        files == 2
            && record.text("model.path")? == "model.safetensors"
            && record.text("model.format")? == "safetensors"
            && record
                .text("model.files.1.path")?
                .ends_with("snapshots/0123abcd/model-00002-of-00002.safetensors"),
        "the model is {}",
        record.value("model")?
    );
    Ok(())
}
