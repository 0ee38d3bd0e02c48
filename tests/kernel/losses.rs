//! A ring buffer that is too small: the number of lost records is exact, and the run says that it is
//! incomplete.

use std::{fs, thread, time::Duration};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use tests::{
    disk::FileSystem, model_file::ModelFile, plan::ReadPlan, reader::ReadMode,
    reference::has_helper, run_record::RunRecord, tracer::TracerCall,
};

use crate::{
    ground::{Case, Ground, case, check_figures},
    processes::{children, holds_open},
    shapes::{self, FILE_BYTES},
};

pub fn cases() -> Vec<Case> {
    vec![
        case("losses::ring_buffer_too_small", |ground, _| {
            ring_buffer_too_small(ground, Records::OfReads)
        }),
        case(
            "losses::ring_buffer_too_small_for_all_records",
            |ground, _| ring_buffer_too_small(ground, Records::OfAll),
        ),
    ]
}

/// What the tracer is to record.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Records {
    OfReads,
    OfAll,
}

fn ring_buffer_too_small(ground: &Ground, records: Records) -> Result<()> {
    let disk = ground.disk(FileSystem::Ext4)?;
    let file = ModelFile::contiguous(&disk, "model", FILE_BYTES)?;
    let plan = ReadPlan::random(FILE_BYTES, 16 << 10, 2000, 9);
    let expected = shapes::expected(&plan, ReadMode::Direct, &file, &disk)?;
    let report_path = ground.scratch.fresh_path("report");
    let reader = ground
        .reader(&file, &plan, ReadMode::Direct)?
        .option("--start-on-line")
        .option_with("--report-to", report_path.display());
    let mut call =
        TracerCall::launch(&ground.scratch, file.path())?.option("--ring-buffer", "4096");
    if records == Records::OfReads {
        call = call.flag("--no-page-records");
    }
    let call = call.reader(&reader);
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
    let record = RunRecord::load(&directory)?;

    let lost = record.count("loss.ring_buffer_records")?;
    let received = record.count("overhead.ring_buffer_records")?;
    // A record of its issue and one of its end for each read, also where the kernel hid the completion and
    // only the next use of its tag showed the end; loop devices never requeue.
    let emitted = 2 * expected.reads - record.count("loss.unseen_at_end")?;
    ensure!(lost > 0, "nothing was lost");
    // Waits and page-cache events have no count of their own to be compared with here.
    let at_least = records == Records::OfAll && lost + received > emitted;
    ensure!(
        lost + received == emitted || at_least,
        "{lost} lost and {received} received are not {emitted}"
    );
    let mut classes =
        record.count("loss.ring_buffer_issues")? + record.count("loss.ring_buffer_completions")?;
    if records == Records::OfAll {
        classes += record.count("loss.ring_buffer_pages")?
            + record.count("loss.ring_buffer_waits")?
            + record.count("loss.ring_buffer_marks")?;
    }
    ensure!(
        classes == lost,
        "by class {classes} records were lost, in all {lost}"
    );
    if has_helper("loop")? {
        // What the kernel counted by itself is whole.
        check_figures(&record, &expected)?;
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
    let report = fs::read_to_string(directory.join("report.md")).context("read report.md")?;
    for (name, text) in [("report.md", &report), ("the table", &finished.output)] {
        ensure!(
            text.to_lowercase().contains("incomplete") && text.contains(&lost.to_string()),
            "{name} does not say that it is incomplete and {lost} records were lost:\n{text}"
        );
    }
    Ok(())
}
