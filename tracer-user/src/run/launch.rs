//! `tracer launch`: start an engine, trace it to its end.

use std::{ffi::OsString, path::PathBuf, sync::Arc, time::Duration};

use anyhow::Context as _;
use nix::sys::signal::Signal;
use tokio::time;

use crate::{
    output::RunDirectory,
    place::{ModelPieces, RequestedModel, Subject},
    probe::Session,
    process::{
        Caller, EngineExit, EngineSignals, ExitKind, Family, LaunchRequest, OutputLine,
        ReceivedSignal, SignalWatch, launch, models_of_command, resolve_program,
    },
    schema::{ExitRecord, RunRecord},
};

use super::{
    assemble::add_dead_pages,
    conditions::{Conditions, ConditionsRequest},
    kernel_tables::kernel_tables,
    onlooker::Ask,
    redaction::redacted,
    survivors::{self, Survivors},
    tracing::{
        FinishedRun, Opened, Prepared, TraceOptions, conclude, poll_signals, require_machine,
    },
    waiting::{Libraries, Looks, SAMPLE_INTERVAL, Wake, watch_until},
    watch::engine::EngineWatch,
};

/// What to launch, and how.
#[derive(Clone, Debug)]
pub struct LaunchOptions {
    /// A file of each model; empty: what the command's arguments name.
    pub models: Vec<PathBuf>,
    pub command: Vec<OsString>,
    /// What to do to the memory first.
    pub conditions: ConditionsRequest,
    /// End with the command, also where processes that it started read on.
    pub until_exit: bool,
    pub trace: TraceOptions,
}

/// How long a stopped engine may take before it is asked more firmly.
const PATIENCE: Duration = Duration::from_secs(5);

/// A second signal within this time is the first one again: `timeout` sends one to its child and one to the
/// process group.
const ECHO: Duration = Duration::from_millis(500);

/// Starts the engine and traces it to its end.
///
/// # Errors
/// Whatever keeps the run from starting. What is wrong with the arguments or the machine is said before
/// anything is touched; caches that were dropped for a run that then could not start stay dropped.
pub async fn run_launch(
    options: LaunchOptions,
    signals: SignalWatch,
) -> anyhow::Result<FinishedRun> {
    require_machine()?;
    let caller = Caller::of_this_process()?;
    // Looked up now, so that a wrong name is said before anything is touched.
    let program = resolve_program(&options.command, &caller)?;
    let mut notes = Vec::new();
    let models = if options.models.is_empty() {
        let models = models_of_command(&options.command, &caller)?;
        for model in &models {
            let words = format!(
                "the model was taken from the command's arguments: {}",
                model.display()
            );
            eprintln!("tracer: {words}");
            notes.push(words);
        }
        models
    } else {
        options.models
    };
    let requested = models
        .iter()
        .map(|model| RequestedModel::from_path(model))
        .collect::<anyhow::Result<_>>()?;
    let mut subject = Subject::open(requested)?;
    let pieces = ModelPieces::of_all(&subject)?;
    let (session_tables, spans) = kernel_tables(&subject, &pieces)?;
    Conditions::check(&options.conditions)?;
    let redact = options.trace.redact;
    let directory = RunDirectory::create(&options.trace.directory, &caller)?;
    let conditions = Conditions::apply(&options.conditions, &mut subject)?;
    let mut session = Session::start(session_tables, options.trace.session, None)?;
    session.begin_to_start_engine()?;
    let mut opened = Prepared {
        caller,
        subject,
        pieces,
        spans: Arc::new(spans),
        directory,
        session,
        signals: poll_signals(signals)?,
        options: options.trace,
        from_start: true,
    }
    .open()?;
    opened.finder.look_at_program(&program);
    opened.finder.settled().await;

    let family = Family::started_from_now_on()
        .context("cannot adopt what the engine leaves behind when it ends")?;
    let log = opened.log.clone();
    let mut request = LaunchRequest::new(
        &options.command,
        &opened.caller,
        Arc::new(move |line: OutputLine| log.line(&line)),
    );
    request.output_directory = (!redact).then(|| opened.directory.path());
    if let Some(onlooker) = &opened.onlooker {
        request.gives_input = false;
        let [stdout, stderr] = onlooker.0.engine_outputs();
        request.stdout_copy = stdout.or(request.stdout_copy);
        request.stderr_copy = stderr.or(request.stderr_copy);
    }
    request.cgroup_procs = conditions.cgroup_descriptors()?;
    let engine = launch(request)?;
    opened.finder.engine_has_started();
    let mut watch = EngineWatch::of_engine(engine.pid(), &engine.signals(), family)
        .context("cannot watch the engine")?;
    for process_id in &watch.process_ids {
        opened.shared.process(*process_id);
    }
    let command: Vec<String> = options
        .command
        .iter()
        .map(|argument| argument.to_string_lossy().into_owned())
        .collect();
    let mut partial_reason = follow(&mut watch, &mut opened, &engine.signals(), &command).await?;
    let survivors = if partial_reason.is_some() || options.until_exit {
        Survivors::left_alone(&watch)
    } else {
        survivors::follow(&mut watch, &mut opened).await?
    };
    partial_reason = partial_reason.or_else(|| survivors.stopped.clone());
    let (log, opened_nanos) = (opened.log.clone(), opened.opened_nanos());
    let (mut record, directory, caller) = opened.finish(&mut watch, "launch", command).await?;
    let exit = tokio::task::spawn_blocking(move || engine.wait())
        .await
        .context("the thread that waits for the engine panicked")?
        .context("cannot wait for the engine")?;
    record.notes.append(&mut notes);
    // Only now has all of the engine's output been read.
    let (said, notes) = log.engine(opened_nanos);
    record.engine = said;
    record.notes.extend(notes);
    add_dead_pages(&mut record);
    record.partial = partial_reason.is_some();
    record.partial_reason = partial_reason;
    if !survivors.had_the_model {
        record.time.engine_user_s = Some(exit.user_seconds);
        record.time.engine_system_s = Some(exit.system_seconds);
        record.process.major_faults = Some(exit.major_faults);
        record.process.minor_faults = Some(exit.minor_faults);
    }
    record.exit = describe_exit(exit.kind);
    record.notes.extend(output_notes(&exit));
    let (pressure, notes) = conditions.end();
    record.pressure = pressure;
    record.notes.extend(notes);
    record.notes.extend(lack_of_memory(&record));
    let read = exit
        .storage_read_bytes
        .saturating_add(survivors.storage_read_bytes(&watch));
    record.notes.extend(watch.files.notes(&record, Some(read)));
    record.notes.extend(survivors.notes);
    if redact {
        record = redacted(&record)?;
    }
    Ok(conclude(
        record,
        directory,
        &caller,
        exit.kind.conventional_code(),
    ))
}

fn stopped_by(received: ReceivedSignal) -> String {
    format!("stopped by {} before the engine's end", received.signal)
}

/// Follows the engine to its end. Returns why it was stopped, where it was.
async fn follow(
    watch: &mut EngineWatch,
    opened: &mut Opened,
    engine: &EngineSignals,
    command: &[String],
) -> anyhow::Result<Option<String>> {
    let looks = Looks {
        libraries: Libraries::AreLoaded,
        interval: SAMPLE_INTERVAL,
    };
    let mut reason = None;
    let mut deadline = None;
    let mut firmness = 0;
    let mut last_signal = None;
    loop {
        match watch_until(watch, opened, deadline, looks).await? {
            // A Ctrl-C ends an engine at once, which is then seen before our own signal. The kernel makes ours pending
            // before it tells of the end: both under tasklist_lock (kill_pgrp, exit_notify).
            Wake::Ended => {
                return Ok(match (reason, opened.signals.get_ref().next()?) {
                    (None, Some(received)) => Some(stopped_by(received)),
                    (reason, _) => reason,
                });
            }
            // It ends with the engine.
            Wake::Asked(Ask::End) => {}
            Wake::Asked(Ask::Report) => opened.report_so_far(watch, "launch", command).await,
            Wake::Signal(received) => {
                reason.get_or_insert_with(|| stopped_by(received));
                let repeated = last_signal.is_some_and(|at: time::Instant| at.elapsed() < ECHO);
                last_signal = Some(time::Instant::now());
                if firmness > 0 && repeated {
                    continue;
                }
                if firmness > 0 {
                    // The second time the user is in a hurry.
                    engine.kill()?;
                } else if !received.from_terminal {
                    // From the terminal the engine, in the same process group, has got it as well.
                    match received.signal {
                        Signal::SIGINT => engine.interrupt()?,
                        _ => engine.terminate()?,
                    }
                }
                firmness = 1;
                deadline = Some(time::Instant::now() + PATIENCE);
            }
            Wake::TimeUp => {
                if firmness == 1 {
                    engine.terminate()?;
                } else {
                    engine.kill()?;
                }
                firmness += 1;
                deadline = Some(time::Instant::now() + PATIENCE);
            }
        }
    }
}

/// Says so where the kernel killed for lack of memory: in the engine's cgroup, or anywhere while the engine was killed.
fn lack_of_memory(record: &RunRecord) -> Option<String> {
    let in_cgroup = record
        .pressure
        .cgroup
        .as_ref()
        .and_then(|cgroup| cgroup.oom_kills)
        .unwrap_or(0);
    if in_cgroup > 0 {
        return Some(format!(
            "the kernel killed {in_cgroup} of the engine's processes for lack of memory in its cgroup; give it more with --memory-max"
        ));
    }
    let on_machine = record.memory.oom_kills.unwrap_or(0);
    if on_machine == 0 {
        return None;
    }
    Some(if record.exit.signal == Some(libc::SIGKILL) {
        format!(
            "the kernel killed {on_machine} processes of this machine for lack of memory, and the engine was killed: most likely it was one of them; lock less away"
        )
    } else {
        format!(
            "the kernel killed {on_machine} processes of this machine for lack of memory during the run"
        )
    })
}

fn describe_exit(kind: ExitKind) -> ExitRecord {
    match kind {
        ExitKind::Code(code) => ExitRecord {
            code: Some(code),
            signal: None,
            description: format!("The engine exited with status {code}"),
        },
        ExitKind::Signal { number: signal, .. } => ExitRecord {
            code: None,
            signal: Some(signal),
            description: format!(
                "The engine was ended by signal {signal}{}",
                Signal::try_from(signal)
                    .map_or_else(|_| String::new(), |signal| format!(" ({signal})"))
            ),
        },
    }
}

/// What became of the copies of the engine's output.
fn output_notes(exit: &EngineExit) -> Vec<String> {
    let mut notes = Vec::new();
    for output in &exit.outputs {
        for (what, error) in [
            ("could not be passed on", &output.passthrough_error),
            ("is not kept whole", &output.file_error),
            ("was not read to its end", &output.read_error),
        ] {
            if let Some(error) = error {
                notes.push(format!("the engine's {:?} {what}: {error}", output.stream));
            }
        }
    }
    notes
}
