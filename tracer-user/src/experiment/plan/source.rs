//! The text of a plan: its keys, and where in the text everything stands.

use std::{collections::BTreeMap, fmt, ops::Range};

use serde::Deserialize;
use toml::{Spanned, de::DeTable};

/// One thing that is wrong with a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlanError {
    /// Line, from 1, where it can be told.
    pub line: Option<usize>,
    /// Column in characters, from 1.
    pub column: Option<usize>,
    /// What is wrong, and what to do.
    pub message: String,
}

impl fmt::Display for PlanError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.line, self.column) {
            (Some(line), Some(column)) => write!(formatter, "{line}:{column}: {}", self.message),
            _ => formatter.write_str(&self.message),
        }
    }
}

/// All that is wrong with a plan.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the plan cannot be run:\n{}", self.0.iter().map(|error| format!("  {error}")).collect::<Vec<_>>().join("\n"))]
pub struct PlanErrors(pub Vec<PlanError>);

/// A value of an axis as TOML has it.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Value {
    Text(String),
    Integer(i64),
    Number(f64),
    Flag(bool),
}

impl fmt::Display for Value {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => formatter.write_str(text),
            Self::Integer(number) => number.fmt(formatter),
            Self::Number(number) => number.fmt(formatter),
            Self::Flag(flag) => flag.fmt(formatter),
        }
    }
}

type Values = Spanned<Vec<Spanned<Value>>>;

/// The keys of a plan.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Source {
    pub name: Spanned<String>,
    pub kind: Option<Spanned<String>>,
    pub seed: Option<Spanned<i64>>,
    pub repetitions: Option<Spanned<i64>>,
    pub order: Option<Spanned<String>>,
    pub cool_down: Option<Spanned<String>>,
    pub time_limit: Option<Spanned<String>>,
    pub cold_start: Option<Spanned<String>>,
    pub fail_fast: Option<bool>,
    pub tune: Option<Spanned<TuneSource>>,
    pub engine: Spanned<EngineSource>,
    pub axes: Spanned<BTreeMap<Spanned<String>, Values>>,
}

/// The keys of what a search for the fastest settings is to reach.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct TuneSource {
    pub goal: Option<Spanned<String>>,
    pub budget: Option<Spanned<String>>,
    pub read_ahead_now: Option<Spanned<String>>,
    pub pin_budget: Option<Spanned<String>>,
}

/// The keys of a plan's engine.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct EngineSource {
    pub adapter: Spanned<String>,
    pub command: Option<Spanned<Vec<Spanned<String>>>>,
    pub tokens_per_s: Option<Spanned<String>>,
    pub temperature: Option<Spanned<f64>>,
    pub seed: Option<Spanned<i64>>,
}

const PLAN_KEYS: [&str; 12] = [
    "name",
    "kind",
    "seed",
    "repetitions",
    "order",
    "cool_down",
    "time_limit",
    "cold_start",
    "fail_fast",
    "tune",
    "engine",
    "axes",
];
const ENGINE_KEYS: [&str; 5] = ["adapter", "command", "tokens_per_s", "temperature", "seed"];

/// Gathers what is wrong.
#[derive(Debug)]
pub(super) struct Complaints<'text> {
    text: &'text str,
    pub found: Vec<PlanError>,
}

impl<'text> Complaints<'text> {
    pub const fn new(text: &'text str) -> Self {
        Self {
            text,
            found: Vec::new(),
        }
    }

    pub fn at(&mut self, span: Option<Range<usize>>, message: impl Into<String>) {
        let place = span
            .and_then(|span| self.text.get(..span.start))
            .map(|before| {
                let line = before.matches('\n').count() + 1;
                let start = before.rfind('\n').map_or(0, |position| position + 1);
                let column = before.get(start..).unwrap_or_default().chars().count() + 1;
                (line, column)
            });
        self.found.push(PlanError {
            line: place.map(|(line, _)| line),
            column: place.map(|(_, column)| column),
            message: message.into(),
        });
    }

    /// The value, or a complaint.
    pub fn take<T>(&mut self, span: Range<usize>, result: Result<T, String>) -> Option<T> {
        result.map_err(|message| self.at(Some(span), message)).ok()
    }
}

/// Reads the text. Mistakes of the syntax and unknown keys are all told at once; of wrong types only the first.
pub(super) fn read(complaints: &mut Complaints<'_>) -> Option<Source> {
    let (table, errors) = DeTable::parse_recoverable(complaints.text);
    for error in &errors {
        complaints.at(error.span(), error.message());
    }
    if !errors.is_empty() {
        return None;
    }
    let table = table.get_ref();
    unknown_keys(table, &PLAN_KEYS, "a plan", complaints);
    if let Some(engine) = table
        .get("engine")
        .and_then(|value| value.get_ref().as_table())
    {
        unknown_keys(engine, &ENGINE_KEYS, "[engine]", complaints);
    }
    if !complaints.found.is_empty() {
        return None;
    }
    toml::from_str(complaints.text)
        .map_err(|error: toml::de::Error| {
            complaints.at(error.span(), error.message().trim().to_owned());
        })
        .ok()
}

fn unknown_keys(table: &DeTable<'_>, known: &[&str], of: &str, complaints: &mut Complaints<'_>) {
    for (key, _) in table.iter() {
        if !known.contains(&key.get_ref().as_ref()) {
            complaints.at(
                Some(key.span()),
                format!(
                    "{:?} is no key of {of}, which has {}",
                    key.get_ref(),
                    known.join(", ")
                ),
            );
        }
    }
}
