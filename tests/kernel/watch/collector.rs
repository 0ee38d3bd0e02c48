//! Metrics that are sent to a collector, decoded with OpenTelemetry's own classes.

use std::{
    env,
    ffi::{OsStr, OsString},
    net::TcpStream,
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use tests::{
    environment::unavailable, reader::RunningProgram, run_record::RunRecord, tracer::TracerCall,
};

use super::scene::{Engine, LIMIT, MODEL_BYTES, NAME, Service, disk, model};
use crate::{ground::Ground, metrics::free_port};

/// A Python with OpenTelemetry's classes.
fn python() -> Result<OsString> {
    let python = env::var_os("TRACER_TESTS_PERFETTO_PYTHON").ok_or_else(|| {
        unavailable("TRACER_TESTS_PERFETTO_PYTHON names no Python with OpenTelemetry's classes")
    })?;
    let found = Command::new(&python)
        .args(["-c", "import opentelemetry.proto.metrics.v1.metrics_pb2"])
        .output()?;
    if !found.status.success() {
        return Err(unavailable(
            "that Python has no opentelemetry-proto (`cargo xtask test` installs it)",
        ));
    }
    Ok(python)
}

fn collector(ground: &Ground, python: &OsStr, port: u16) -> Result<RunningProgram> {
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/programs/otlp_collector.py");
    let mut command = Command::new(python);
    command.arg(script).arg(port.to_string());
    let collector = RunningProgram::start(&ground.scratch, command)?;
    collector.wait_until("it listens", LIMIT, |_| {
        TcpStream::connect(("127.0.0.1", port)).is_ok()
    })?;
    Ok(collector)
}

/// A run that is attached to has given up its right to connect, and sends all the same; what it sends at last is its record.
pub fn otlp_of_a_run(ground: &Ground) -> Result<()> {
    let python = python()?;
    let port = free_port()?;
    let disk = disk(ground)?;
    let model = model(&disk, "model.gguf")?;
    let collector = collector(ground, &python, port)?;
    let mut engine = Engine::start(ground)?;
    engine.open(&model)?;
    let call = TracerCall::attach(&ground.scratch, engine.process_id())?
        .option("--otlp", format!("http://127.0.0.1:{port}"))
        .option("--otlp-every", "1h");
    let folder = call.directory().to_owned();
    let tracer = call.start()?;
    tracer.wait_until("it traces", LIMIT, |tracer| {
        tracer.errors_so_far().contains("tracing process")
    })?;
    engine.read(&model)?;
    tracer.signal(Signal::SIGINT)?;
    tracer.finish(LIMIT)?.succeeded()?;
    engine.end()?;
    let record = RunRecord::load(&folder)?;
    let output = collector.output_so_far();
    ensure!(output.lines().count() == 1, "{output}");
    let request = last(&output)?;
    for (metric, member) in [("tracer.read", "total_bytes"), ("tracer.reads", "count")] {
        let point = points(&request, metric, "sum")?;
        ensure!(
            point["asDouble"] == json!(record.number(&format!("reads.{member}"))?),
            "{point}"
        );
        let attributes =
            json!([{"key": "gen_ai.request.model", "value": {"stringValue": "model.gguf"}}]);
        ensure!(point["attributes"] == attributes, "{point}");
    }
    ensure!(record.count("reads.total_bytes")? == MODEL_BYTES, "not all");
    collector.signal(Signal::SIGTERM)?;
    collector.ended(LIMIT)?;
    Ok(())
}

/// Sent each second; what came at last is what was read. A collector that is not there is said once.
pub fn otlp(ground: &Ground) -> Result<()> {
    let python = python()?;
    let port = free_port()?;
    let address = format!("http://127.0.0.1:{port}");
    let disk = disk(ground)?;
    let model = model(&disk, "model.gguf")?;
    let folder = ground.scratch.fresh_path("watch");
    let options = ["--otlp", &address, "--otlp-every", "1s"];
    let service = Service::start(ground, &folder, &options)?;
    service.said("metrics are not taken by", 1)?;
    let collector = collector(ground, &python, port)?;
    service.said("takes metrics again", 1)?;
    let mut engine = Engine::start(ground)?;
    engine.open(&model)?;
    service.counting(1)?;
    engine.read(&model)?;
    let read = |point: &Value| point["asDouble"] == json!(MODEL_BYTES as f64);
    collector.wait_until("it has what was read", LIMIT, |collector| {
        last(&collector.output_so_far())
            .and_then(|request| Ok(read(points(&request, "tracer.read", "sum")?)))
            .unwrap_or(false)
    })?;
    let request = last(&collector.output_so_far())?;
    let point = points(&request, "tracer.read", "sum")?;
    let attributes = json!([
        {"key": "tracer.engine", "value": {"stringValue": NAME}},
        {"key": "gen_ai.request.model", "value": {"stringValue": "model.gguf"}},
    ]);
    ensure!(point["attributes"] == attributes, "{point}");
    let time = |member: &str| -> Result<u64> {
        let text = point[member].as_str().with_context(|| point.to_string())?;
        Ok(text.parse()?)
    };
    let (start, now) = (time("startTimeUnixNano")?, time("timeUnixNano")?);
    ensure!(start < now && now - start < 60_000_000_000, "{point}");
    let followed = points(&request, "tracer.watch.engines", "gauge")?;
    ensure!(followed["asDouble"] == json!(1.0), "{followed}");
    let read = metric(&request, "tracer.read")?;
    ensure!(
        read["unit"] == "By"
            && read["sum"]["isMonotonic"] == true
            && read["sum"]["aggregationTemporality"] == "AGGREGATION_TEMPORALITY_CUMULATIVE",
        "{read}"
    );
    engine.end()?;
    let said = service.stop()?;
    ensure!(
        said.matches("metrics are not taken by").count() == 1,
        "{said}"
    );
    ensure!(collector.is_running()?, "{}", collector.errors_so_far());
    collector.signal(Signal::SIGTERM)?;
    collector.ended(LIMIT)?;
    Ok(())
}

/// The last request that came whole.
fn last(output: &str) -> Result<Value> {
    let whole = output.rsplit_once('\n').map_or("", |(whole, _)| whole);
    let line = whole.lines().last().context("nothing has come")?;
    Ok(serde_json::from_str(line)?)
}

fn metric<'a>(request: &'a Value, name: &str) -> Result<&'a Value> {
    let metrics = request["resourceMetrics"][0]["scopeMetrics"][0]["metrics"].as_array();
    let metrics = metrics.context("no metrics")?;
    metrics
        .iter()
        .find(|metric| metric["name"] == name)
        .with_context(|| format!("there is no {name}"))
}

/// The only number of a metric.
fn points<'a>(request: &'a Value, name: &str, kind: &str) -> Result<&'a Value> {
    let points = metric(request, name)?[kind]["dataPoints"].as_array();
    match points.map(Vec::as_slice) {
        Some([point]) => Ok(point),
        other => anyhow::bail!("{name} has {other:?}"),
    }
}
