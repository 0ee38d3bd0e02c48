//! One function a command: arguments in, calls out.

use std::{
    io::IsTerminal as _,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, bail};

use crate::{
    device_bench::{DeviceTestRequest, run_device_test},
    engine::{self, EngineOptions, LoadMode, RandomModelShape},
    live::{Screen, WhenLeft},
    metrics::{Listening, Push, Server},
    output::RUNS_FOLDER,
    outward,
    place::inspect,
    pressure,
    probe::{Apart, Detail, Requirement, SessionOptions, kernel_release},
    process::UserLines,
    report,
    rights::{Kept, forbid_calls, forgo_new_privileges, reduce_this_thread},
    run::{
        AttachOptions, AttachTarget, DemoOptions, FinishedRun, LaunchOptions, TraceOptions,
        bytes_progress, describe,
        onlooker::{Onlook, Onlooker, Several},
        run_attach, run_demo, run_launch,
    },
    setting, units,
};

use super::console::{print_ignoring_a_closed_pipe, signals, terminal_columns};
use super::{
    arguments::{
        Arguments, AttachArguments, Command, DemoArguments, DetailLevel, DeviceArguments,
        DoctorArguments, LaunchArguments, ModelArguments, TraceArguments,
    },
    blktrace::{audit, blktrace},
    built_in::{EngineArguments, MakeModelArguments},
    choose_process::{Chosen, choose_process},
    doctor::{examine, how_to_get_them},
    experiment::experiment,
    explain::explain,
    finished::{compare, export, how_much, live, open, validate},
    mark::mark,
    network::Network,
    plot::plot,
    tune::tune,
    watch::watch,
};

/// What clap exits with where the command line is wrong.
const WRONG_COMMAND_LINE: i32 = 2;

/// Executes a command line; returns the status to exit with. Call it before any other thread is started: it
/// takes over SIGINT and SIGTERM.
///
/// # Errors
/// What kept the command from running.
pub fn execute(arguments: Arguments) -> anyhow::Result<i32> {
    // Without its rights it may not open a socket.
    let network = network(&arguments.command)?;
    let apart = give_up_rights(&arguments.command)?;
    match arguments.command {
        Command::Launch(arguments) => launch(arguments, network),
        Command::Attach(arguments) => attach(arguments, network, apart),
        Command::Watch(arguments) => watch(arguments, network),
        Command::Model(arguments) => model(&arguments),
        Command::Blktrace(arguments) => blktrace(&arguments),
        Command::Audit(arguments) => audit(&arguments),
        Command::Plot(arguments) => plot(&arguments),
        Command::Compare(arguments) => compare(&arguments),
        Command::Open(arguments) => open(&arguments),
        Command::Live(arguments) => live(&arguments, &signals()?),
        Command::Validate(arguments) => validate(&arguments),
        Command::Export(arguments) => export(&arguments),
        Command::Device(arguments) => device(arguments),
        Command::Doctor(arguments) => doctor(&arguments),
        Command::Explain(arguments) => explain(&arguments),
        Command::Size(arguments) => how_much(&arguments),
        Command::Mark(arguments) => mark(arguments),
        Command::Demo(arguments) => demo(arguments, network),
        Command::Experiment(arguments) => experiment(arguments),
        Command::Tune(arguments) => tune(arguments),
        Command::Engine(arguments) => engine(arguments),
        Command::MakeModel(arguments) => make_model(&arguments),
        Command::WeightsKeeper => Ok(pressure::pin_keeper_main()),
        Command::OutwardHelper { url } => outward::helper_main(&url),
        Command::SettingsKeeper => Ok(setting::keeper_main()),
        Command::BalloonHelper { bytes } => pressure::helper_main(bytes),
    }
}

/// What reaches others, or is reached by them, where it is asked for.
fn network(command: &Command) -> anyhow::Result<Network> {
    let (serving, collector) = match command {
        Command::Launch(arguments) => (arguments.trace.serving(), &arguments.trace.otlp),
        Command::Attach(arguments) => (arguments.trace.serving(), &arguments.trace.otlp),
        Command::Demo(arguments) => (arguments.trace.serving(), &arguments.trace.otlp),
        Command::Watch(arguments) => (arguments.serving(), &arguments.otlp),
        _ => return Ok(Network::default()),
    };
    let engine_metrics = match command {
        Command::Attach(arguments) => arguments.engine_metrics.as_ref(),
        _ => None,
    };
    Network::open(serving, collector.as_ref(), engine_metrics)
}

/// Before anything of others is read, and before there is another thread: capabilities belong to a thread, and each new one
/// begins with those of the thread that starts it. Returns who has those that loading takes, where this process has not.
fn give_up_rights(command: &Command) -> anyhow::Result<Option<Apart>> {
    let kept = match command {
        Command::Model(_)
        | Command::Blktrace(_)
        | Command::Audit(_)
        | Command::Plot(_)
        | Command::Explain(_)
        | Command::Size(_)
        | Command::Compare(_)
        | Command::Open(_)
        | Command::Live(_)
        | Command::Validate(_)
        | Command::Export(_)
        | Command::Device(_)
        | Command::Mark(_)
        | Command::Engine(_)
        | Command::MakeModel(_) => Kept::FilesOnly,
        Command::Experiment(arguments) if arguments.makes_no_runs() => Kept::FilesOnly,
        Command::Attach(arguments) if arguments.show_experts.is_some() => Kept::TracingAndPagingOut,
        Command::Launch(_) | Command::Attach(_) | Command::Demo(_) => Kept::Tracing,
        // They try rights out, or start what needs them.
        Command::Watch(_) => {
            // What it starts is the tracer itself, which gives up what it does not need.
            forgo_new_privileges().context("cannot give up new privileges")?;
            return Ok(None);
        }
        Command::Experiment(_)
        | Command::Doctor(_)
        | Command::Tune(_)
        | Command::SettingsKeeper
        | Command::OutwardHelper { .. }
        | Command::WeightsKeeper
        | Command::BalloonHelper { .. } => return Ok(None),
    };
    if let Command::Attach(arguments) = command {
        forgo_new_privileges().context("cannot give up new privileges")?;
        // Both take rights of their own to the end: a budget has the programs timed, the other throws pages out.
        if arguments.trace.budget.is_none()
            && arguments.show_experts.is_none()
            && let Some(apart) = Apart::begin().context("cannot give up rights")?
        {
            return Ok(Some(apart));
        }
    }
    reduce_this_thread(kept).context("cannot give up rights")?;
    // `attach` starts nothing; what `launch` starts must be able to do what it could without the tracer.
    if kept == Kept::FilesOnly || matches!(command, Command::Attach(_)) {
        forgo_new_privileges().context("cannot give up new privileges")?;
        forbid_calls(kept).context("cannot give up system calls")?;
    }
    Ok(None)
}

fn launch(arguments: LaunchArguments, network: Network) -> anyhow::Result<i32> {
    let (live, otlp_every) = (arguments.trace.live, arguments.trace.otlp_every);
    let mut options = LaunchOptions {
        models: arguments.model,
        command: arguments.command,
        conditions: arguments.pressure.conditions()?,
        until_exit: arguments.until_exit,
        trace: recorded_by_itself(arguments.trace),
    };
    let signals = signals()?;
    let shown = looked_on(
        &mut options.trace,
        live,
        WhenLeft::GoesOn,
        network,
        otlp_every,
    )?;
    let run = runtime()?.block_on(run_launch(options, signals));
    drop(shown);
    show(run?)
}

/// Has a live screen and a server of metrics look on, where they are asked for. Both are gone when this is dropped.
fn looked_on(
    trace: &mut TraceOptions,
    live: bool,
    when_left: WhenLeft,
    network: Network,
    otlp_every: Duration,
) -> anyhow::Result<Shown> {
    let screen = live.then(|| Screen::new(when_left)).transpose();
    let screen = screen.context("cannot show a live screen")?.map(Arc::new);
    let Network {
        listening,
        collector,
        ..
    } = network;
    let is_asked = listening.is_some() || collector.is_some();
    let server = is_asked.then(|| Server::start(listening.as_ref(), trace.redact));
    let server = server.transpose()?.map(Arc::new);
    let push = collector.zip(server.as_ref()).map(|(collector, server)| {
        let host = nix::unistd::gethostname().unwrap_or_default();
        let host = (!trace.redact).then(|| host.to_string_lossy().into_owned());
        Push::start(collector, otlp_every, host, server.telling()?)
    });
    let push = push.transpose()?;
    let mut onlookers: Vec<Arc<dyn Onlook>> = Vec::new();
    onlookers.extend(screen.clone().map(|screen| screen as Arc<dyn Onlook>));
    onlookers.extend(server.clone().map(|server| server as Arc<dyn Onlook>));
    if !onlookers.is_empty() {
        trace.onlooker = Some(Onlooker(Arc::new(Several(onlookers))));
    }
    Ok(Shown {
        screen,
        push,
        server,
        _listening: listening,
    })
}

/// Who looks on, finished when the run is over, whoever else still holds them.
struct Shown {
    screen: Option<Arc<Screen>>,
    /// Sends the last figures when it is dropped.
    push: Option<Push>,
    server: Option<Arc<Server>>,
    /// A socket's file goes with it.
    _listening: Option<Listening>,
}

impl Drop for Shown {
    fn drop(&mut self) {
        if let Some(screen) = &self.screen {
            screen.finish();
        }
        drop(self.push.take());
        if let Some(server) = &self.server {
            server.finish();
        }
    }
}

fn attach(
    arguments: AttachArguments,
    mut network: Network,
    apart: Option<Apart>,
) -> anyhow::Result<i32> {
    let target = match (arguments.pid, arguments.name, arguments.container) {
        (Some(pid), _, _) => AttachTarget::Pid(pid),
        (_, Some(name), _) => AttachTarget::Name(name),
        (_, _, Some(id)) => AttachTarget::Container(id),
        _ => match choose_process()? {
            Chosen::Process(pid) => AttachTarget::Pid(pid),
            Chosen::OnlyListed => return Ok(WRONG_COMMAND_LINE),
        },
    };
    let (live, otlp_every) = (arguments.trace.live, arguments.trace.otlp_every);
    let shows_experts = arguments.show_experts.is_some();
    if shows_experts && arguments.trace.detail == Some(DetailLevel::Counts) {
        bail!("--show-experts records events: leave out `--detail counts`");
    }
    let usual = if shows_experts {
        Detail::Events
    } else {
        Detail::Counts
    };
    let mut trace = trace_options(arguments.trace, "attach", usual);
    trace.recording |= shows_experts;
    let mut options = AttachOptions {
        target,
        models: arguments.model,
        log: arguments.log,
        duration: arguments.duration,
        show_experts_bytes: arguments.show_experts,
        trace,
    };
    let signals = signals()?;
    let engine_metrics = network.engine_metrics.take();
    let shown = looked_on(
        &mut options.trace,
        live,
        WhenLeft::Ends,
        network,
        otlp_every,
    )?;
    let run = runtime()?.block_on(run_attach(options, signals, apart, engine_metrics));
    drop(shown);
    show(run?)
}

fn demo(arguments: DemoArguments, network: Network) -> anyhow::Result<i32> {
    let mut trace = arguments.trace;
    if trace.out.is_none() {
        trace.out = Some(arguments.directory.join(default_directory("demo")));
    }
    let (live, otlp_every) = (trace.live, trace.otlp_every);
    let mut options = DemoOptions {
        directory: arguments.directory,
        model_size_bytes: arguments.model_size,
        memory_max_bytes: arguments.memory_max,
        tokens: arguments.tokens,
        threads: arguments.threads,
        trace: trace_options(trace, "demo", Detail::Events),
    };
    let signals = signals()?;
    let shown = looked_on(
        &mut options.trace,
        live,
        WhenLeft::GoesOn,
        network,
        otlp_every,
    )?;
    let run = runtime()?.block_on(run_demo(options, signals));
    drop(shown);
    show(run?)
}

fn doctor(arguments: &DoctorArguments) -> anyhow::Result<i32> {
    let requirements = examine(arguments.model.as_deref(), arguments.programs);
    let mut lines: Vec<String> = requirements.iter().map(describe).collect();
    lines.extend(how_to_get_them());
    print_ignoring_a_closed_pipe(&(lines.join("\n") + "\n"))?;
    Ok(i32::from(requirements.iter().any(Requirement::is_missing)))
}

fn model(arguments: &ModelArguments) -> anyhow::Result<i32> {
    let inspection = inspect(&arguments.file)?;
    let text = if arguments.json {
        serde_json::to_string_pretty(&inspection).context("cannot write JSON")? + "\n"
    } else {
        report::inspection(&inspection, terminal_columns())
    };
    print_ignoring_a_closed_pipe(&text)?;
    Ok(0)
}

fn device(arguments: DeviceArguments) -> anyhow::Result<i32> {
    let request = DeviceTestRequest {
        file: arguments.file,
        run: arguments.run,
        time: Duration::from_secs(arguments.seconds),
        kernel: kernel_release(),
        out: arguments.out,
    };
    let record = run_device_test(request, signals()?)?;
    let text = if arguments.json {
        serde_json::to_string_pretty(&record).context("cannot write JSON")? + "\n"
    } else {
        report::device_test(&record, terminal_columns())
    };
    print_ignoring_a_closed_pipe(&text)?;
    Ok(0)
}

fn engine(arguments: EngineArguments) -> anyhow::Result<i32> {
    engine::run(&EngineOptions {
        model: arguments.model,
        tokens: arguments.tokens,
        prompt_tokens: arguments.prompt_tokens,
        threads: usize::try_from(arguments.threads)?,
        load_mode: if arguments.lazy {
            LoadMode::Mmap
        } else {
            LoadMode::Populate
        },
        seed: Some(arguments.seed),
        expert_log: arguments.expert_log,
        zap_before_step: arguments.zap_before_step,
    })?;
    Ok(0)
}

fn make_model(arguments: &MakeModelArguments) -> anyhow::Result<i32> {
    let shape = RandomModelShape {
        experts: arguments.experts,
        experts_used: arguments.experts_used.min(arguments.experts),
        ..RandomModelShape::default()
    }
    .of_size(arguments.size)?;
    let progress = bytes_progress(
        shape.file_size_bytes(),
        "writing a model with random weights",
    );
    shape.write(&arguments.path, |written| progress.set_position(written))?;
    progress.finish_and_clear();
    eprintln!(
        "tracer: {} has {}, the nearest to {} that can be made",
        arguments.path.display(),
        units::bytes(shape.file_size_bytes()),
        units::bytes(arguments.size)
    );
    Ok(0)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot start the asynchronous runtime")
}

/// A launched engine is there to be measured, and whoever wants a part of the run later cannot have it again.
fn recorded_by_itself(mut arguments: TraceArguments) -> TraceOptions {
    let gives_events = arguments
        .detail
        .is_none_or(|level| level != DetailLevel::Counts);
    arguments.record |= gives_events && !arguments.no_record && !arguments.redact;
    trace_options(arguments, "launch", Detail::Events)
}

fn trace_options(arguments: TraceArguments, what: &str, usual_detail: Detail) -> TraceOptions {
    if arguments.diagnostics {
        // The eBPF side logs through this; a second call in one process changes nothing.
        let _ = env_logger::Builder::new()
            .filter_level(log::LevelFilter::Debug)
            .try_init();
    }
    TraceOptions {
        directory: arguments.out.unwrap_or_else(|| default_directory(what)),
        session: SessionOptions {
            ring_buffer_bytes: arguments.ring_buffer,
            detail: arguments.detail.map_or(usual_detail, Into::into),
            early_programs: arguments.early_programs,
            steps_down: arguments.budget.is_some(),
            diagnostics: arguments.diagnostics,
            measure_overhead: arguments.measure_overhead,
        },
        marks: arguments.marks,
        lines: UserLines {
            phases: arguments.phase_lines,
            rates: arguments.rate_lines,
        },
        read_list: !arguments.no_read_list,
        recording: arguments.record,
        redact: arguments.redact,
        budget_percent: arguments.budget,
        onlooker: None,
    }
}

/// A new folder for each run: time and process id.
fn default_directory(what: &str) -> PathBuf {
    let time: String = humantime::format_rfc3339_seconds(SystemTime::now())
        .to_string()
        .replace(':', "");
    PathBuf::from(RUNS_FOLDER).join(format!("{time}-{what}-{}", std::process::id()))
}

/// Prints the table and says where the record is.
fn show(run: FinishedRun) -> anyhow::Result<i32> {
    let columns = std::io::stdout()
        .is_terminal()
        .then(terminal_columns)
        .flatten();
    print_ignoring_a_closed_pipe(&report::terminal(&run.record, columns))?;
    match run.write_error {
        Some(error) => return Err(error),
        None => {
            let list = run.record.read_list.and_then(|list| list.file);
            eprintln!(
                "tracer: report.html (charts; opens in a browser), run.json, report.md{}{} are in {}",
                list.map_or_else(String::new, |list| format!(", {list}")),
                if run.directory.join("engine.stdout").exists() {
                    ", the engine's output"
                } else {
                    ""
                },
                run.directory.display()
            );
        }
    }
    Ok(run.exit_code)
}
