//! What an engine said about its own time.

use std::fmt;

use serde::Serialize;

/// Which form of output the timings came from, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum TimingSource {
    /// The user's `--rate-line`.
    RateLine,
    /// `builtin_perf_print`.
    Builtin,
    /// llama-server's `timings` object on the last line of standard output.
    Json,
    /// `llama-bench` in any of its formats, `llama-batched-bench`.
    Bench,
    /// `slot print_timing`, summed over requests.
    Server,
    /// ollama: `--verbose`, answers of its API.
    Ollama,
    /// koboldcpp's line for each request.
    #[serde(rename = "koboldcpp")]
    KoboldCpp,
    /// `common_perf_print`.
    CommonPerf,
    /// `llama_perf_context_print`.
    PerfContext,
    /// `llama_print_timings`.
    PrintTimings,
    /// `[ Prompt: … | Generation: … ]`: rates only.
    Rates,
    /// LM Studio: statistics of each prediction.
    LmStudio,
    /// Nothing about requests: means over intervals (vLLM, SGLang), or the time of loading alone.
    Intervals,
}

/// What the engine said about its own time. `None` is "not said", never 0.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EngineTimings {
    /// Seconds of loading, as the engine counts them (see the module's note).
    pub load_seconds: Option<f64>,
    /// Seconds of prompt processing.
    pub prompt_seconds: Option<f64>,
    /// Tokens of the prompt that were processed (cached ones are not among them).
    pub prompt_tokens: Option<u64>,
    /// Seconds of generation.
    pub eval_seconds: Option<f64>,
    /// Generated tokens, or decode runs (see the module's note).
    pub eval_tokens: Option<u64>,
    /// The engine's own total, seconds.
    pub total_seconds: Option<f64>,
    /// `prompt_tokens / prompt_seconds`; the printed rate where a form has rates only.
    pub prompt_tokens_per_second: Option<f64>,
    /// `eval_tokens / eval_seconds`; the printed rate where a form has rates only.
    pub tokens_per_second: Option<f64>,
    /// Where all of this came from.
    pub source: TimingSource,
    /// Requests, tests or blocks of that form that were seen (the module's table says what several mean).
    pub reports: u64,
    /// Rates that the engine printed and that its own tokens and time do not give. Where one is listed, the rate
    /// of that kind of work is `None`.
    pub disagreements: Vec<RateDisagreement>,
    /// Each request that the form tells apart, and each test of a benchmark: at most 1,000, the first ones.
    pub requests: Vec<RequestTimings>,
    /// Means over intervals, where the engine prints them.
    pub intervals: Option<IntervalMeans>,
}

/// Requests that are kept apart; later ones are in the sums alone.
pub const MOST_REQUESTS: usize = 1000;

/// One request, or one test of a benchmark. `None` is "not said".
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct RequestTimings {
    /// What the engine calls it: of `llama-bench` the test, such as `tg128 @ d512`; of `llama-batched-bench` with the
    /// number of sequences at once, `tg128 x 4 @ d512`.
    pub name: Option<String>,
    /// Seconds of prompt processing.
    pub prompt_seconds: Option<f64>,
    pub prompt_tokens: Option<u64>,
    /// From tokens and time; as printed where there is no count.
    pub prompt_tokens_per_second: Option<f64>,
    /// Seconds of generation.
    pub eval_seconds: Option<f64>,
    /// As [`EngineTimings::eval_tokens`].
    pub eval_tokens: Option<u64>,
    /// From tokens and time; as printed where there is no count.
    pub tokens_per_second: Option<f64>,
}

/// Rates that an engine prints again and again, each the mean over the time since the last one. Part of an interval may
/// be idle, and several requests may be in it: none is the rate of a request.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct IntervalMeans {
    /// What one interval is.
    pub interval: &'static str,
    /// Intervals in which tokens were generated.
    pub count: u64,
    /// Mean over those, tokens per second.
    pub tokens_per_second: f64,
    /// The lowest of them.
    pub lowest: f64,
    /// The highest.
    pub highest: f64,
}

/// A printed rate that is not tokens / time.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RateDisagreement {
    pub work: WorkKind,
    /// Tokens per second as printed.
    pub printed: f64,
    /// Tokens per second from tokens and time of the same line.
    pub computed: f64,
}

impl fmt::Display for RateDisagreement {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let work = match self.work {
            WorkKind::Prompt => "prompt",
            WorkKind::Generation => "generation",
        };
        write!(
            formatter,
            "the engine printed {} {work} tokens per second, its tokens and time give {:.2}",
            self.printed, self.computed
        )
    }
}

/// The two kinds of work that have a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum WorkKind {
    Prompt,
    Generation,
}
