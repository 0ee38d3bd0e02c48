//! What the screen says: figures → words and rows. Pure; where it goes and in which colours is the view's.

use crate::{
    probe::Detail,
    run::onlooker::{LossesSoFar, ModelBegun, PartBytes, RunBegun},
    stats::{formulas::ratio, phases::phase::Phase},
};

use super::{
    history::{History, Point},
    keys::{Choices, Lower, Sort},
    numbers,
    verdict::{Seen, Tone, verdict},
    window::{Figures, Tokens},
};

/// Everything that the screen says.
#[derive(Clone, Debug, Default)]
pub struct Board {
    /// Which model.
    pub title: String,
    /// Since when, and in which phase.
    pub state: String,
    pub verdict: Vec<(Tone, String)>,
    /// Heads of the two columns of figures.
    pub heads: [String; 2],
    pub rows: Vec<Row>,
    /// What needs words: a name and a line.
    pub lines: Vec<Line>,
    pub parts: Parts,
    /// How long a chart is.
    pub charted: String,
}

/// A figure, over the window and over the run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Row {
    pub label: &'static str,
    pub window: String,
    pub run: String,
    /// Over time, the latest last; None where nobody looked.
    pub chart: Vec<Option<f64>>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    pub label: &'static str,
    pub words: String,
    pub tone: Tone,
}

/// Parts of the model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Parts {
    pub title: String,
    pub rows: Vec<PartRow>,
}

#[derive(Clone, Debug, Default, PartialEq)]
pub struct PartRow {
    pub name: String,
    /// Read a second in the window.
    pub rate: String,
    /// Read in the run.
    pub read: String,
    /// The same / its size.
    pub times: String,
    /// Its part of what was read of all that is shown, 0 – 1.
    pub share: f64,
}

/// A chart covers so many windows, but no more than is kept.
const WINDOWS_IN_CHART: f64 = 6.0;
const LONGEST_CHART_S: f64 = 600.0;

/// Puts the screen together. `chart_columns`: how many values a chart has.
pub fn board(
    begun: &RunBegun,
    history: &History,
    choices: &Choices,
    chart_columns: usize,
) -> Board {
    let Some(model) = begun.models.get(choices.model) else {
        return Board::default();
    };
    let models = begun.models.len();
    let title = if models > 1 {
        format!("{} ({} of {models})", short(&model.name), choices.model + 1)
    } else {
        short(&model.name).to_owned()
    };
    let Some(latest) = history.latest() else {
        return Board {
            title,
            verdict: vec![(Tone::Plain, "Nothing has been seen yet.".to_owned())],
            ..Board::default()
        };
    };
    let from = if choices.window_s().is_finite() {
        history.before(choices.window_s())
    } else {
        None
    };
    let slot = choices.model;
    let now = Figures::between(model, slot, from, latest);
    let run = Figures::between(model, slot, None, latest);
    let figures = latest.model(slot).cloned().unwrap_or_default();
    let phase = figures.parts.phases.current;
    let chart_s = (now.seconds * WINDOWS_IN_CHART).clamp(12.0, LONGEST_CHART_S);
    let charts = Charts {
        history,
        model,
        slot,
        seconds: chart_s,
        columns: chart_columns,
    };
    Board {
        title,
        state: state(begun, latest, phase, &run, choices),
        verdict: verdict(&Seen {
            phase,
            now: &now,
            resident_bytes: figures.resident_bytes,
            size_bytes: model.size_bytes,
            has_events: begun.detail >= Detail::Events,
        }),
        heads: [
            if choices.window_s().is_finite() {
                format!("last {}", numbers::span(now.seconds))
            } else {
                "whole run".to_owned()
            },
            "whole run".to_owned(),
        ],
        rows: rows(
            model,
            &figures.resident_bytes,
            &now,
            &run,
            latest.engine.tokens_per_s,
            &charts,
        ),
        lines: lines(latest, &now, &run),
        parts: parts(choices, history, from, slot, now.seconds),
        charted: format!("the last {}", numbers::span(chart_s)),
    }
}

/// The last part of a path.
fn short(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

fn state(
    begun: &RunBegun,
    latest: &Point,
    phase: Option<Phase>,
    run: &Figures,
    choices: &Choices,
) -> String {
    let mut words = numbers::clock(latest.run.at_s);
    if let Some(length_s) = begun.recorded_s {
        words = format!("{words} of {}", numbers::clock(length_s));
    }
    if let Some(speed) = choices.speed {
        words = format!("replay {speed}  {words}");
    }
    if let Some(phase) = phase {
        words = format!("{words}  {}", phase.name().replace('_', " "));
    }
    if run.tokens.steps > 0 {
        let plural = if run.tokens.steps == 1 { "" } else { "s" };
        words = format!(
            "{words}  {} token{plural}",
            numbers::count(Some(run.tokens.steps))
        );
    }
    if choices.paused {
        words = format!("PAUSED  {words}");
    }
    words
}

struct Charts<'a> {
    history: &'a History,
    model: &'a ModelBegun,
    slot: usize,
    seconds: f64,
    columns: usize,
}

impl Charts<'_> {
    /// A figure of what came in each bucket.
    fn of(&self, pick: impl Fn(&Figures) -> Option<f64>) -> Vec<Option<f64>> {
        self.history
            .series(self.seconds, self.columns, |before, point| {
                pick(&Figures::between(self.model, self.slot, before, point))
            })
    }

    /// A figure of each moment.
    fn at(&self, pick: impl Fn(&Point) -> Option<f64>) -> Vec<Option<f64>> {
        self.history
            .series(self.seconds, self.columns, |_, point| pick(point))
    }
}

fn speed(tokens: &Tokens) -> String {
    match (tokens.tokens_per_s, tokens.steps_per_s) {
        (Some(rate), _) => format!("{} tok/s", numbers::three_digits(rate)),
        (None, Some(rate)) => format!("{} steps/s", numbers::three_digits(rate)),
        (None, None) => numbers::UNKNOWN.to_owned(),
    }
}

fn rows(
    model: &ModelBegun,
    resident_bytes: &Option<u64>,
    now: &Figures,
    run: &Figures,
    said_tokens_per_s: Option<f64>,
    charts: &Charts<'_>,
) -> Vec<Row> {
    let slot = charts.slot;
    let read = match run.reread_factor {
        Some(factor) => format!(
            "{} {}",
            numbers::bytes(run.read_bytes),
            numbers::times(Some(factor))
        ),
        None => numbers::bytes(run.read_bytes),
    };
    let a_step = |tokens: &Tokens| numbers::bytes(tokens.bytes_a_step.map(|bytes| bytes as u64));
    let faults_per_s = |figures: &Figures| {
        figures
            .faults
            .and_then(|faults| crate::stats::formulas::quotient(faults as f64, figures.seconds))
    };
    let plain = |label, window: String, run: String| Row {
        label,
        window,
        run,
        chart: Vec::new(),
    };
    let run_speed = match said_tokens_per_s {
        Some(said) if run.tokens.steps == 0 => format!("{} tok/s", numbers::three_digits(said)),
        _ => speed(&run.tokens),
    };
    vec![
        Row {
            chart: charts.of(|figures| figures.bytes_per_s),
            ..plain("from disk", numbers::rate(now.bytes_per_s), read)
        },
        Row {
            chart: charts.at(|point| Some(point.model(slot)?.resident_bytes? as f64)),
            ..plain(
                "in memory",
                numbers::bytes(*resident_bytes),
                numbers::share(resident_bytes.and_then(|bytes| ratio(bytes, model.size_bytes))),
            )
        },
        Row {
            chart: charts.of(|figures| figures.stalled),
            ..plain(
                "waits for it",
                numbers::share(now.stalled),
                numbers::share(run.stalled),
            )
        },
        plain(
            "frees memory",
            numbers::share(now.reclaiming),
            numbers::share(run.reclaiming),
        ),
        plain("speed", speed(&now.tokens), run_speed),
        plain("read a token", a_step(&now.tokens), a_step(&run.tokens)),
        plain(
            "read again",
            numbers::share(now.refault_share()),
            numbers::share(run.refault_share()),
        ),
        plain(
            "page faults",
            numbers::each_second(faults_per_s(now)),
            numbers::count(run.faults),
        ),
    ]
}

fn lines(latest: &Point, now: &Figures, run: &Figures) -> Vec<Line> {
    let plain = |label, words: String| Line {
        label,
        words,
        tone: Tone::Plain,
    };
    let gaps = |figures: &Figures| {
        let [sequential, small, medium, large, backward] = figures.gaps.map(numbers::share);
        format!(
            "sequential {sequential}, small {small}, medium {medium}, large {large}, backward {backward}"
        )
    };
    let memory = latest.engine.memory;
    let process = memory.and_then(|memory| memory.process);
    let system = memory.and_then(|memory| memory.system);
    let group = memory.and_then(|memory| memory.cgroup);
    let mut of_memory = vec![format!(
        "engine {}, files {}",
        numbers::short_bytes(process.and_then(|process| process.rss_anonymous_bytes)),
        numbers::short_bytes(process.and_then(|process| process.rss_file_bytes)),
    )];
    if let Some(group) = group {
        let limit = latest.engine.memory_limit_bytes;
        of_memory.push(format!(
            "group {}{}",
            numbers::short_bytes(group.usage_bytes),
            limit.map_or_else(String::new, |limit| format!(
                " of {}",
                numbers::short_bytes(Some(limit))
            ))
        ));
    }
    of_memory.push(format!(
        "free {}",
        numbers::short_bytes(system.and_then(|system| system.available_bytes))
    ));
    let pressure = |shares: [Option<f64>; 2]| {
        let [some, all] = shares.map(numbers::share);
        format!("{some} some, {all} all")
    };
    let (lost, tone) = match latest.run.losses {
        None => ("what was lost is not known".to_owned(), Tone::Plain),
        Some(LossesSoFar {
            records: 0,
            recursion_misses,
            undivided_slices: 0,
        }) if recursion_misses.unwrap_or(0) == 0 => {
            let counted = if recursion_misses.is_some() {
                ""
            } else {
                " that is counted"
            };
            (format!("nothing lost{counted}"), Tone::Plain)
        }
        Some(losses) => {
            let sum = losses.sum();
            (
                format!(
                    "{} EVENTS LOST: figures are incomplete",
                    numbers::count(Some(sum))
                ),
                Tone::Alarm,
            )
        }
    };
    vec![
        plain("gaps", gaps(if now.reads > Some(0) { now } else { run })),
        plain("memory", of_memory.join("; ")),
        plain(
            "pressure",
            format!(
                "memory {}; disk {}",
                pressure(now.memory_pressure),
                pressure(now.io_pressure)
            ),
        ),
        Line {
            tone,
            ..plain(
                "tracer",
                format!("{} of a core; {lost}", numbers::share(now.tracer_cores)),
            )
        },
    ]
}

fn parts(
    choices: &Choices,
    history: &History,
    from: Option<&Point>,
    slot: usize,
    seconds: f64,
) -> Parts {
    let of_point = |point: &Point| -> Vec<PartBytes> {
        let parts = point.model(slot).map(|model| &model.parts);
        parts
            .map(|parts| match choices.lower {
                Lower::Kinds | Lower::Output => parts.kinds.clone(),
                Lower::Layers => parts.layers.clone(),
                Lower::Experts => parts.experts.clone(),
            })
            .unwrap_or_default()
    };
    let now = history.latest().map(of_point).unwrap_or_default();
    let before = from.map(of_point);
    let rate = |part: &PartBytes| -> Option<f64> {
        let before = match &before {
            // Of experts only the hottest are kept: one that is new among them had less than is known.
            Some(before) => before.iter().find(|own| own.name == part.name)?.read_bytes,
            None => 0,
        };
        crate::stats::formulas::quotient(part.read_bytes.saturating_sub(before) as f64, seconds)
    };
    let most = now.iter().map(|part| part.read_bytes).max().unwrap_or(0);
    let mut sorted = now;
    let times = |part: &PartBytes| ratio(part.read_bytes, part.size_bytes);
    match choices.sort {
        Sort::MostRead => sorted.sort_by_key(|part| std::cmp::Reverse(part.read_bytes)),
        Sort::MostOften => sorted.sort_by(|one, other| {
            let [one, other] = [one, other].map(|part| times(part).unwrap_or(0.0));
            other.total_cmp(&one)
        }),
        Sort::AsInModel => {}
    }
    let (what, count) = match choices.lower {
        Lower::Kinds | Lower::Output => ("kinds of tensors", None),
        Lower::Layers => ("layers", None),
        Lower::Experts => (
            "experts",
            history
                .latest()
                .and_then(|point| Some(point.model(slot)?.parts.expert_count)),
        ),
    };
    let by = match choices.sort {
        Sort::MostRead => "most read first",
        Sort::MostOften => "most often read first",
        Sort::AsInModel if choices.lower == Lower::Experts => "most read first",
        Sort::AsInModel => "as in the file",
    };
    let title = match count {
        Some(0) => "this model has no experts that are apart".to_owned(),
        Some(count) => format!(
            "hottest of {} experts, {by}",
            numbers::count(Some(count as u64))
        ),
        None => format!("{what}, {by}"),
    };
    Parts {
        title,
        rows: sorted
            .iter()
            .map(|part| PartRow {
                name: part.name.to_string(),
                rate: numbers::rate(rate(part)),
                read: numbers::bytes(Some(part.read_bytes)),
                times: numbers::times(times(part)),
                share: ratio(part.read_bytes, most).unwrap_or(0.0),
            })
            .collect(),
    }
}
