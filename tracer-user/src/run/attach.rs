//! `tracer attach`: trace a process that runs already, and leave it as it was.

use std::{fs::File, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context as _, bail};
use tokio::{runtime::Handle, time};

use crate::{
    output::RunDirectory,
    outward::Outward,
    place::{ModelPieces, Subject},
    probe::{Apart, Detail, FilterTables, Session, SessionOptions},
    process::{Caller, Followed, ObservedProcess, SignalWatch},
    schema::ExitRecord,
};

use super::{
    assemble::add_dead_pages,
    engine_metrics::{EngineMetrics, Whose, add_engine_metrics, whose},
    kernel_tables::kernel_tables,
    onlooker::Ask,
    redaction::redacted,
    target::{self, AttachTarget, Target},
    tracing::{FinishedRun, Prepared, TraceOptions, conclude, poll_signals, require_machine},
    waiting::{Libraries, Looks, SAMPLE_INTERVAL, SERVING_INTERVAL, Wake, watch_until},
    watch::{
        engine::EngineWatch,
        shown_experts::{ExpertsToShow, ShownExperts},
    },
};

/// What to attach to, and how.
#[derive(Clone, Debug)]
pub struct AttachOptions {
    pub target: AttachTarget,
    /// A file of each model; empty: those that the process has mapped or open.
    pub models: Vec<PathBuf>,
    /// The engine's log, from its present end on.
    pub log: Option<PathBuf>,
    /// How long; None: to the end of the process.
    pub duration: Option<Duration>,
    /// Throw so many bytes of experts out of the engine's memory at a time, so that their use shows.
    pub show_experts_bytes: Option<u64>,
    pub trace: TraceOptions,
}

/// Traces a running process for a time, to its end, or until a signal. Where this process has given its rights up, `apart` has
/// those that loading takes.
///
/// # Errors
/// Whatever keeps the tracing from starting; nothing has been touched then.
pub async fn run_attach(
    options: AttachOptions,
    signals: SignalWatch,
    apart: Option<Apart>,
    engine_metrics: Option<Outward>,
) -> anyhow::Result<FinishedRun> {
    match &apart {
        Some(apart) => apart.with_rights(require_machine)??,
        None => require_machine()?,
    }
    let caller = Caller::of_this_process()?;
    let Target {
        process,
        family,
        models,
        mut notes,
    } = target::find(&options.target, &options.models)?;
    let lines = &options.trace.lines;
    if options.log.is_none() && !(lines.phases.is_empty() && lines.rates.is_empty()) {
        bail!("--phase-line and --rate-line need the engine's log: name it with --log");
    }
    let log_file = options
        .log
        .as_ref()
        .map(|path| File::open(path).with_context(|| format!("cannot read {}", path.display())))
        .transpose()?;
    let subject = Subject::open(models)?;
    let pieces = ModelPieces::of_all(&subject)?;
    let to_show = options
        .show_experts_bytes
        .map(|bytes| ExpertsToShow::find(&subject, &pieces, &process, bytes))
        .transpose()?;
    let (tables, spans) = kernel_tables(&subject, &pieces)?;
    let redact = options.trace.redact;
    let directory = RunDirectory::create(&options.trace.directory, &caller)?;
    let mut session = start_session(tables, options.trace.session, apart)?;
    for process_id in family.members().unwrap_or_default() {
        session.add_engine_process(u32::try_from(process_id)?)?;
    }
    let detail = session.detail();
    let faults_before = process.faults().ok();
    let command = process.identity().command_line.clone();
    let mut opened = Prepared {
        caller,
        subject,
        pieces,
        spans: Arc::new(spans),
        directory,
        session,
        signals: poll_signals(signals)?,
        options: options.trace,
        from_start: false,
    }
    .open()?;
    let engine_metrics = engine_metrics
        .map(|outward| EngineMetrics::start(outward, opened.opened_nanos()))
        .transpose()?;

    eprintln!(
        "tracer: tracing process {} ({}); Ctrl-C ends it",
        process.pid(),
        process.identity().command_name
    );
    let log = opened.log.clone();
    let shown = to_show.map(|experts| experts.begin(&process)).transpose()?;
    let followed = log_file
        .map(|file| Followed::start(file, move |line| log.line(&line)))
        .transpose()
        .context("cannot follow the log")?;
    let mut watch = EngineWatch::of_process(process, family)?;
    let mut looks = Looks {
        libraries: Libraries::AreThere,
        interval: SAMPLE_INTERVAL,
    };
    if detail == Detail::Counts && opened.onlooker.is_none() {
        watch.look_at_memory_every(SERVING_INTERVAL);
        if followed.is_none() {
            looks.interval = SERVING_INTERVAL;
            watch.rests_with_engine();
        }
    }
    for process_id in &watch.process_ids {
        opened.shared.process(*process_id);
    }
    watch.files.begin(&watch.process_ids);
    watch.files.look(&watch.process_ids, &opened.subject);
    for model in not_open(&watch, &opened.subject) {
        eprintln!("tracer: {model}");
    }
    let mut answers_are = engine_metrics
        .as_ref()
        .map(|metrics| whose(metrics.url(), &watch.process_ids));
    opened.finder.look_at_processes(&watch.process_ids);
    opened.finder.settled().await;
    let deadline = options
        .duration
        .map(|duration| time::Instant::now() + duration);
    let mut changed_process = false;
    let wake = loop {
        match watch_until(&mut watch, &mut opened, deadline, looks).await? {
            Wake::Ended => match next_holder(&mut watch, &opened.subject) {
                Some(next) => {
                    notes.push(format!(
                        "process {} ended while {} had the model open, which was traced from then on",
                        watch.watched().map_or(0, ObservedProcess::pid),
                        next.pid()
                    ));
                    watch.go_on_with(next)?;
                    changed_process = true;
                }
                None => break Wake::Ended,
            },
            Wake::Asked(Ask::Report) => opened.report_so_far(&watch, "attach", &command).await,
            other => break other,
        }
    };
    let shown = shown.and_then(ShownExperts::end);
    let mut engine_said = None;
    if let Some(metrics) = engine_metrics {
        let (url, runs) = (metrics.url().clone(), !matches!(wake, Wake::Ended));
        if runs {
            match whose(&url, &watch.process_ids) {
                Whose::Unknown => {}
                told => answers_are = Some(told),
            }
        }
        let answers = tokio::task::spawn_blocking(move || metrics.finish(runs)).await?;
        engine_said = Some((url, answers));
    }
    let faults_after = watch.faults();
    let (log, opened_nanos) = (opened.log.clone(), opened.opened_nanos());
    let has_log = followed.is_some();
    // Reads what is there, so that its marks are in the figures.
    drop(followed);
    let (mut record, directory, caller) = opened.finish(&mut watch, "attach", command).await?;
    record.notes.extend(notes);
    record.pressure.shown_experts = shown;
    if has_log {
        let (said, notes) = log.engine(opened_nanos);
        record.engine = said;
        record.notes.extend(notes);
    }
    if let Some((url, answers)) = engine_said {
        let other = (answers_are == Some(Whose::Others)).then_some(
        "another process than the engine listens at that address: its tokens are not this engine's",
    );
        if answers_are == Some(Whose::Unknown) {
            record.notes.push(
                "whether the tokens of --engine-metrics are this engine's could not be told: who counts them is on another machine or in a network of its own"
                    .to_owned(),
            );
        }
        add_engine_metrics(&mut record, url.to_string(), &answers, other);
    }
    add_dead_pages(&mut record);
    record.notes.push(
        "attached to a running process: what it read before the window is in none of the figures"
            .to_owned(),
    );
    // Two processes' counts have no difference.
    if let (Some(before), Some(after), false) = (faults_before, faults_after, changed_process) {
        record.process.major_faults = after.major.checked_sub(before.major);
        record.process.minor_faults = after.minor.checked_sub(before.minor);
    }
    let use_of_model = watch.files.notes(&record, watch.files.storage_read_bytes());
    record.notes.extend(use_of_model);
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
        Wake::Asked(_) => (
            "The process runs on",
            Some(format!(
                "ended at the live screen after {:.1} s{asked}",
                record.time.wall_s
            )),
        ),
    };
    record.exit = ExitRecord {
        description: description.to_owned(),
        ..ExitRecord::default()
    };
    record.partial = partial_reason.is_some();
    record.partial_reason = partial_reason;
    if redact {
        record = redacted(&record)?;
    }
    Ok(conclude(record, directory, &caller, 0))
}

fn start_session(
    tables: FilterTables,
    options: SessionOptions,
    apart: Option<Apart>,
) -> anyhow::Result<Session> {
    let Some(apart) = apart else {
        return Session::start(tables, options, None);
    };
    let runtime = Handle::current();
    apart.load(move |prober| {
        // The session waits for its ring buffer there.
        let _inside = runtime.enter();
        Session::start(tables, options, Some(prober))
    })?
}

/// Models that the process has not open now, in words: the wrong one may have been named.
fn not_open(watch: &EngineWatch, subject: &Subject) -> Vec<String> {
    let other = watch.files.others().map_or_else(String::new, |others| {
        format!("; it has these large files open: {others}")
    });
    subject
        .models
        .iter()
        .enumerate()
        .filter(|(slot, _)| !watch.files.has_seen(*slot))
        .map(|(_, model)| {
            format!(
                "the process has {} neither open nor mapped{other}",
                model.name
            )
        })
        .collect()
}

/// Another process of the family that has the model open, where the one that was watched has ended.
fn next_holder(watch: &mut EngineWatch, subject: &Subject) -> Option<ObservedProcess> {
    watch.files.look(&watch.process_ids, subject);
    watch.running().into_iter().find(|process| {
        u32::try_from(process.pid()).is_ok_and(|pid| watch.files.holders().contains(&pid))
    })
}
