//! The command line, as clap sees it.

use std::{
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::{
    metrics::{CollectorAddress, ServeAddress},
    outward::HttpUrl,
    pressure::{BalloonSize, MemoryLimits},
    probe::Detail,
    process::{PhaseLine, RateLine},
    run::{ConditionsRequest, NamedSymbol},
    setting::QueueSetting,
};

use super::{
    blktrace::{AuditArguments, OldTraceArguments},
    built_in::{EngineArguments, MakeModelArguments},
    examples,
    tune::{PinArgument, pin_request},
};

/// Shows how an LLM engine reads its weights from storage: what is read, how often, in which order, and how long
/// the engine waits for it.
///
/// Every read that reaches the disk is counted exactly once, and every figure is checked against a second count. The
/// engine needs no change: start it under the tracer, or attach to one that runs.
#[derive(Debug, Parser)]
#[command(name = "tracer", version, about, max_term_width = 100, after_help = format!("{}\n\n{EXIT_CODES}", examples::TRACER))]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const EXIT_CODES: &str = "Exit status: that of the engine for `launch` and `demo` (128 + n where signal n ended \
it); 1 for `doctor` where something is missing and for `validate` where events are; `experiment` and `compare` have their own (--help); 0 for the others; 125 where the tracer itself failed or could not \
write the record, 126 where the engine's program cannot be run, \
127 where there is none, 2 for a wrong command line.";

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Start an engine and trace it to its end.
    Launch(LaunchArguments),
    /// Trace a process that runs already.
    Attach(AttachArguments),
    /// Follow engines as they come and go, and write what each has read every hour: for machines that serve.
    Watch(super::watch::WatchArguments),
    /// See what the tool shows: make a model with random weights, run the built-in engine on it with too little
    /// memory, and explain the figures.
    Demo(DemoArguments),
    /// Show what a model is made of: sizes by kind and layer, the order in its files, where it lies, how much is in
    /// the page cache.
    Model(ModelArguments),
    /// Show the same figures for an old recording of blktrace: what blkparse printed, or the binary files.
    Blktrace(OldTraceArguments),
    /// Check figures that were taken from a recording of blktrace: shows what comes out when each read is counted once,
    /// twice, three times, and which way gives the figures that you have.
    Audit(AuditArguments),
    /// Say what made a run slow and what to do about it, from its record: is it storage at all, where did the time go,
    /// which causes apply.
    Explain(super::explain::ExplainArguments),
    /// Say how much memory is enough, from one run: what a token reads with more or less of it, where it collapses, what one
    /// more GiB buys.
    Size(super::finished::SizeArguments),
    /// Say which phase begins, to a run that goes on; a script can write it into the run's pipe as well.
    Mark(super::mark::MarkArguments),
    /// Make many runs and compare them: memory sizes, models, threads, each repeated in random order.
    Experiment(super::experiment::ExperimentArguments),
    /// Try what would make an engine faster, read-ahead and options of the engine, in repeated runs, and say what is the best.
    Tune(super::tune::TuneArguments),
    /// Put runs or experiments side by side: what changed, how sure that is, and what cannot be compared and why.
    Compare(super::finished::CompareArguments),
    /// Compute the figures of a run that is over again, from its recording: of a part of its time, or of one whose tracer was
    /// killed.
    Open(super::finished::OpenArguments),
    /// Play the recording of a run that is over on the screen that `--live` shows: what happened when, at any speed.
    Live(super::finished::LiveArguments),
    /// Read a run's recording to its end, and say whether it is whole.
    Validate(super::finished::ValidateArguments),
    /// Write a run that is over as a trace for another program: Perfetto shows it as a time line.
    Export(super::finished::ExportArguments),
    /// Write charts of a run that is over as SVG files: for a paper, a talk, an issue. Its page, report.html, has all of them.
    Plot(super::plot::PlotArguments),
    /// Measure how fast the disk of a model's file reads this file, and what the order of a run's reads costs there.
    /// It only reads, past the page cache.
    Device(DeviceArguments),
    /// Say what the tracer needs and does not find on this machine, and how to get it.
    Doctor(DoctorArguments),
    /// Run the built-in engine. It reads a model's weights as inference does; the tokens that it prints mean nothing.
    Engine(EngineArguments),
    /// Write a model with random weights (GGUF), which the built-in engine and llama.cpp can run.
    MakeModel(MakeModelArguments),
    /// Change settings of the machine and put them back; started by `launch --read-ahead`.
    #[command(hide = true, name = "settings-keeper")]
    SettingsKeeper,
    /// Keep a part of a model in memory; started by `launch --pin`.
    #[command(hide = true, name = "weights-keeper")]
    WeightsKeeper,
    /// Ask an address; started by `--otlp` and `--engine-metrics`.
    #[command(hide = true, name = "outward-helper")]
    OutwardHelper {
        /// The address.
        url: HttpUrl,
    },
    /// Lock memory away; started by `launch --lock`.
    #[command(hide = true, name = "balloon-helper")]
    BalloonHelper {
        /// Bytes to lock.
        bytes: u64,
    },
}

/// Which model to show.
#[derive(Clone, Debug, Args)]
#[command(after_help = examples::MODEL)]
pub struct ModelArguments {
    /// A file of the model; the others of a split model are found beside it.
    pub file: PathBuf,
    /// Print all of it as JSON.
    #[arg(long)]
    pub json: bool,
}

/// `tracer device`.
#[derive(Clone, Debug, Args)]
#[command(after_help = examples::DEVICE)]
pub struct DeviceArguments {
    /// A file of a model. Nothing is written to it.
    pub file: PathBuf,
    /// Take sizes, queue depth and order of the reads from this run, whose folder has run.json and reads.parquet.
    #[arg(long, value_name = "DIR")]
    pub run: Option<PathBuf>,
    /// How long it may take. Ctrl-C stops earlier, with what has been measured, marked as partial.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub seconds: u64,
    /// Print the record as JSON instead of a table.
    #[arg(long)]
    pub json: bool,
    /// Write device.json and device.txt into this folder, which may be the run's.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// How much a run shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DetailLevel {
    /// How much was read, in which order and how fast, and what the page cache did; by phase, step, kind of tensor, tensor and
    /// expert. Counted in the kernel and nothing recorded: no waits and stalls, no list of reads.
    Counts,
    /// All figures: each read, page-cache event and wait is recorded.
    Events,
    /// The other stages of the block layer too, and which figures would come out if each read were counted several times, as
    /// with old traces.
    Audit,
}

impl From<DetailLevel> for Detail {
    fn from(level: DetailLevel) -> Self {
        match level {
            DetailLevel::Counts => Self::Counts,
            DetailLevel::Events => Self::Events,
            DetailLevel::Audit => Self::Audit,
        }
    }
}

/// How to trace, for every command that traces.
#[derive(Clone, Debug, Args)]
pub struct TraceArguments {
    /// Where to write run.json, report.html, report.md and the engine's output [default: a new folder in tracer-runs/].
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Size of the buffers between kernel and tracer, those of all CPUs together: a power of two, at least one page.
    #[arg(long, value_name = "SIZE", default_value = "16M", value_parser = super::size::ring_buffer)]
    pub ring_buffer: u32,
    /// A function of the engine that begins a decode step, beside those that are known, such as my_engine_step. With
    /// =PHASE it begins that phase instead: load, idle, warm-up, prompt, generation, mixed. Can be given several times.
    #[arg(long = "mark", value_name = "SYMBOL[=PHASE]")]
    pub marks: Vec<NamedSymbol>,
    /// A line of the engine's log that says that a phase begins: a regular expression, then = and load, idle, warm-up, prompt,
    /// generation, mixed, end, or step for a decode step. Can be given several times.
    #[arg(long = "phase-line", value_name = "REGEX=PHASE")]
    pub phase_lines: Vec<PhaseLine>,
    /// A line of the engine's log that states generated tokens per second: a regular expression with one group, around the
    /// number. Of several lines the last counts. Can be given several times.
    #[arg(long = "rate-line", value_name = "REGEX")]
    pub rate_lines: Vec<RateLine>,
    /// How much to show. Less costs the engine less: docs/PERFORMANCE.md says how much. Without it `attach` counts, since the
    /// engine serves somebody; the others record events.
    #[arg(long, value_enum, value_name = "LEVEL")]
    pub detail: Option<DetailLevel>,
    /// Use the eBPF programs for kernels before 5.17, which are simpler: where a verifier refuses the others, and for
    /// tests. Figures then come from the records alone.
    #[arg(long)]
    pub early_programs: bool,
    /// Do not write reads.parquet, the list of the model's reads.
    #[arg(long)]
    pub no_read_list: bool,
    /// Keep what the figures are made of, event by event, in the run's folder: `tracer open` computes them again, of a part of
    /// the run too, and has all but the last seconds where the tracer was killed. Takes about 4 bytes an event on the disk. `launch`
    /// does so by itself where it records events, unless --redact is given.
    #[arg(long, conflicts_with = "redact", overrides_with = "no_record")]
    pub record: bool,
    /// Do not keep them.
    #[arg(long, overrides_with = "record")]
    pub no_record: bool,
    /// Show what happens while the run goes on: a screen with the figures of the last seconds and of the whole run. `?` explains
    /// it, `q` closes it; the engine runs on. The engine gets no input: one that asks for some runs in another terminal, with
    /// `tracer attach --live` here. Without a terminal it is one line a second.
    #[arg(long)]
    pub live: bool,
    /// Serve the figures for Prometheus while the run goes on, at /metrics of this address: 127.0.0.1:9464, or a Unix socket,
    /// unix:/run/tracer.sock. What is not observed is not there. Anything but this machine's own addresses takes a token.
    #[arg(long, value_name = "ADDRESS")]
    pub serve: Option<ServeAddress>,
    /// A file with the secret that a scraper has to show as its bearer token. Nothing is encrypted: who listens on the network
    /// can read it.
    #[arg(long, value_name = "FILE", requires = "serve")]
    pub serve_token_file: Option<PathBuf>,
    /// Send the figures to a collector of OpenTelemetry (OTLP over HTTP) while the run goes on, such as http://127.0.0.1:4318.
    #[arg(long, value_name = "URL")]
    pub otlp: Option<CollectorAddress>,
    /// How often to send them; once more at the end.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = super::size::sending, requires = "otlp")]
    pub otlp_every: Duration,
    /// Leave paths, the command line and the host's name out of the record, and keep none of the engine's output: for a record
    /// that is shown to others.
    #[arg(long)]
    pub redact: bool,
    /// Keep what tracing costs below this share of the CPU time of all CPUs, such as 1%. It is measured for a tenth of a second in
    /// ten seconds. Where it is more, `events` ends and the run is one of `counts`, from its start on; the record says when and why.
    #[arg(long, value_name = "PERCENT", value_parser = super::size::percent)]
    pub budget: Option<f64>,
    /// Measure the run time of the eBPF programs too (costs about 50 ns a call, for every eBPF program of
    /// this machine).
    #[arg(long)]
    pub measure_overhead: bool,
    /// Print the diagnostics of the eBPF side.
    #[arg(long)]
    pub diagnostics: bool,
}

impl TraceArguments {
    /// Where to serve, and the file with the secret.
    #[must_use]
    pub fn serving(&self) -> (Option<&ServeAddress>, Option<&Path>) {
        (self.serve.as_ref(), self.serve_token_file.as_deref())
    }
}

/// What to do to the memory before the engine starts.
#[derive(Clone, Debug, Default, Args)]
pub struct PressureArguments {
    /// Lock this much memory away, so that the rest of the machine is short of it.
    #[arg(long, value_name = "SIZE", value_parser = super::size::bytes)]
    pub lock: Option<u64>,
    /// Lock memory away until only this much of MemAvailable is left.
    #[arg(long, value_name = "SIZE", value_parser = super::size::bytes, conflicts_with = "lock")]
    pub leave_free: Option<u64>,
    /// Give the engine a memory cgroup of its own with this limit; its model's files start uncached.
    #[arg(long, value_name = "SIZE", value_parser = super::size::bytes)]
    pub memory_max: Option<u64>,
    /// Throttle the engine and reclaim its memory from here on, below --memory-max (cgroup v2 only).
    #[arg(long, value_name = "SIZE", value_parser = super::size::bytes, requires = "memory_max")]
    pub memory_high: Option<u64>,
    /// Set how far the kernel reads ahead on the model's disk, such as 128K or off, for this run; it is put back afterwards. Others
    /// who open files on this disk meanwhile get it too.
    #[arg(long, value_name = "SIZE", value_parser = super::size::bytes_or_off)]
    pub read_ahead: Option<u64>,
    /// Set the scheduler of the model's disk, such as none or mq-deadline, for this run; it is put back afterwards.
    #[arg(long, value_name = "NAME")]
    pub scheduler: Option<String>,
    /// Set how many requests the queue of the model's disk takes (nr_requests), for this run; it is put back afterwards.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    pub nr_requests: Option<u32>,
    /// Keep tensors in memory for this run, by a process in the engine's cgroup: those that came back most often in an earlier
    /// run. They go when the run ends, whatever happens.
    #[arg(
        long,
        value_name = "WHICH",
        requires = "pin_from",
        requires = "pin_budget"
    )]
    pub pin: Option<PinArgument>,
    /// The folder of that run, with the same model.
    #[arg(long, value_name = "RUN", requires = "pin")]
    pub pin_from: Option<PathBuf>,
    /// What they may take at most. It is part of --memory-max.
    #[arg(long, value_name = "SIZE", value_parser = super::size::bytes, requires = "pin")]
    pub pin_budget: Option<u64>,
    /// Drop the whole machine's page cache before the start.
    #[arg(long)]
    pub drop_caches: bool,
    /// Drop only the model's files from the page cache before the start.
    #[arg(long)]
    pub evict_model: bool,
}

impl PressureArguments {
    /// What they ask for.
    ///
    /// # Errors
    /// The earlier run does not say what to keep in memory.
    pub fn conditions(&self) -> anyhow::Result<ConditionsRequest> {
        let pinned = match (self.pin, &self.pin_from, self.pin_budget) {
            (Some(choice), Some(run), Some(budget)) => Some(pin_request(choice, run, budget)?),
            _ => None,
        };
        let scheduler = self
            .scheduler
            .clone()
            .map(|name| (QueueSetting::Scheduler, name));
        let requests = self
            .nr_requests
            .map(|count| (QueueSetting::Requests, count.to_string()));
        Ok(ConditionsRequest {
            balloon: self
                .lock
                .map(BalloonSize::Lock)
                .or(self.leave_free.map(BalloonSize::LeaveFree)),
            cgroup: self.memory_max.map(|max_bytes| MemoryLimits {
                max_bytes,
                high_bytes: self.memory_high,
            }),
            drop_caches: self.drop_caches,
            evict_model: self.evict_model,
            read_ahead_bytes: self.read_ahead,
            // A new scheduler brings a number of requests of its own.
            queues: scheduler.into_iter().chain(requests).collect(),
            pinned,
        })
    }
}

/// `tracer launch`.
#[derive(Debug, Args)]
#[command(after_help = examples::LAUNCH)]
pub struct LaunchArguments {
    /// A file of the model; of a split model, any of its files. May be given several times [default: what the command
    /// names with -m, --model or the like].
    #[arg(long, value_name = "FILE")]
    pub model: Vec<PathBuf>,
    /// End with the command itself. Else tracing goes on while a process that it started, and that lives on, has the
    /// model open.
    #[arg(long)]
    pub until_exit: bool,
    /// Pressure on the memory.
    #[command(flatten)]
    pub pressure: PressureArguments,
    /// How to trace.
    #[command(flatten)]
    pub trace: TraceArguments,
    /// The engine and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub command: Vec<OsString>,
}

/// `tracer attach`.
#[derive(Debug, Args)]
#[command(after_help = examples::ATTACH)]
pub struct AttachArguments {
    /// The process. Where it has no model open itself, the one of its descendants that has.
    #[arg(long, group = "target")]
    pub pid: Option<i32>,
    /// The process by its name, such as llama-server, ollama, vllm; in the same way.
    #[arg(long, group = "target")]
    pub name: Option<String>,
    /// The processes of a container, by its id or the beginning of it.
    #[arg(long, group = "target", value_name = "ID")]
    pub container: Option<String>,
    /// A file of the model [default: the GGUF and safetensors files that the process has mapped or open].
    #[arg(long, value_name = "FILE")]
    pub model: Vec<PathBuf>,
    /// The engine's log, a file or a pipe: rates and phases are taken from what is written to it from now on.
    #[arg(long, value_name = "FILE")]
    pub log: Option<PathBuf>,
    /// Ask the engine's server for its own count of tokens, at this address: http://127.0.0.1:8080/metrics of llama-server
    /// --metrics, or of vLLM. The record then has bytes read for a token.
    #[arg(long, value_name = "URL", value_parser = HttpUrl::of_engine_metrics)]
    pub engine_metrics: Option<HttpUrl>,
    /// Stop after this time, such as 30s or 5m [default: at the end of the process]. Ctrl-C stops earlier, with
    /// a report that is marked as partial.
    #[arg(long, value_name = "TIME", value_parser = super::size::duration)]
    pub duration: Option<Duration>,
    /// See which experts each token uses although all are in memory, for `tracer size`: throws them out of the engine's memory,
    /// layer after layer, as many as have this size at a time (1G), at least those of one layer, twice a second. The engine reads
    /// those that it uses again and is slower meanwhile. Only where the engine alone has the model mapped. Records events.
    #[arg(long, value_name = "SIZE", value_parser = super::size::bytes, conflicts_with_all = ["redact", "no_record", "budget"])]
    pub show_experts: Option<u64>,
    /// How to trace.
    #[command(flatten)]
    pub trace: TraceArguments,
}

/// `tracer demo`.
#[derive(Debug, Args)]
#[command(after_help = examples::DEMO)]
pub struct DemoArguments {
    /// Where the model and the runs are kept; a second demo uses the model again.
    #[arg(long, value_name = "DIR", default_value = "tracer-demo")]
    pub directory: PathBuf,
    /// Size of the model; what can be made goes in steps of 1.5 MiB, and the nearest is taken.
    #[arg(long, value_name = "SIZE", default_value = "547M", value_parser = super::size::bytes)]
    pub model_size: u64,
    /// Memory for the engine and the model's pages [default: two thirds of the model].
    #[arg(long, value_name = "SIZE", value_parser = super::size::bytes)]
    pub memory_max: Option<u64>,
    /// Tokens to generate.
    #[arg(long, default_value_t = 24)]
    pub tokens: u32,
    /// Threads of the engine.
    #[arg(long, default_value_t = 2)]
    pub threads: u32,
    /// How to trace.
    #[command(flatten)]
    pub trace: TraceArguments,
}

/// `tracer doctor`.
#[derive(Debug, Args)]
#[command(after_help = examples::DOCTOR)]
pub struct DoctorArguments {
    /// A model whose file system and device to look at as well.
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
    /// Load and attach every eBPF program once, also those that this kernel does not need, and say what the verifier
    /// went through. Nothing is traced.
    #[arg(long)]
    pub programs: bool,
}

#[cfg(test)]
mod tests {
    use super::{Arguments, Command};
    use clap::{CommandFactory as _, Parser as _};

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn all_after_the_dashes_is_the_engines() {
        let parsed = Arguments::try_parse_from([
            "tracer",
            "launch",
            "--model",
            "m.gguf",
            "--",
            "llama-cli",
            "-m",
            "m.gguf",
            "--lock",
            "x",
        ])
        .map(|arguments| arguments.command);
        let Ok(Command::Launch(launch)) = parsed else {
            panic!("{parsed:?}");
        };
        assert_eq!(launch.command.len(), 5);
        assert_eq!(launch.pressure.lock, None);
    }

    #[test]
    fn of_record_and_its_contrary_the_last_one_holds() {
        let parsed = |flags: &[&str]| {
            let all = ["tracer", "launch"].iter().chain(flags).chain(&["--", "x"]);
            match Arguments::try_parse_from(all).map(|arguments| arguments.command) {
                Ok(Command::Launch(launch)) => (launch.trace.record, launch.trace.no_record),
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(parsed(&[]), (false, false));
        assert_eq!(parsed(&["--no-record", "--record"]), (true, false));
        assert_eq!(parsed(&["--record", "--no-record"]), (false, true));
    }

    #[test]
    fn a_launch_without_an_engine_is_refused() {
        assert!(Arguments::try_parse_from(["tracer", "launch", "--model", "m"]).is_err());
    }
}
