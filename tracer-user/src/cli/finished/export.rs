//! `tracer export`: a run for other programs.

use std::{
    fs::File,
    io::{self, BufWriter},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use clap::Args;

use crate::{export, units::count};

use crate::cli::examples;

/// Name of the trace in the run's folder.
const TRACE: &str = "trace.perfetto";

/// `tracer export`.
#[derive(Clone, Debug, Args)]
#[command(after_help = examples::EXPORT)]
pub struct ExportArguments {
    /// The folder of a run.
    run: PathBuf,
    /// As a trace for Perfetto, which shows it in a browser (https://ui.perfetto.dev): phases, steps, bandwidth, what was in
    /// memory, each read, and each wait of each thread where the run has a recording.
    #[arg(long, required = true)]
    perfetto: bool,
    /// Where to write it; - is the standard output [default: trace.perfetto in the run's folder].
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// Writes a run as a trace.
pub(in crate::cli) fn export(arguments: &ExportArguments) -> anyhow::Result<i32> {
    let folder = if arguments.run.is_dir() {
        &arguments.run
    } else {
        arguments.run.parent().unwrap_or(Path::new("."))
    };
    let path = arguments
        .output
        .clone()
        .unwrap_or_else(|| folder.join(TRACE));
    let exported = if path.as_os_str() == "-" {
        let out = BufWriter::new(io::stdout().lock());
        export::perfetto(&arguments.run, out)?
    } else {
        write(&arguments.run, &path)?
    };
    let waits = exported
        .waits
        .map_or(String::new(), |waits| format!(", {} waits", count(waits)));
    eprintln!(
        "tracer: {} reads{waits} and {} steps are in {}; open it in https://ui.perfetto.dev",
        count(exported.reads),
        count(exported.steps),
        path.display()
    );
    for missing in &exported.missing {
        eprintln!("tracer: not in it: {missing}");
    }
    for why in &exported.partial {
        eprintln!("tracer: a part of the run: {why}");
    }
    Ok(0)
}

/// The file is there whole or not at all.
fn write(run: &Path, path: &Path) -> anyhow::Result<export::Exported> {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    let unwritable = || format!("cannot write {}", path.display());
    let file = tempfile::Builder::new()
        .permissions(std::os::unix::fs::PermissionsExt::from_mode(0o644))
        .tempfile_in(folder)
        .with_context(unwritable)?;
    let exported = export::perfetto(run, BufWriter::<&File>::new(file.as_file()))?;
    file.persist(path).with_context(unwritable)?;
    Ok(exported)
}
