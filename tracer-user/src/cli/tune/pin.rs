//! What `launch --pin` keeps in memory, by an earlier run.

use std::path::Path;

use anyhow::{Context as _, bail};
use clap::ValueEnum;

use crate::{
    advice::{PinChoice, worth_keeping},
    output::load_run,
    pressure::{PinRange, PinRequest},
    units::bytes,
};

/// Which tensors to keep in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PinArgument {
    /// Those that every token uses: attention, norms, routers, shared experts, output.
    Shared,
    /// Any, the routed experts too.
    Hot,
}

impl PinArgument {
    const fn choice(self) -> PinChoice {
        match self {
            Self::Shared => PinChoice::Shared,
            Self::Hot => PinChoice::Hot,
        }
    }
}

/// The ranges to keep.
///
/// # Errors
/// The run does not say, or its model is another one by now.
pub fn pin_request(
    argument: PinArgument,
    run: &Path,
    budget_bytes: u64,
) -> anyhow::Result<PinRequest> {
    let record = load_run(run)?;
    let mut ranges = Vec::new();
    let mut left = budget_bytes;
    for model in record.all_models() {
        let pieces =
            worth_keeping(model, argument.choice(), left, procfs::page_size()).map_err(|why| {
                anyhow::anyhow!(
                    "nothing can be kept in memory by the run {}: {why}",
                    run.display()
                )
            })?;
        for piece in pieces {
            let file = usize::try_from(piece.file)
                .ok()
                .and_then(|place| model.model.files.get(place))
                .context("the run names a file that it does not have; trace it again")?;
            let size = std::fs::metadata(&file.path)
                .with_context(|| format!("cannot look at {}, of which the run is", file.path))?
                .len();
            if size != file.size_bytes {
                bail!(
                    "{} has {} now and had {} in the run {}: it is another model; trace a run of it",
                    file.path,
                    bytes(size),
                    bytes(file.size_bytes),
                    run.display()
                );
            }
            left = left.saturating_sub(piece.bytes);
            ranges.push(PinRange {
                path: file.path.clone().into(),
                offset_bytes: piece.offset_bytes,
                bytes: piece.bytes,
            });
        }
    }
    if ranges.is_empty() {
        bail!("the run {} has no model", run.display());
    }
    Ok(PinRequest {
        what: argument.choice().name().to_owned(),
        budget_bytes,
        ranges,
    })
}
