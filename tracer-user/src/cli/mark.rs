//! `tracer mark`.

use std::path::{Path, PathBuf};

use clap::Args;

use crate::{
    output::RUNS_FOLDER,
    run::{give_mark, only_run},
    stats::phases::given::GivenPhase,
};

use super::examples;

/// Which phase begins, and in which run.
#[derive(Clone, Debug, Args)]
#[command(after_help = examples::MARK)]
pub struct MarkArguments {
    /// What begins: load, idle, warm-up, prompt, generation, mixed, end; or step, for a decode step.
    pub phase: GivenPhase,
    /// Folder of the run, as given to --out [default: the only run that goes on in tracer-runs/].
    #[arg(long, value_name = "DIR")]
    pub run: Option<PathBuf>,
}

/// Gives the mark.
///
/// # Errors
/// No such run goes on.
pub fn mark(arguments: MarkArguments) -> anyhow::Result<i32> {
    let run = match arguments.run {
        Some(run) => run,
        None => only_run(Path::new(RUNS_FOLDER))?,
    };
    give_mark(&run, arguments.phase)?;
    Ok(0)
}
