//! Models that only the traced process can name: on a file system that only its mount namespace has, in a layer of its
//! root, or without any name.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use nix::mount::{MntFlags, umount2};
use tests::{
    disk::{FileSystem, LoopDisk},
    model_file::ModelFile,
    plan::{ExpectedFigures, ReadPlan},
    reader::{ReadMode, ReaderCommand, RunningProgram},
    run_record::RunRecord,
    tracer::TracerCall,
};

use crate::{
    ground::{Case, FILE_SYSTEMS, Ground, case, check_figures, check_sound},
    shapes,
};

const LIMIT: Duration = Duration::from_secs(60);
const MODEL_BYTES: u64 = 2 << 20;

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for file_system in FILE_SYSTEMS {
        cases.push(case(
            format!("attach_mounts::private_{file_system}"),
            move |ground, _| private_mount(ground, file_system, false),
        ));
    }
    cases.push(case(
        "attach_mounts::private_with_its_own_path",
        |ground, _| private_mount(ground, FileSystem::Ext4, true),
    ));
    for mode in [ReadMode::Direct, ReadMode::Buffered, ReadMode::Mmap] {
        let name = format!("{mode:?}").to_lowercase();
        cases.push(case(
            format!("attach_mounts::deleted_{name}"),
            move |ground, _| deleted(ground, mode),
        ));
    }
    cases.push(case("attach_mounts::layer_of_its_root", |ground, _| {
        layer_of_its_root(ground)
    }));
    cases.push(case(
        "attach_mounts::layer_that_only_it_sees",
        |ground, _| layer_that_only_it_sees(ground),
    ));
    cases
}

fn plan() -> ReadPlan {
    ReadPlan::sequential(MODEL_BYTES, 4096)
}

/// A reader that waits for a line with its file open, started in a mount namespace of its own after some words of a
/// shell, of which `$1` … are the first arguments.
fn in_own_namespace(
    ground: &Ground,
    words: &str,
    arguments: &[&Path],
    reader: &ReaderCommand,
) -> Result<RunningProgram> {
    let mut command = Command::new("unshare");
    command
        .args(["--mount", "--propagation", "private", "sh", "-c"])
        .arg(format!(
            "{words} && shift {} && exec \"$@\"",
            arguments.len()
        ))
        .arg("sh")
        .args(arguments)
        .arg(reader.program())
        .args(reader.arguments());
    RunningProgram::start(&ground.scratch, command)
}

/// Waits until it has a file of this name open, wherever that lies for us.
fn wait_for_its_file(program: &RunningProgram, name: &str) -> Result<()> {
    program.wait_until("it has the model open", LIMIT, |program| {
        fs::read_dir(format!("/proc/{}/fd", program.process_id()))
            .into_iter()
            .flatten()
            .flatten()
            .filter_map(|descriptor| fs::read_link(descriptor.path()).ok())
            .any(|path| path.file_name().is_some_and(|it| it == name))
    })
}

/// The program reads under the tracer, which attaches by its pid, with these arguments more.
fn traced(
    ground: &Ground,
    mut program: RunningProgram,
    model: Option<PathBuf>,
    expected: &ExpectedFigures,
) -> Result<RunRecord> {
    let mut call = TracerCall::attach(&ground.scratch, program.process_id())?;
    if let Some(model) = model {
        call = call.option("--model", model);
    }
    let directory = call.directory().to_owned();
    let tracer = call.start()?;
    tracer.wait_until("it traces", LIMIT, |tracer| {
        tracer.errors_so_far().contains("tracing process")
    })?;
    program.send_line("go")?;
    program.finish(LIMIT)?.succeeded()?;
    tracer.finish(LIMIT)?.succeeded()?;
    let record = RunRecord::load(&directory)?;
    check_figures(&record, expected)?;
    check_sound(&record)?;
    let by_counter = record.count("devices.0.statistics_sectors_read")? * 512;
    let by_tracer = record.count("devices.0.read_bytes")?;
    ensure!(
        by_counter == by_tracer && by_tracer >= expected.total_bytes,
        "the tracer counted {by_tracer} bytes, the device's own counter {by_counter}"
    );
    ensure!(
        record.is_null("model.without_sectors")?,
        "{}",
        record.value("model.without_sectors")?
    );
    Ok(record)
}

fn waiting_reader(ground: &Ground, file: &ModelFile, mode: ReadMode) -> Result<ReaderCommand> {
    Ok(ground
        .reader(file, &plan(), mode)?
        .option("--start-on-line"))
}

/// The file system is mounted nowhere but in the process's own namespace.
fn private_mount(ground: &Ground, file_system: FileSystem, by_its_path: bool) -> Result<()> {
    let disk = ground.disk(file_system)?;
    let file = ModelFile::contiguous(&disk, "model.gguf", MODEL_BYTES)?;
    let expected = shapes::expected(&plan(), ReadMode::Direct, &file, &disk)?;
    let program = in_own_namespace(
        ground,
        ":",
        &[],
        &waiting_reader(ground, &file, ReadMode::Direct)?,
    )?;
    wait_for_its_file(&program, "model.gguf")?;
    leave_to_the_process(&disk)?;
    ensure!(!file.path().exists(), "the model is still here");
    let record = traced(
        ground,
        program,
        by_its_path.then(|| file.path().to_owned()),
        &expected,
    )?;
    ensure!(
        record.text("model.path")? == file.path().to_string_lossy()
            && record.text("model.filesystem")? == file_system.to_string(),
        "the model is {}",
        record.value("model")?
    );
    Ok(())
}

/// Unmounts a disk here; the process has a mount of its own.
fn leave_to_the_process(disk: &LoopDisk) -> Result<()> {
    umount2(disk.mount_point(), MntFlags::empty()).context("unmount the disk here")
}

/// The file's name is gone while the process has it.
fn deleted(ground: &Ground, mode: ReadMode) -> Result<()> {
    let disk = ground.disk(FileSystem::Ext4)?;
    let file = ModelFile::contiguous(&disk, "model.gguf", MODEL_BYTES)?;
    let expected = shapes::expected(&plan(), mode, &file, &disk)?;
    let program = ground.start_reader(&waiting_reader(ground, &file, mode)?)?;
    wait_for_its_file(&program, "model.gguf")?;
    fs::remove_file(file.path()).context("remove the model")?;
    let record = traced(ground, program, None, &expected)?;
    let path = record.text("model.path")?;
    ensure!(
        path == format!("{} (deleted)", file.path().display()),
        "the model is {path}"
    );
    let notes = record.value("notes")?.to_string();
    ensure!(notes.contains("has no name any more"), "{notes}");
    Ok(())
}

/// As in a container: the process's root is an overlay, and the model lies in one of its layers.
fn layer_of_its_root(ground: &Ground) -> Result<()> {
    let disk = ground.disk(FileSystem::Ext4)?;
    fs::create_dir(disk.mount_point().join("image")).context("make the layer")?;
    let file = ModelFile::contiguous(&disk, "image/model.gguf", MODEL_BYTES)?;
    let expected = shapes::expected(&plan(), ReadMode::Direct, &file, &disk)?;
    let root = ground.scratch.fresh_directory("root")?;
    let layer = disk.mount_point().join("image");
    // The programs come from this machine's own root, as the lowest layer.
    let words = r#"mount -t overlay overlay -o "lowerdir=$1:/" "$2" && for f in proc dev; do mount --rbind /$f "$2/$f"; done"#;
    let inside = ModelInside::at("/model.gguf", ground, &root)?;
    let program = in_own_namespace(ground, words, &[&layer, &root], &inside.reader)?;
    wait_for_its_file(&program, "model.gguf")?;
    let record = traced(ground, program, None, &expected)?;
    ensure!(
        record.text("model.path")?.ends_with("/model.gguf")
            && record.count("model.files.0.inode")? == file.inode()?
            && record.text("model.filesystem")? == "ext4",
        "the model is {}",
        record.value("model")?
    );
    Ok(())
}

/// A reader in another root, of a path there.
struct ModelInside {
    reader: ReaderCommand,
}

impl ModelInside {
    fn at(path: &str, ground: &Ground, root: &Path) -> Result<Self> {
        let inner = ReaderCommand::new(
            Path::new(env!("CARGO_BIN_EXE_scripted_reader")),
            &ground.scratch,
            Path::new(path),
            &plan(),
            ReadMode::Direct,
        )?
        .option("--start-on-line");
        let mut arguments: Vec<OsString> = vec![root.into(), inner.program().into()];
        arguments.extend_from_slice(inner.arguments());
        Ok(Self {
            reader: ReaderCommand::of(Path::new("chroot"), arguments),
        })
    }
}

/// An overlay whose layers lie on a disk that only the process's namespace has.
fn layer_that_only_it_sees(ground: &Ground) -> Result<()> {
    let disk = ground.disk(FileSystem::Ext4)?;
    for layer in ["upper", "lower"] {
        fs::create_dir(disk.mount_point().join(layer)).context("make a layer")?;
    }
    let file = ModelFile::contiguous(&disk, "lower/model.gguf", MODEL_BYTES)?;
    let expected = shapes::expected(&plan(), ReadMode::Direct, &file, &disk)?;
    let inode = file.inode()?;
    let merged = ground.scratch.fresh_directory("merged")?;
    let reader = ReaderCommand::new(
        Path::new(env!("CARGO_BIN_EXE_scripted_reader")),
        &ground.scratch,
        &merged.join("model.gguf"),
        &plan(),
        ReadMode::Direct,
    )?
    .option("--start-on-line");
    let words = r#"mount -t overlay overlay -o "lowerdir=$1/upper:$1/lower" "$2""#;
    let program = in_own_namespace(ground, words, &[disk.mount_point(), &merged], &reader)?;
    wait_for_its_file(&program, "model.gguf")?;
    leave_to_the_process(&disk)?;
    let record = traced(ground, program, None, &expected)?;
    ensure!(
        record.count("model.files.0.inode")? == inode,
        "the model is {}",
        record.value("model")?
    );
    Ok(())
}
