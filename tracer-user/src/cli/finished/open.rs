//! `tracer open`, `tracer validate`: a run's recording.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, bail};
use clap::Args;
use glob::Pattern;

use crate::{
    output::load_run,
    report,
    run::{Selection, TimeSpan, reopen, validate as validate_recording},
    units::count,
};

use crate::cli::{
    console::{print_ignoring_a_closed_pipe, terminal_columns},
    examples,
};

/// `tracer open`.
#[derive(Clone, Debug, Args)]
#[command(after_help = examples::OPEN)]
pub struct OpenArguments {
    /// The folder of a run, with its recording.
    run: PathBuf,
    /// Begin here, such as 3s or 250ms after the run's start.
    #[arg(long, value_name = "TIME", value_parser = crate::cli::size::duration)]
    from: Option<Duration>,
    /// End here.
    #[arg(long, value_name = "TIME", value_parser = crate::cli::size::duration)]
    to: Option<Duration>,
    /// Only this phase, such as load, prompt or generation.
    #[arg(long, value_name = "PHASE", conflicts_with_all = ["from", "to"])]
    phase: Option<String>,
    /// Only tensors whose name this matches, such as 'blk.3.*' (* stands for any characters, ? for one): their reads, pages, and
    /// what was waited for them. Can be given several times.
    #[arg(long = "tensor", value_name = "PATTERN")]
    tensors: Vec<Pattern>,
    /// Print the record as JSON, in the form of run.json.
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print the whole report as Markdown.
    #[arg(long)]
    markdown: bool,
}

/// `tracer validate`.
#[derive(Clone, Debug, Args)]
#[command(after_help = examples::VALIDATE)]
pub struct ValidateArguments {
    /// The folder of a run, with its recording.
    run: PathBuf,
}

/// Computes a run's figures again, and prints them.
pub(in crate::cli) fn open(arguments: &OpenArguments) -> anyhow::Result<i32> {
    let reopened = reopen(
        &arguments.run,
        &Selection {
            time: time(arguments)?,
            tensors: arguments.tensors.clone(),
        },
    )?;
    let record = &reopened.record;
    let text = if arguments.json {
        serde_json::to_string_pretty(record).context("cannot write JSON")? + "\n"
    } else if arguments.markdown {
        report::markdown(record)
    } else {
        report::terminal(record, terminal_columns())
    };
    print_ignoring_a_closed_pipe(&text)?;
    if let Some(why) = record.partial_reason.as_ref().filter(|_| record.partial) {
        eprintln!("tracer: a part of the run: {why}");
    }
    Ok(0)
}

fn time(arguments: &OpenArguments) -> anyhow::Result<Option<TimeSpan>> {
    if let Some(name) = &arguments.phase {
        return phase(arguments, &name.replace('-', "_")).map(Some);
    }
    if arguments.from.is_none() && arguments.to.is_none() {
        return Ok(None);
    }
    let nanos = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
    let from_ns = arguments.from.map_or(0, nanos);
    let to_ns = arguments.to.map_or(u64::MAX, nanos);
    if from_ns >= to_ns {
        bail!("nothing lies between --from and --to: --to is the later one");
    }
    Ok(Some(TimeSpan { from_ns, to_ns }))
}

fn phase(arguments: &OpenArguments, name: &str) -> anyhow::Result<TimeSpan> {
    let record = load_run(&arguments.run)?;
    let phases: Vec<_> = record
        .all_models()
        .flat_map(|model| model.phases.iter().flatten())
        .collect();
    let Some(phase) = phases.iter().find(|phase| phase.phase == name) else {
        let mut names: Vec<&str> = phases.iter().map(|phase| phase.phase.as_str()).collect();
        names.dedup();
        bail!(
            "the run has no phase {name}; it has {}",
            if names.is_empty() {
                "none".to_owned()
            } else {
                names.join(", ")
            }
        );
    };
    let nanos = |seconds: f64| (seconds * 1e9).round() as u64;
    let (from_ns, to_ns) = (nanos(phase.start_s), nanos(phase.end_s));
    if (to_ns - from_ns).abs_diff(nanos(phase.duration_s)) > 1_000 {
        bail!(
            "the phase {name} has several parts between {:.3} s and {:.3} s: choose one with --from and --to. The figures of all of them together are in the report",
            phase.start_s,
            phase.end_s
        );
    }
    Ok(TimeSpan { from_ns, to_ns })
}

/// Reads all of a recording, and says whether it is whole.
pub(in crate::cli) fn validate(arguments: &ValidateArguments) -> anyhow::Result<i32> {
    let valid = validate_recording(&arguments.run)?;
    let mut words = format!(
        "{} events in {} segments, all readable.\n",
        count(valid.events),
        count(valid.segments)
    );
    if let Some(why) = &valid.incomplete {
        words.push_str(&format!("Not whole: {why}.\n"));
    }
    print_ignoring_a_closed_pipe(&words)?;
    Ok(i32::from(valid.incomplete.is_some()))
}
