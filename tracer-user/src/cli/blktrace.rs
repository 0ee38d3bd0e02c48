//! `tracer blktrace` and `tracer audit`: old traces.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use clap::Args;
use serde::Serialize;

use crate::{
    old_trace::{TraceRequest, audit_record, trace_record},
    output::{AUDIT_RECORD, RunDirectory, TRACE_RECORD},
    process::Caller,
    report,
    stats::audit::matching::Expectation,
    storage::{KernelDevice, Sector},
};

use super::console::{print_ignoring_a_closed_pipe, terminal_columns};
use super::examples;

/// Which trace, and what in it.
#[derive(Clone, Debug, Args)]
#[command(after_help = examples::BLKTRACE)]
pub struct OldTraceArguments {
    /// Text that blkparse printed in its default format, or the files NAME.blktrace.0, NAME.blktrace.1, … of one
    /// recording; NAME alone stands for all of them.
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The device, as blkparse prints it [default: the one that has reads].
    #[arg(long, value_name = "MAJOR,MINOR", value_parser = device)]
    device: Option<KernelDevice>,
    /// The model whose reads alone count [default: all reads of the device].
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Where the model lay: the saved output of `filefrag -v`, or of `tracer model --json` [default: the file as it
    /// lies now].
    #[arg(long, value_name = "FILE")]
    extents_from: Option<PathBuf>,
    /// First sector of the partition, for extents of filefrag [default: as the trace's remaps say].
    #[arg(long, value_name = "SECTORS")]
    partition_start: Option<u64>,
    /// The thread whose share to show; blktrace writes down threads, of which the main one has the process's id.
    #[arg(long, value_name = "ID")]
    pid: Option<u32>,
    /// Print all of it as JSON.
    #[arg(long)]
    json: bool,
    /// Also write the report and the JSON to this folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

/// `tracer audit`.
#[derive(Clone, Debug, Args)]
#[command(after_help = examples::AUDIT)]
pub struct AuditArguments {
    /// The trace.
    #[command(flatten)]
    trace: OldTraceArguments,
    /// Figures to explain, such as amplification=3.02,backward=66.9. Known: amplification, and in per cent sequential,
    /// small, medium, large, backward.
    #[arg(long, value_name = "FIGURES", value_parser = expectation)]
    expect: Option<Expectation>,
}

/// Shows an old trace.
pub fn blktrace(arguments: &OldTraceArguments) -> anyhow::Result<i32> {
    let directory = directory(arguments)?;
    let record = trace_record(&arguments.request())?;
    let table = report::block_trace_terminal(&record, terminal_columns());
    let report = report::block_trace_markdown(&record);
    show(arguments, directory, TRACE_RECORD, &record, &table, &report)
}

/// Shows an old trace under every accounting.
pub fn audit(arguments: &AuditArguments) -> anyhow::Result<i32> {
    let directory = directory(&arguments.trace)?;
    let record = audit_record(&arguments.trace.request(), arguments.expect.as_ref())?;
    let table = report::audit_terminal(&record, terminal_columns());
    let report = report::audit_markdown(&record);
    show(
        &arguments.trace,
        directory,
        AUDIT_RECORD,
        &record,
        &table,
        &report,
    )
}

impl OldTraceArguments {
    fn request(&self) -> TraceRequest {
        TraceRequest {
            files: self.files.clone(),
            device: self.device,
            thread: self.pid,
            model: self.model.clone(),
            extents_from: self.extents_from.clone(),
            partition_start: self.partition_start.map(Sector),
        }
    }
}

/// The folder for the report, made before the work begins.
fn directory(arguments: &OldTraceArguments) -> anyhow::Result<Option<(RunDirectory, Caller)>> {
    let make = |path: &Path| {
        let caller = Caller::of_this_process()?;
        Ok((RunDirectory::create(path, &caller)?, caller))
    };
    arguments.out.as_deref().map(make).transpose()
}

fn show(
    arguments: &OldTraceArguments,
    directory: Option<(RunDirectory, Caller)>,
    name: &str,
    record: &impl Serialize,
    table: &str,
    report: &str,
) -> anyhow::Result<i32> {
    if arguments.json {
        let json = serde_json::to_string_pretty(record).context("cannot write JSON")?;
        print_ignoring_a_closed_pipe(&(json + "\n"))?;
    } else {
        print_ignoring_a_closed_pipe(table)?;
    }
    if let Some((mut directory, caller)) = directory {
        directory.write_as(name, record, report, &caller)?;
        eprintln!(
            "tracer: {name} and report.md are in {}",
            directory.path().display()
        );
    }
    Ok(0)
}

/// `259,0`, or `259:0`.
fn device(text: &str) -> Result<KernelDevice, String> {
    text.replace(',', ":").parse().map_err(|_| {
        format!("{text:?} is no device: write its numbers as blkparse does, such as 259,0")
    })
}

/// `amplification=3.02,backward=66.9`.
fn expectation(text: &str) -> Result<Expectation, String> {
    let mut expectation = Expectation::default();
    for part in text.split(',') {
        let (name, number) = part
            .split_once('=')
            .ok_or_else(|| format!("{part:?}: write NAME=NUMBER, such as backward=66.9"))?;
        let number = number.trim().trim_end_matches(['%', 'x', '×']);
        let value: f64 = number
            .parse()
            .ok()
            .filter(|value: &f64| value.is_finite() && *value >= 0.0)
            .ok_or_else(|| format!("{part:?}: {number:?} is no number"))?;
        let share = || {
            if value <= 100.0 {
                Ok(value / 100.0)
            } else {
                Err(format!("{part:?}: a share in per cent is at most 100"))
            }
        };
        let member = match name.trim() {
            "amplification" if value >= 1.0 => {
                expectation.amplification = Some(value);
                continue;
            }
            "amplification" => {
                return Err(format!("{part:?}: an amplification is at least 1"));
            }
            "sequential" => &mut expectation.shares.sequential,
            "small" => &mut expectation.shares.small,
            "medium" => &mut expectation.shares.medium,
            "large" => &mut expectation.shares.large,
            "backward" => &mut expectation.shares.backward,
            other => {
                return Err(format!(
                    "{other:?} is not known: amplification, sequential, small, medium, large, backward are"
                ));
            }
        };
        *member = Some(share()?);
    }
    Ok(expectation)
}

#[cfg(test)]
mod tests {
    use crate::{
        stats::{audit::matching::Expectation, order::gaps::ByGapClass},
        storage::KernelDevice,
    };

    use super::{device, expectation};

    #[test]
    fn devices_are_read_as_blkparse_prints_them() {
        let nvme = KernelDevice::new(259, 0).unwrap();
        assert_eq!(device("259,0"), Ok(nvme));
        assert_eq!(device("259:0"), Ok(nvme));
        assert!(device("nvme0n1").is_err());
    }

    #[test]
    fn expectations_are_in_per_cent() {
        assert_eq!(
            expectation("amplification=3.02, backward=66.9%"),
            Ok(Expectation {
                amplification: Some(3.02),
                shares: ByGapClass {
                    backward: Some(66.9 / 100.0),
                    ..ByGapClass::default()
                },
            })
        );
        for text in [
            "",
            "backward",
            "backward=x",
            "backward=101",
            "amplification=0.5",
            "speed=3",
            "backward=-1",
            "backward=nan",
        ] {
            assert!(expectation(text).is_err(), "{text}");
        }
    }
}
