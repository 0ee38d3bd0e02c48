//! Reads a file in exactly the order of a plan, and reports what it read.

use std::{
    fs,
    io::BufRead as _,
    path::PathBuf,
    process::ExitCode,
    sync::{
        Arc, Barrier,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, bail};
use clap::Parser;
use tests::{
    model_file::evict,
    plan::ReadPlan,
    reader::{
        Identity, Period, ReadMode, ReadTotals, Reader, ReaderReport, SleepRecorder, read_plan,
    },
};

/// Reads a file in exactly the order of a plan, and prints one line of JSON: reads, bytes, checksum.
#[derive(Debug, Parser)]
struct Arguments {
    /// The file to read.
    file: PathBuf,
    /// The plan: one read a line, offset and length in bytes.
    #[arg(long)]
    plan: PathBuf,
    /// How to read.
    #[arg(long, value_enum, default_value = "buffered")]
    mode: ReadMode,
    /// Threads that read at once, starting together: read i goes to thread i modulo their number.
    #[arg(long, default_value_t = 1)]
    threads: usize,
    /// Tell the kernel that reads are random (POSIX_FADV_RANDOM, MADV_RANDOM): no read-ahead.
    #[arg(long)]
    random_advice: bool,
    /// Before each read, read as much of this other file at the same place, past the page cache.
    #[arg(long, value_name = "FILE")]
    after_reads_of: Option<PathBuf>,
    /// Take the file out of the page cache first.
    #[arg(long)]
    evict_before: bool,
    /// Open (and map) the file, then wait for a line on standard input before the first read.
    #[arg(long)]
    start_on_line: bool,
    /// Read the plan again and again, until standard input is closed.
    #[arg(long)]
    until_input_closes: bool,
    /// Read the plan so many times, and take the file out of the page cache before each time but the first.
    #[arg(long, value_name = "ROUNDS", conflicts_with = "until_input_closes")]
    evicted_rounds: Option<u64>,
    /// Make this file when the plan has been read to its end for the first time.
    #[arg(long, value_name = "FILE")]
    mark_round: Option<PathBuf>,
    /// Stay for so long after the last read, with the file open.
    #[arg(long, value_name = "SECONDS", default_value_t = 0.0)]
    hold: f64,
    /// Report when the main thread slept.
    #[arg(long)]
    record_sleeps: bool,
    /// Report as whom this process runs.
    #[arg(long)]
    print_identity: bool,
    /// Exit with this status after all went well.
    #[arg(long, default_value_t = 0)]
    exit_with: u8,
    /// Write the report here too.
    #[arg(long, value_name = "FILE")]
    report_to: Option<PathBuf>,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    if arguments.threads == 0 {
        bail!("--threads must be at least 1");
    }
    let plan = fs::read_to_string(&arguments.plan)
        .with_context(|| format!("read {}", arguments.plan.display()))
        .and_then(|text| ReadPlan::from_text(&text))?;
    if arguments.evict_before {
        evict(&arguments.file)?;
    }
    let mut reader = Reader::open(&arguments.file, arguments.mode, arguments.random_advice)?;
    if let Some(other) = &arguments.after_reads_of {
        reader = reader.after_reads_of(other)?;
    }
    if arguments.start_on_line {
        let mut line = String::new();
        let length = std::io::stdin()
            .lock()
            .read_line(&mut line)
            .context("wait for a line")?;
        if length == 0 {
            bail!("standard input was closed before the line to start on");
        }
    }
    let recorder = arguments
        .record_sleeps
        .then(SleepRecorder::start)
        .transpose()?;
    let (rounds, totals) = read_rounds(&arguments, &reader, &plan)?;
    // Between the rounds it waits for the eviction of the file.
    let mut sleeps = recorder.map_or_else(|| Ok(Vec::new()), SleepRecorder::finish)?;
    sleeps.retain(|sleep| rounds.iter().any(|round| round.holds(sleep)));
    let report = ReaderReport {
        reads: totals.reads,
        bytes: totals.bytes,
        checksum: totals.checksum.value(),
        rounds: rounds.len() as u64,
        sleeps,
        identity: arguments
            .print_identity
            .then(Identity::of_this_process)
            .transpose()?,
    };
    let line = serde_json::to_string(&report).context("write the report")?;
    println!("{line}");
    if let Some(path) = &arguments.report_to {
        fs::write(path, format!("{line}\n"))
            .with_context(|| format!("write {}", path.display()))?;
    }
    thread::sleep(Duration::from_secs_f64(arguments.hold));
    Ok(ExitCode::from(arguments.exit_with))
}

fn read_rounds(
    arguments: &Arguments,
    reader: &Reader,
    plan: &ReadPlan,
) -> Result<(Vec<Period>, ReadTotals)> {
    let stop = Arc::new(AtomicBool::new(!arguments.until_input_closes));
    if arguments.until_input_closes {
        let stop = Arc::clone(&stop);
        thread::spawn(move || {
            // An input that cannot be read is as good as closed.
            let _ = std::io::copy(&mut std::io::stdin().lock(), &mut std::io::sink());
            stop.store(true, Ordering::Relaxed);
        });
    }
    let parts = plan.deal(arguments.threads);
    let mut totals = ReadTotals::default();
    let mut rounds = Vec::new();
    loop {
        let start_ns = Period::clock_ns()?;
        totals.merge(read_once(reader, &parts)?);
        rounds.push(Period {
            start_ns,
            end_ns: Period::clock_ns()?,
        });
        if let Some(mark) = arguments.mark_round.as_ref().filter(|_| rounds.len() == 1) {
            fs::write(mark, "").with_context(|| format!("make {}", mark.display()))?;
        }
        let more = match arguments.evicted_rounds {
            Some(wanted) => (rounds.len() as u64) < wanted,
            None => !stop.load(Ordering::Relaxed),
        };
        if !more {
            return Ok((rounds, totals));
        }
        if arguments.evicted_rounds.is_some() {
            reader.unmap_pages()?;
            evict(&arguments.file)?;
        }
    }
}

fn read_once(reader: &Reader, parts: &[ReadPlan]) -> Result<ReadTotals> {
    if let [part] = parts {
        // No thread of its own, so that the process's id is the reading thread's.
        return read_plan(reader, part);
    }
    let start = Barrier::new(parts.len());
    thread::scope(|scope| {
        let threads: Vec<_> = parts
            .iter()
            .map(|part| {
                scope.spawn(|| {
                    start.wait();
                    read_plan(reader, part)
                })
            })
            .collect();
        let mut totals = ReadTotals::default();
        for thread in threads {
            match thread.join() {
                Ok(part) => totals.merge(part?),
                Err(_) => bail!("a reading thread panicked"),
            }
        }
        Ok(totals)
    })
}
