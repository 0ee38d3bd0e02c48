//! A ring buffer that is too small: the number of lost records is exact, and the run says that it is
//! incomplete.

use std::{fs, path::PathBuf, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use tests::{
    disk::FileSystem,
    model_file::ModelFile,
    plan::{ExpectedFigures, ReadPlan},
    reader::ReadMode,
    reference::has_helper,
    run_record::RunRecord,
    tracer::TracerCall,
};

use crate::{
    detail,
    ground::{Case, Ground, case, check_figures, check_sound},
    processes::{children, holds_open},
    shapes::{self, FILE_BYTES},
};

pub fn cases() -> Vec<Case> {
    vec![
        case("losses::ring_buffer_too_small", |ground, _| {
            ring_buffer_too_small(ground)
        }),
        case("losses::counts_lose_nothing", |ground, _| {
            counts_lose_nothing(ground)
        }),
    ]
}

/// A tracer that was stopped while 2,000 reads came, and what the reads should have given.
fn stopped_while_reading(ground: &Ground, detail: &str) -> Result<(Stopped, ExpectedFigures)> {
    let disk = ground.disk(FileSystem::Ext4)?;
    let file = ModelFile::contiguous(&disk, "model", FILE_BYTES)?;
    let plan = ReadPlan::random(FILE_BYTES, 16 << 10, 2000, 9);
    let expected = shapes::expected(&plan, ReadMode::Direct, &file, &disk)?;
    let report_path = ground.scratch.fresh_path("report");
    let reader = ground
        .reader(&file, &plan, ReadMode::Direct)?
        .option("--start-on-line")
        .option_with("--report-to", report_path.display());
    let call = TracerCall::launch(&ground.scratch, file.path())?
        .option("--ring-buffer", "4096")
        .option("--detail", detail)
        .reader(&reader);
    let directory = call.directory().to_owned();
    let mut tracer = call.start()?;
    let limit = Duration::from_secs(30);
    tracer.wait_until("it has started the reader", limit, |tracer| {
        children(tracer.process_id())
            .iter()
            .any(|child| holds_open(*child, file.path()))
    })?;
    // By then it has looked at the reader for the first time, also on a machine that is busy.
    thread::sleep(Duration::from_millis(500));
    // Stopped, it cannot empty the buffer: all records but the first few are lost, whatever the machine's
    // speed.
    tracer.signal(Signal::SIGSTOP)?;
    tracer.send_line("go")?;
    tracer.wait_until("the reader has read", limit, |_| report_path.exists())?;
    tracer.signal(Signal::SIGCONT)?;
    let finished = tracer.finish(limit)?;
    finished.succeeded()?;
    let stopped = Stopped {
        record: RunRecord::load(&directory)?,
        output: finished.output,
        directory,
    };
    Ok((stopped, expected))
}

/// What such a tracer left.
struct Stopped {
    record: RunRecord,
    output: String,
    directory: PathBuf,
}

/// There is nothing to lose where nothing is recorded.
fn counts_lose_nothing(ground: &Ground) -> Result<()> {
    let (stopped, expected) = stopped_while_reading(ground, "counts")?;
    if !detail::counts_alone(&stopped.record)? {
        return Ok(());
    }
    let received = stopped.record.count("overhead.ring_buffer_records")?;
    ensure!(received == 0, "{received} records came");
    check_figures(&stopped.record, &expected)?;
    check_sound(&stopped.record)
}

fn ring_buffer_too_small(ground: &Ground) -> Result<()> {
    let (stopped, expected) = stopped_while_reading(ground, "events")?;
    let record = &stopped.record;
    let lost = record.count("loss.ring_buffer_records")?;
    let received = record.count("overhead.ring_buffer_records")?;
    // A record of its issue and one of its end for each read, also where the kernel hid the completion and
    // only the next use of its tag showed the end; loop devices never requeue.
    let emitted = 2 * expected.reads - record.count("loss.unseen_at_end")?;
    ensure!(lost > 0, "nothing was lost");
    // Waits and page-cache events have no count of their own to be compared with here.
    ensure!(
        lost + received >= emitted,
        "{lost} lost and {received} received are not {emitted}"
    );
    // Each read of the plan has a row or a lost record, and none has both.
    let listed = record.count("read_list.reads")?;
    let lost_issues = record.count("loss.ring_buffer_issues")?;
    ensure!(
        listed + lost_issues == expected.reads && listed > 0 && lost_issues > 0,
        "{listed} reads are listed and {lost_issues} were lost, of {}",
        expected.reads
    );
    let mut classes = 0;
    for class in ["issues", "completions", "pages", "waits", "marks"] {
        classes += record.count(&format!("loss.ring_buffer_{class}"))?;
    }
    ensure!(
        classes == lost,
        "by class {classes} records were lost, in all {lost}"
    );
    if has_helper("loop")? {
        // What the kernel counted by itself is whole.
        check_figures(record, &expected)?;
        let name = "records of issues and unseen ends: received + lost = written";
        let checks = record.checks()?;
        let exact = checks.iter().find(|check| check.name == name);
        ensure!(
            exact.is_some_and(|check| check.holds == Some(true)),
            "not each record of an issue was received or counted as lost: {exact:?}"
        );
    } else {
        let reads = record.count("reads.count")?;
        ensure!(
            reads < expected.reads && reads > 0,
            "{reads} reads without their records, and the plan has {}",
            expected.reads
        );
    }
    ensure!(
        !record.flag("complete")?,
        "the record calls itself complete"
    );
    for check in record.checks()? {
        ensure!(
            check.holds != Some(false),
            "a loss is no wrong figure: {check:?}"
        );
    }
    let report =
        fs::read_to_string(stopped.directory.join("report.md")).context("read report.md")?;
    for (name, text) in [("report.md", &report), ("the table", &stopped.output)] {
        ensure!(
            text.to_lowercase().contains("incomplete") && text.contains(&lost.to_string()),
            "{name} does not say that it is incomplete and {lost} records were lost:\n{text}"
        );
    }
    Ok(())
}
