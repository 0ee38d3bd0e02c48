//! What launch and attach have in common: preflight, the session, the watch, the record.

use std::{io, path::PathBuf, sync::Arc, time::SystemTime};

use anyhow::{Context as _, bail};
use tokio::{
    io::unix::AsyncFd,
    sync::mpsc::{UnboundedReceiver, UnboundedSender},
};
use tracer_common::program::Program;

use crate::{
    finished_run,
    output::RunDirectory,
    place::{ModelPieces, Spans, Subject, SubjectFile, resident_pages},
    probe::{
        Detail, Requirement, RequirementState, Session, SessionOptions, in_first_pid_namespace,
        kernel_release, requirements,
    },
    process::{Caller, SignalWatch, UserLines},
    report,
    schema::{MachineRecord, RunRecord, SCHEMA_VERSION},
    stats::{pages::events::TouchEvents, phases::counted::CountedAttribution},
};

use super::{
    assemble::{self, Observed, ResidencyCourse},
    file_keys::learn_keys,
    machine::{self, MemoryState},
    onlooker::{Ask, Collector, EngineNow, Onlooker, RunBegun, RunHandle},
    recorded::{Facts, RecordedSetup, WindowRecording},
    redaction::redacted_header,
    stream::{
        Stream, StreamSetup,
        live_audit::LiveAudit,
        window_reads::{self, WindowReads},
    },
    watch::{
        budget::BudgetWatch,
        engine::EngineWatch,
        log::SharedLog,
        mark_pipe::MarkPipe,
        marks::{MarkedSymbols, NamedSymbol, SharedMarks},
        probe_finder::{ProbeFinder, SessionRequest},
        residency_moments::residency_now,
        samples::{MomentName, RunSamples},
    },
    window::{ClosedWindow, Window},
};

#[derive(Clone, Debug)]
pub struct TraceOptions {
    /// Folder of the run.
    pub directory: PathBuf,
    /// How to load the programs.
    pub session: SessionOptions,
    /// Functions of the engine that mark its phases, beside those that are known.
    pub marks: Vec<NamedSymbol>,
    /// What the user knows of the engine's log.
    pub lines: UserLines,
    /// Write the list of reads.
    pub read_list: bool,
    /// Keep what the figures are made of.
    pub recording: bool,
    /// Leave out of the record what would tell a stranger of this machine.
    pub redact: bool,
    /// What tracing may cost, percent of the CPU time of all CPUs.
    pub budget_percent: Option<f64>,
    /// Who looks on.
    pub onlooker: Option<Onlooker>,
}

/// A run that is over.
#[derive(Debug)]
pub struct FinishedRun {
    pub record: RunRecord,
    /// Status that the tracer should exit with.
    pub exit_code: i32,
    /// Where the record was written.
    pub directory: PathBuf,
    /// Why the record could not be written, where that is so.
    pub write_error: Option<anyhow::Error>,
}

/// Refuses to go on where something is missing, in the words of `tracer doctor`.
///
/// # Errors
/// What is missing and how to get it.
pub fn require_machine() -> anyhow::Result<()> {
    let missing: Vec<String> = requirements()
        .iter()
        .filter(|requirement| requirement.is_missing())
        .map(describe)
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    bail!(
        "something that the tracer needs is missing (`tracer doctor` shows all of it):\n{}",
        missing.join("\n")
    );
}

/// One requirement in a line: the same words here and in `tracer doctor`.
#[must_use]
pub fn describe(requirement: &Requirement) -> String {
    match &requirement.state {
        RequirementState::Present(found) => format!("  ok       {}: {found}", requirement.name),
        RequirementState::Reduced(lost) => format!("  reduced  {}: {lost}", requirement.name),
        RequirementState::Missing { found, remedy } => {
            format!(
                "  MISSING  {}: {found}\n           → {remedy}",
                requirement.name
            )
        }
    }
}

/// Signals that tokio can wait for.
pub(super) fn poll_signals(signals: SignalWatch) -> anyhow::Result<AsyncFd<SignalWatch>> {
    // SAFETY: the watch owns its descriptor and keeps it open until it is dropped with the registration.
    unsafe { AsyncFd::register(signals) }.context("cannot wait for signals")
}

/// Everything that is ready before the engine starts or is found.
pub(super) struct Prepared {
    pub caller: Caller,
    pub subject: Subject,
    /// What the models are made of, by slot.
    pub pieces: Vec<ModelPieces>,
    /// How the files are cut for counts by place.
    pub spans: Arc<Spans>,
    pub directory: RunDirectory,
    pub session: Session,
    pub signals: AsyncFd<SignalWatch>,
    pub options: TraceOptions,
    /// The window holds the engine's whole life.
    pub from_start: bool,
}

/// A window with what was seen before it.
pub(super) struct Opened {
    // First, so that it is gone before an empty folder is removed.
    marks: Result<MarkPipe, io::Error>,
    pub caller: Caller,
    pub subject: Subject,
    pub directory: RunDirectory,
    pub signals: AsyncFd<SignalWatch>,
    pub log: SharedLog,
    pub shared: SharedMarks,
    pub finder: ProbeFinder,
    /// Who looks on, and what he asks for.
    pub onlooker: Option<Onlooker>,
    pub asks: UnboundedReceiver<Ask>,
    pub(super) requests: UnboundedSender<SessionRequest>,
    pub(super) redact: bool,
    pub(super) window: Window,
    pieces: Vec<ModelPieces>,
    spans: Arc<Spans>,
    pub(super) course: ResidencyCourse,
    samples: RunSamples,
    memory: MemoryState,
    machine: MachineRecord,
    started_at: SystemTime,
    notes: Vec<String>,
}

impl Prepared {
    /// Looks at the page cache and the memory, and opens the gate.
    pub fn open(mut self) -> anyhow::Result<Opened> {
        learn_keys(&mut self.subject, &mut self.session)?;
        let course = ResidencyCourse {
            before: residency_now(&self.subject),
            ..ResidencyCourse::default()
        };
        let memory = MemoryState::now();
        let machine = MachineRecord {
            device_temperature_celsius: self
                .subject
                .disks
                .first()
                .and_then(|disk| machine::temperature_celsius(&disk.name)),
            ..machine::machine()
        };
        let symbols = MarkedSymbols::new(&self.options.marks);
        let shared = SharedMarks::new(self.session.slice_cutter());
        let (sender, requests) = tokio::sync::mpsc::unbounded_channel();
        let (handle, asks) = RunHandle::new(sender.clone(), shared.clone());
        let own_requests = sender.clone();
        let finder = ProbeFinder::new(symbols.clone(), sender, self.session.can_probe());
        let detail = self.session.detail();
        let onlooker = self.options.onlooker.clone();
        let collector = onlooker
            .is_some()
            .then(|| Collector::new(&self.subject, &self.pieces, Arc::clone(&self.spans)));
        let models = collector
            .as_ref()
            .map(Collector::models)
            .unwrap_or_default();
        if detail != self.options.session.detail {
            eprintln!(
                "tracer: this kernel cannot count a model's reads (Linux 5.17 can), so `--detail {}` becomes `{}`",
                self.options.session.detail.name(),
                detail.name()
            );
        }
        let gives_records = detail >= Detail::Events;
        let mut notes = Vec::from_iter(self.session.probing_refused().map(str::to_owned));
        let mut setup = StreamSetup {
            locator: self.subject.locator()?,
            files: self.subject.file_data(),
            attributions: Vec::new(),
            counted: Vec::new(),
            beside: Vec::new(),
            owners: self.subject.owners()?,
            symbols,
            shared: shared.clone(),
            audit: (detail == Detail::Audit).then(|| LiveAudit::new(self.subject.models.len())),
            reads: None,
            recorder: None,
        };
        let counts_beside = self.session.can_step_down();
        let resident_before: Vec<Option<Vec<u64>>> = if gives_records && !counts_beside {
            Vec::new()
        } else {
            let models = self.subject.models.iter().zip(&self.pieces);
            models
                .map(|(model, pieces)| pieces.resident_now(&self.subject, model))
                .collect()
        };
        if self.options.recording && !gives_records {
            eprintln!(
                "tracer: nothing is recorded: `--detail {}` counts in the kernel, and `--record` needs `--detail events`",
                detail.name()
            );
        }
        let touch_events = touch_events(&self.session);
        let facts = Facts {
            waits_observed: self.session.has_program(Program::Switch),
            faults_observed: self.session.has_program(Program::PageFault),
            engine_is_known: in_first_pid_namespace(),
            reads_are_told: self.session.tells_waits_of_reads(),
        };
        let (caller, subject, options) = (&self.caller, &self.subject, &self.options);
        let (pieces, spans, directory) = (&self.pieces, &self.spans, &self.directory);
        let (mut samples, before, from_start) =
            (RunSamples::default(), &course.before, self.from_start);
        let (intake, noted) = (&mut samples, &mut notes);
        let stream = move |start| {
            let mut header = window_reads::header(subject);
            if options.redact {
                header = redacted_header(header);
            }
            setup.reads = (options.read_list && gives_records)
                .then(|| WindowReads::begin(directory.path(), &header, start));
            let resident: Vec<_> = if gives_records {
                let models = subject.models.iter();
                models.map(|model| resident_pages(subject, model)).collect()
            } else {
                Vec::new()
            };
            for (slot, (model, pieces)) in subject.models.iter().zip(pieces).enumerate() {
                if let Some(resident) = resident.get(slot) {
                    let attribution =
                        pieces.attribution(resident, touch_events, start, from_start)?;
                    setup.attributions.push(attribution);
                    if !counts_beside {
                        continue;
                    }
                }
                let before = resident_before.get(slot).and_then(Option::as_ref);
                let told = spans.classes_are_told(slot);
                let model = pieces.counted(subject, model, told, before);
                let counted = CountedAttribution::new(model, start, from_start);
                if gives_records {
                    setup.beside.push(counted);
                } else {
                    setup.counted.push(counted);
                }
            }
            if options.recording && gives_records {
                let known = RecordedSetup::of(
                    subject,
                    pieces,
                    &resident,
                    start,
                    touch_events,
                    from_start,
                    facts,
                )?;
                match WindowRecording::begin(directory, caller, &known) {
                    Ok(recorder) => {
                        *intake = RunSamples::begin(&recorder, before);
                        setup.recorder = Some(recorder);
                    }
                    Err(error) => {
                        eprintln!("tracer: nothing is recorded: {error}");
                        noted.push(format!("nothing is recorded: {error}"));
                    }
                }
            }
            Ok(Stream::new(setup, start))
        };
        let started_at = SystemTime::now();
        let disks = self.subject.disks.clone();
        let budget = self.options.budget_percent.map(BudgetWatch::new);
        let window = Window::open(self.session, stream, disks, requests, collector, budget)?;
        if let Some(onlooker) = &onlooker {
            let directory = self.directory.path().to_owned();
            let begun = RunBegun {
                directory,
                detail,
                models,
                recorded_s: None,
            };
            onlooker.0.begun(begun, handle);
        }
        let marks = MarkPipe::make(self.directory.path(), &self.caller, shared.clone());
        Ok(Opened {
            marks,
            caller: self.caller,
            subject: self.subject,
            directory: self.directory,
            signals: self.signals,
            log: SharedLog::new(shared.clone(), self.options.lines),
            shared,
            finder,
            onlooker,
            asks,
            requests: own_requests,
            redact: self.options.redact,
            window,
            pieces: self.pieces,
            spans: self.spans,
            course,
            samples,
            memory,
            machine,
            started_at,
            notes,
        })
    }
}

impl Opened {
    /// `CLOCK_MONOTONIC` of the opening, nanoseconds.
    pub const fn opened_nanos(&self) -> u64 {
        self.window.opened_nanos()
    }

    fn sample(&self, watch: &mut EngineWatch) {
        let opened = self.window.opened_nanos();
        watch.sample(&self.log, &self.subject, opened, &self.samples);
    }

    /// Looks at the engine, and tells the others of its processes.
    pub fn look_at(&mut self, watch: &mut EngineWatch) {
        self.sample(watch);
        for process_id in &watch.process_ids {
            self.shared.process(*process_id);
        }
        self.finder.look_at_processes(&watch.process_ids);
        if let Some(onlooker) = &self.onlooker {
            onlooker.0.engine(EngineNow {
                process_id: watch.process_id(),
                memory: watch.memory_now(),
                memory_limit_bytes: watch.memory_limit_bytes(),
                tokens_per_s: self.log.tokens_per_s(),
            });
        }
    }

    /// Closes the gate and makes the record of all that was observed.
    pub async fn finish(
        mut self,
        watch: &mut EngineWatch,
        mode: &str,
        command: Vec<String>,
    ) -> anyhow::Result<(RunRecord, RunDirectory, Caller)> {
        watch.ends();
        self.sample(watch);
        let opened = self.window.opened_nanos();
        let no_pipe = io::Error::other("it is gone");
        let mark_note = match std::mem::replace(&mut self.marks, Err(no_pipe)) {
            Ok(pipe) => pipe.end(),
            Err(error) => Some(format!(
                "the run's folder has no pipe for marks: {error}; `tracer mark` could not be used"
            )),
        };
        let mut closed = self.window.close().await?;
        if let (Some(onlooker), Some(last)) = (&self.onlooker, closed.last_figures.take()) {
            onlooker.0.closed(last);
        }
        let reads = closed
            .stream
            .take_reads()
            .map(|reads| reads.finish(&self.directory, &self.caller));
        let recording = WindowRecording::of(&self.directory, closed.stream.take_recording());
        if let Some(thread) = closed.left_recording.take() {
            WindowRecording::remove(&self.directory, thread);
        }
        let closed_ns = closed.closed_nanos.saturating_sub(opened);
        watch.files.look(&watch.process_ids, &self.subject);
        // Elsewhere a process id may be a stranger's to the kernel side.
        if in_first_pid_namespace() {
            let counted = &closed.aggregates.other_files;
            let page_bytes = procfs::page_size();
            watch.files.take_cached(counted, page_bytes, &self.subject);
        }
        self.course.after = residency_now(&self.subject);
        self.samples
            .residency(MomentName::After, &self.course.after);
        // The recording's thread is waited for below, and nothing may keep its intake open then.
        drop(std::mem::take(&mut self.samples));
        self.course.load_end = watch.load_end.take();
        self.course.last_token = watch.last_token.take();
        self.course.others = std::mem::take(&mut watch.residency);
        let mut record = self.record(closed, watch, &self.course, mode, command);
        window_reads::add_to(&mut record, reads);
        recording.finish(closed_ns, &self.caller, &mut record);
        record.notes.extend(watch.files.replaced(&self.subject));
        let files = self.subject.files.iter();
        record
            .notes
            .extend(files.filter_map(SubjectFile::tail_in_metadata));
        record.notes.extend(mark_note);
        record.notes.extend(self.notes);
        Ok((record, self.directory, self.caller))
    }

    /// The record of a window, without what only its end shows.
    pub(super) fn record(
        &self,
        window: ClosedWindow,
        watch: &EngineWatch,
        course: &ResidencyCourse,
        mode: &str,
        command: Vec<String>,
    ) -> RunRecord {
        let memory_after = MemoryState::now();
        let mut machine = self.machine.clone();
        machine::add_pressure(&mut machine, &self.memory, &memory_after);
        let mut record = RunRecord {
            schema_version: SCHEMA_VERSION,
            tracer_version: env!("CARGO_PKG_VERSION").to_owned(),
            started_at: humantime::format_rfc3339_millis(self.started_at).to_string(),
            kernel: kernel_release(),
            mode: mode.to_owned(),
            command,
            machine,
            memory: self.memory.until(&memory_after),
            process: watch.record(),
            memory_course: watch.memory_course(),
            ..RunRecord::default()
        };
        let observed = Observed {
            subject: &self.subject,
            pieces: &self.pieces,
            spans: &self.spans,
            course,
            engine_process_ids: &watch.process_ids,
        };
        assemble::fill(&mut record, window, observed);
        assemble::add_given_marks(&mut record, &self.shared, self.opened_nanos());
        record
    }
}

/// Writes the record; a folder that cannot be written any more does not take the figures away.
pub(super) fn conclude(
    record: RunRecord,
    mut directory: RunDirectory,
    caller: &Caller,
    exit_code: i32,
) -> FinishedRun {
    let write_error = directory
        .write(&record, &report::markdown(&record), caller)
        .and_then(|()| {
            let page = finished_run::page_of(&record, directory.path());
            directory.write_page(&page, caller)
        })
        .err();
    FinishedRun {
        directory: directory.path().to_owned(),
        record,
        exit_code,
        write_error,
    }
}

fn touch_events(session: &Session) -> TouchEvents {
    let all = [Program::PageFault, Program::PageMap, Program::PageLookup]
        .into_iter()
        .all(|program| session.has_program(program));
    if all {
        TouchEvents::Observed
    } else {
        TouchEvents::Unobserved
    }
}
