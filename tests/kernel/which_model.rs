//! The model that was named is not the one that is read, or is read by somebody else than the command: the record says
//! so, and never shows zero reads alone.

use std::{ffi::OsString, fs, path::Path, time::Duration};

use anyhow::{Context as _, Result, ensure};
use tests::{
    disk::{FileSystem, LoopDisk},
    model_file::ModelFile,
    plan::ReadPlan,
    reader::{ReadMode, ReaderCommand},
    run_record::RunRecord,
    surroundings::Surroundings,
    tracer::{TracedRun, TracerCall},
};

use crate::{
    ground::{Case, Ground, case, check_figures, check_no_violation, check_sound, sectors_between},
    processes::holds_open,
    shapes,
};

const LIMIT: Duration = Duration::from_secs(60);
const MODEL_BYTES: u64 = 3 << 20;

type Test = fn(&Ground, &LoopDisk, &ModelFile) -> Result<()>;

pub fn cases() -> Vec<Case> {
    let tests: [(&str, Test); 8] = [
        ("model_of_the_arguments", model_of_the_arguments),
        ("launch_of_another_model", launch_of_another_model),
        ("attach_with_another_model", attach_with_another_model),
        ("replaced_during_the_run", replaced_during_the_run),
        ("read_between_two_looks", read_between_two_looks),
        ("left_behind_by_a_script", left_behind_by_a_script),
        ("open_at_the_scripts_end", open_at_the_scripts_end),
        ("until_exit", until_exit),
    ];
    tests
        .into_iter()
        .map(|(name, test)| {
            case(format!("which_model::{name}"), move |ground, _| {
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
    ground.reader(file, &plan(), ReadMode::Direct)
}

/// The notes, one a line.
fn notes(record: &RunRecord) -> Result<String> {
    let notes = record.value("notes")?.as_array().context("no notes")?;
    Ok(notes
        .iter()
        .filter_map(serde_json::Value::as_str)
        .map(|note| format!("{note}\n"))
        .collect())
}

fn check_noted(record: &RunRecord, words: &[&str]) -> Result<()> {
    let notes = notes(record)?;
    for word in words {
        ensure!(notes.contains(word), "no note says {word:?}:\n{notes}");
    }
    Ok(())
}

fn check_nothing_read(record: &RunRecord) -> Result<()> {
    let count = record.count("reads.count")?;
    ensure!(count == 0, "{count} reads of the wrong file");
    check_no_violation(record)
}

/// A file beside the model, larger than it.
fn other(disk: &LoopDisk) -> Result<ModelFile> {
    ModelFile::contiguous(disk, "other.gguf", 2 * MODEL_BYTES)
}

/// Without --model it is the one that the command names.
fn model_of_the_arguments(ground: &Ground, disk: &LoopDisk, file: &ModelFile) -> Result<()> {
    let launch = |engine: &Path, arguments: &[OsString]| {
        let call = TracerCall::bare(&ground.scratch, &["launch"])?;
        let directory = call.directory().to_owned();
        call.option("--out", directory)
            .engine(engine, arguments)
            .run()
    };
    let reader = reader(ground, file)?;
    let run = launch(reader.program(), reader.arguments())?;
    run.finished.succeeded()?;
    let record = run.record()?;
    check_figures(
        &record,
        &shapes::expected(&plan(), ReadMode::Direct, file, disk)?,
    )?;
    check_sound(&record)?;
    let path = file.path().to_string_lossy();
    ensure!(
        record.text("model.path")? == path,
        "{}",
        record.value("model")?
    );
    check_noted(
        &record,
        &[&format!(
            "the model was taken from the command's arguments: {path}"
        )],
    )?;
    for (arguments, words) in [
        (vec!["hello"], "name the model with --model"),
        (vec!["-m", "/none.gguf"], "/none.gguf: does not exist"),
    ] {
        let arguments: Vec<OsString> = arguments.into_iter().map(OsString::from).collect();
        let run = launch(Path::new("/bin/echo"), &arguments)?;
        ensure!(
            run.finished.code() == 125
                && run.finished.errors.contains(words)
                && run.finished.output.is_empty()
                && !run.directory.exists(),
            "{}:\n{}",
            run.finished.code(),
            run.finished.errors
        );
    }
    Ok(())
}

fn launch_of_another_model(ground: &Ground, disk: &LoopDisk, file: &ModelFile) -> Result<()> {
    let other = other(disk)?;
    let plan = ReadPlan::sequential(2 * MODEL_BYTES, 64 << 10);
    let reader = ground
        .reader(&other, &plan, ReadMode::Direct)?
        .option_with("--hold", 1);
    let before = disk.statistics()?;
    let record = TracerCall::launch(&ground.scratch, file.path())?
        .reader(&reader)
        .run()?
        .record()?;
    let after = disk.statistics()?;
    check_nothing_read(&record)?;
    ensure!(
        sectors_between(&before, &after) * 512 >= 2 * MODEL_BYTES,
        "the reader read nothing"
    );
    let other = other.path().to_string_lossy();
    check_noted(
        &record,
        &[
            "no process of the engine was seen with it open",
            &format!("{other} (6.00 MiB, open)"),
            "name it with --model",
        ],
    )
}

fn attach_with_another_model(ground: &Ground, disk: &LoopDisk, file: &ModelFile) -> Result<()> {
    let other = other(disk)?;
    let reader = ground
        .reader(
            &other,
            &ReadPlan::sequential(2 * MODEL_BYTES, 64 << 10),
            ReadMode::Direct,
        )?
        .option("--start-on-line")
        .option_with("--hold", 30);
    let mut program = ground.start_reader(&reader)?;
    program.wait_until("it has its file open", LIMIT, |program| {
        holds_open(program.process_id(), other.path())
    })?;
    let call = TracerCall::attach(&ground.scratch, program.process_id())?
        .option("--model", file.path())
        .option("--duration", "2s");
    let directory = call.directory().to_owned();
    let tracer = call.start()?;
    tracer.wait_until("it traces", LIMIT, |tracer| {
        tracer.errors_so_far().contains("neither open nor mapped")
    })?;
    program.send_line("go")?;
    let finished = tracer.finish(LIMIT)?;
    finished.succeeded()?;
    let named = format!("{} (6.00 MiB, open)", other.path().display());
    ensure!(
        finished.errors.contains(&named),
        "what it has open is not said:\n{}",
        finished.errors
    );
    let record = RunRecord::load(&directory)?;
    check_nothing_read(&record)?;
    // Direct reads: what the kernel accounts to the process is what the plan asks for.
    check_noted(&record, &["The engine read 6.00 MiB from storage", &named])
}

fn replaced_during_the_run(ground: &Ground, disk: &LoopDisk, file: &ModelFile) -> Result<()> {
    let inode = file.inode()?;
    let new = ModelFile::contiguous(disk, "new.gguf", MODEL_BYTES)?;
    let script = r#"mv "$1" "$2" && shift 2 && exec "$@""#;
    let reader = ground.reader(file, &plan(), ReadMode::Buffered)?;
    let mut arguments: Vec<OsString> = vec!["-c".into(), script.into(), "sh".into()];
    arguments.extend([new.path().into(), file.path().into()]);
    arguments.push(reader.program().into());
    arguments.extend_from_slice(reader.arguments());
    let new_inode = new.inode()?;
    let record = TracerCall::launch(&ground.scratch, file.path())?
        .engine(Path::new("/bin/sh"), &arguments)
        .run()?
        .record()?;
    check_nothing_read(&record)?;
    check_noted(
        &record,
        &[
            &format!("no longer the file that was traced (inode {inode})"),
            &format!("another one (inode {new_inode})"),
            "through the page cache the engine read 3.00 MiB of it",
            "through the page cache, of other files: ",
            // Beside it may stand a program that was not in memory.
            &format!("{} (3.00 MiB)", file.path().display()),
            "no process of the engine was seen with it open",
        ],
    )
}

/// Files that are closed before anybody looks, one of them without a name by then: the pages say how much of each was
/// read.
fn read_between_two_looks(ground: &Ground, disk: &LoopDisk, file: &ModelFile) -> Result<()> {
    let other = other(disk)?;
    let inode = other.inode()?;
    let script = r#"sleep 0.5; cat "$1" > /dev/null; rm "$1"; sleep 0.5"#;
    let arguments: [OsString; 4] = ["-c".into(), script.into(), "sh".into(), other.path().into()];
    let before = disk.statistics()?;
    let record = TracerCall::launch(&ground.scratch, file.path())?
        .engine(Path::new("/bin/sh"), &arguments)
        .run()?
        .record()?;
    let after = disk.statistics()?;
    check_nothing_read(&record)?;
    ensure!(
        sectors_between(&before, &after) * 512 >= 2 * MODEL_BYTES,
        "nothing was read"
    );
    let by_path = format!("{} (deleted) (6.00 MiB)", other.path().display());
    let by_inode = format!(
        "inode {inode} of the file system at {} (6.00 MiB)",
        disk.mount_point().display()
    );
    check_noted(&record, &["through the page cache, of other files: "])?;
    let notes = notes(&record)?;
    ensure!(
        notes.contains(&by_inode)
            || notes.contains(&by_path)
            || notes.contains(&by_path.replace(" (deleted)", "")),
        "no note says {by_inode:?}:\n{notes}"
    );
    Ok(())
}

/// Launches a script that starts a reader of the model in the background, after some words, and ends.
fn script(
    ground: &Ground,
    file: &ModelFile,
    reader: &ReaderCommand,
    words: &str,
    flags: &[&str],
) -> Result<TracedRun> {
    let script = format!(
        r#"({words}; exec "$@") & {}"#,
        if words == ":" { "sleep 0.5" } else { ":" }
    );
    let mut arguments: Vec<OsString> = vec!["-c".into(), script.into(), "sh".into()];
    arguments.push(reader.program().into());
    arguments.extend_from_slice(reader.arguments());
    flags
        .iter()
        .fold(
            TracerCall::launch(&ground.scratch, file.path())?,
            |call, flag| call.flag(flag),
        )
        .engine(Path::new("/bin/sh"), &arguments)
        .run()
}

fn check_followed(
    run: &TracedRun,
    disk: &LoopDisk,
    file: &ModelFile,
    expected: &ReadPlan,
) -> Result<RunRecord> {
    run.finished.succeeded()?;
    let record = run.record()?;
    check_figures(
        &record,
        &shapes::expected(expected, ReadMode::Direct, file, disk)?,
    )?;
    check_sound(&record)?;
    let by_counter = record.count("devices.0.statistics_sectors_read")? * 512;
    let by_tracer = record.count("devices.0.read_bytes")?;
    ensure!(
        by_counter == by_tracer && by_tracer >= MODEL_BYTES,
        "the tracer counted {by_tracer} bytes, the device's own counter {by_counter}"
    );
    check_noted(
        &record,
        &["processes that it had started had the model open"],
    )?;
    // Those of the script would not be the reader's.
    for figure in ["process.major_faults", "time.engine_user_s"] {
        ensure!(
            record.is_null(figure)?,
            "{figure} is {}",
            record.value(figure)?
        );
    }
    Ok(record)
}

/// Nobody has the model open when the script ends; a second later its child opens and reads it.
fn left_behind_by_a_script(ground: &Ground, disk: &LoopDisk, file: &ModelFile) -> Result<()> {
    let report = ground.scratch.fresh_path("report");
    let reader = reader(ground, file)?
        .option_with("--hold", 1)
        .option_with("--report-to", report.display());
    let run = script(ground, file, &reader, "sleep 1", &[])?;
    check_followed(&run, disk, file, &plan())?;
    ensure!(
        run.finished
            .errors
            .contains("nobody has had the model open yet"),
        "it does not say what it waits for:\n{}",
        run.finished.errors
    );
    // It was let run to its end, and what it printed was taken in.
    ensure!(report.exists(), "the reader did not get to its end");
    ensure!(
        run.finished.output.contains("checksum"),
        "the reader's output is not passed on:\n{}",
        run.finished.output
    );
    Ok(())
}

/// The child has the model open when the script ends, and reads it several times after that.
fn open_at_the_scripts_end(ground: &Ground, disk: &LoopDisk, file: &ModelFile) -> Result<()> {
    let once = ReadPlan::sequential(MODEL_BYTES, 4096);
    let reader = reader(ground, file)?.option_with("--hold", 2);
    let run = script(ground, file, &reader, ":", &[])?;
    let record = check_followed(&run, disk, file, &once)?;
    ensure!(
        record.number("time.wall_s")? > 2.0,
        "the window was {} s",
        record.number("time.wall_s")?
    );
    Ok(())
}

fn until_exit(ground: &Ground, _: &LoopDisk, file: &ModelFile) -> Result<()> {
    let report = ground.scratch.fresh_path("report");
    let reader = reader(ground, file)?.option_with("--report-to", report.display());
    let run = script(ground, file, &reader, "sleep 2", &["--until-exit"])?;
    let record = run.record()?;
    check_nothing_read(&record)?;
    ensure!(
        record.number("time.wall_s")? < 2.0,
        "the window was {} s",
        record.number("time.wall_s")?
    );
    check_noted(&record, &["processes that the command started live on"])?;
    // It reads the disk that is about to go.
    for _ in 0..600 {
        if fs::metadata(&report).is_ok() {
            break;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}
