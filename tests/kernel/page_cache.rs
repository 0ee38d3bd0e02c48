//! What the page cache does with the model: read, evicted and read again, so that every figure is known.

use anyhow::{Context as _, Result, ensure};
use tests::{
    disk::FileSystem, environment::page_bytes, model_file::ModelFile, reader::Finished,
    reference::has_tracepoint, run_record::RunRecord, tracer::TracerCall,
};

use crate::{
    ground::{Case, FILE_SYSTEMS, Ground, case, check_sound},
    shapes::FILE_BYTES,
};

const READ_BYTES: u64 = 64 << 10;

pub fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for file_system in FILE_SYSTEMS {
        for (name, read_ahead_kb) in [("read_ahead_off", 0), ("large_folios", 1024)] {
            cases.push(
                case(
                    format!("page_cache::{file_system}::{name}"),
                    move |ground, _| {
                        read_evicted_and_read_again(ground, file_system, read_ahead_kb)
                    },
                )
                .needs_its_pages(),
            );
        }
    }
    cases
}

/// All cells of the page cache by time and place, each column of which is a text of numbers.
fn cells(record: &RunRecord, figure: &str) -> Result<u64> {
    let columns = record.value(&format!("page_course.{figure}"))?;
    let columns = columns.as_array().context("no columns")?;
    let mut sum = 0;
    for column in columns {
        let numbers = column.as_str().context("a column is no text")?;
        for number in numbers.split(' ').filter(|number| !number.is_empty()) {
            sum += number.parse::<u64>()?;
        }
    }
    Ok(sum)
}

/// With read-ahead the page cache uses large folios, where one event stands for many pages.
fn read_evicted_and_read_again(
    ground: &Ground,
    file_system: FileSystem,
    read_ahead_kb: u64,
) -> Result<()> {
    let disk = ground.disk(file_system)?;
    disk.set_read_ahead_kb(read_ahead_kb)?;
    let file = ModelFile::contiguous(&disk, "model", FILE_BYTES)?;
    file.evict()?;
    // dd with nothing to copy gives the advice POSIX_FADV_DONTNEED for the whole file. Reads end where the file does: one
    // at its very end makes Linux 5.10 insert a page behind it (generic_file_buffered_read in mm/filemap.c).
    let read = format!(
        r#"dd if="$1" of=/dev/null bs={READ_BYTES} count={} 2>/dev/null"#,
        FILE_BYTES / READ_BYTES
    );
    let script = format!(r#"{read} && dd if="$1" iflag=nocache count=0 2>/dev/null && {read}"#);
    let path = file.path().to_string_lossy().into_owned();
    let run = TracerCall::launch(&ground.scratch, file.path())?
        .engine("/bin/sh".as_ref(), &["-c", &script, "sh", &path])
        .run()?;
    Finished::succeeded(&run.finished)?;
    let record: RunRecord = run.record()?;
    check_sound(&record)?;
    let pages = FILE_BYTES / page_bytes();
    for (figure, expected) in [
        ("cache.inserts", 2 * pages),
        ("cache.evictions", pages),
        ("cache.evictions_by_agent.invalidation", pages),
        ("cache.refaults", pages),
        ("cache.after_bytes", FILE_BYTES),
        ("reads.total_bytes", 2 * FILE_BYTES),
        ("reads.unique_bytes", FILE_BYTES),
    ] {
        let found = record.count(figure)?;
        ensure!(found == expected, "{figure} is {found}, not {expected}");
    }
    for (figure, expected) in [
        ("inserted_bytes", 2 * FILE_BYTES),
        ("evicted_bytes", FILE_BYTES),
        ("refaulted_bytes", FILE_BYTES),
    ] {
        let found = cells(&record, figure)?;
        ensure!(
            found == expected,
            "the cells of page_course.{figure} sum to {found}, not {expected}"
        );
    }
    // Where the kernel has no such tracepoint its function is traced, where functions can be.
    if record.is_null("cache.faults")? {
        ensure!(
            !has_tracepoint("filemap/mm_filemap_fault")?,
            "cache.faults is null, and this kernel reports faults"
        );
    } else {
        let faults = record.count("cache.faults")?;
        ensure!(
            faults == 0,
            "cache.faults is {faults}, and nothing is mapped"
        );
    }
    let amplification = record.number("reads.amplification")?;
    ensure!(
        (amplification - 2.0).abs() < 1e-12,
        "amplification is {amplification}"
    );
    Ok(())
}
