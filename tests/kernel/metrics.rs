//! Metrics while a run goes on: against the run's own record, and read by a real Prometheus.

use std::{
    fs,
    io::{ErrorKind, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::Path,
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use tests::{
    disk::FileSystem,
    environment::unavailable,
    model_file::ModelFile,
    plan::ReadPlan,
    reader::{ReadMode, RunningProgram},
    run_record::RunRecord,
    surroundings::Surroundings,
    tracer::TracerCall,
};

use crate::{
    ground::{Case, Ground, case, check_no_violation},
    processes::holds_open,
};

const LIMIT: Duration = Duration::from_secs(60);
const MODEL_BYTES: u64 = 4 << 20;
const READ_BYTES: u64 = 4096;

/// A model that does not fit, and how often it is read at random: for many seconds.
const LARGE_BYTES: u64 = 48 << 20;
const TIGHT_BYTES: u64 = 20 << 20;
const MANY_READS: usize = 200_000;

/// What is exported of a model, with the member of the record that has it in the end.
const OF_MODEL: [(&str, &str); 14] = [
    ("tracer_model_size_bytes", "model.size_bytes"),
    ("tracer_reads_total", "reads.count"),
    ("tracer_read_bytes_total", "reads.total_bytes"),
    ("tracer_read_completed_bytes_total", "reads.completed_bytes"),
    ("tracer_read_latency_seconds_count", "latency_us.count"),
    ("tracer_sequential_gaps_total", "gaps.sequential.count"),
    ("tracer_small_gaps_total", "gaps.small.count"),
    ("tracer_medium_gaps_total", "gaps.medium.count"),
    ("tracer_large_gaps_total", "gaps.large.count"),
    ("tracer_backward_gaps_total", "gaps.backward.count"),
    ("tracer_inserted_pages_total", "cache.inserts"),
    ("tracer_evicted_pages_total", "cache.evictions"),
    ("tracer_refaulted_pages_total", "cache.refaults"),
    ("tracer_faults_total", "cache.faults"),
];

pub fn cases() -> Vec<Case> {
    vec![
        case("metrics::attach_by_counts", |ground, _| {
            of_an_attached(ground, "counts")
        }),
        case("metrics::attach_by_events", |ground, _| {
            of_an_attached(ground, "events")
        }),
        case("metrics::prometheus", |ground, _| prometheus(ground)),
    ]
}

/// A port that nobody has now.
pub fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

/// The body of an answer with status 200.
pub fn get(port: u16, path: &str) -> Result<String> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(LIMIT))?;
    write!(
        stream,
        "GET {path} HTTP/1.0\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no end of headers")?;
    let status = head.lines().next().unwrap_or_default();
    ensure!(status.contains(" 200 "), "{path}: {answer}");
    Ok(body.to_owned())
}

/// The only series of a metric; none where it is absent.
fn value(text: &str, metric: &str) -> Result<Option<f64>> {
    let mut series = text.lines().filter_map(|line| {
        let rest = line.strip_prefix(metric)?;
        rest.starts_with(['{', ' '])
            .then(|| rest.rsplit(' ').next().map(str::parse))?
    });
    let first = series.next().transpose()?;
    ensure!(series.next().is_none(), "{metric} is there twice:\n{text}");
    Ok(first)
}

/// What the tracer exports passes the checks of Prometheus's own tool.
pub fn promtool(text: &str) -> Result<()> {
    let started = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = match started {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            return Err(unavailable("there is no promtool"));
        }
        started => started?,
    };
    promtool
        .stdin
        .take()
        .context("its input")?
        .write_all(text.as_bytes())?;
    let output = promtool.wait_with_output()?;
    ensure!(
        output.status.success() && output.stderr.is_empty(),
        "promtool check metrics: {}{}\nof\n{text}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(())
}

/// The tracer has given its rights up, and answers all the same; what it said last is what the record says. A client that
/// says nothing keeps neither a scrape nor the end.
fn of_an_attached(ground: &Ground, detail: &str) -> Result<()> {
    let disk = ground.disk(FileSystem::Ext4)?;
    let file = ModelFile::contiguous(&disk, "model.gguf", MODEL_BYTES)?;
    let before = Surroundings::observe()?;
    let plan = ReadPlan::sequential(MODEL_BYTES, READ_BYTES);
    let reader = ground
        .reader(&file, &plan, ReadMode::Direct)?
        .option("--start-on-line")
        .option_with("--hold", 60);
    let mut program = ground.start_reader(&reader)?;
    program.wait_until("it has the model open", LIMIT, |program| {
        holds_open(program.process_id(), file.path())
    })?;
    let port = free_port()?;
    let call = TracerCall::attach(&ground.scratch, program.process_id())?
        .option("--model", file.path())
        .option("--detail", detail)
        .option("--serve", format!("127.0.0.1:{port}"));
    let directory = call.directory().to_owned();
    let tracer = call.start()?;
    tracer.wait_until("it traces", LIMIT, |tracer| {
        tracer.errors_so_far().contains("tracing process")
    })?;
    let _silent = TcpStream::connect(("127.0.0.1", port))?;
    let mut slow = TcpStream::connect(("127.0.0.1", port))?;
    slow.write_all(b"GET /metr")?;
    program.send_line("go")?;
    let expected = (MODEL_BYTES / READ_BYTES) as f64;
    let mut last = String::new();
    let deadline = Instant::now() + LIMIT;
    let mut counted = 0.0;
    while counted < expected {
        ensure!(Instant::now() < deadline, "only {counted} reads in\n{last}");
        std::thread::sleep(Duration::from_millis(300));
        last = get(port, "/metrics")?;
        let now = value(&last, "tracer_reads_total")?.unwrap_or(0.0);
        ensure!(now >= counted, "{now} reads after {counted}");
        counted = now;
    }
    // What came back with the last read is counted a moment after its issue.
    std::thread::sleep(Duration::from_millis(1500));
    last = get(port, "/metrics")?;
    // Over more than two seconds: a few ask the run, which takes as long as its maps take to read; the others get what was said
    // before.
    let mut times = Vec::new();
    for _ in 0..200 {
        std::thread::sleep(Duration::from_millis(10));
        let begun = Instant::now();
        get(port, "/metrics")?;
        times.push(begun.elapsed());
    }
    times.sort();
    let (half, longest) = (times[100], times[199]);
    eprintln!(
        "scrapes of {} bytes: half within {half:?}, all within {longest:?}",
        last.len()
    );
    ensure!(
        half < Duration::from_millis(5) && longest < Duration::from_millis(500),
        "half within {half:?}, all within {longest:?}"
    );
    let begun = Instant::now();
    tracer.signal(Signal::SIGINT)?;
    tracer.finish(LIMIT)?.succeeded()?;
    ensure!(
        begun.elapsed() < Duration::from_secs(8),
        "the end took {:?}",
        begun.elapsed()
    );
    ensure!(
        TcpStream::connect(("127.0.0.1", port)).is_err(),
        "somebody still listens"
    );
    program.signal(Signal::SIGTERM)?;
    program.ended(LIMIT)?;
    let record = RunRecord::load(&directory)?;
    check_no_violation(&record)?;
    for (metric, member) in OF_MODEL {
        let shown = value(&last, metric)?;
        let recorded = if record.is_null(member)? {
            None
        } else {
            Some(record.number(member)?)
        };
        ensure!(
            shown == recorded,
            "{metric} is {shown:?}, {member} {recorded:?}"
        );
    }
    ensure!(counted == expected, "{counted} reads, not {expected}");
    let losses = value(&last, "tracer_lost_records_total")?;
    ensure!(losses == Some(0.0), "{losses:?}");
    let stalled = value(&last, "tracer_stalled_seconds_total")?;
    ensure!(
        stalled.is_none() || detail == "events",
        "counts know no waits: {stalled:?}"
    );
    Surroundings::check_nothing_left_since(&before)?;
    promtool(&last)
}

/// A real Prometheus scrapes, and the alert for thrashing fires; its rule is that of `deploy/`, with shorter times.
fn prometheus(ground: &Ground) -> Result<()> {
    let disk = ground.disk(FileSystem::Ext4)?;
    disk.set_read_ahead_kb(128)?;
    let file = ModelFile::contiguous(&disk, "model.gguf", LARGE_BYTES)?;
    let plan = ReadPlan::random(LARGE_BYTES, 64 << 10, MANY_READS, 7);
    let reader = ground.reader(&file, &plan, ReadMode::Buffered)?;
    let (port, own_port) = (free_port()?, free_port()?);
    let folder = ground.scratch.fresh_directory("prometheus")?;
    let server = start_prometheus(ground, &folder, port, own_port)?;
    let tracer = TracerCall::launch(&ground.scratch, file.path())?
        .option("--memory-max", TIGHT_BYTES.to_string())
        .option("--serve", format!("127.0.0.1:{port}"))
        .reader(&reader)
        .start()?;
    let alerts = || get(own_port, "/api/v1/alerts").unwrap_or_default();
    tracer.wait_until("the alert fires", LIMIT, |_| {
        fires(&alerts(), "TracerModelThrashes")
    })?;
    let answer = alerts();
    ensure!(
        !fires(&answer, "TracerFiguresAreOld") && answer.contains("\"model\":\"model.gguf\""),
        "{answer}"
    );
    let up = get(own_port, "/api/v1/query?query=tracer_model_size_bytes")?;
    ensure!(up.contains(&format!("\"{LARGE_BYTES}\"")), "{up}");
    tracer.signal(Signal::SIGINT)?;
    tracer.ended(LIMIT)?;
    server.signal(Signal::SIGTERM)?;
    server.ended(LIMIT)?;
    Ok(())
}

pub fn fires(answer: &str, name: &str) -> bool {
    let answer: Value = serde_json::from_str(answer).unwrap_or_default();
    let alerts = answer["data"]["alerts"].as_array();
    alerts
        .into_iter()
        .flatten()
        .any(|alert| alert["labels"]["alertname"] == name && alert["state"] == "firing")
}

pub fn start_prometheus(
    ground: &Ground,
    folder: &Path,
    port: u16,
    own_port: u16,
) -> Result<RunningProgram> {
    if let Err(error) = Command::new("prometheus").arg("--version").output()
        && error.kind() == ErrorKind::NotFound
    {
        return Err(unavailable("there is no prometheus"));
    }
    let rules = include_str!("../../deploy/prometheus/tracer.rules.yml");
    let soon = rules
        .replace("[5m]", "[5s]")
        .replace("for: 5m", "for: 1s")
        .replace("for: 10m", "for: 1s");
    fs::write(folder.join("rules.yml"), soon)?;
    fs::write(
        folder.join("prometheus.yml"),
        format!(
            "global:\n  scrape_interval: 1s\n  evaluation_interval: 1s\nrule_files: [rules.yml]\nscrape_configs:\n  - job_name: tracer\n    static_configs:\n      - targets: [\"127.0.0.1:{port}\"]\n"
        ),
    )?;
    let mut command = Command::new("prometheus");
    command
        .arg(format!(
            "--config.file={}",
            folder.join("prometheus.yml").display()
        ))
        .arg(format!(
            "--storage.tsdb.path={}",
            folder.join("data").display()
        ))
        .arg(format!("--web.listen-address=127.0.0.1:{own_port}"));
    let server = RunningProgram::start(&ground.scratch, command)?;
    server.wait_until("it answers", LIMIT, |_| get(own_port, "/-/ready").is_ok())?;
    Ok(server)
}
