//! What the page cache's turnover costs: a file is read from start to end, dropped, and read again.

use std::{
    fs::File,
    io::Read as _,
    os::fd::AsFd as _,
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

use super::{
    priority::{goes_first, keep_first},
    reads::timed,
};
use crate::bench::{
    compared::{Rounds, Running, Traced, Turn, Variants},
    ground::BenchGround,
    record::{Figure, MeasurementRecord, RoundRecord, WorkRecord},
};

/// Where programs that do nothing sit: what every tracer of reads and of the page cache needs.
const HOOKS: [&str; 4] = [
    "block_rq_issue",
    "block_rq_complete",
    "mm_filemap_add_to_page_cache",
    "mm_filemap_delete_from_page_cache",
];

/// Measures all variants while a file goes through the page cache: the traced model, or another one.
///
/// # Errors
/// A variant cannot be started, or the file cannot be read.
pub fn measure_page_cache(
    ground: &BenchGround<'_>,
    traced: Traced<'_>,
    file: &Path,
    variants: &Variants,
    rounds: Rounds,
    window: Duration,
) -> Result<MeasurementRecord> {
    Ok(MeasurementRecord {
        work: WorkRecord::PageCache {
            traced: file == traced.model,
            file_bytes: file.metadata()?.len(),
            went_first: goes_first(),
        },
        variants: rounds.take(variants, |turn| {
            one_turn(turn, ground, traced, file, window)
        })?,
    })
}

fn one_turn(
    turn: Turn<'_>,
    ground: &BenchGround<'_>,
    traced: Traced<'_>,
    file: &Path,
    window: Duration,
) -> Result<RoundRecord> {
    let running = Running::start(turn, ground, traced, &HOOKS)?;
    keep_first();
    // Memory that a machine at rest gave back to its host comes again slowly, and a tracer's start is a rest.
    turn_over(file, window)?;
    let bytes_per_second = turn_over(file, window)?;
    // No requests: the time is a folio's, not a read's.
    let (programs, _) = timed(&running, ground, || turn_over(file, window).map(drop))?;
    let mut figures = running.finish()?;
    figures.insert(Figure::TurnoverBytesPerSecond, bytes_per_second);
    Ok(RoundRecord {
        figures,
        programs,
        requests: 0,
    })
}

/// Reads and drops a file until the time is up, but once at least; bytes per second.
fn turn_over(path: &Path, window: Duration) -> Result<f64> {
    let mut file = File::open(path).with_context(|| format!("open {}", path.display()))?;
    let drop_pages = |file: &File| {
        posix_fadvise(file.as_fd(), 0, 0, PosixFadviseAdvice::POSIX_FADV_DONTNEED)
            .context("drop the file's pages")
    };
    drop_pages(&file)?;
    let mut buffer = vec![0; 1 << 20];
    let (start, mut bytes) = (Instant::now(), 0);
    loop {
        std::io::Seek::rewind(&mut file).context("go back to the file's start")?;
        loop {
            let read = file.read(&mut buffer).context("read the file")?;
            if read == 0 {
                break;
            }
            bytes += read as u64;
        }
        drop_pages(&file)?;
        let elapsed = start.elapsed();
        if elapsed >= window {
            return Ok(bytes as f64 / elapsed.as_secs_f64());
        }
    }
}
