//! A variant in force.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::{
    rounds::Turn,
    variant::{TracerVariant, Variant, Variants},
};
use crate::bench::{
    bpf::{EmptyPrograms, held_by},
    ground::BenchGround,
    record::Figure,
};
use crate::{reader::RunningProgram, reference::FtraceBlk};

/// Longest that anything may take to start or to end.
const LIMIT: Duration = Duration::from_secs(120);

/// perf does not say when it has begun; it takes a fraction of this.
const PERF_START: Duration = Duration::from_secs(1);

/// Latency of each request by a map of start times, as bpftrace's own tool `biolatency.bt` takes it.
const BPFTRACE: &str =
    "tracepoint:block:block_rq_issue { @start[args->dev, args->sector] = nsecs; }
tracepoint:block:block_rq_complete /@start[args->dev, args->sector]/ {
  @ns = hist(nsecs - @start[args->dev, args->sector]);
  delete(@start[args->dev, args->sector]);
}
BEGIN { printf(\"attached\\n\"); }
END { clear(@start); }";

/// What tracers are told to trace.
#[derive(Clone, Copy, Debug)]
pub struct Traced<'model> {
    /// The process.
    pub process_id: u32,
    /// A file of its model.
    pub model: &'model Path,
}

/// A variant in force, until it is finished.
#[derive(Debug)]
pub enum Running<'ground> {
    /// No tracer.
    None,
    /// Programs that do nothing.
    Empty { _programs: EmptyPrograms },
    /// The tracer, the folder that it writes to, and how long it took to start.
    Tracer {
        program: RunningProgram,
        folder: RunFolder,
        start: Duration,
    },
    /// bpftrace.
    Bpftrace(RunningProgram),
    /// perf, and the file that it writes to.
    Perf {
        program: RunningProgram,
        data: PathBuf,
    },
    /// A tracer of the kernel's own.
    Ftrace { _tracer: FtraceBlk<'ground> },
}

impl<'ground> Running<'ground> {
    /// Puts it in force. Programs that do nothing sit on these tracepoints.
    pub fn start(
        turn: Turn<'_>,
        ground: &'ground BenchGround<'ground>,
        traced: Traced<'_>,
        hooks: &[&str],
    ) -> Result<Self> {
        match turn.variant {
            Variant::None => Ok(Self::None),
            Variant::Empty => Ok(Self::Empty {
                _programs: EmptyPrograms::attach(hooks)?,
            }),
            Variant::Tracer(tracer) => start_tracer(tracer, turn.variants, ground, traced),
            Variant::Bpftrace(bpftrace) => {
                let mut command = Command::new(bpftrace);
                command.args(["-e", BPFTRACE]);
                let program = RunningProgram::start(ground.scratch(), command)?;
                program.wait_until("it is attached", LIMIT, |program| {
                    program.output_so_far().contains("attached")
                })?;
                Ok(Self::Bpftrace(program))
            }
            Variant::Perf(perf) => start_perf(perf, ground),
            Variant::Ftrace => Ok(Self::Ftrace {
                _tracer: FtraceBlk::start(ground.disk(), ground.turn())?,
            }),
        }
    }

    /// Numbers of its eBPF programs.
    pub fn programs(&self) -> Result<BTreeSet<u32>> {
        match self {
            Self::None | Self::Ftrace { .. } => Ok(BTreeSet::new()),
            Self::Empty { .. } => held_by(std::process::id()),
            Self::Tracer { program, .. } | Self::Bpftrace(program) | Self::Perf { program, .. } => {
                held_by(program.process_id())
            }
        }
    }

    /// Its process, where it has one of its own.
    pub fn process_id(&self) -> Option<u32> {
        match self {
            Self::None | Self::Empty { .. } | Self::Ftrace { .. } => None,
            Self::Tracer { program, .. } | Self::Bpftrace(program) | Self::Perf { program, .. } => {
                Some(program.process_id())
            }
        }
    }

    /// Ends it; what is known of it then.
    pub fn finish(self) -> Result<BTreeMap<Figure, f64>> {
        match self {
            Self::None | Self::Empty { .. } | Self::Ftrace { .. } => Ok(BTreeMap::new()),
            Self::Tracer {
                program,
                folder,
                start,
            } => {
                program.signal(Signal::SIGINT)?;
                let finished = program.finish(LIMIT)?;
                ensure!(
                    finished.status.success(),
                    "the tracer failed ({}): {}",
                    finished.status,
                    finished.errors.trim_end()
                );
                let mut figures = folder.take_figures()?;
                figures.insert(Figure::StartSeconds, start.as_secs_f64());
                Ok(figures)
            }
            // Nobody wants what they print. Dropped, they are asked to end, and made to if they hang over it.
            Self::Bpftrace(program) => {
                drop(program);
                Ok(BTreeMap::new())
            }
            Self::Perf { program, data } => {
                drop(program);
                fs::remove_file(&data).context("remove perf's file")?;
                Ok(BTreeMap::new())
            }
        }
    }
}

fn start_tracer(
    tracer: &TracerVariant,
    variants: &Variants,
    ground: &BenchGround<'_>,
    traced: Traced<'_>,
) -> Result<Running<'static>> {
    let folder = RunFolder::new(ground);
    let mut command = Command::new(tracer_program(tracer, variants));
    command
        .arg("attach")
        .args(["--pid", &traced.process_id.to_string()])
        .arg("--model")
        .arg(traced.model)
        .arg("--out")
        .arg(folder.path())
        .args(&tracer.arguments);
    let start = Instant::now();
    let program = RunningProgram::start(ground.scratch(), command)?;
    program.wait_until("it traces", LIMIT, |program| {
        program.errors_so_far().contains("tracing process")
    })?;
    Ok(Running::Tracer {
        program,
        folder,
        start: start.elapsed(),
    })
}

fn start_perf(perf: &Path, ground: &BenchGround<'_>) -> Result<Running<'static>> {
    let data = ground.scratch().fresh_path("perf.data");
    let mut command = Command::new(perf);
    command
        .args([
            "record",
            "--quiet",
            "--all-cpus",
            "--event",
            "block:*",
            "--output",
        ])
        .arg(&data);
    let program = RunningProgram::start(ground.scratch(), command)?;
    thread::sleep(PERF_START);
    if !program.is_running()? {
        bail!(
            "perf record ended at once: {}",
            program.errors_so_far().trim_end()
        );
    }
    Ok(Running::Perf { program, data })
}

/// The program of a variant.
pub fn tracer_program<'any>(tracer: &'any TracerVariant, variants: &'any Variants) -> &'any Path {
    tracer.program.as_deref().unwrap_or(&variants.tracer)
}

/// The folder that a traced run writes to.
#[derive(Debug)]
pub struct RunFolder(PathBuf);

impl RunFolder {
    /// One that is not there yet.
    pub fn new(ground: &BenchGround<'_>) -> Self {
        Self(ground.scratch().fresh_path("run"))
    }

    /// Its path.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// What the finished run says of itself; the folder is removed.
    pub fn take_figures(self) -> Result<BTreeMap<Figure, f64>> {
        let path = self.0.join("run.json");
        let text = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
        let record: Value = serde_json::from_slice(&text).context("read run.json")?;
        fs::remove_dir_all(&self.0).context("remove the tracer's folder")?;
        Ok(figures_of(&record))
    }
}

/// Without the structs of `run.json`: other builds are measured too.
fn figures_of(record: &Value) -> BTreeMap<Figure, f64> {
    let number = |pointer| record.pointer(pointer).and_then(Value::as_f64);
    let cpu_a_million = || {
        let records = number("/overhead/ring_buffer_records")?;
        let seconds = number("/overhead/tracer_cpu_s")?;
        // With few records it is the watching of the engine that takes the time.
        (records >= 1e5).then(|| seconds / records * 1e6)
    };
    [
        (Figure::LostRecords, number("/loss/ring_buffer_records")),
        (Figure::ProcessorSecondsAMillionRecords, cpu_a_million()),
    ]
    .into_iter()
    .filter_map(|(figure, value)| Some((figure, value?)))
    .collect()
}

#[cfg(test)]
mod tests {
    use super::figures_of;
    use crate::bench::record::Figure;
    use serde_json::json;

    #[test]
    fn what_a_record_does_not_say_is_not_observed() {
        let record = json!({
            "loss": { "ring_buffer_records": 3 },
            "overhead": { "ring_buffer_records": 2_000_000, "tracer_cpu_s": 0.5 },
        });
        let figures = figures_of(&record);
        assert_eq!(figures[&Figure::LostRecords], 3.0);
        assert_eq!(figures[&Figure::ProcessorSecondsAMillionRecords], 0.25);
        let few = json!({ "overhead": { "ring_buffer_records": 10, "tracer_cpu_s": 0.5 } });
        assert!(figures_of(&few).is_empty());
    }
}
