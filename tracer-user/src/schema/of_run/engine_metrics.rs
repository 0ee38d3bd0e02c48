//! What the engine's own metrics say of the window.

use serde::{Deserialize, Serialize};

/// Tokens by the engine's own metrics, and what was read for each. What is not known is null, and `reason` says why.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct EngineMetricsRecord {
    /// What was asked. Null in a record without names.
    pub url: Option<String>,
    /// Whose names the metrics have: `llama.cpp` or `vLLM`. Null where nothing that is known was answered.
    pub names: Option<String>,
    /// First answer that counts, seconds after the gate opened.
    pub from_s: Option<f64>,
    /// Last one.
    pub until_s: Option<f64>,
    /// Tokens generated between the two, as the engine counts them. llama.cpp counts a request's tokens when it ends.
    pub generated_tokens: Option<u64>,
    /// Tokens that were certainly generated between the two.
    pub generated_tokens_at_least: Option<u64>,
    /// Most that can have been generated between the two.
    pub generated_tokens_at_most: Option<u64>,
    /// Tokens of prompts between the two, without those that a cache had.
    pub prompt_tokens: Option<u64>,
    /// Calls of `llama_decode` between the two.
    pub decode_calls: Option<u64>,
    /// Bytes read in the window, of all models, for each of those calls.
    pub read_bytes_per_decode_call: Option<f64>,
    /// Bytes read in the window, of all models, for each generated token: prompts and loading in it too.
    pub read_bytes_per_generated_token: Option<f64>,
    /// Stall of the window for a million generated tokens, seconds.
    pub stall_s_per_million_generated_tokens: Option<f64>,
    /// Why something of these is null.
    pub reason: Option<String>,
}
