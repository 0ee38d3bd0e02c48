//! `tracer explain`: what a run's record says of its causes.

use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;

use crate::{
    advice,
    output::{load_device_test, load_run},
    report,
};

use super::console::{print_ignoring_a_closed_pipe, terminal_columns};
use super::examples;

/// Which run.
#[derive(Clone, Debug, Args)]
#[command(after_help = examples::EXPLAIN)]
pub struct ExplainArguments {
    /// The folder of the run, with its run.json.
    run: PathBuf,
    /// A test of the disk on the same model, made by `tracer device --out DIR`: with it, whether the disk is the limit
    /// can be told.
    #[arg(long, value_name = "DIR")]
    device: Option<PathBuf>,
    /// Print it as JSON.
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print it as Markdown.
    #[arg(long)]
    markdown: bool,
}

/// Prints the explanation.
pub fn explain(arguments: &ExplainArguments) -> anyhow::Result<i32> {
    let record = load_run(&arguments.run)?;
    let device_test = arguments
        .device
        .as_deref()
        .map(load_device_test)
        .transpose()?;
    let explanation = advice::explain(&record, device_test.as_ref());
    let text = if arguments.json {
        serde_json::to_string_pretty(&explanation).context("cannot write JSON")? + "\n"
    } else if arguments.markdown {
        report::explanation_markdown(&explanation, &record)
    } else {
        report::explanation_terminal(&explanation, &record, terminal_columns())
    };
    print_ignoring_a_closed_pipe(&text)?;
    Ok(0)
}
