//! From the text of a plan to a plan without mistakes.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
    time::Duration,
};

use toml::Spanned;

use crate::{
    advice::PinChoice,
    schema::{AS_IS, PlannedPressure},
    units::parse_bytes,
};

use super::{
    Adapter, Axis, ColdStart, EnginePlan, Order, Plan, PlanErrors, PlanKind, Template,
    parse_pressure, parse_read_ahead,
    sampling::sampling,
    scalars::{number, time, word},
    source::{Complaints, EngineSource, Source, read},
    template::is_name,
    tune::tune,
};

/// A run without a limit of its own.
const DEFAULT_TIME_LIMIT: Duration = Duration::from_secs(3600);
/// Repetitions of a plan that does not say.
const DEFAULT_REPETITIONS: i64 = 3;
/// More runs than anybody waits for: a mistake in the plan, not a plan.
const MOST_RUNS: u64 = 100_000;
/// Axes that mean something to every engine.
const KNOWN_TO_ALL: [&str; 9] = [
    "model",
    "pressure",
    "extents",
    "read_ahead",
    "scheduler",
    "nr_requests",
    "pin",
    "memory_high",
    "added_arguments",
];
/// The tracer's own name as the program of a command.
const TRACER: &str = "tracer";

impl Plan {
    /// Reads a plan.
    ///
    /// # Errors
    /// All that is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, PlanErrors> {
        plan(text)
    }
}

fn plan(text: &str) -> Result<Plan, PlanErrors> {
    let mut complaints = Complaints::new(text);
    let plan = read(&mut complaints).and_then(|source| checked(source, &mut complaints));
    match plan {
        Some(plan) if complaints.found.is_empty() => Ok(plan),
        _ => {
            complaints
                .found
                .sort_by_key(|error| (error.line, error.column));
            Err(PlanErrors(complaints.found))
        }
    }
}

/// `None` only where something was complained of.
fn checked(source: Source, complaints: &mut Complaints<'_>) -> Option<Plan> {
    let name = source.name.get_ref().trim().to_owned();
    if name.is_empty() || name.chars().any(char::is_control) {
        complaints.at(
            Some(source.name.span()),
            "the name is empty or has control characters",
        );
    }
    let kind = word(
        source.kind,
        &[
            ("matrix", PlanKind::Matrix),
            ("threshold", PlanKind::Threshold),
            ("tune", PlanKind::Tune),
        ],
        complaints,
    );
    let order = word(
        source.order,
        &[("blocks", Order::Blocks), ("plan", Order::Plan)],
        complaints,
    );
    let cold_start = word(
        source.cold_start,
        &[
            ("evict", ColdStart::Evict),
            ("drop-caches", ColdStart::DropCaches),
            ("warm", ColdStart::Warm),
        ],
        complaints,
    );
    let seed = number(source.seed, 1, 0, complaints);
    let repetitions = number(source.repetitions, DEFAULT_REPETITIONS, 1, complaints);
    let cool_down = time(source.cool_down, Duration::ZERO, false, complaints);
    let time_limit = time(source.time_limit, DEFAULT_TIME_LIMIT, true, complaints);
    let axes_span = source.axes.span();
    let axes = axes(source.axes.into_inner(), cold_start, complaints);
    if !axes.iter().any(|axis| axis.axis.name == "model") {
        complaints.at(
            Some(axes_span.clone()),
            "there is no axis `model`; write model = [\"FILE\"] below [axes]",
        );
    }
    let runs = axes.iter().try_fold(repetitions, |product, axis| {
        product.checked_mul(axis.axis.values.len() as u64)
    });
    if runs.is_none_or(|runs| runs > MOST_RUNS) {
        complaints.at(
            Some(axes_span),
            format!("the axes and repetitions make more than {MOST_RUNS} runs"),
        );
    }
    let tune = tune(source.tune, kind == PlanKind::Tune, complaints);
    if let Some(pin) = axes.iter().find(|axis| axis.axis.name == "pin")
        && tune.as_ref().is_none_or(|tune| tune.pin_budget.is_none())
    {
        complaints.at(
            Some(pin.span.clone()),
            "the axis `pin` needs a plan of kind = \"tune\" with pin_budget = \"SIZE\" below [tune]; what is kept in memory is chosen by its first run",
        );
    }
    let engine_span = source.engine.span();
    let engine = engine(source.engine.into_inner(), engine_span, &axes, complaints)?;
    Some(Plan {
        name,
        kind,
        seed,
        repetitions,
        order,
        cool_down,
        time_limit,
        cold_start,
        fail_fast: source.fail_fast.unwrap_or_default(),
        engine,
        axes: axes.into_iter().map(|axis| axis.axis).collect(),
        tune,
    })
}

/// An axis and where it stands.
struct PlacedAxis {
    axis: Axis,
    span: Range<usize>,
}

fn axes(
    written: BTreeMap<Spanned<String>, Spanned<Vec<Spanned<super::source::Value>>>>,
    cold_start: ColdStart,
    complaints: &mut Complaints<'_>,
) -> Vec<PlacedAxis> {
    let mut axes: Vec<PlacedAxis> = Vec::with_capacity(written.len());
    for (name, values) in written {
        let span = name.span();
        let name = name.into_inner();
        if !is_name(&name) {
            complaints.at(
                Some(span.clone()),
                format!("{name:?} is no name of an axis: use letters, digits, _ and -"),
            );
        } else if name == "port" {
            complaints.at(
                Some(span.clone()),
                "`port` is chosen for each run and cannot be an axis",
            );
        }
        if values.get_ref().is_empty() {
            complaints.at(
                Some(values.span()),
                format!("the axis `{name}` has no value"),
            );
        }
        let mut seen = BTreeSet::new();
        let mut kept = Vec::new();
        for value in values.into_inner() {
            let (place, text) = (value.span(), value.get_ref().to_string());
            if text.contains('\0') {
                complaints.at(Some(place.clone()), "no argument can hold a zero byte");
            }
            if !seen.insert(text.clone()) {
                complaints.at(
                    Some(place.clone()),
                    format!("the axis `{name}` has {text:?} twice"),
                );
            }
            let meaning = meaning(&name, &text, cold_start);
            complaints.take(place, meaning);
            kept.push(text);
        }
        axes.push(PlacedAxis {
            axis: Axis { name, values: kept },
            span,
        });
    }
    // TOML's tables have no order, their text has.
    axes.sort_by_key(|axis| axis.span.start);
    axes
}

/// Whether a value can be what the axis of this name needs.
fn meaning(axis: &str, value: &str, cold_start: ColdStart) -> Result<(), String> {
    match axis {
        "model" if value.is_empty() => Err("a model has no name".to_owned()),
        "pressure" => match parse_pressure(value)? {
            PlannedPressure::MemoryMax(_) if cold_start == ColdStart::Warm => Err(format!(
                "{value} and cold_start = \"warm\" exclude each other: pages that were cached before are not charged to the engine's cgroup"
            )),
            _ => Ok(()),
        },
        "read_ahead" => parse_read_ahead(value).map(drop),
        "nr_requests" | "memory_high" if value == AS_IS => Ok(()),
        "memory_high" => parse_bytes(value)
            .map(drop)
            .map_err(|error| error.to_string()),
        "pin" if value != AS_IS && !PinChoice::ALL.iter().any(|choice| choice.name() == value) => {
            Err(format!(
                "{value:?} is nothing to keep in memory: write {AS_IS}, shared or hot"
            ))
        }
        "tokens" | "threads" | "extents" | "nr_requests" => match value.parse::<u32>() {
            Ok(1..) => Ok(()),
            _ => Err(format!("{value:?} is no number of {axis}: write 1 or more")),
        },
        _ => Ok(()),
    }
}

fn engine(
    source: EngineSource,
    span: Range<usize>,
    axes: &[PlacedAxis],
    complaints: &mut Complaints<'_>,
) -> Option<EnginePlan> {
    let Some((_, adapter)) = Adapter::ALL
        .iter()
        .find(|(name, _)| name == source.adapter.get_ref())
    else {
        let names: Vec<&str> = Adapter::ALL.iter().map(|(name, _)| *name).collect();
        complaints.at(
            Some(source.adapter.span()),
            format!(
                "{:?} is no adapter: choose one of {}",
                source.adapter.get_ref(),
                names.join(", ")
            ),
        );
        return None;
    };
    let adapter = *adapter;
    let command = command(adapter, &source, &span, axes, complaints);
    uses(adapter, &source, &command, &span, axes, complaints);
    if let Some(pattern) = &source.tokens_per_s {
        let checked = match regex_lite::Regex::new(pattern.get_ref()) {
            Ok(regex) if regex.captures_len() == 2 => Ok(()),
            Ok(_) => {
                Err("the regular expression needs exactly one group, around the number".to_owned())
            }
            Err(error) => Err(format!("no regular expression: {error}")),
        };
        complaints.take(pattern.span(), checked);
    }
    let (temperature, seed) = sampling(adapter, &source, &command, complaints);
    Some(EnginePlan {
        adapter,
        command,
        tokens_per_s: source.tokens_per_s.map(Spanned::into_inner),
        temperature,
        seed,
    })
}

fn command(
    adapter: Adapter,
    source: &EngineSource,
    span: &Range<usize>,
    axes: &[PlacedAxis],
    complaints: &mut Complaints<'_>,
) -> Vec<Template> {
    let Some(written) = &source.command else {
        if adapter == Adapter::BuiltIn {
            return built_in_command(source, axes, complaints);
        }
        complaints.at(
            Some(span.clone()),
            format!("the adapter {adapter} needs a command = [\"PROGRAM\", …]"),
        );
        return Vec::new();
    };
    let words = written.get_ref();
    if words
        .first()
        .is_none_or(|program| program.get_ref().is_empty())
    {
        complaints.at(Some(written.span()), "the command has no program");
    }
    if adapter == Adapter::BuiltIn && words.first().is_some_and(|word| word.get_ref() != TRACER) {
        complaints.at(
            Some(written.span()),
            "the command of the built-in engine begins with \"tracer\", \"engine\"; leave it out for the usual one",
        );
    }
    words
        .iter()
        .filter_map(|word| {
            if word.get_ref().contains('\0') {
                complaints.at(Some(word.span()), "no argument can hold a zero byte");
            }
            let parsed = Template::parse(word.get_ref()).map_err(|error| error.to_string());
            complaints.take(word.span(), parsed)
        })
        .collect()
}

/// The built-in engine's command from the axes that there are.
fn built_in_command(
    source: &EngineSource,
    axes: &[PlacedAxis],
    complaints: &mut Complaints<'_>,
) -> Vec<Template> {
    let seed = source.seed.as_ref().map_or(0, |seed| *seed.get_ref());
    let mut words = vec![TRACER.to_owned(), "engine".into(), "--model={model}".into()];
    words.push(format!("--seed={}", seed.unsigned_abs()));
    for (axis, option) in [
        ("tokens", "--tokens={tokens}"),
        ("threads", "--threads={threads}"),
        ("prompt_tokens", "--prompt-tokens={prompt_tokens}"),
    ] {
        if axes.iter().any(|placed| placed.axis.name == axis) {
            words.push(option.into());
        }
    }
    for placed in axes.iter().filter(|placed| placed.axis.name == "load_mode") {
        for value in &placed.axis.values {
            if !matches!(value.as_str(), "mmap" | "lazy") {
                complaints.at(
                    Some(placed.span.clone()),
                    format!("the built-in engine has no load mode {value:?}: it has mmap and lazy"),
                );
            }
        }
    }
    words
        .iter()
        .filter_map(|word| Template::parse(word).ok())
        .collect()
}

/// Every placeholder has a value, and every axis has a use.
fn uses(
    adapter: Adapter,
    source: &EngineSource,
    command: &[Template],
    span: &Range<usize>,
    axes: &[PlacedAxis],
    complaints: &mut Complaints<'_>,
) {
    let named: BTreeSet<&str> = command.iter().flat_map(Template::placeholders).collect();
    let command_span = source
        .command
        .as_ref()
        .map_or_else(|| span.clone(), Spanned::span);
    let is_axis = |name: &str| axes.iter().any(|placed| placed.axis.name == name);
    let of_request: &[&str] = match adapter {
        Adapter::LlamaServer => &["tokens", "prompt"],
        _ => &[],
    };
    // The usual command gets `--lazy` where this axis says so.
    let by_adapter: &[&str] = match (adapter, &source.command) {
        (Adapter::BuiltIn, None) => &["load_mode"],
        _ => of_request,
    };
    for name in &named {
        // What a run brings along itself.
        let given = matches!(*name, "seed" | "temperature")
            || (*name == "port" && adapter == Adapter::LlamaServer);
        if !given && !is_axis(name) {
            complaints.at(
                Some(command_span.clone()),
                format!("the command has {{{name}}}, and there is no axis of that name"),
            );
        }
    }
    // A server is asked, and the built-in engine started, with values of our own where the plan has none.
    let is_server = adapter == Adapter::LlamaServer;
    for (name, has_value) in [
        (
            "seed",
            source.seed.is_some() || is_server || adapter == Adapter::BuiltIn,
        ),
        ("temperature", source.temperature.is_some() || is_server),
    ] {
        if named.contains(name) && !has_value && !is_axis(name) {
            complaints.at(
                Some(command_span.clone()),
                format!("the command has {{{name}}}; write {name} = … below [engine]"),
            );
        }
    }
    if adapter == Adapter::LlamaServer && !named.contains("port") {
        complaints.at(
            Some(command_span.clone()),
            "the server needs its port: add \"--port\", \"{port}\" to the command",
        );
    }
    for name in of_request {
        if !is_axis(name) {
            complaints.at(
                Some(span.clone()),
                format!("the request to the server needs an axis `{name}`"),
            );
        }
    }
    if adapter == Adapter::LlamaBench && !asks_for_json(command) {
        complaints.at(
            Some(command_span.clone()),
            "llama-bench must write JSON for its figures to be read: add \"-o\", \"jsonl\" to the command",
        );
    }
    for placed in axes {
        let name = placed.axis.name.as_str();
        let used = named.contains(name)
            || by_adapter.contains(&name)
            || (KNOWN_TO_ALL.contains(&name) && (name != "model" || placed.axis.values.len() < 2));
        if !used {
            complaints.at(
                Some(placed.span.clone()),
                format!(
                    "the axis `{name}` changes nothing: the command has no {{{name}}} (the adapter is {adapter})"
                ),
            );
        }
    }
}

fn asks_for_json(command: &[Template]) -> bool {
    let words: Vec<&str> = command.iter().map(Template::written).collect();
    words
        .windows(2)
        .any(|pair| matches!(pair, ["-o" | "--output", "json" | "jsonl"]))
        || words
            .iter()
            .any(|word| matches!(*word, "--output=json" | "--output=jsonl"))
}
