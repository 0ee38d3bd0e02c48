//! Looks at the figures of every window, and says of which a condition holds.

use std::{
    collections::HashMap,
    path::Path,
    time::{Duration, Instant},
};

use crate::{
    exposition::{ParsedFamily, parse},
    metrics::scrape,
    place::inspect,
};

use super::{condition::Condition, growth::growth};
use crate::watch::{
    engine::{EngineKey, OpenedModel},
    follow::Followed,
};

/// A condition is of the growth in this time.
const COMPARED: Duration = Duration::from_secs(10);

/// A window that closes does not answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

#[derive(Debug)]
pub struct Sentinel {
    conditions: Vec<Condition>,
    of: HashMap<EngineKey, OfEngine>,
}

#[derive(Debug, Default)]
struct OfEngine {
    /// The last look.
    last: Option<(Instant, Vec<ParsedFamily>)>,
    /// What a step needs, bytes, by the model's name in the metrics.
    need: HashMap<String, u64>,
}

impl Sentinel {
    #[must_use]
    pub fn new(conditions: Vec<Condition>) -> Self {
        Self {
            conditions,
            of: HashMap::new(),
        }
    }

    /// A window of these models begins.
    pub fn begun(&mut self, engine: EngineKey, models: &[&OpenedModel]) {
        if self.conditions.is_empty() {
            return;
        }
        let mut of = OfEngine::default();
        if self.conditions.iter().any(Condition::needs_need) {
            for model in models {
                // One that cannot be looked at has no need that is known.
                let need = inspect(&model.openable_path)
                    .ok()
                    .and_then(|inspection| inspection.step_need_bytes);
                let first = model.path.as_deref().unwrap_or(Path::new(&model.name));
                for name in [first.file_name(), Some(model.name.as_ref())] {
                    if let (Some(need), Some(name)) = (need, name) {
                        of.need.insert(name.to_string_lossy().into_owned(), need);
                    }
                }
            }
        }
        self.of.insert(engine, of);
    }

    /// A window is over: its figures and those of the next are not compared.
    pub fn ended(&mut self, engine: EngineKey) {
        self.of.remove(&engine);
    }

    /// Engines of which a condition holds now, with the words for it. Each is asked when its time has come.
    pub fn look(&mut self, windows: &[Followed], now: Instant) -> Vec<(EngineKey, String)> {
        let mut met = Vec::new();
        for window in windows {
            let (Some(of), Some(socket)) = (self.of.get_mut(&window.engine), &window.socket) else {
                continue;
            };
            let is_due = |at: &Instant| now.saturating_duration_since(*at) >= COMPARED;
            if !of.last.as_ref().is_none_or(|(at, _)| is_due(at)) {
                continue;
            }
            let scraped = scrape(socket, ANSWER_WITHIN);
            let Ok(families) = scraped.and_then(|text| parse(&text)) else {
                continue;
            };
            if let Some((_, before)) = &of.last {
                let grown = growth(before, &families);
                let first = grown.iter().find_map(|(model, growth)| {
                    let need = of.need.get(model).copied();
                    self.conditions
                        .iter()
                        .find_map(|condition| condition.met(model, growth, need))
                });
                met.extend(first.map(|met| (window.engine, met.words)));
            }
            of.last = Some((now, families));
        }
        met
    }
}
