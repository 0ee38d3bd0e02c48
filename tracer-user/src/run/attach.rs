//! `tracer attach`: trace a process that runs already, and leave it as it was.

use std::{fs::File, path::PathBuf, time::Duration};

use anyhow::{Context as _, bail};
use tokio::time;

use crate::{
    output::RunDirectory,
    place::{RequestedModel, Subject},
    probe::Session,
    process::{Caller, Followed, ObservedProcess, OpenModel, OpenModels, SignalWatch},
    schema::ExitRecord,
};

use super::{
    kernel_tables::kernel_tables,
    tracing::{
        FinishedRun, Prepared, TraceOptions, Wake, conclude, poll_signals, require_machine,
        watch_until,
    },
    watch::engine::EngineWatch,
};

/// What to attach to, and how.
#[derive(Clone, Debug)]
pub struct AttachOptions {
    pub pid: i32,
    /// A file of each model; empty: those that the process has mapped or open.
    pub models: Vec<PathBuf>,
    /// The engine's log, from its present end on.
    pub log: Option<PathBuf>,
    /// How long; None: to the end of the process.
    pub duration: Option<Duration>,
    pub trace: TraceOptions,
}

/// Traces a running process for a time, to its end, or until a signal.
///
/// # Errors
/// Whatever keeps the tracing from starting; nothing has been touched then.
pub async fn run_attach(
    options: AttachOptions,
    signals: SignalWatch,
) -> anyhow::Result<FinishedRun> {
    require_machine()?;
    let caller = Caller::of_this_process()?;
    let process = ObservedProcess::open(options.pid)?;
    let mut notes = Vec::new();
    let requested: Vec<RequestedModel> = if options.models.is_empty() {
        let found = OpenModels::find(&process)?;
        notes.extend(found.refused.iter().map(ToString::to_string));
        if found.models.is_empty() {
            let refused = notes.join("; ");
            bail!(
                "process {} ({}) has no model file mapped or open{}; name one with --model",
                options.pid,
                process.identity().command_name,
                if refused.is_empty() {
                    String::new()
                } else {
                    format!(" that can be traced ({refused})")
                }
            );
        }
        found.models.into_iter().map(requested).collect()
    } else {
        options
            .models
            .iter()
            .map(|model| RequestedModel::from_path(model))
            .collect::<anyhow::Result<_>>()?
    };
    let lines = &options.trace.lines;
    if options.log.is_none() && !(lines.phases.is_empty() && lines.rates.is_empty()) {
        bail!("--phase-line and --rate-line need the engine's log: name it with --log");
    }
    let log_file = options
        .log
        .as_ref()
        .map(|path| File::open(path).with_context(|| format!("cannot read {}", path.display())))
        .transpose()?;
    let subject = Subject::open(requested)?;
    let tables = kernel_tables(&subject)?;
    let directory = RunDirectory::create(&options.trace.directory, &caller)?;
    let session = Session::start(tables, options.trace.session)?;
    let faults_before = process.faults().ok();
    let command = process.identity().command_line.clone();
    let mut opened = Prepared {
        caller,
        subject,
        directory,
        session,
        signals: poll_signals(signals)?,
        options: options.trace,
        from_start: false,
    }
    .open()?;

    eprintln!(
        "tracer: tracing process {} ({}); Ctrl-C ends it",
        options.pid,
        process.identity().command_name
    );
    let log = opened.log.clone();
    let followed = log_file
        .map(|file| Followed::start(file, move |line| log.line(&line)))
        .transpose()
        .context("cannot follow the log")?;
    let mut watch = EngineWatch::of_process(process)?;
    for process_id in &watch.process_ids {
        opened.shared.process(*process_id);
    }
    opened.finder.look_at_processes(&watch.process_ids);
    opened.finder.settled().await;
    let deadline = options
        .duration
        .map(|duration| time::Instant::now() + duration);
    let wake = watch_until(&mut watch, &mut opened, deadline).await?;
    let faults_after = watch.faults();
    let (log, opened_nanos) = (opened.log.clone(), opened.opened_nanos());
    let has_log = followed.is_some();
    // Reads what is there, so that its marks are in the figures.
    drop(followed);
    let (mut record, directory, caller) = opened.finish(&mut watch, "attach", command).await?;
    record.notes.extend(notes);
    if has_log {
        let (said, notes) = log.engine(opened_nanos);
        record.engine = said;
        record.notes.extend(notes);
    }
    record.notes.push(
        "attached to a running process: what it read before the window is in none of the figures"
            .to_owned(),
    );
    if let (Some(before), Some(after)) = (faults_before, faults_after) {
        record.process.major_faults = after.major.checked_sub(before.major);
        record.process.minor_faults = after.minor.checked_sub(before.minor);
    }
    let asked = options
        .duration
        .map(|duration| format!(" of {}", humantime::format_duration(duration)))
        .unwrap_or_default();
    let (description, partial_reason) = match wake {
        Wake::Ended => (
            "The process ended while it was traced",
            options
                .duration
                .map(|_| format!("the process ended after {:.1} s{asked}", record.time.wall_s)),
        ),
        Wake::Signal(received) => (
            "The process runs on",
            Some(format!(
                "stopped by {} after {:.1} s{asked}",
                received.signal, record.time.wall_s
            )),
        ),
        Wake::TimeUp => ("The process runs on", None),
    };
    record.exit = ExitRecord {
        description: description.to_owned(),
        ..ExitRecord::default()
    };
    record.partial = partial_reason.is_some();
    record.partial_reason = partial_reason;
    Ok(conclude(record, directory, &caller, 0))
}

/// A model that a process has open.
fn requested(model: OpenModel) -> RequestedModel {
    let name = match model.files.as_slice() {
        [only] => only.path_in_process.display().to_string(),
        _ => model.display_name,
    };
    RequestedModel {
        name,
        files: model
            .files
            .into_iter()
            .map(|file| (file.path_in_process, file.openable_path))
            .collect(),
    }
}
