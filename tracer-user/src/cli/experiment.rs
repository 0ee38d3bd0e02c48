//! `tracer experiment`: arguments and calls.

use std::{
    env, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use clap::{Args, Subcommand, ValueEnum};

use crate::{
    experiment::{
        Adapter, Grid, LEAST_REPETITIONS, PlanErrors, SessionEnd, SessionOptions,
        ThresholdPressure, ThresholdRequest, begin, dry_run, list, load, plan_text, resume,
        tells_nothing,
    },
    output::load_device_test,
    report,
};

/// All runs have finished.
const FINISHED: i32 = 0;
/// Some run has failed.
const SOME_FAILED: i32 = 1;
/// The plan cannot be run.
const WRONG_PLAN: i32 = 2;
/// A signal came.
const INTERRUPTED: i32 = 130;

const EXIT_CODES: &str = "Exit status: 0 all runs have finished, 1 some have failed, 130 interrupted (resume goes on), \
125 it could not be run, 2 wrong plan or command line.";

/// `tracer experiment`.
#[derive(Debug, Args)]
#[command(after_help = format!("{}\n\n{EXIT_CODES}", super::examples::EXPERIMENT))]
pub struct ExperimentArguments {
    /// What to do.
    #[command(subcommand)]
    command: ExperimentCommand,
}

impl ExperimentArguments {
    /// Whether only what is there is read and shown.
    pub(super) const fn makes_no_runs(&self) -> bool {
        matches!(
            self.command,
            ExperimentCommand::List { .. }
                | ExperimentCommand::Answer { .. }
                | ExperimentCommand::Template { .. }
        )
    }
}

#[derive(Debug, Subcommand)]
enum ExperimentCommand {
    /// Make the runs of a plan.
    Run(RunArguments),
    /// Go on with an experiment that was stopped: make the runs that are missing.
    Resume(ResumeArguments),
    /// Show what is in an experiment.
    List {
        /// Folder of the experiment.
        directory: PathBuf,
    },
    /// Answer the open questions of the experiment from the runs that are there, or say which runs are missing.
    Answer {
        /// Folder of the experiment.
        directory: PathBuf,
        /// A test of a disk that the runs read from, made by `tracer device --out DIR`: with it, what part of its rate they
        /// used can be told. Can be given several times.
        #[arg(long, value_name = "DIR")]
        device: Vec<PathBuf>,
    },
    /// Print the plan that answers one question, to be saved and edited.
    Template {
        /// The question.
        #[arg(value_parser = clap::builder::PossibleValuesParser::new(report::TEMPLATES.map(|(name, _)| name)))]
        question: String,
    },
    /// Search the memory below which an engine begins to thrash.
    Threshold(ThresholdArguments),
}

#[derive(Debug, Args)]
struct RunArguments {
    /// The plan, a TOML file. Its paths are relative to it.
    plan: PathBuf,
    /// Folder of the experiment: a new or an empty one.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Check everything, print the runs in their order and how long they may take, and run nothing.
    #[arg(long)]
    dry_run: bool,
    /// Stop at the first run that fails.
    #[arg(long)]
    fail_fast: bool,
}

#[derive(Debug, Args)]
struct ResumeArguments {
    /// Folder of the experiment.
    directory: PathBuf,
    /// Stop at the first run that fails.
    #[arg(long)]
    fail_fast: bool,
    /// Go on although the kernel or the tracer is another one than before; the report says so.
    #[arg(long)]
    accept_changes: bool,
}

/// How memory is taken away.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum PressureKind {
    /// A memory cgroup for the engine alone.
    MemoryMax,
    /// Memory of the whole machine, locked away.
    Lock,
}

#[derive(Debug, Args)]
#[command(group = clap::ArgGroup::new("engine").required(true))]
struct ThresholdArguments {
    /// The model.
    #[arg(long, value_name = "FILE")]
    model: String,
    /// How the engine of --engine-command is driven: llama-cli, llama-completion, llama-bench, llama-server, command.
    #[arg(long, value_parser = adapter, default_value = "command")]
    adapter: Adapter,
    /// Tokens to generate.
    #[arg(long, default_value_t = 100)]
    tokens: u32,
    /// Threads, where the command has {threads}.
    #[arg(long)]
    threads: Option<u32>,
    /// Prompt, where the command has {prompt}.
    #[arg(long)]
    prompt: Option<String>,
    /// How memory is taken away.
    #[arg(long, value_enum)]
    pressure: PressureKind,
    /// The smallest memory to try (or the largest: --to is the other end).
    #[arg(long, value_name = "SIZE", value_parser = super::size::bytes)]
    from: u64,
    /// The other end of the sizes to try.
    #[arg(long, value_name = "SIZE", value_parser = super::size::bytes)]
    to: u64,
    /// How many sizes, both ends included.
    #[arg(long, default_value_t = 6)]
    points: u64,
    /// How often each size is run.
    #[arg(long, default_value_t = LEAST_REPETITIONS)]
    repetitions: u64,
    /// Rest before each run but the first.
    #[arg(long, value_name = "TIME", value_parser = super::size::duration, default_value = "2s")]
    cool_down: Duration,
    /// Longest that a run may take.
    #[arg(long, value_name = "TIME", value_parser = super::size::duration, default_value = "10m")]
    time_limit: Duration,
    /// Seed of the order.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder of the experiment: a new or an empty one.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// Print the runs in their order and how long they may take, and run nothing.
    #[arg(long)]
    dry_run: bool,
    /// The engine and its arguments, with {model}, {tokens} and so on; it takes the rest of the line.
    #[arg(
        long,
        value_name = "COMMAND",
        num_args = 1..,
        allow_hyphen_values = true,
        group = "engine"
    )]
    engine_command: Vec<String>,
    /// Use the built-in engine, which needs no command.
    #[arg(long, conflicts_with = "adapter", group = "engine")]
    built_in: bool,
}

fn adapter(text: &str) -> Result<Adapter, String> {
    let driven = || {
        let all = Adapter::ALL.iter();
        all.filter(|(_, adapter)| *adapter != Adapter::BuiltIn)
    };
    if let Some((_, adapter)) = driven().find(|(name, _)| *name == text) {
        return Ok(*adapter);
    }
    let names: Vec<&str> = driven().map(|(name, _)| *name).collect();
    Err(format!(
        "choose one of {}; for the built-in engine write --built-in, without --adapter and --engine-command",
        names.join(", ")
    ))
}

/// Executes `tracer experiment`; returns the status to exit with.
///
/// # Errors
/// What kept it from running.
pub fn experiment(arguments: ExperimentArguments) -> anyhow::Result<i32> {
    let result = match arguments.command {
        ExperimentCommand::Run(arguments) => run(&arguments),
        ExperimentCommand::Resume(arguments) => {
            let options = SessionOptions {
                fail_fast: arguments.fail_fast,
                accept_changes: arguments.accept_changes,
            };
            let signals = super::console::signals()?;
            resume(&arguments.directory, options, &signals).map(status)
        }
        ExperimentCommand::List { directory } => load(&directory).and_then(|experiment| {
            super::console::print_ignoring_a_closed_pipe(&format!(
                "{}\n{}",
                list(&experiment),
                report::experiment_terminal(&experiment, super::console::terminal_columns())
            ))?;
            Ok(FINISHED)
        }),
        ExperimentCommand::Answer { directory, device } => answer(&directory, &device),
        ExperimentCommand::Template { question } => super::console::print_ignoring_a_closed_pipe(
            report::template(&question).unwrap_or_default(),
        )
        .map(|()| FINISHED),
        ExperimentCommand::Threshold(arguments) => threshold(arguments),
    };
    match result {
        Err(error) if error.downcast_ref::<PlanErrors>().is_some() => {
            eprintln!("tracer: {error:#}");
            Ok(WRONG_PLAN)
        }
        other => other,
    }
}

fn answer(directory: &Path, device: &[PathBuf]) -> anyhow::Result<i32> {
    let experiment = load(directory)?;
    let tests = device
        .iter()
        .map(|directory| load_device_test(directory))
        .collect::<Result<Vec<_>, _>>()?;
    super::console::print_ignoring_a_closed_pipe(&report::answer(&experiment, &tests))?;
    Ok(FINISHED)
}

fn run(arguments: &RunArguments) -> anyhow::Result<i32> {
    let path = &arguments.plan;
    let text = fs::read_to_string(path)
        .with_context(|| format!("cannot read the plan {}", path.display()))?;
    let directory = path
        .canonicalize()
        .ok()
        .and_then(|path| path.parent().map(Path::to_owned))
        .with_context(|| format!("cannot find the folder of {}", path.display()))?;
    go(
        &text,
        &directory,
        &arguments.out,
        arguments.dry_run,
        arguments.fail_fast,
    )
    .with_context(|| path.display().to_string())
}

fn threshold(arguments: ThresholdArguments) -> anyhow::Result<i32> {
    let request = ThresholdRequest {
        model: arguments.model,
        adapter: if arguments.built_in {
            Adapter::BuiltIn
        } else {
            arguments.adapter
        },
        command: arguments.engine_command,
        tokens: arguments.tokens,
        threads: arguments.threads,
        prompt: arguments.prompt,
        pressure: match arguments.pressure {
            PressureKind::MemoryMax => ThresholdPressure::MemoryMax,
            PressureKind::Lock => ThresholdPressure::Lock,
        },
        grid: Grid {
            from_bytes: arguments.from,
            to_bytes: arguments.to,
            points: arguments.points,
        },
        repetitions: arguments.repetitions,
        cool_down: arguments.cool_down,
        time_limit: arguments.time_limit,
        seed: arguments.seed,
    };
    let directory = env::current_dir().context("cannot find the working folder")?;
    let plan = plan_text(&request)?;
    if let Some(why) = tells_nothing(&request) {
        eprintln!("tracer: {why}");
    }
    go(&plan, &directory, &arguments.out, arguments.dry_run, false)
        .context("the search for a threshold")
}

fn go(
    plan: &str,
    plan_directory: &Path,
    out: &Path,
    only_dry: bool,
    fail_fast: bool,
) -> anyhow::Result<i32> {
    if only_dry {
        let text = dry_run(plan, plan_directory, out)?;
        super::console::print_ignoring_a_closed_pipe(&text)?;
        return Ok(FINISHED);
    }
    let options = SessionOptions {
        fail_fast,
        accept_changes: false,
    };
    let signals = super::console::signals()?;
    begin(plan, plan_directory, out, options, &signals).map(status)
}

const fn status(end: SessionEnd) -> i32 {
    match end {
        SessionEnd::AllFinished => FINISHED,
        SessionEnd::SomeFailed => SOME_FAILED,
        SessionEnd::Interrupted => INTERRUPTED,
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use crate::cli::Arguments;

    fn refused(more: &[&str]) -> String {
        let words = "tracer experiment threshold --model m.gguf --pressure lock --from 1G --to 2G --out exp";
        let words = words.split(' ').chain(more.iter().copied());
        let error = Arguments::try_parse_from(words).expect_err("no engine is named");
        error.to_string()
    }

    #[test]
    fn without_an_engine_both_ways_to_name_one_are_said() {
        let said = refused(&[]);
        assert!(
            said.contains("--engine-command") && said.contains("--built-in"),
            "{said}"
        );
    }

    #[test]
    fn the_built_in_engine_has_a_flag_of_its_own() {
        for more in [&["--adapter", "built-in"][..], &["--adapter", "llama"]] {
            let said = refused(more);
            assert!(said.contains("write --built-in"), "{said}");
        }
        let said = refused(&["--built-in", "--engine-command", "llama-cli"]);
        assert!(said.contains("cannot be used with"), "{said}");
    }
}
