//! How runs begin and end: each a clear error or a marked record, and nothing left behind.

use std::{
    fs,
    os::unix::{fs::PermissionsExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use tests::{
    disk::{FileSystem, LoopDisk},
    model_file::ModelFile,
    plan::ReadPlan,
    reader::{Finished, ReadMode, ReaderCommand, ReaderReport, RunningProgram},
    run_record::RunRecord,
    surroundings::Surroundings,
    tracer::{self, TracerCall},
};

use crate::{
    ground::{
        Case, Ground, Traced, case, check_content, check_figures, check_no_violation, check_sound,
    },
    shapes,
};

/// The tracer itself failed.
const FAILED: i32 = 125;
const LIMIT: Duration = Duration::from_secs(60);
const MODEL_BYTES: u64 = 1 << 20;

type Test = fn(&Ground, &LoopDisk, &ModelFile) -> Result<()>;

pub fn cases() -> Vec<Case> {
    let tests: [(&str, Test); 21] = [
        ("status_of_the_command", status_of_the_command),
        ("command_killed_by_a_signal", command_killed_by_a_signal),
        ("command_that_does_not_exist", command_that_does_not_exist),
        ("command_that_cannot_be_run", command_that_cannot_be_run),
        ("interrupt", |ground, disk, file| {
            stopped_by(ground, disk, file, Signal::SIGINT)
        }),
        ("terminate", |ground, disk, file| {
            stopped_by(ground, disk, file, Signal::SIGTERM)
        }),
        ("killed_tracer", killed_tracer),
        ("model_that_does_not_exist", model_that_does_not_exist),
        ("model_that_is_a_directory", model_that_is_a_directory),
        ("model_that_is_empty", model_that_is_empty),
        ("out_with_a_run_in_it", out_with_a_run_in_it),
        ("attach_for_a_time", attach_for_a_time),
        ("attach_to_the_end", attach_to_the_end),
        ("attach_until_interrupt", attach_until_interrupt),
        ("attach_finds_the_model", attach_finds_the_model),
        ("attach_without_model_files", attach_without_model_files),
        ("attach_to_nobody", attach_to_nobody),
        ("calling_user", calling_user),
        ("no_privileges", no_privileges),
        ("locked_memory", locked_memory),
        ("memory_limit", memory_limit),
    ];
    tests
        .into_iter()
        .map(|(name, test)| {
            case(format!("lifecycle::{name}"), move |ground, _| {
                let disk = ground.disk(FileSystem::Ext4)?;
                // Named as a model is, so that attach finds it.
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

fn direct_reader(ground: &Ground, file: &ModelFile) -> Result<ReaderCommand> {
    ground.reader(file, &plan(), ReadMode::Direct)
}

/// The tracer ended with this status, and said these things on standard error.
fn check_said(finished: &Finished, code: i32, words: &[&str]) -> Result<()> {
    ensure!(
        finished.code() == code,
        "the status is {}, not {code}:\n{}\n{}",
        finished.code(),
        finished.output.trim_end(),
        finished.errors.trim_end()
    );
    for word in words {
        ensure!(
            finished.errors.contains(word),
            "it does not say {word:?}:\n{}",
            finished.errors
        );
    }
    Ok(())
}

fn status_of_the_command(ground: &Ground, disk: &LoopDisk, file: &ModelFile) -> Result<()> {
    let reader = direct_reader(ground, file)?.option_with("--exit-with", 7);
    let run = TracerCall::launch(&ground.scratch, file.path())?
        .reader(&reader)
        .run()?;
    check_said(&run.finished, 7, &[])?;
    let record = run.record()?;
    ensure!(
        record.count("exit.code")? == 7,
        "exit.code is {}",
        record.value("exit.code")?
    );
    check_figures(
        &record,
        &shapes::expected(&plan(), ReadMode::Direct, file, disk)?,
    )?;
    check_sound(&record)?;
    // The engine's own output is passed through, and kept.
    let report = ReaderReport::find_in(&run.finished.output)?;
    check_content(&report, file, &plan())?;
    let mut kept = 0;
    for entry in fs::read_dir(&run.directory).context("list the run's folder")? {
        let text =
            fs::read_to_string(entry.context("list the run's folder")?.path()).unwrap_or_default();
        kept += u32::from(ReaderReport::find_in(&text).is_ok_and(|kept| kept == report));
    }
    ensure!(
        kept == 1,
        "the engine's output is in {kept} files of the run"
    );
    Ok(())
}

fn command_killed_by_a_signal(ground: &Ground, _: &LoopDisk, file: &ModelFile) -> Result<()> {
    let run = TracerCall::launch(&ground.scratch, file.path())?
        .engine(Path::new("/bin/sh"), &["-c", "kill -9 $$"])
        .run()?;
    check_said(&run.finished, 128 + 9, &[])?;
    let record = run.record()?;
    ensure!(
        record.is_null("exit.code")?,
        "exit.code is {}",
        record.value("exit.code")?
    );
    ensure!(
        record.count("exit.signal")? == 9,
        "exit.signal is {}",
        record.value("exit.signal")?
    );
    ensure!(
        record.count("reads.count")? == 0,
        "{} reads",
        record.count("reads.count")?
    );
    Ok(())
}

/// Nothing was begun: no folder, no record.
fn check_untouched(directory: &Path) -> Result<()> {
    ensure!(!directory.exists(), "{} was made", directory.display());
    Ok(())
}

fn command_that_does_not_exist(ground: &Ground, _: &LoopDisk, file: &ModelFile) -> Result<()> {
    let run = TracerCall::launch(&ground.scratch, file.path())?
        .engine(Path::new("/there/is/no/engine"), &["x"])
        .run()?;
    check_said(&run.finished, 127, &["/there/is/no/engine"])?;
    check_untouched(&run.directory)
}

fn command_that_cannot_be_run(ground: &Ground, _: &LoopDisk, file: &ModelFile) -> Result<()> {
    let program = ground.scratch.fresh_path("no-program");
    fs::write(&program, "not executable").context("write a file")?;
    let run = TracerCall::launch(&ground.scratch, file.path())?
        .engine(&program, &["x"])
        .run()?;
    check_said(&run.finished, 126, &[&program.to_string_lossy()])?;
    check_untouched(&run.directory)
}

/// Starts a traced reader that reads until it is stopped, and waits until it reads.
fn start_endless(ground: &Ground, file: &ModelFile) -> Result<(RunningProgram, PathBuf)> {
    let reader = direct_reader(ground, file)?.option("--until-input-closes");
    let call = TracerCall::launch(&ground.scratch, file.path())?.reader(&reader);
    let directory = call.directory().to_owned();
    let tracer = call.start()?;
    tracer.wait_until("the reader reads", LIMIT, |tracer| {
        descendants(tracer.process_id())
            .iter()
            .any(|process| crate::losses::holds_open(*process, file.path()))
    })?;
    thread::sleep(Duration::from_millis(300));
    Ok((tracer, directory))
}

fn stopped_by(ground: &Ground, _: &LoopDisk, file: &ModelFile, signal: Signal) -> Result<()> {
    let (tracer, directory) = start_endless(ground, file)?;
    tracer.signal(signal)?;
    // The reader has the tracer's input: closed, it would end by itself.
    let finished = tracer.ended(LIMIT)?;
    check_said(&finished, 128 + signal as i32, &[])?;
    let record = RunRecord::load(&directory)?;
    ensure!(
        record.flag("partial")?,
        "the record does not call itself partial"
    );
    let reason = record.text("partial_reason")?;
    ensure!(reason.contains(signal.as_str()), "the reason is {reason:?}");
    ensure!(
        record.count("reads.unique_bytes")? == MODEL_BYTES,
        "{}",
        record.value("reads")?
    );
    check_no_violation(&record)?;
    let report = fs::read_to_string(directory.join("report.md")).context("read report.md")?;
    ensure!(
        report.to_lowercase().contains("partial"),
        "report.md does not say that it is partial:\n{report}"
    );
    Ok(())
}

/// Killed, it can clean up nothing itself: the kernel must.
fn killed_tracer(ground: &Ground, _: &LoopDisk, file: &ModelFile) -> Result<()> {
    let (tracer, directory) = start_endless(ground, file)?;
    tracer.signal(Signal::SIGKILL)?;
    tracer.ended(LIMIT)?;
    ensure!(
        !directory.join("run.json").exists(),
        "a killed tracer wrote a record"
    );
    Ok(())
}

/// The engine must not even start on a model that is none.
fn refused_model(ground: &Ground, model: &Path, words: &[&str]) -> Result<()> {
    let mark = ground.scratch.fresh_path("the-engine-ran");
    let run = TracerCall::launch(&ground.scratch, model)?
        .engine(Path::new("/bin/touch"), &[&mark])
        .run()?;
    let path = model.to_string_lossy();
    check_said(&run.finished, FAILED, &[&[path.as_ref()], words].concat())?;
    ensure!(!mark.exists(), "the engine was started");
    check_untouched(&run.directory)
}

fn model_that_does_not_exist(ground: &Ground, disk: &LoopDisk, _: &ModelFile) -> Result<()> {
    refused_model(
        ground,
        &disk.mount_point().join("none.gguf"),
        &["does not exist"],
    )
}

fn model_that_is_a_directory(ground: &Ground, disk: &LoopDisk, _: &ModelFile) -> Result<()> {
    refused_model(ground, disk.mount_point(), &["directory"])
}

fn model_that_is_empty(ground: &Ground, disk: &LoopDisk, _: &ModelFile) -> Result<()> {
    let path = disk.mount_point().join("empty.gguf");
    fs::write(&path, "").context("make an empty file")?;
    refused_model(ground, &path, &["empty"])
}

fn out_with_a_run_in_it(ground: &Ground, _: &LoopDisk, file: &ModelFile) -> Result<()> {
    let call =
        TracerCall::launch(&ground.scratch, file.path())?.reader(&direct_reader(ground, file)?);
    let directory = call.directory().to_owned();
    fs::create_dir(&directory).context("make the folder")?;
    fs::write(directory.join("run.json"), "kept").context("write a record")?;
    let run = call.run()?;
    check_said(
        &run.finished,
        FAILED,
        &[&directory.to_string_lossy(), "--out"],
    )?;
    let kept = fs::read_to_string(directory.join("run.json")).context("read the record")?;
    ensure!(
        kept == "kept",
        "the record of an earlier run was overwritten"
    );
    Ok(())
}

/// A reader that runs, has its file open, and waits for a line.
fn waiting_reader(ground: &Ground, file: &ModelFile, options: &[&str]) -> Result<RunningProgram> {
    let reader = options.iter().fold(
        direct_reader(ground, file)?.option("--start-on-line"),
        |reader, option| reader.option(option),
    );
    let program = ground.start_reader(&reader)?;
    program.wait_until("it has the model open", LIMIT, |program| {
        crate::losses::holds_open(program.process_id(), file.path())
    })?;
    Ok(program)
}

/// Attaches, and waits until the tracer says that it traces.
fn attached(call: TracerCall<'_>) -> Result<(RunningProgram, PathBuf)> {
    let directory = call.directory().to_owned();
    let tracer = call.start()?;
    wait_until_attached(&tracer)?;
    Ok((tracer, directory))
}

/// Waits until the number of the tracer's eBPF links has not changed for a while: the gate opens right
/// after the last one.
fn wait_until_attached(tracer: &RunningProgram) -> Result<()> {
    let links = || -> usize {
        fs::read_dir(format!("/proc/{}/fdinfo", tracer.process_id()))
            .into_iter()
            .flatten()
            .flatten()
            .filter(|entry| {
                fs::read_to_string(entry.path())
                    .is_ok_and(|text| text.contains("link_id:") || text.contains("prog_id:"))
            })
            .count()
    };
    let deadline = Instant::now() + LIMIT;
    let mut since = (0, Instant::now());
    loop {
        let now = links();
        if now != since.0 {
            since = (now, Instant::now());
        }
        if now > 0 && since.1.elapsed() > Duration::from_millis(500) {
            return Ok(());
        }
        ensure!(
            tracer.is_running()? && Instant::now() < deadline,
            "the tracer attached nothing; it says\n{}",
            tracer.errors_so_far()
        );
        thread::sleep(Duration::from_millis(20));
    }
}

fn attach_for_a_time(ground: &Ground, disk: &LoopDisk, file: &ModelFile) -> Result<()> {
    let mut program = waiting_reader(ground, file, &["--hold", "30"])?;
    let (tracer, directory) = attached(
        TracerCall::attach(&ground.scratch, program.process_id())?
            .option("--model", file.path())
            .option("--duration", "3s"),
    )?;
    program.send_line("go")?;
    let finished = tracer.finish(LIMIT)?;
    check_said(&finished, 0, &[])?;
    let record = RunRecord::load(&directory)?;
    check_figures(
        &record,
        &shapes::expected(&plan(), ReadMode::Direct, file, disk)?,
    )?;
    check_sound(&record)?;
    // Left as it was: it runs, nobody traces or stops it.
    ensure!(program.is_running()?, "the process ended with the tracer");
    let status = fs::read_to_string(format!("/proc/{}/status", program.process_id()))
        .context("read its status")?;
    ensure!(
        status.contains("TracerPid:\t0") && status.contains("State:\tS"),
        "the process is not as it was:\n{status}"
    );
    check_content(
        &ReaderReport::find_in(&program.output_so_far())?,
        file,
        &plan(),
    )
}

fn attach_to_the_end(ground: &Ground, disk: &LoopDisk, file: &ModelFile) -> Result<()> {
    let mut program = waiting_reader(ground, file, &[])?;
    let (tracer, directory) = attached(
        TracerCall::attach(&ground.scratch, program.process_id())?.option("--model", file.path()),
    )?;
    program.send_line("go")?;
    program.finish(LIMIT)?.succeeded()?;
    check_said(&tracer.finish(LIMIT)?, 0, &[])?;
    let record = RunRecord::load(&directory)?;
    check_figures(
        &record,
        &shapes::expected(&plan(), ReadMode::Direct, file, disk)?,
    )?;
    check_sound(&record)
}

fn attach_until_interrupt(ground: &Ground, _: &LoopDisk, file: &ModelFile) -> Result<()> {
    let mut program = waiting_reader(ground, file, &["--until-input-closes"])?;
    let (tracer, directory) = attached(
        TracerCall::attach(&ground.scratch, program.process_id())?.option("--model", file.path()),
    )?;
    program.send_line("go")?;
    thread::sleep(Duration::from_millis(300));
    tracer.signal(Signal::SIGINT)?;
    check_said(&tracer.finish(LIMIT)?, 0, &[])?;
    ensure!(program.is_running()?, "the process ended with the tracer");
    let record = RunRecord::load(&directory)?;
    ensure!(
        record.flag("partial")?,
        "the record does not call itself partial"
    );
    ensure!(
        record.count("reads.unique_bytes")? == MODEL_BYTES,
        "{}",
        record.value("reads")?
    );
    check_no_violation(&record)?;
    let finished = program.finish(LIMIT)?;
    finished.succeeded()?;
    Ok(())
}

fn attach_finds_the_model(ground: &Ground, disk: &LoopDisk, file: &ModelFile) -> Result<()> {
    let mut program = waiting_reader(ground, file, &[])?;
    let (tracer, directory) = attached(TracerCall::attach(&ground.scratch, program.process_id())?)?;
    program.send_line("go")?;
    program.finish(LIMIT)?.succeeded()?;
    check_said(&tracer.finish(LIMIT)?, 0, &[])?;
    let record = RunRecord::load(&directory)?;
    let path = record.text("model.path")?;
    ensure!(path == file.path().to_string_lossy(), "the model is {path}");
    check_figures(
        &record,
        &shapes::expected(&plan(), ReadMode::Direct, file, disk)?,
    )
}

fn attach_without_model_files(ground: &Ground, _: &LoopDisk, _: &ModelFile) -> Result<()> {
    let mut command = std::process::Command::new("/bin/sleep");
    command.arg("60");
    let program = RunningProgram::start(&ground.scratch, command)?;
    let run = TracerCall::attach(&ground.scratch, program.process_id())?.run()?;
    check_said(&run.finished, FAILED, &["no model file", "--model"])?;
    check_untouched(&run.directory)
}

fn attach_to_nobody(ground: &Ground, _: &LoopDisk, file: &ModelFile) -> Result<()> {
    let mut command = std::process::Command::new("/bin/true");
    command.arg("x");
    let program = RunningProgram::start(&ground.scratch, command)?;
    let process_id = program.process_id();
    program.finish(LIMIT)?;
    let run = TracerCall::attach(&ground.scratch, process_id)?
        .option("--model", file.path())
        .run()?;
    check_said(&run.finished, FAILED, &[&process_id.to_string()])?;
    check_untouched(&run.directory)
}

/// Some user who is not root; it needs no entry in any database.
const SOMEBODY: u32 = 54_321;

/// Called through sudo, the engine runs as the calling user, and what is written is that user's.
fn calling_user(ground: &Ground, _: &LoopDisk, file: &ModelFile) -> Result<()> {
    let folder = open_folder()?;
    let reader = direct_reader(ground, file)?.option("--print-identity");
    let program = folder.path.join("scripted_reader");
    fs::copy(reader.program(), &program).context("copy the reader")?;
    let plan_path = folder.path.join("plan");
    fs::write(&plan_path, plan().to_text()).context("write the plan")?;
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644))
        .context("let everybody read the model")?;
    // The scratch folder may lie where this user cannot go; the mount itself is then shown elsewhere.
    let shown = folder.path.join("disk");
    fs::create_dir(&shown).context("make a folder")?;
    let mount_point = file.path().parent().context("the model lies on a disk")?;
    let _shown = Bound::new(mount_point, &shown)?;
    let model = shown.join(file.path().file_name().context("the model has a name")?);
    let arguments = [
        model.as_os_str(),
        "--plan".as_ref(),
        plan_path.as_os_str(),
        "--mode".as_ref(),
        "direct".as_ref(),
        "--print-identity".as_ref(),
    ];
    let run = TracerCall::launch(&ground.scratch, &model)?
        .engine(&program, &arguments)
        .adjusted(|command| {
            command
                .current_dir("/")
                .env("SUDO_UID", SOMEBODY.to_string())
                .env("SUDO_GID", SOMEBODY.to_string());
        })
        .run()?;
    let directory = run.directory.clone();
    let traced = Traced::of(run)?;
    let identity = traced
        .report
        .identity
        .context("the reader does not say as whom it ran")?;
    ensure!(
        (identity.uid, identity.gid) == (SOMEBODY, SOMEBODY)
            && identity.groups.iter().all(|group| *group == SOMEBODY)
            && identity
                .effective_capabilities
                .trim_start_matches('0')
                .is_empty(),
        "the engine ran as {identity:?}"
    );
    for entry in fs::read_dir(&directory).context("list the run's folder")? {
        let entry = entry.context("list the run's folder")?;
        let owner =
            std::os::unix::fs::MetadataExt::uid(&entry.metadata().context("look at a file")?);
        ensure!(
            owner == SOMEBODY,
            "{} belongs to {owner}",
            entry.path().display()
        );
    }
    check_sound(&traced.record)
}

/// A plain user gets told what is missing, before anything is touched.
fn no_privileges(ground: &Ground, _: &LoopDisk, file: &ModelFile) -> Result<()> {
    let folder = open_folder()?;
    let copy = folder.path.join("tracer");
    fs::copy(tracer::binary()?, &copy).context("copy the tracer")?;
    let mark = folder.path.join("the-engine-ran");
    let out = folder.path.join("run");
    let mut command = std::process::Command::new(&copy);
    command
        .args([
            Path::new("launch"),
            Path::new("--model"),
            file.path(),
            Path::new("--out"),
            &out,
        ])
        .args([Path::new("--"), Path::new("/bin/touch"), &mark])
        .current_dir("/")
        .uid(SOMEBODY)
        .gid(SOMEBODY);
    let finished = RunningProgram::start(&ground.scratch, command)?.finish(LIMIT)?;
    check_said(&finished, FAILED, &["tracer doctor", "MISSING", "root"])?;
    ensure!(
        !mark.exists() && !out.exists(),
        "something was touched all the same"
    );

    let mut doctor = std::process::Command::new(&copy);
    doctor
        .arg("doctor")
        .current_dir("/")
        .uid(SOMEBODY)
        .gid(SOMEBODY);
    let doctor = RunningProgram::start(&ground.scratch, doctor)?.finish(LIMIT)?;
    ensure!(
        doctor.code() == 1,
        "doctor ends with {}: {}",
        doctor.code(),
        doctor.output
    );
    // The same words: each line of the error is one of doctor's.
    for line in finished
        .errors
        .lines()
        .filter(|line| line.contains("MISSING"))
    {
        ensure!(
            doctor.output.contains(line.trim()),
            "doctor does not say {line:?}:\n{}",
            doctor.output
        );
    }
    Ok(())
}

fn locked_memory(ground: &Ground, disk: &LoopDisk, file: &ModelFile) -> Result<()> {
    let run = TracerCall::launch(&ground.scratch, file.path())?
        .option("--lock", "64M")
        .reader(&direct_reader(ground, file)?)
        .run()?;
    let traced = Traced::of(run)?;
    let locked = traced.record.count("pressure.locked_bytes")?;
    ensure!(locked >= 64 << 20, "{locked} bytes were locked");
    check_figures(
        &traced.record,
        &shapes::expected(&plan(), ReadMode::Direct, file, disk)?,
    )?;
    check_sound(&traced.record)
}

fn memory_limit(ground: &Ground, disk: &LoopDisk, file: &ModelFile) -> Result<()> {
    let run = TracerCall::launch(&ground.scratch, file.path())?
        .option("--memory-max", "64M")
        .reader(&direct_reader(ground, file)?)
        .run()?;
    let traced = Traced::of(run)?;
    let limit = traced.record.count("pressure.cgroup.limit_bytes")?;
    ensure!(limit == 64 << 20, "the limit is {limit}");
    check_figures(
        &traced.record,
        &shapes::expected(&plan(), ReadMode::Direct, file, disk)?,
    )?;
    check_sound(&traced.record)
}

/// A folder that everybody can reach, removed on drop.
struct OpenFolder {
    path: PathBuf,
    _cleanup: tests::environment::Cleanup,
}

fn open_folder() -> Result<OpenFolder> {
    let path = std::env::temp_dir().join(format!("tracer-tests-{}", std::process::id()));
    let cleanup = tests::environment::on_exit({
        let path = path.clone();
        move || {
            let _ = fs::remove_dir_all(path);
        }
    });
    fs::create_dir(&path).with_context(|| format!("make {}", path.display()))?;
    std::os::unix::fs::chown(&path, Some(SOMEBODY), Some(SOMEBODY))
        .context("give the folder away")?;
    Ok(OpenFolder {
        path,
        _cleanup: cleanup,
    })
}

/// A folder shown at a second place, until it is dropped.
struct Bound {
    _cleanup: tests::environment::Cleanup,
}

impl Bound {
    fn new(from: &Path, to: &Path) -> Result<Self> {
        nix::mount::mount(
            Some(from),
            to,
            None::<&str>,
            nix::mount::MsFlags::MS_BIND,
            None::<&str>,
        )
        .with_context(|| format!("show {} at {}", from.display(), to.display()))?;
        let to = to.to_owned();
        Ok(Self {
            _cleanup: tests::environment::on_exit(move || {
                let _ = nix::mount::umount(&to);
            }),
        })
    }
}

/// All processes below one.
fn descendants(process_id: u32) -> Vec<u32> {
    let mut all = crate::losses::children(process_id);
    let mut next = 0;
    while let Some(child) = all.get(next).copied() {
        all.extend(crate::losses::children(child));
        next += 1;
    }
    all
}
