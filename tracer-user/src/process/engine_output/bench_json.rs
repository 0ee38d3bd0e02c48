//! Timings that an engine prints as JSON: `llama-bench -o json|jsonl`, and the `timings` object of llama-server's
//! answers, which a script may print as the last line of its standard output.

use serde_json::{Map, Value};

use super::timing_line::Work;

/// One test of `llama-bench`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BenchTest {
    /// Prompt tokens of one repetition.
    pub prompt_tokens: u64,
    /// Generated tokens of one repetition.
    pub generated_tokens: u64,
    /// `n_depth`: tokens that were in the context before.
    pub depth_tokens: u64,
    /// `avg_ts`: mean over the repetitions of their tokens per second.
    pub average_rate: Option<f64>,
    /// Time of each repetition, nanoseconds; empty if the object has none.
    pub samples_nanoseconds: Vec<u64>,
}

impl BenchTest {
    /// A test that prints `n_prompt`, `n_gen` and `avg_ts`.
    pub(crate) fn from_object(object: &Map<String, Value>) -> Option<Self> {
        let average_rate = object
            .get("avg_ts")?
            .as_f64()
            .filter(|rate| rate.is_finite() && *rate > 0.0);
        Some(Self {
            prompt_tokens: object.get("n_prompt")?.as_u64()?,
            generated_tokens: object.get("n_gen")?.as_u64()?,
            // Builds before 2025 have no depths.
            depth_tokens: object.get("n_depth").map_or(Some(0), Value::as_u64)?,
            average_rate,
            samples_nanoseconds: object
                .get("samples_ns")
                .and_then(Value::as_array)
                .and_then(|samples| samples.iter().map(Value::as_u64).collect())
                .unwrap_or_default(),
        })
    }

    /// What `llama-bench` calls it: `pp512`, `tg128 @ d512`.
    pub(crate) fn name(&self) -> String {
        let kind = match (self.prompt_tokens, self.generated_tokens) {
            (prompt, 0) => format!("pp{prompt}"),
            (0, generated) => format!("tg{generated}"),
            (prompt, generated) => format!("pp{prompt}+tg{generated}"),
        };
        match self.depth_tokens {
            0 => kind,
            depth => format!("{kind} @ d{depth}"),
        }
    }

    /// Tokens and time of all repetitions, for a test that has one kind of work only.
    pub(crate) fn work(&self) -> Option<Work> {
        let per_repetition = self.prompt_tokens.checked_add(self.generated_tokens)?;
        let nanoseconds: f64 = self
            .samples_nanoseconds
            .iter()
            .map(|&sample| sample as f64)
            .sum();
        let repetitions = u64::try_from(self.samples_nanoseconds.len()).ok()?;
        let tokens = per_repetition.checked_mul(repetitions)?;
        (tokens > 0 && nanoseconds > 0.0).then_some(Work {
            milliseconds: nanoseconds / 1e6,
            tokens: Some(tokens),
            printed_rate: None,
        })
    }

    /// Whether `avg_ts` is the mean of the repetitions' rates (it is not tokens over time: a mean of rates is
    /// higher). True where either is missing. `avg_ts` is printed with six decimals.
    pub(crate) fn rate_agrees(&self) -> bool {
        let Some(printed) = self.average_rate else {
            return true;
        };
        if self.samples_nanoseconds.is_empty() || self.samples_nanoseconds.contains(&0) {
            return true;
        }
        let tokens = self.prompt_tokens as f64 + self.generated_tokens as f64;
        let rates: f64 = self
            .samples_nanoseconds
            .iter()
            .map(|&sample| 1e9 * tokens / sample as f64)
            .sum();
        let mean = rates / self.samples_nanoseconds.len() as f64;
        (mean - printed).abs() <= 1e-6 + 1e-4 * printed
    }
}

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
