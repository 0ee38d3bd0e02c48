//! The `timings` object of llama-server's answers, which a script may print as the last line of its standard output.

use serde_json::{Map, Value};

use super::timing_line::Work;

/// `timings` of one request of llama-server.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ServerTimings {
    /// Prompt processing; `None` where nothing was processed (the whole prompt was cached).
    pub prompt: Option<Work>,
    pub generation: Option<Work>,
}

impl ServerTimings {
    /// From the object itself, or from an object that has it as its member `timings`.
    pub(crate) fn from_object(object: &Map<String, Value>) -> Option<Self> {
        let timings = object
            .get("timings")
            .and_then(Value::as_object)
            .unwrap_or(object);
        if !timings.contains_key("predicted_n") || !timings.contains_key("predicted_ms") {
            return None;
        }
        let work = |count: &str, milliseconds: &str, rate: &str| {
            let positive = |key: &str| {
                timings
                    .get(key)
                    .and_then(Value::as_f64)
                    .filter(|value| value.is_finite() && *value > 0.0)
            };
            let tokens = timings
                .get(count)
                .and_then(Value::as_u64)
                .filter(|tokens| *tokens > 0)?;
            Some(Work {
                milliseconds: positive(milliseconds)?,
                tokens: Some(tokens),
                printed_rate: positive(rate),
            })
        };
        Some(Self {
            prompt: work("prompt_n", "prompt_ms", "prompt_per_second"),
            generation: work("predicted_n", "predicted_ms", "predicted_per_second"),
        })
    }
}
