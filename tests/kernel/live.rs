//! The live screen on a real terminal, and its lines where there is none.

use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use tests::{
    disk::{FileSystem, LoopDisk},
    model_file::ModelFile,
    plan::ReadPlan,
    reader::{ReadMode, ReaderCommand, ReaderReport, RunningProgram},
    run_record::RunRecord,
    terminal::Terminal,
    tracer::TracerCall,
};

use crate::{
    ground::{Case, Ground, case, check_no_violation, check_sound},
    processes::holds_open,
};

const MODEL_BYTES: u64 = 48 << 20;
/// Less than half of the model, with room for the reader.
const TIGHT_BYTES: u64 = 20 << 20;
const READS: usize = 3000;
const LIMIT: Duration = Duration::from_secs(60);

pub fn cases() -> Vec<Case> {
    vec![
        case("live::screen", |ground, _| screen(ground)),
        case("live::screen_is_closed", |ground, _| {
            screen_is_closed(ground)
        }),
        case("live::interrupted_at_the_terminal", |ground, _| {
            interrupted_at_the_terminal(ground)
        }),
        case("live::attach_is_left", |ground, _| {
            attach_ends(ground, |terminal| terminal.keys("q"), "live screen")
        }),
        case("live::attach_is_interrupted", |ground, _| {
            attach_ends(ground, |terminal| terminal.signal(Signal::SIGINT), "SIGINT")
        }),
        case("live::attach_is_terminated", |ground, _| {
            attach_ends(
                ground,
                |terminal| terminal.signal(Signal::SIGTERM),
                "SIGTERM",
            )
        }),
        case("live::lines_of_events", |ground, _| lines(ground, "events")),
        case("live::recording_is_played", |ground, _| {
            recording_is_played(ground)
        }),
        case("live::lines_of_counts", |ground, _| lines(ground, "counts")),
    ]
}

/// A model that is read again and again through too little memory, by a reader that then stays for a while.
fn reader(ground: &Ground, disk: &LoopDisk, hold_s: u32) -> Result<(ModelFile, ReaderCommand)> {
    disk.set_read_ahead_kb(128)?;
    let file = ModelFile::contiguous(disk, "model.gguf", MODEL_BYTES)?;
    let plan = ReadPlan::random(MODEL_BYTES, 64 << 10, READS, 7);
    let reader = ground
        .reader(&file, &plan, ReadMode::Buffered)?
        .option_with("--hold", hold_s);
    Ok((file, reader))
}

fn launch<'a>(ground: &'a Ground, file: &ModelFile) -> Result<TracerCall<'a>> {
    Ok(TracerCall::launch(&ground.scratch, file.path())?
        .flag("--live")
        .option("--memory-max", TIGHT_BYTES.to_string()))
}

fn shows(terminal: &mut Terminal, what: &str) -> Result<()> {
    terminal.wait_for(what, LIMIT, |terminal| terminal.text().contains(what))
}

/// The terminal is as it was.
fn check_given_back(terminal: &Terminal) -> Result<()> {
    ensure!(
        !terminal.is_drawn_on(),
        "the screen was not left; there stands\n{}",
        terminal.text()
    );
    ensure!(!terminal.cursor_is_hidden(), "there is no cursor");
    let (before, after) = (terminal.attributes_before(), terminal.attributes()?);
    ensure!(
        after == *before,
        "the terminal was {before:?}\nand is {after:?}"
    );
    Ok(())
}

/// Bytes as the tracer shows them.
fn bytes(count: u64) -> String {
    let mut value = count as f64;
    for unit in ["B", "KiB", "MiB", "GiB"] {
        if value < 1024.0 {
            return if unit == "B" {
                format!("{value:.0} B")
            } else {
                format!("{value:.2} {unit}")
            };
        }
        value /= 1024.0;
    }
    format!("{value:.2} TiB")
}

fn times(record: &RunRecord) -> Result<String> {
    let factor = record.number("reads.reread_factor")?;
    let decimals = usize::from(factor < 9.95);
    Ok(format!("{factor:.decimals$}×"))
}

/// What was read, and how many times the model, as the screen shows it.
fn totals(record: &RunRecord) -> Result<String> {
    Ok(format!(
        "{} {}",
        bytes(record.count("reads.total_bytes")?),
        times(record)?
    ))
}

fn screen(ground: &Ground) -> Result<()> {
    let disk = ground.disk(FileSystem::Ext4)?;
    let (file, reader) = reader(ground, &disk, 9)?;
    let call = launch(ground, &file)?.reader(&reader);
    let directory = call.directory().to_owned();
    let mut terminal = call.start_on_terminal(80, 24)?;
    shows(&mut terminal, "waits for it")?;
    ensure!(terminal.is_drawn_on(), "the screen is not of its own");
    ensure!(
        terminal.attributes()? != *terminal.attributes_before(),
        "keys do not come one by one"
    );
    terminal.wait_for("something is read", LIMIT, |terminal| {
        let text = terminal.text();
        text.lines()
            .any(|line| line.starts_with("from disk") && line.contains("iB/s"))
            && text.contains("It reads again")
    })?;
    for (columns, rows, expected) in [(40, 24, "? help"), (160, 40, "── output"), (80, 24, "gaps")]
    {
        terminal.resize(columns, rows)?;
        // The frame that comes next is of the new size: its last line is where the keys are.
        terminal.wait_for("the screen has the new size", LIMIT, |terminal| {
            let text = terminal.text();
            text.contains(expected)
                && text
                    .lines()
                    .nth(usize::from(rows) - 1)
                    .is_some_and(|line| line.contains("q close the screen"))
        })?;
    }
    terminal.keys("t")?;
    shows(&mut terminal, "── layers")?;
    terminal.keys("\x1b[A?")?;
    shows(&mut terminal, "help: any key goes back")?;
    terminal.keys("x")?;
    terminal.keys("m")?;
    shows(&mut terminal, "Which phase begins now?")?;
    terminal.keys("g")?;
    shows(&mut terminal, "Marked: generation begins.")?;
    terminal.keys("p")?;
    shows(&mut terminal, "PAUSED")?;
    terminal.keys("p")?;
    let status = terminal.finish(LIMIT)?;
    ensure!(status == 0, "the status is {status}");
    check_given_back(&terminal)?;
    let record = RunRecord::load(&directory)?;
    check_sound(&record)?;
    let by_screen = record
        .value("given_marks")?
        .as_array()
        .into_iter()
        .flatten()
        .any(|mark| mark["by"] == "screen" && mark["phase"] == "generation");
    ensure!(by_screen, "{}", record.value("given_marks")?);
    // The last frame has the figures of the record.
    let last = terminal.last_frame().context("there was no screen")?;
    let expected = totals(&record)?;
    ensure!(
        last.contains(&expected),
        "there is no {expected:?} in\n{last}"
    );
    // The reader's own words are in its file.
    let output = std::fs::read_to_string(directory.join("engine.stdout"))?;
    ReaderReport::find_in(&output)?;
    ensure!(
        terminal.text().contains("report.html"),
        "the report is not on the terminal:\n{}",
        terminal.text()
    );
    Ok(())
}

/// The screen goes, the engine and the tracing go on, and the engine's output comes as without a screen.
fn screen_is_closed(ground: &Ground) -> Result<()> {
    let disk = ground.disk(FileSystem::Ext4)?;
    let (file, reader) = reader(ground, &disk, 3)?;
    let call = launch(ground, &file)?.reader(&reader);
    let directory = call.directory().to_owned();
    let mut terminal = call.start_on_terminal(100, 30)?;
    shows(&mut terminal, "waits for it")?;
    terminal.keys("q")?;
    shows(&mut terminal, "the screen is closed")?;
    check_given_back(&terminal)?;
    let status = terminal.finish(LIMIT)?;
    ensure!(status == 0, "the status is {status}");
    let written = String::from_utf8_lossy(&terminal.bytes()).into_owned();
    let after = written
        .split_once("the screen is closed")
        .map_or("", |(_, after)| after);
    ensure!(
        after.contains("\"checksum\""),
        "the engine's output did not come:\n{after}"
    );
    let record = RunRecord::load(&directory)?;
    check_sound(&record)?;
    ensure!(
        record.count("reads.total_bytes")? > MODEL_BYTES,
        "{}",
        record.value("reads")?
    );
    check_given_back(&terminal)
}

/// Ctrl-C reaches the engine as without a screen, and the run ends with its record.
fn interrupted_at_the_terminal(ground: &Ground) -> Result<()> {
    let disk = ground.disk(FileSystem::Ext4)?;
    let (file, reader) = reader(ground, &disk, 60)?;
    let call = launch(ground, &file)?.reader(&reader);
    let directory = call.directory().to_owned();
    let mut terminal = call.start_on_terminal(80, 24)?;
    // The engine is there, and gets it too.
    shows(&mut terminal, "It reads again")?;
    terminal.keys("\x03")?;
    let status = terminal.finish(LIMIT)?;
    ensure!(status == 128 + 2, "the status is {status}");
    check_given_back(&terminal)?;
    let record = RunRecord::load(&directory)?;
    check_no_violation(&record)?;
    ensure!(record.flag("partial")?, "it does not call itself partial");
    Ok(())
}

/// However an attached tracer is ended, the process runs on and the terminal is as it was.
fn attach_ends(ground: &Ground, end: impl Fn(&Terminal) -> Result<()>, reason: &str) -> Result<()> {
    let disk = ground.disk(FileSystem::Ext4)?;
    let (file, reader) = reader(ground, &disk, 0)?;
    let program = ground.start_reader(&reader.option("--until-input-closes"))?;
    program.wait_until("it has the model open", LIMIT, |program| {
        holds_open(program.process_id(), file.path())
    })?;
    let call = TracerCall::attach(&ground.scratch, program.process_id())?
        .option("--model", file.path())
        .flag("--live");
    let directory = call.directory().to_owned();
    let mut terminal = call.start_on_terminal(80, 24)?;
    shows(&mut terminal, "from disk")?;
    // Waits are not observed by counts: a dash.
    terminal.wait_for("what is not known is a dash", LIMIT, |terminal| {
        let text = terminal.text();
        text.lines().any(|line| {
            line.strip_prefix("waits for it")
                .is_some_and(|rest| rest.split_whitespace().take(2).eq(["–", "–"]))
        })
    })?;
    end(&terminal)?;
    let status = terminal.finish(LIMIT)?;
    ensure!(status == 0, "the status is {status}:\n{}", terminal.text());
    check_given_back(&terminal)?;
    // What the tracer said while the screen was there stands below it.
    ensure!(
        String::from_utf8_lossy(&terminal.bytes()).contains("tracing process"),
        "the tracer's own words are lost"
    );
    ensure!(program.is_running()?, "the process ended with the tracer");
    let record = RunRecord::load(&directory)?;
    check_no_violation(&record)?;
    let why = record.text("partial_reason")?;
    ensure!(why.contains(reason), "{why}");
    stop(program)
}

fn stop(program: RunningProgram) -> Result<()> {
    program.finish(LIMIT)?.succeeded()?;
    Ok(())
}

/// One line a second, and one with the figures of the record.
fn lines(ground: &Ground, detail: &str) -> Result<()> {
    let disk = ground.disk(FileSystem::Ext4)?;
    let (file, reader) = reader(ground, &disk, 4)?;
    let run = launch(ground, &file)?
        .option("--detail", detail)
        .reader(&reader)
        .run()?;
    run.finished.succeeded()?;
    let record = run.record()?;
    check_sound(&record)?;
    let errors = &run.finished.errors;
    ensure!(!errors.contains('\x1b'), "escapes where no terminal is");
    let each_second = errors
        .lines()
        .filter(|line| line.starts_with("tracer: 0:") && line.contains("disk "))
        .count();
    let wall_s = record.number("time.wall_s")?;
    ensure!(
        (wall_s - 2.0..wall_s + 1.0).contains(&(each_second as f64)),
        "{each_second} lines in {wall_s} s:\n{errors}"
    );
    check_last_line(&record, errors)?;
    let knows_waits = detail == "events";
    ensure!(
        knows_waits != record.value("phases.0.waits.stall_s")?.is_null(),
        "{}",
        record.value("phases")?
    );
    Ok(())
}

/// The line at the end has the figures of the record.
fn check_last_line(record: &RunRecord, errors: &str) -> Result<()> {
    let last = errors
        .lines()
        .find(|line| line.contains("at the end"))
        .context("there is no last line")?;
    let reads = record.count("reads.count")?;
    for expected in [
        format!("{} read", bytes(record.count("reads.total_bytes")?)),
        format!("{} reads", grouped(reads)),
        times(record)?,
        format!("{} in memory", resident(record)?),
    ] {
        ensure!(last.contains(&expected), "no {expected:?} in {last:?}");
    }
    let waited = record.value("phases.0.waits.stall_s")?;
    ensure!(
        last.contains("waited – of the time") == waited.is_null(),
        "{last:?}, and the record has {waited}"
    );
    Ok(())
}

/// What was shown while a run went on is shown again from its recording, and the terminal is as it was, however it is left.
fn recording_is_played(ground: &Ground) -> Result<()> {
    let disk = ground.disk(FileSystem::Ext4)?;
    let (file, reader) = reader(ground, &disk, 1)?;
    let run = TracerCall::launch(&ground.scratch, file.path())?
        .flag("--record")
        .option("--memory-max", TIGHT_BYTES.to_string())
        .reader(&reader)
        .run()?;
    run.finished.succeeded()?;
    let record = run.record()?;
    check_sound(&record)?;
    let folder = run.directory.display().to_string();
    let played = TracerCall::bare(&ground.scratch, &["live", &folder, "--speed", "max"])?
        .run()?
        .finished;
    played.succeeded()?;
    check_last_line(&record, &played.errors)?;

    let call = TracerCall::bare(&ground.scratch, &["live", &folder, "--speed", "8"])?;
    let mut terminal = call.start_on_terminal(80, 24)?;
    shows(&mut terminal, "replay 8×")?;
    terminal.keys("+")?;
    shows(&mut terminal, "replay 16×")?;
    shows(&mut terminal, "The recording is over")?;
    terminal.keys("q")?;
    let status = terminal.finish(LIMIT)?;
    ensure!(status == 0, "the status is {status}");
    check_given_back(&terminal)?;
    let last = terminal.last_frame().context("there was no screen")?;
    let expected = totals(&record)?;
    ensure!(
        last.contains(&expected),
        "there is no {expected:?} in\n{last}"
    );

    let call = TracerCall::bare(&ground.scratch, &["live", &folder, "--speed", "0.1"])?;
    let mut terminal = call.start_on_terminal(80, 24)?;
    shows(&mut terminal, "replay 0.1×")?;
    terminal.keys("\x03")?;
    let status = terminal.finish(LIMIT)?;
    ensure!(status == 128 + 2, "the status is {status}");
    check_given_back(&terminal)
}

/// Resident at the end by the events or counts.
fn resident(record: &RunRecord) -> Result<String> {
    let course = record.value("residency_course")?;
    let last = course.as_array().and_then(|points| {
        points
            .iter()
            .rev()
            .find_map(|point| point["by_events_bytes"][0].as_u64())
    });
    Ok(bytes(last.with_context(|| course.to_string())?))
}

fn grouped(value: u64) -> String {
    match value {
        0..1000 => value.to_string(),
        _ => format!("{},{:03}", grouped(value / 1000), value % 1000),
    }
}
