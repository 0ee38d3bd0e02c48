//! A run's folder, opened for its sizes.

use std::path::{Path, PathBuf};

use thiserror::Error;
use tracer_common::record::Record;

use crate::{
    recording::{RECORDING, RecordedEvent, Recording, RecordingError},
    run::{ReopenError, load_setup},
    schema::{DeviceTestRecord, RunRecord, SizingRecord},
    stats::Nanos,
};

use super::{Asked, ExpertWatch, Facts, NotKnown, SeenExperts, Weights, predict};

/// Why a run gives no curve.
#[derive(Debug, Error)]
pub enum SizingError {
    #[error("not known")]
    NotKnown(#[from] NotKnown),
    #[error(
        "not known: the model has experts, and which of them each token uses is in the recording beside the run, which cannot be read"
    )]
    Recording(#[from] RecordingError),
    #[error("not known: the recording beside the run cannot be read")]
    Setup(#[from] ReopenError),
}

/// The curve of the run in this folder.
///
/// # Errors
/// The run says nothing of other sizes.
pub fn size(
    folder: &Path,
    run: &RunRecord,
    device: Option<&DeviceTestRecord>,
    asked: &Asked,
) -> Result<SizingRecord, SizingError> {
    let facts = Facts::of(run, device)?;
    let page_bytes = run.machine.page_bytes.unwrap_or(4096);
    let weights = Weights::of(facts.model, page_bytes);
    if weights.experts.is_empty() {
        return Ok(predict(&facts, &weights, None, asked)?);
    }
    let seen = seen_experts(folder, &facts, &weights, page_bytes)?;
    Ok(predict(&facts, &weights, Some(&seen), asked)?)
}

/// What the run's events show of its experts.
fn seen_experts(
    folder: &Path,
    facts: &Facts<'_>,
    weights: &Weights,
    page_bytes: u64,
) -> Result<SeenExperts, SizingError> {
    let half = (facts.model.model.size_bytes / 2) >> 20;
    let unseen = |why: &str| NotKnown::ExpertsUnseen(why.to_owned(), format!("{half}M"));
    if !facts.reads() {
        return Err(unseen("read nothing while tokens were generated").into());
    }
    let budget = facts.run.overhead.budget.as_ref();
    if budget.is_some_and(|budget| budget.stepped_down.is_some()) {
        return Err(unseen("went over its budget, so that its events end early").into());
    }
    let used = facts.model.model.experts.map(|experts| experts.used);
    let used = used.ok_or(NotKnown::NoNeed)?;
    let folder: PathBuf = match folder.parent() {
        Some(parent) if folder.is_file() => parent.to_owned(),
        _ => folder.to_owned(),
    };
    let recording = Recording::open(&folder.join(RECORDING))?;
    let setup = load_setup(recording.folder())?;
    let files = &facts.model.model.files;
    let sizes: Vec<u64> = files.iter().map(|file| file.size_bytes).collect();
    let nanoseconds = |seconds: f64| (seconds * 1e9) as i64;
    let steps = facts.steps.iter().map(|step| {
        let start = nanoseconds(step.start_s);
        (start, start + nanoseconds(step.duration_s.unwrap_or(0.0)))
    });
    let resident = setup.resident_pages(0);
    let mut watch = ExpertWatch::new(weights, &sizes, page_bytes, steps.collect(), &resident);
    let opened = Nanos(setup.opened_ns);
    recording.for_each(opened, |event| {
        if let RecordedEvent::Kernel(Record::Page(page)) = &event.event {
            watch.page(event.time_ns, page);
        }
    })?;
    let seen = watch.finish(used)?;
    if seen.shown_share().is_none_or(|share| share < LEAST_SHOWN) {
        return Err(unseen("shows too few of their uses").into());
    }
    Ok(seen)
}

/// Share of the uses that must be seen: what is filled in must not decide.
const LEAST_SHOWN: f64 = 0.1;
