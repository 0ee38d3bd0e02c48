//! `tracer size`: how much memory is enough, from one run.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use crate::{
    output::{load_device_test, load_run},
    report::{sizing_page, sizing_terminal},
    sizing::{self, Asked},
};

use crate::cli::{
    console::{print_ignoring_a_closed_pipe, terminal_columns},
    examples, size,
};

/// `tracer size`.
#[derive(Clone, Debug, Args)]
#[command(after_help = examples::SIZE)]
pub struct SizeArguments {
    /// The folder of a run, with its run.json. Of a model with experts it must have had too little memory, since which experts are
    /// used shows only where they are read again: `tracer launch --memory-max` about half of the model, or `tracer attach
    /// --show-experts`.
    run: PathBuf,
    /// Show these amounts of memory only: what the engine and its page cache may have together.
    #[arg(long, value_name = "SIZE,…", value_delimiter = ',', value_parser = size::bytes)]
    memory: Vec<u64>,
    /// A test of the disk, made by `tracer device --out DIR`: for times where the run itself did not wait.
    #[arg(long, value_name = "DIR")]
    device: Option<PathBuf>,
    /// Other runs of the same model with limits, or a folder of such runs (an experiment): they are shown beside what is
    /// predicted. Can be given several times.
    #[arg(long, value_name = "DIR")]
    measured: Vec<PathBuf>,
    /// What if the experts that are used most, so many of them, were kept in memory (locked)?
    #[arg(long, value_name = "COUNT", default_value_t = 0)]
    pin_experts: usize,
    /// What if the weights had this share of their bytes, 0.5 say, as with another quantisation?
    #[arg(long, value_name = "SHARE", value_parser = scale)]
    weights_scale: Option<f64>,
    /// What if the disk's read-ahead (read_ahead_kb) were so large, 128K say?
    #[arg(long, value_name = "SIZE", value_parser = size::bytes_or_off)]
    read_ahead: Option<u64>,
    /// Print it as JSON.
    #[arg(long)]
    json: bool,
    /// Write it as a page too, with the curve.
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
}

/// Prints the curve.
pub(in crate::cli) fn how_much(arguments: &SizeArguments) -> anyhow::Result<i32> {
    let run = load_run(&arguments.run)?;
    let device = arguments
        .device
        .as_deref()
        .map(load_device_test)
        .transpose()?;
    let asked = Asked {
        memory_bytes: arguments.memory.clone(),
        measured: sizing::measured(&arguments.measured, &run)?,
        pinned_experts: arguments.pin_experts,
        weights_scale: arguments.weights_scale,
        read_ahead_bytes: arguments.read_ahead,
    };
    let record = sizing::size(&arguments.run, &run, device.as_ref(), &asked)?;
    if let Some(path) = &arguments.page {
        std::fs::write(path, sizing_page(&record))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    let text = if arguments.json {
        serde_json::to_string_pretty(&record).context("cannot write JSON")? + "\n"
    } else {
        sizing_terminal(&record, &arguments.memory, terminal_columns())
    };
    print_ignoring_a_closed_pipe(&text)?;
    Ok(0)
}

fn scale(text: &str) -> Result<f64, String> {
    let scale: Option<f64> = text.parse().ok();
    scale
        .filter(|scale| (0.01..=100.0).contains(scale))
        .ok_or_else(|| format!("{text:?} is no share of the weights' bytes: 0.5 is half of them"))
}
