//! The plan of a search for the settings with which an engine is fastest, from what a command line says.

use std::{ffi::OsString, path::Path, time::Duration};

use anyhow::{Context as _, bail};
use toml::{Table, Value};

use crate::{
    advice::PinChoice,
    schema::{AS_IS, TuneGoal},
};

use crate::experiment::plan::Adapter;

/// Read-ahead to try: powers of two, which is how the kernel rounds it up for a sequence of reads.
const LADDER: [&str; 10] = [
    "off", "16K", "32K", "64K", "128K", "256K", "512K", "1M", "2M", "4M",
];

/// What is asked for.
#[derive(Clone, Debug)]
pub struct TuneRequest {
    /// The model, as the user wrote it.
    pub model: String,
    /// The engine's command as the user wrote it.
    pub command: Vec<String>,
    pub goal: TuneGoal,
    pub budget: Duration,
    /// Limit of the engine's memory cgroup, bytes.
    pub memory_max: Option<u64>,
    /// Read-ahead of the model's disk, bytes, where it may be changed.
    pub read_ahead_now: Option<u64>,
    /// Other schedulers of the model's disk, where they may be tried.
    pub schedulers: Vec<String>,
    /// Other numbers of requests of its queue, where they may be tried.
    pub nr_requests: Vec<u64>,
    /// `memory.high` to try, bytes, where the machine has it.
    pub memory_high: Option<u64>,
    /// What tensors that are kept in memory may take, bytes, where that is to be tried.
    pub pin_budget: Option<u64>,
    /// What is to be tried beside the command, each as words with blanks between them.
    pub flags: Vec<String>,
    /// Tokens and prompt for a server.
    pub tokens: u32,
    pub prompt: String,
    /// Regular expression with one group: tokens per second in the engine's output.
    pub rate: Option<String>,
    /// Runs of the best setting.
    pub repetitions: u64,
    pub cool_down: Duration,
    /// Longest that a run may take.
    pub time_limit: Duration,
    pub seed: u64,
}

/// How an engine of this command is driven.
#[must_use]
pub fn adapter_of(command: &[String]) -> Adapter {
    let name = command
        .first()
        .and_then(|program| Path::new(program).file_name())
        .and_then(|name| name.to_str())
        .unwrap_or_default();
    if name == "tracer" && command.get(1).is_some_and(|word| word == "engine") {
        return Adapter::BuiltIn;
    }
    Adapter::ALL
        .iter()
        .find(|(known, _)| *known == name)
        .map_or(Adapter::Command, |(_, adapter)| *adapter)
}

/// A command as text: plans are text.
///
/// # Errors
/// A word that is no UTF-8.
pub fn command_as_text(command: &[OsString]) -> anyhow::Result<Vec<String>> {
    command
        .iter()
        .map(|word| {
            word.to_str()
                .map(str::to_owned)
                .with_context(|| format!("{word:?} is no UTF-8, which the plan of a search needs"))
        })
        .collect()
}

/// The text of the plan.
///
/// # Errors
/// What was asked for makes no search.
pub fn tune_plan_text(request: &TuneRequest) -> anyhow::Result<String> {
    if request.read_ahead_now.is_none()
        && request.flags.is_empty()
        && request.schedulers.is_empty()
        && request.nr_requests.is_empty()
        && request.pin_budget.is_none()
        && request.memory_high.is_none()
    {
        bail!(
            "there is nothing to try: the engine's --help names no option that is known to matter, and the read-ahead may not be changed; --allow read-ahead allows it, --try 'WORDS' names an option"
        );
    }
    let text = |text: &str| Value::String(text.to_owned());
    let one = |value: Value| Value::Array(vec![value]);
    let adapter = adapter_of(&request.command);
    let mut engine = Table::new();
    engine.insert("adapter".into(), Value::String(adapter.to_string()));
    let mut words: Vec<Value> = request
        .command
        .iter()
        .map(|word| Value::String(word.replace('{', "{{").replace('}', "}}")))
        .collect();
    if adapter == Adapter::BuiltIn
        && let Some(program) = words.first_mut()
    {
        // Which tracer it is, is decided when it is run.
        *program = text("tracer");
    }
    let has = |option: &str| request.command.iter().any(|word| word == option);
    match adapter {
        Adapter::LlamaServer if !has("--port") => words.extend([text("--port"), text("{port}")]),
        Adapter::LlamaServer => {
            bail!("each try of a server gets a port of its own; leave --port out of its command")
        }
        Adapter::LlamaBench if !has("-o") && !has("--output") => {
            words.extend([text("-o"), text("jsonl")]);
        }
        _ => {}
    }
    engine.insert("command".into(), Value::Array(words));
    if let Some(rate) = &request.rate {
        engine.insert("tokens_per_s".into(), text(rate));
    }
    let number = |number: u64| i64::try_from(number).map(Value::Integer);
    let mut axes = Table::new();
    axes.insert("model".into(), one(text(&request.model)));
    let pressure = request
        .memory_max
        .map_or_else(|| "none".to_owned(), |bytes| format!("memory-max={bytes}"));
    axes.insert("pressure".into(), one(Value::String(pressure)));
    if adapter == Adapter::LlamaServer {
        axes.insert("tokens".into(), one(number(request.tokens.into())?));
        axes.insert("prompt".into(), one(text(&request.prompt)));
    }
    let with_as_is =
        |values: Vec<Value>| Value::Array([text(AS_IS)].into_iter().chain(values).collect());
    let mut tune = Table::new();
    tune.insert("goal".into(), text(request.goal.name()));
    tune.insert("budget".into(), written(request.budget));
    if let Some(bytes) = request.read_ahead_now {
        tune.insert("read_ahead_now".into(), Value::String(bytes.to_string()));
        axes.insert(
            "read_ahead".into(),
            with_as_is(LADDER.map(text).into_iter().collect()),
        );
    }
    if !request.schedulers.is_empty() {
        let names = request.schedulers.iter().map(|name| text(name)).collect();
        axes.insert("scheduler".into(), with_as_is(names));
    }
    if !request.nr_requests.is_empty() {
        let counts = request.nr_requests.iter();
        let counts = counts.map(|count| Value::String(count.to_string()));
        axes.insert("nr_requests".into(), with_as_is(counts.collect()));
    }
    if let Some(bytes) = request.memory_high {
        let bytes = Value::String(bytes.to_string());
        axes.insert("memory_high".into(), with_as_is(vec![bytes]));
    }
    if let Some(bytes) = request.pin_budget {
        tune.insert("pin_budget".into(), Value::String(bytes.to_string()));
        let choices = PinChoice::ALL.map(|choice| text(choice.name()));
        axes.insert("pin".into(), with_as_is(choices.into_iter().collect()));
    }
    if !request.flags.is_empty() {
        let flags = request.flags.iter().map(|words| text(words)).collect();
        axes.insert("added_arguments".into(), with_as_is(flags));
    }
    let mut plan = Table::new();
    plan.insert("name".into(), text("tune"));
    plan.insert("kind".into(), text("tune"));
    plan.insert("seed".into(), number(request.seed)?);
    plan.insert("repetitions".into(), number(request.repetitions)?);
    plan.insert("cool_down".into(), written(request.cool_down));
    plan.insert("time_limit".into(), written(request.time_limit));
    plan.insert("tune".into(), Value::Table(tune));
    plan.insert("engine".into(), Value::Table(engine));
    plan.insert("axes".into(), Value::Table(axes));
    toml::to_string_pretty(&plan).context("cannot write the plan of the search")
}

fn written(time: Duration) -> Value {
    Value::String(humantime::format_duration(time).to_string())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crate::{
        experiment::{
            cells::expand,
            plan::{Adapter, Plan, PlanKind},
        },
        schema::TuneGoal,
    };

    use super::{TuneRequest, adapter_of, tune_plan_text};

    fn request(command: &str) -> TuneRequest {
        TuneRequest {
            model: "a b/ü.gguf".into(),
            command: command.split(' ').map(str::to_owned).collect(),
            goal: TuneGoal::Load,
            budget: Duration::from_secs(90),
            memory_max: Some(500 << 20),
            read_ahead_now: Some(128 << 10),
            schedulers: vec!["mq-deadline".into()],
            nr_requests: vec![32],
            pin_budget: Some(30 << 20),
            memory_high: Some(72 << 20),
            flags: vec!["--no-mmap".into(), "--threads 2".into()],
            tokens: 10,
            prompt: "{x}".into(),
            rate: None,
            repetitions: 5,
            cool_down: Duration::ZERO,
            time_limit: Duration::from_secs(60),
            seed: 1,
        }
    }

    #[test]
    fn a_search_is_a_plan_that_begins_with_what_is() {
        for command in [
            "./llama-cli -m x -p {braces}",
            "/opt/tracer engine --model m",
            "llama-server -m x",
            "llama-bench -m x",
            "python3 run.py",
        ] {
            let text = tune_plan_text(&request(command)).expect(command);
            let plan = Plan::parse(&text).unwrap_or_else(|error| panic!("{text}\n{error}"));
            assert_eq!(plan.kind, PlanKind::Tune);
            let tune = plan.tune.as_ref().expect("a search");
            assert_eq!(tune.goal, TuneGoal::Load);
            assert_eq!(tune.budget, Duration::from_secs(90));
            assert_eq!(tune.read_ahead_now, Some(128 << 10));
            let first = expand(&plan);
            assert_eq!(first.len(), 1);
            assert_eq!(tune.pin_budget, Some(30 << 20));
            for axis in [
                "read_ahead",
                "scheduler",
                "nr_requests",
                "pin",
                "memory_high",
                "added_arguments",
            ] {
                assert_eq!(first[0].cell[axis], "as-is");
            }
        }
    }

    #[test]
    fn engines_are_known_by_their_programs() {
        for (command, adapter) in [
            ("/x/llama-cli -m m", Adapter::LlamaCli),
            ("tracer engine --model m", Adapter::BuiltIn),
            ("tracer launch", Adapter::Command),
            ("vllm serve", Adapter::Command),
        ] {
            let words: Vec<String> = command.split(' ').map(str::to_owned).collect();
            assert_eq!(adapter_of(&words), adapter, "{command}");
        }
    }

    #[test]
    fn nothing_to_try_is_no_search() {
        let nothing = TuneRequest {
            read_ahead_now: None,
            schedulers: Vec::new(),
            nr_requests: Vec::new(),
            pin_budget: None,
            memory_high: None,
            flags: Vec::new(),
            ..request("x")
        };
        let error = tune_plan_text(&nothing).expect_err("no search");
        assert!(error.to_string().contains("--allow"), "{error}");
        let port = request("llama-server --port 80");
        assert!(tune_plan_text(&port).is_err());
    }
}
