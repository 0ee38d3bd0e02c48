//! `tracer tune`: arguments and calls.

mod pin;

use std::{
    env,
    ffi::OsString,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use clap::{Args, ValueEnum};

use crate::{
    advice,
    experiment::{
        Adapter, SessionEnd, SessionOptions, TuneRequest, adapter_of, begin, command_as_text,
        dry_run, flags, load, tune_plan_text,
    },
    place::{RequestedModel, Subject},
    pressure::{CgroupVersion, memory_cgroup_version},
    process::{Caller, help_text, models_of_command, resolve_program},
    report,
    schema::TuneGoal,
    setting::QueueSetting,
    units,
};

pub use pin::{PinArgument, pin_request};

use super::console::{ask, print_ignoring_a_closed_pipe, signals, terminal_columns};

/// There was nothing to compare, or it was interrupted before there was.
const NO_ANSWER: i32 = 1;
const INTERRUPTED: i32 = 130;

const EXIT_CODES: &str = "Exit status: 0 it is known which settings are the best, 1 no run gave a figure, 130 interrupted \
(`tracer experiment resume` goes on), 125 it could not be run, 2 wrong command line.";

/// What is to become faster.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Goal {
    /// Tokens per second.
    Generation,
    /// The time until the model is loaded.
    Load,
    /// Tokens of the prompt per second.
    Prompt,
}

/// A setting of the whole machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum MachineSetting {
    /// How far the kernel reads ahead on the model's disk.
    ReadAhead,
    /// Its scheduler.
    Scheduler,
    /// How many requests its queue takes.
    NrRequests,
}

/// `tracer tune`.
#[derive(Debug, Args)]
#[command(after_help = format!("{}\n\n{EXIT_CODES}", super::examples::TUNE))]
pub struct TuneArguments {
    /// A file of the model [default: what the command names with -m, --model or the like].
    #[arg(long, value_name = "FILE")]
    model: Option<PathBuf>,
    /// Give the engine a memory cgroup of its own with this limit, in each try.
    #[arg(long, value_name = "SIZE", value_parser = super::size::bytes)]
    memory_max: Option<u64>,
    /// What is to become faster.
    #[arg(long = "for", value_enum, default_value_t = Goal::Generation)]
    goal: Goal,
    /// How long all of it may take.
    #[arg(long, value_name = "TIME", value_parser = super::size::duration, default_value = "10m")]
    budget: Duration,
    /// Settings of the whole machine that may be changed while a try runs; they are put back after each. Without it a
    /// terminal is asked.
    #[arg(long, value_enum, value_delimiter = ',', value_name = "SETTING")]
    allow: Vec<MachineSetting>,
    /// Also try to keep tensors in memory that come back often, and give them this much of the engine's memory. They are locked
    /// by a process in the engine's cgroup, and go with each try.
    #[arg(long, value_name = "SIZE", value_parser = super::size::bytes, requires = "memory_max")]
    pin_budget: Option<u64>,
    /// Also try this: words to add to the engine's command, such as '--no-mmap' or '--threads 8'. Can be given several times.
    #[arg(long = "try", value_name = "WORDS", allow_hyphen_values = true)]
    also: Vec<String>,
    /// Runs of the best settings.
    #[arg(long, default_value_t = 5)]
    repetitions: u64,
    /// Tokens to generate, where the engine is a server.
    #[arg(long, default_value_t = 64)]
    tokens: u32,
    /// Prompt, where the engine is a server.
    #[arg(long, default_value = "Once upon a time")]
    prompt: String,
    /// Tokens per second in the engine's output, where its form is not known: a regular expression with one group.
    #[arg(long, value_name = "REGEX")]
    rate: Option<String>,
    /// Rest before each run but the first.
    #[arg(long, value_name = "TIME", value_parser = super::size::duration, default_value = "1s")]
    cool_down: Duration,
    /// Longest that a run may take.
    #[arg(long, value_name = "TIME", value_parser = super::size::duration, default_value = "10m")]
    time_limit: Duration,
    /// Folder of the search: a new or an empty one.
    #[arg(long, value_name = "DIR", default_value = "tune")]
    out: PathBuf,
    /// Print the first run and what would be tried, and run nothing.
    #[arg(long)]
    dry_run: bool,
    /// The engine and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    command: Vec<OsString>,
}

/// Executes `tracer tune`; returns the status to exit with.
///
/// # Errors
/// What kept it from running.
pub fn tune(arguments: TuneArguments) -> anyhow::Result<i32> {
    let caller = Caller::of_this_process()?;
    let model = match arguments.model {
        Some(model) => model,
        None => models_of_command(&arguments.command, &caller)?
            .into_iter()
            .next()
            .context("the command names no model; name it with --model")?,
    };
    let command = command_as_text(&arguments.command)?;
    let mut tried = match help(&arguments.command, &command, &caller) {
        Ok(help) => flags(&command, &help),
        Err(error) => {
            eprintln!(
                "tracer: the engine's options are not tried, since it does not say which it has: {error:#}"
            );
            Vec::new()
        }
    };
    for words in arguments.also {
        if !tried.contains(&words) {
            tried.push(words);
        }
    }
    let queue = queue(&model, &arguments.allow)?;
    let request = TuneRequest {
        model: model
            .to_str()
            .with_context(|| format!("the path {} is no UTF-8", model.display()))?
            .to_owned(),
        command,
        goal: match arguments.goal {
            Goal::Generation => TuneGoal::Generation,
            Goal::Load => TuneGoal::Load,
            Goal::Prompt => TuneGoal::Prompt,
        },
        budget: arguments.budget,
        memory_max: arguments.memory_max,
        read_ahead_now: read_ahead(&model, &arguments.allow)?,
        schedulers: queue.schedulers,
        nr_requests: queue.nr_requests,
        pin_budget: arguments.pin_budget,
        memory_high: arguments.memory_max.and_then(high_to_try),
        flags: tried,
        tokens: arguments.tokens,
        prompt: arguments.prompt,
        rate: arguments.rate,
        repetitions: arguments.repetitions,
        cool_down: arguments.cool_down,
        time_limit: arguments.time_limit,
        seed: 1,
    };
    let plan = tune_plan_text(&request)?;
    let here = env::current_dir().context("cannot find the working folder")?;
    announce(&request);
    if arguments.dry_run {
        let text = dry_run(&plan, &here, &arguments.out)?;
        print_ignoring_a_closed_pipe(&text)?;
        return Ok(0);
    }
    let signals = signals()?;
    let end = begin(
        &plan,
        &here,
        &arguments.out,
        SessionOptions::default(),
        &signals,
    )
    .context("the search for the fastest settings")?;
    conclude(&arguments.out, end)
}

fn conclude(out: &Path, end: SessionEnd) -> anyhow::Result<i32> {
    let experiment = load(out)?;
    print_ignoring_a_closed_pipe(&report::experiment_terminal(
        &experiment,
        terminal_columns(),
    ))?;
    Ok(match end {
        SessionEnd::Interrupted => INTERRUPTED,
        // A try with an option that the engine refuses is no failure of the search.
        SessionEnd::AllFinished | SessionEnd::SomeFailed => {
            if advice::tuning(&experiment).best.is_some() {
                0
            } else {
                NO_ANSWER
            }
        }
    })
}

/// What the engine says of its options.
fn help(command: &[OsString], words: &[String], caller: &Caller) -> anyhow::Result<String> {
    let (program, arguments): (PathBuf, &[&str]) = match adapter_of(words) {
        Adapter::BuiltIn => (
            env::current_exe().context("cannot find the tracer's own program")?,
            &["engine"],
        ),
        _ => (resolve_program(command, caller)?, &[]),
    };
    help_text(&program, arguments, caller)
        .with_context(|| format!("cannot ask {} for --help", program.display()))
}

fn announce(request: &TuneRequest) {
    let mut words = Vec::new();
    if let Some(now) = request.read_ahead_now {
        words.push(format!(
            "the read-ahead of the model's disk (now {}; put back after each run)",
            units::bytes(now)
        ));
    }
    for name in &request.schedulers {
        words.push(format!("the scheduler {name} (put back after each run)"));
    }
    for count in &request.nr_requests {
        words.push(format!(
            "a queue of {count} requests (put back after each run)"
        ));
    }
    if let Some(high) = request.memory_high {
        words.push(format!("memory.high of {}", units::bytes(high)));
    }
    if let Some(budget) = request.pin_budget {
        words.push(format!(
            "up to {} of tensors kept in memory (for the run only)",
            units::bytes(budget)
        ));
    }
    words.extend(request.flags.iter().map(|flag| format!("`{flag}`")));
    eprintln!(
        "tracer: tries {}, for at most {}",
        words.join(", "),
        humantime::format_duration(request.budget)
    );
}

/// Where throttling may begin below a limit, where this machine's groups have that: reclaim then begins before an allocation
/// has to wait for it.
fn high_to_try(max_bytes: u64) -> Option<u64> {
    let page = procfs::page_size();
    let version = memory_cgroup_version().ok()?;
    (version == CgroupVersion::V2).then_some(max_bytes / 10 * 9 / page * page)
}

/// Other settings of the queue of the model's disk.
#[derive(Debug, Default)]
struct Queue {
    schedulers: Vec<String>,
    nr_requests: Vec<u64>,
}

/// What may be tried of it.
fn queue(model: &Path, allowed: &[MachineSetting]) -> anyhow::Result<Queue> {
    let may = |setting| allowed.contains(&setting);
    if !may(MachineSetting::Scheduler) && !may(MachineSetting::NrRequests) {
        return Ok(Queue::default());
    }
    let subject = Subject::open(vec![RequestedModel::from_path(model)?])?;
    let [disk] = &subject.disks[..] else {
        eprintln!(
            "tracer: settings of the queue are not tried: the model does not lie on one disk"
        );
        return Ok(Queue::default());
    };
    if !disk.lower_devices.is_empty() {
        eprintln!(
            "tracer: settings of the queue are not tried: {} is laid over {}, which have the queues",
            disk.name,
            disk.lower_devices.join(", ")
        );
        return Ok(Queue::default());
    }
    let mut found = Queue::default();
    if may(MachineSetting::Scheduler) {
        found.schedulers = QueueSetting::other_schedulers(disk);
    }
    if let Some(now) = disk
        .queue
        .nr_requests
        .filter(|_| may(MachineSetting::NrRequests))
    {
        // More than now a queue takes only where a scheduler sorts its requests.
        let has_scheduler = disk
            .queue
            .scheduler
            .as_deref()
            .is_some_and(|name| name != "none");
        found.nr_requests.extend((now >= 8).then_some(now / 4));
        found.nr_requests.extend(has_scheduler.then_some(now * 4));
    }
    Ok(found)
}

/// The read-ahead of the model's disk, where it may be changed.
fn read_ahead(model: &Path, allowed: &[MachineSetting]) -> anyhow::Result<Option<u64>> {
    let subject = Subject::open(vec![RequestedModel::from_path(model)?])?;
    let on_disks = subject.files.iter().all(|file| file.disk().is_some());
    let now: Vec<u64> = subject
        .disks
        .iter()
        .filter_map(|disk| disk.queue.read_ahead_kib)
        .collect();
    let (Some(kb), true, true) = (
        now.first(),
        on_disks,
        now.windows(2).all(|pair| pair.first() == pair.last()),
    ) else {
        eprintln!(
            "tracer: the read-ahead is not tried: the model does not lie on disks with one and the same setting"
        );
        return Ok(None);
    };
    let names: Vec<&str> = subject
        .disks
        .iter()
        .map(|disk| disk.name.as_str())
        .collect();
    let may = allowed.contains(&MachineSetting::ReadAhead) || asked(&names.join(", "), *kb)?;
    Ok(may.then_some(kb << 10))
}

fn asked(disks: &str, kb: u64) -> anyhow::Result<bool> {
    let answer = ask(&format!(
        "Change the read-ahead of {disks} (now {kb} KiB) while a try runs? Other programs that open files there meanwhile get it too. It is put back after each try. [y/N] "
    ))?;
    if answer.is_none() {
        eprintln!(
            "tracer: the read-ahead of {disks} is not tried: it is a setting of the whole machine, and nobody can be asked; --allow read-ahead allows it"
        );
    }
    Ok(answer.is_some_and(|answer| matches!(answer.as_str(), "y" | "Y" | "yes")))
}
