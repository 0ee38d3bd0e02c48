//! One test of a benchmark.

use serde_json::{Map, Value};

use crate::process::engine_output::timing_line::Work;

/// Prompts of one length, or generations of one length: of one sequence, or of several at once.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct BenchTest {
    /// Prompt tokens of one repetition and one sequence.
    pub prompt_tokens: u64,
    /// Generated tokens of one repetition and one sequence.
    pub generated_tokens: u64,
    /// Tokens that were in the context before: `n_depth` of `llama-bench`; of `llama-batched-bench` the prompt that a
    /// generation follows.
    pub depth_tokens: u64,
    /// Sequences that are worked on at once, 1 or more; always 1 in `llama-bench`.
    pub sequences: u64,
    /// Tokens per second as printed: mean over the repetitions, sum over the sequences.
    pub average_rate: Option<f64>,
    /// Time of each repetition, nanoseconds; empty if it was not printed.
    pub samples_nanoseconds: Vec<u64>,
    pub printed: PrintedSteps,
}

/// The steps to which a form prints its figures.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct PrintedSteps {
    pub time_nanoseconds: f64,
    /// Tokens per second.
    pub rate: f64,
}

impl PrintedSteps {
    /// `llama-bench`: whole nanoseconds, rates with six decimals.
    pub(crate) const LLAMA_BENCH: Self = Self {
        time_nanoseconds: 1.0,
        rate: 1e-6,
    };
}

impl BenchTest {
    /// A test that `llama-bench -o json|jsonl` prints, with `n_prompt`, `n_gen` and `avg_ts`.
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
            sequences: 1,
            average_rate,
            samples_nanoseconds: object
                .get("samples_ns")
                .and_then(Value::as_array)
                .and_then(|samples| samples.iter().map(Value::as_u64).collect())
                .unwrap_or_default(),
            printed: PrintedSteps::LLAMA_BENCH,
        })
    }

    /// What `llama-bench` calls it: `pp512`, `tg128 @ d512`; with several sequences at once `tg128 x 4 @ d512`.
    pub(crate) fn name(&self) -> String {
        let kind = match (self.prompt_tokens, self.generated_tokens) {
            (prompt, 0) => format!("pp{prompt}"),
            (0, generated) => format!("tg{generated}"),
            (prompt, generated) => format!("pp{prompt}+tg{generated}"),
        };
        let kind = match self.sequences {
            1 => kind,
            sequences => format!("{kind} x {sequences}"),
        };
        match self.depth_tokens {
            0 => kind,
            depth => format!("{kind} @ d{depth}"),
        }
    }

    /// Tokens of one repetition, of all sequences.
    fn tokens(&self) -> Option<u64> {
        self.prompt_tokens
            .checked_add(self.generated_tokens)?
            .checked_mul(self.sequences)
    }

    /// Tokens and time of all repetitions, for a test that has one kind of work only.
    pub(crate) fn work(&self) -> Option<Work> {
        let nanoseconds: f64 = self
            .samples_nanoseconds
            .iter()
            .map(|&sample| sample as f64)
            .sum();
        let repetitions = u64::try_from(self.samples_nanoseconds.len()).ok()?;
        let tokens = self.tokens()?.checked_mul(repetitions)?;
        (tokens > 0 && nanoseconds > 0.0).then_some(Work {
            milliseconds: nanoseconds / 1e6,
            tokens: Some(tokens),
            printed_rate: None,
        })
    }

    /// Whether the printed rate is the mean of the repetitions' rates (it is not tokens over time: a mean of rates is
    /// higher), within the rounding of both. True where either is missing.
    pub(crate) fn rate_agrees(&self) -> bool {
        let (Some(printed), Some(tokens)) = (self.average_rate, self.tokens()) else {
            return true;
        };
        if self.samples_nanoseconds.is_empty() || self.samples_nanoseconds.contains(&0) {
            return true;
        }
        let half = self.printed.time_nanoseconds / 2.0;
        let mean = |of: &dyn Fn(f64) -> f64| {
            let rates = self.samples_nanoseconds.iter();
            let sum: f64 = rates
                .map(|&sample| 1e9 * tokens as f64 / of(sample as f64).max(f64::MIN_POSITIVE))
                .sum();
            sum / self.samples_nanoseconds.len() as f64
        };
        let slack = self.printed.rate + 1e-4 * printed;
        let lowest = mean(&|sample| sample + half) - slack;
        let highest = mean(&|sample| sample - half) + slack;
        (lowest..=highest).contains(&printed)
    }
}
