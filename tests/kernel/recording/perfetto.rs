//! `tracer export --perfetto`, as Perfetto's own classes decode it: every track beside the record and the recording.

use std::{env, path::Path, process::Command};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tests::{environment::unavailable, run_record::RunRecord, tracer};

use crate::read_list::query;

/// The tracks of a trace.
pub struct Tracks(Vec<Value>);

impl Tracks {
    pub fn decode(trace: &Path) -> Result<Self> {
        let python = env::var_os("TRACER_TESTS_PERFETTO_PYTHON").ok_or_else(|| {
            unavailable(
                "TRACER_TESTS_PERFETTO_PYTHON names no Python with Perfetto's classes (`cargo xtask test` makes one)",
            )
        })?;
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/programs/perfetto_tracks.py");
        let output = Command::new(&python)
            .arg(script)
            .arg(trace)
            .output()
            .with_context(|| format!("run {}", Path::new(&python).display()))?;
        ensure!(
            output.status.success(),
            "Perfetto's classes refuse {}: {}",
            trace.display(),
            String::from_utf8_lossy(&output.stderr)
        );
        Ok(Self(serde_json::from_slice(&output.stdout)?))
    }

    /// The tracks whose own name is this, below one whose name begins so.
    fn named<'a>(&'a self, parent: &str, name: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
        let (parent, name) = (parent.to_owned(), name.to_owned());
        self.0.iter().filter(move |track| {
            let path = track["path"].as_array().map_or(&[][..], Vec::as_slice);
            let own = path.last().and_then(Value::as_str);
            let above = path.len().checked_sub(2).and_then(|at| path.get(at));
            own == Some(name.as_str())
                && (parent.is_empty()
                    || above
                        .and_then(Value::as_str)
                        .is_some_and(|above| above.starts_with(&parent)))
        })
    }

    pub fn slices(&self, parent: &str, name: &str) -> Vec<&Value> {
        self.named(parent, name)
            .flat_map(|track| track["slices"].as_array().into_iter().flatten())
            .collect()
    }

    /// How many reads are shown.
    pub fn reads(&self) -> usize {
        let instants = self
            .named("reads of", "reads whose end was not seen")
            .map(|track| track["instants"].as_array().map_or(0, Vec::len));
        self.slices("reads of", "reads").len() + instants.sum::<usize>()
    }

    /// Moments and values of a track, of which there is at most one.
    fn values(&self, name: &str) -> Vec<(u64, f64)> {
        let points = self
            .named("", name)
            .flat_map(|track| track["values"].as_array().into_iter().flatten());
        points
            .filter_map(|point| Some((point[0].as_u64()?, point[1].as_f64()?)))
            .collect()
    }
}

fn nanos(seconds: f64) -> u64 {
    (seconds * 1e9).round() as u64
}

fn sum_of(slices: &[&Value], annotation: &str) -> u64 {
    let values = slices
        .iter()
        .filter_map(|slice| slice[3][annotation].as_u64());
    values.sum()
}

fn time_of(slices: &[&Value]) -> u64 {
    let times = slices
        .iter()
        .filter_map(|slice| Some(slice[2].as_u64()? - slice[1].as_u64()?));
    times.sum()
}

/// Exports a run, and compares each track with what it is of.
pub fn check(run: &Path, record: &RunRecord) -> Result<()> {
    let trace = run.join("own trace.pftrace");
    let output = Command::new(tracer::binary()?)
        .arg("export")
        .arg(run)
        .args(["--perfetto", "-o"])
        .arg(&trace)
        .output()?;
    let words = String::from_utf8_lossy(&output.stderr).into_owned();
    ensure!(output.status.success(), "{words}");
    let tracks = Tracks::decode(&trace)?;

    let whole = tracks.slices("", "run");
    ensure!(
        whole.len() == 1 && time_of(&whole) == nanos(record.number("time.wall_s")?),
        "the run is {whole:?}"
    );
    reads(&tracks, run, record)?;
    waits(&tracks, run)?;
    phases_and_steps(&tracks, record)?;
    courses(&tracks, record)
}

fn reads(tracks: &Tracks, run: &Path, record: &RunRecord) -> Result<()> {
    let device = record.text("devices.0.name")?;
    let reads = tracks.slices(&format!("reads of {device}"), "reads");
    let without_end: usize = tracks
        .named("reads of", "reads whose end was not seen")
        .map(|track| track["instants"].as_array().map_or(0, Vec::len))
        .sum();
    let all = reads.len() + without_end;
    ensure!(
        all as u64 == record.count("reads.count")? && all > 100,
        "{all} reads, and the record has {}",
        record.count("reads.count")?
    );
    if without_end == 0 {
        ensure!(
            sum_of(&reads, "bytes") == record.count("reads.total_bytes")?,
            "{} bytes",
            sum_of(&reads, "bytes")
        );
    }
    let listed = query(
        run,
        "select sum(latency_ns) latency, min(time_ns) first, count(latency_ns) timed,
         cast(sum(file_offset_bytes) filter (latency_ns is not null) as bigint) offsets from reads",
    )?;
    let of = |name: &str| listed[0][name].as_u64().context("no number");
    let first = reads.iter().filter_map(|slice| slice[1].as_u64()).min();
    ensure!(
        of("timed")? == reads.len() as u64
            && of("latency")? == time_of(&reads)
            && Some(of("first")?) == first
            && of("offsets")? == sum_of(&reads, "file_offset_bytes"),
        "reads.parquet has {listed}, and the trace {} reads of {} ns, the first at {first:?}",
        reads.len(),
        time_of(&reads)
    );
    // The names are those of the tensors.
    let Value::Array(tensors) = record.value("tensors")? else {
        bail!("no tensors");
    };
    let names: Vec<&str> = tensors
        .iter()
        .filter_map(|tensor| tensor["name"].as_str())
        .collect();
    for slice in &reads {
        let name = slice[0].as_str().context("no name")?;
        ensure!(
            names.contains(&name),
            "a read of {name}, which is no tensor"
        );
    }
    Ok(())
}

/// Waits by thread and kind: how many, and how long.
fn waits(tracks: &Tracks, run: &Path) -> Result<()> {
    let expected = query(
        run,
        "select thread_id, event, count(*) n, sum(time_ns - greatest(start_ns, 0)) ns from events
         where starts_with(event, 'wait') group by all order by all",
    )?;
    let expected = expected.as_array().context("no rows")?;
    ensure!(!expected.is_empty(), "nobody waited");
    let mut all = 0;
    for row in expected {
        let track = match row["event"].as_str() {
            Some("wait_for_model") => "waits for the model",
            Some("wait_for_other_io") => "waits for other I/O",
            Some("wait_in_reclaim") => "waits in reclaim",
            _ => "waits for a lock",
        };
        let thread = row["thread_id"].as_i64();
        let above = tracks
            .0
            .iter()
            .find(|track| track["tid"].as_i64() == thread)
            .and_then(|track| track["path"].as_array()?.last()?.as_str())
            .with_context(|| format!("no track of thread {thread:?}"))?;
        let slices = tracks.slices(above, track);
        ensure!(
            Some(slices.len() as u64) == row["n"].as_u64()
                && Some(time_of(&slices)) == row["ns"].as_u64(),
            "{row}, and the trace has {} of {} ns",
            slices.len(),
            time_of(&slices)
        );
        all += slices.len();
    }
    let shown: usize = tracks
        .0
        .iter()
        .filter(|track| {
            let name = track["path"]
                .as_array()
                .and_then(|path| path.last()?.as_str());
            name.is_some_and(|name| name.starts_with("waits "))
        })
        .map(|track| track["slices"].as_array().map_or(0, Vec::len))
        .sum();
    ensure!(
        shown == all,
        "{shown} waits are shown, and {all} are recorded"
    );
    Ok(())
}

fn phases_and_steps(tracks: &Tracks, record: &RunRecord) -> Result<()> {
    let slices = tracks.slices("", "phases");
    let phases = record.value("phases")?.as_array().context("no phases")?;
    ensure!(phases.len() >= 3, "{} phases", phases.len());
    for phase in phases {
        let name = phase["phase"].as_str().context("no name")?;
        let parts: Vec<&Value> = slices
            .iter()
            .copied()
            .filter(|slice| slice[0].as_str() == Some(name))
            .collect();
        let duration = phase["duration_s"].as_f64().map(nanos);
        let start = phase["start_s"].as_f64().map(nanos);
        ensure!(
            // Each part's seconds are rounded.
            duration.is_some_and(|own| own.abs_diff(time_of(&parts)) <= 1)
                && start == parts.first().and_then(|part| part[1].as_u64()),
            "{phase}, and the trace has {parts:?}"
        );
    }
    let steps = tracks.slices("", "steps");
    let tokens = record.value("tokens")?.as_array().context("no steps")?;
    ensure!(steps.len() == tokens.len(), "{} steps", steps.len());
    for (step, token) in steps.iter().zip(tokens) {
        let duration = token["duration_s"].as_f64().map(nanos);
        let own = step[2].as_u64().zip(step[1].as_u64());
        ensure!(
            step[1].as_u64() == token["start_s"].as_f64().map(nanos)
                && duration
                    .zip(own)
                    .is_none_or(|(duration, (end, start))| { duration.abs_diff(end - start) <= 1 })
                && step[3]["read_bytes"] == token["read_bytes"]
                && step[3]["step"] == token["step"],
            "{token}, and the trace has {step}"
        );
    }
    Ok(())
}

fn courses(tracks: &Tracks, record: &RunRecord) -> Result<()> {
    let window_s = record.number("arrivals.window_s")?;
    let bandwidth = tracks.values("bandwidth");
    let bytes: f64 = bandwidth.iter().map(|(_, rate)| rate * window_s).sum();
    ensure!(
        bytes.round() as u64 == record.count("reads.completed_bytes")? && !bandwidth.is_empty(),
        "the bandwidth is of {bytes} bytes"
    );
    let of_record =
        |course: &str, member: &dyn Fn(&Value) -> Option<f64>| -> Result<Vec<(u64, f64)>> {
            let points = record.value(course)?.as_array().context("no course")?;
            Ok(points
                .iter()
                .filter_map(|point| Some((nanos(point["at_s"].as_f64()?), member(point)?)))
                .collect())
        };
    type Member = fn(&Value) -> Option<f64>;
    let compared: [(&str, &str, Member); 5] = [
        ("in memory (by events)", "residency_course", |point| {
            point["by_events_bytes"][0].as_f64()
        }),
        ("in memory (by cachestat)", "residency_course", |point| {
            point["by_cachestat_bytes"][0].as_f64()
        }),
        ("engine: mapped files", "memory_course", |point| {
            point["process"]["file_bytes"].as_f64()
        }),
        ("machine: available", "memory_course", |point| {
            point["system"]["available_bytes"].as_f64()
        }),
        ("PSI I/O, some waited", "memory_course", |point| {
            point["system"]["psi_io_some_us"].as_f64()
        }),
    ];
    for (track, course, member) in compared {
        let (shown, expected) = (tracks.values(track), of_record(course, &member)?);
        ensure!(
            shown == expected,
            "{track}: {shown:?}, and the record has {expected:?}"
        );
    }
    for track in ["in memory (by events)", "machine: available"] {
        ensure!(!tracks.values(track).is_empty(), "{track} has no values");
    }
    Ok(())
}
