//! A variant in force.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;

use super::{
    bpf::{EmptyPrograms, held_by},
    ground::BenchGround,
    variant::{TracerVariant, Variant, Variants},
};
use crate::{reader::RunningProgram, reference::FtraceBlk};

/// Longest that anything may take to start or to end.
const LIMIT: Duration = Duration::from_secs(120);

/// Latency of each request by a map of start times, as bpftrace's own tool `biolatency.bt` takes it.
const BPFTRACE: &str =
    "tracepoint:block:block_rq_issue { @start[args->dev, args->sector] = nsecs; }
tracepoint:block:block_rq_complete /@start[args->dev, args->sector]/ {
  @ns = hist(nsecs - @start[args->dev, args->sector]);
  delete(@start[args->dev, args->sector]);
}
BEGIN { printf(\"attached\\n\"); }
END { clear(@start); }";

/// A variant in force, until it is finished.
#[derive(Debug)]
pub(super) enum Running<'ground> {
    /// No tracer.
    None,
    /// Programs that do nothing.
    Empty { _programs: EmptyPrograms },
    /// The tracer, and the folder that it writes to.
    Tracer {
        program: RunningProgram,
        folder: PathBuf,
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
    /// Puts it in force, for reads that this very process will do.
    pub(super) fn start(
        variant: &Variant,
        variants: &Variants,
        ground: &'ground BenchGround,
        hooks: &[&str],
    ) -> Result<Self> {
        match variant {
            Variant::None => Ok(Self::None),
            Variant::Empty => Ok(Self::Empty {
                _programs: EmptyPrograms::attach(hooks)?,
            }),
            Variant::Tracer(tracer) => start_tracer(tracer, &variants.tracer, ground),
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
    pub(super) fn programs(&self) -> Result<BTreeSet<u32>> {
        match self {
            Self::None | Self::Ftrace { .. } => Ok(BTreeSet::new()),
            Self::Empty { .. } => held_by(std::process::id()),
            Self::Tracer { program, .. } | Self::Bpftrace(program) | Self::Perf { program, .. } => {
                held_by(program.process_id())
            }
        }
    }

    /// Ends it; the records that it lost, where it says.
    pub(super) fn finish(self) -> Result<Option<u64>> {
        match self {
            Self::None | Self::Empty { .. } | Self::Ftrace { .. } => Ok(None),
            Self::Tracer { program, folder } => {
                program.signal(Signal::SIGINT)?;
                let finished = program.finish(LIMIT)?;
                ensure!(
                    finished.status.success(),
                    "the tracer failed ({}): {}",
                    finished.status,
                    finished.errors.trim_end()
                );
                let lost = lost_records(&folder)?;
                fs::remove_dir_all(&folder).context("remove the tracer's folder")?;
                Ok(lost)
            }
            // Nobody wants what they print. Dropped, they are asked to end, and made to if they hang over it.
            Self::Bpftrace(program) => {
                drop(program);
                Ok(None)
            }
            Self::Perf { program, data } => {
                drop(program);
                fs::remove_file(&data).context("remove perf's file")?;
                Ok(None)
            }
        }
    }
}

fn start_tracer(
    tracer: &TracerVariant,
    measured: &Path,
    ground: &BenchGround,
) -> Result<Running<'static>> {
    let folder = ground.scratch().fresh_path("run");
    let mut command = Command::new(tracer.program.as_deref().unwrap_or(measured));
    command
        .arg("attach")
        .args(["--pid", &std::process::id().to_string()])
        .arg("--model")
        .arg(ground.model())
        .arg("--out")
        .arg(&folder)
        .args(&tracer.arguments);
    let program = RunningProgram::start(ground.scratch(), command)?;
    program.wait_until("it traces", LIMIT, |program| {
        program.errors_so_far().contains("tracing process")
    })?;
    Ok(Running::Tracer { program, folder })
}

/// perf does not say when it has begun; it takes a fraction of this.
const PERF_START: Duration = Duration::from_secs(1);

fn start_perf(perf: &Path, ground: &BenchGround) -> Result<Running<'static>> {
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
    ensure!(
        program.is_running()?,
        "perf record ended at once: {}",
        program.errors_so_far().trim_end()
    );
    Ok(Running::Perf { program, data })
}

/// Records that found no room, as the run says. Read without the structs of `run.json`: other builds are measured too.
fn lost_records(folder: &Path) -> Result<Option<u64>> {
    let path = folder.join("run.json");
    let text = fs::read(&path).with_context(|| format!("read {}", path.display()))?;
    let record: Value = serde_json::from_slice(&text).context("read run.json")?;
    Ok(record["loss"]["ring_buffer_records"].as_u64())
}
