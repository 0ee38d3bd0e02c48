//! What the engine says of itself.

use serde::{Deserialize, Serialize};

use super::course::BufferRecord;

/// What the engine printed of itself. All null where it printed nothing that is known.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct EngineRecord {
    /// Which form of output the figures come from.
    pub source: Option<String>,
    /// Generated tokens per second, without load and prompt.
    pub tokens_per_s: Option<f64>,
    /// The engine's own load time, seconds. llama.cpp overwrites it at the first decode.
    pub load_s: Option<f64>,
    /// Time of the prompt, seconds.
    pub prompt_s: Option<f64>,
    /// Tokens of the prompt.
    pub prompt_tokens: Option<u64>,
    /// Prompt tokens per second.
    pub prompt_tokens_per_s: Option<f64>,
    /// Time of the generation, seconds.
    pub eval_s: Option<f64>,
    /// Decode steps of the generation.
    pub eval_tokens: Option<u64>,
    /// Total time, seconds.
    pub total_s: Option<f64>,
    /// When loading ended, seconds after the gate opened, by the engine's log.
    pub load_end_s: Option<f64>,
    /// The line of the log that said so.
    pub load_end_mark: Option<String>,
    /// Sizes of the engine's buffers by its log. Empty where it prints none.
    pub buffers: Vec<BufferRecord>,
    /// Layers that the engine put on a GPU, by its log.
    #[serde(default)]
    pub offloaded_layers: Option<u64>,
    /// Layers of which those are; llama.cpp counts the output as one.
    #[serde(default)]
    pub layers: Option<u64>,
    /// Bytes of weights in the memory of other devices, by its log. Null where the log names no buffer of weights, or those
    /// of several models.
    #[serde(default)]
    pub offloaded_weights_bytes: Option<u64>,
    /// Bytes of weights that were copied out of the file: into memory of the engine's own or of another device.
    #[serde(default)]
    pub copied_weights_bytes: Option<u64>,
    /// Each request that the form tells apart, and each test of `llama-bench`: the first 1,000. Null where it tells none,
    /// and in records of before they were kept.
    #[serde(default)]
    pub requests: Option<Vec<RequestRecord>>,
    /// Means over intervals, where the engine prints those (vLLM, SGLang). None of them is the rate of a request.
    #[serde(default)]
    pub intervals: Option<IntervalsRecord>,
}

/// A request, or a test of `llama-bench`, by the engine's own words. What was not said is null.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RequestRecord {
    /// What the engine calls it: of `llama-bench` the test, such as `tg128 @ d512`.
    pub name: Option<String>,
    /// Time of the prompt, seconds.
    pub prompt_s: Option<f64>,
    /// Tokens of the prompt.
    pub prompt_tokens: Option<u64>,
    /// Prompt tokens per second.
    pub prompt_tokens_per_s: Option<f64>,
    /// Time of the generation, seconds.
    pub eval_s: Option<f64>,
    /// As `eval_tokens` of the run.
    pub eval_tokens: Option<u64>,
    /// Generated tokens per second.
    pub tokens_per_s: Option<f64>,
}

/// Rates that the engine printed again and again, each the mean since the last one, with idle time in it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct IntervalsRecord {
    /// What one interval is.
    pub interval: String,
    /// Intervals in which tokens were generated.
    pub count: u64,
    /// Mean over those.
    pub tokens_per_s: f64,
    /// The lowest of them.
    pub lowest_tokens_per_s: f64,
    /// The highest.
    pub highest_tokens_per_s: f64,
}
