//! The window, and what the engine says of itself.

use crate::{figures::definition::figures, schema::RunRecord};

const NO_OFFLOAD: &str = "the log has no such line; `attach` without a log";
const NO_BUFFERS: &str =
    "the log names no buffer of weights, or those of several models; `attach` without a log";
const NOT_ASKED: &str = "without `--engine-metrics`; `engine_metrics.reason` says why otherwise";
const NO_EDGES: &str = "as `generated_tokens`; requests were in progress at the edge, and what they have generated is not known";
const NOT_SURE: &str = "as `generated_tokens`; the counters are of less than 95 % of the window, or what was generated lies further apart than 10 % (`_at_least`, `_at_most`)";
const NOT_PRINTED: &str = "nothing known was printed; `attach`";

figures! {
    /// Times of the window, in the order of `run.json`.
    TIME of RunRecord;

    WALL_S, "time.wall_s", "time", Seconds, UserSpace, null: "",
        "closing − opening of the gate, loading included; the last look at the engine (with residency, where the log called for it) and the closing's own milliseconds are in it",
        |run| run.time.wall_s;
    USER_S, "time.engine_user_s", "CPU time in user mode", Seconds, UserSpace, null: "`attach`",
        "CPU time of the engine and of the children that it waited for",
        |run| run.time.engine_user_s;
    SYSTEM_S, "time.engine_system_s", "CPU time in the kernel", Seconds, UserSpace, null: "`attach`",
        "the same in the kernel",
        |run| run.time.engine_system_s;
}

figures! {
    /// What the engine printed, in the order of `run.json`.
    ENGINE of RunRecord;

    TOKENS_PER_S, "engine.tokens_per_s", "tok/s", PerSecond, Engine, null: NOT_PRINTED,
        "generated tokens per second, of the generation alone; never tokens / wall time",
        |run| run.engine.tokens_per_s;
    LOAD_S, "engine.load_s", "load time", Seconds, Engine, null: "the form has none",
        "the engine's load time. llama.cpp overwrites it at its first evaluation",
        |run| run.engine.load_s;
    PROMPT_S, "engine.prompt_s", "prompt time", Seconds, Engine, null: NOT_PRINTED,
        "time of the prompt",
        |run| run.engine.prompt_s;
    PROMPT_TOKENS, "engine.prompt_tokens", "prompt tokens", Count, Engine, null: NOT_PRINTED,
        "tokens of the prompt",
        |run| run.engine.prompt_tokens;
    PROMPT_TOKENS_PER_S, "engine.prompt_tokens_per_s", "prompt tok/s", PerSecond, Engine, null: NOT_PRINTED,
        "prompt tokens per second",
        |run| run.engine.prompt_tokens_per_s;
    EVAL_S, "engine.eval_s", "generation time", Seconds, Engine, null: NOT_PRINTED,
        "time of the generation",
        |run| run.engine.eval_s;
    EVAL_TOKENS, "engine.eval_tokens", "tokens generated", Count, Engine, null: NOT_PRINTED,
        "what the form counts: decode runs, or generated tokens, whichever the printed rate is over",
        |run| run.engine.eval_tokens;
    TOTAL_S, "engine.total_s", "engine's total", Seconds, Engine, null: NOT_PRINTED,
        "the engine's total",
        |run| run.engine.total_s;
    LOAD_END_S, "engine.load_end_s", "load's end by the log", Seconds, Engine, null: NOT_PRINTED,
        "arrival of the line that marks the end of loading − opening of the gate. Of several lines the most certain, of equals the last",
        |run| run.engine.load_end_s;
    OFFLOADED_LAYERS, "engine.offloaded_layers", "layers on a GPU", Count, Engine, null: NO_OFFLOAD,
        "layers that the engine put on a GPU (`offloaded 33/33 layers to GPU`)",
        |run| run.engine.offloaded_layers;
    LAYERS, "engine.layers", "layers by the engine", Count, Engine, null: NO_OFFLOAD,
        "layers of which those are; llama.cpp counts the output as one",
        |run| run.engine.layers;
    OFFLOADED_WEIGHTS_BYTES, "engine.offloaded_weights_bytes", "weights on a GPU", Bytes, Engine, null: NO_BUFFERS,
        "weights in the memory of other devices (`CUDA0 model buffer size`). Once uploaded, their pages of the file are not used again",
        |run| run.engine.offloaded_weights_bytes;
    COPIED_WEIGHTS_BYTES, "engine.copied_weights_bytes", "weights copied", Bytes, Engine, null: NO_BUFFERS,
        "weights that were copied out of the file at all: on other devices, repacked, or read into memory of the engine's own. To the engine's own rounding and padding",
        |run| run.engine.copied_weights_bytes;
    INTERVAL_TOKENS_PER_S, "engine.intervals.tokens_per_s", "tok/s, mean of intervals", PerSecond, Engine, null: "the engine prints no means over intervals; `attach` without a log",
        "mean of the means that the engine printed over intervals with generation; part of an interval may be idle, so it is no rate of a request",
        |run| run.engine.intervals.as_ref()?.tokens_per_s;
    LOWEST_INTERVAL, "engine.intervals.lowest_tokens_per_s", "slowest interval", PerSecond, Engine, null: "as `intervals.tokens_per_s`",
        "the lowest of them",
        |run| run.engine.intervals.as_ref()?.lowest_tokens_per_s;
    HIGHEST_INTERVAL, "engine.intervals.highest_tokens_per_s", "fastest interval", PerSecond, Engine, null: "as `intervals.tokens_per_s`",
        "the highest of them",
        |run| run.engine.intervals.as_ref()?.highest_tokens_per_s;
    INTERVALS, "engine.intervals.count", "intervals", Count, Engine, null: "as `intervals.tokens_per_s`",
        "intervals in which tokens were generated",
        |run| run.engine.intervals.as_ref()?.count;
}

figures! {
    /// What the engine's own metrics count, in the order of `run.json`.
    ENGINE_METRICS of RunRecord;

    METRICS_FROM_S, "engine_metrics.from_s", "engine's metrics from", Seconds, Engine, null: NOT_ASKED,
        "arrival of the first answer − opening of the gate",
        |run| run.engine_metrics.as_ref()?.from_s;
    METRICS_UNTIL_S, "engine_metrics.until_s", "engine's metrics until", Seconds, Engine, null: NOT_ASKED,
        "arrival of the last one − opening of the gate",
        |run| run.engine_metrics.as_ref()?.until_s;
    METRICS_GENERATED_TOKENS, "engine_metrics.generated_tokens", "tokens generated, engine's count", Count, Engine, null: NOT_ASKED,
        "what the engine's counter of generated tokens grew by between the two: `llamacpp:tokens_predicted_total`, `vllm:generation_tokens_total`. llama.cpp counts a request's tokens when it ends",
        |run| run.engine_metrics.as_ref()?.generated_tokens;
    METRICS_GENERATED_AT_LEAST, "engine_metrics.generated_tokens_at_least", "tokens generated, at least", Count, Engine, null: NO_EDGES,
        "the same − the most that can have been generated before: requests in progress at the first answer × the longest sequence by then (`llamacpp:requests_processing`, `llamacpp:n_tokens_max`)",
        |run| run.engine_metrics.as_ref()?.generated_tokens_at_least;
    METRICS_GENERATED_AT_MOST, "engine_metrics.generated_tokens_at_most", "tokens generated, at most", Count, Engine, null: NO_EDGES,
        "the same + the most that requests in progress at the last answer can have generated",
        |run| run.engine_metrics.as_ref()?.generated_tokens_at_most;
    METRICS_PROMPT_TOKENS, "engine_metrics.prompt_tokens", "prompt tokens, engine's count", Count, Engine, null: NOT_ASKED,
        "what the engine's counter of prompt tokens grew by: `llamacpp:prompt_tokens_total`, without those that a cache had; `vllm:prompt_tokens_total`",
        |run| run.engine_metrics.as_ref()?.prompt_tokens;
    METRICS_DECODE_CALLS, "engine_metrics.decode_calls", "decode calls, engine's count", Count, Engine, null: "as `generated_tokens`; vLLM",
        "what `llamacpp:n_decode_total` grew by",
        |run| run.engine_metrics.as_ref()?.decode_calls;
    METRICS_BYTES_PER_CALL, "engine_metrics.read_bytes_per_decode_call", "read a decode call, engine's count", Bytes, Engine, null: "as `decode_calls`; there was none; the counters are of less than 95 % of the window; a model without sectors",
        "bytes read of all models in the window / `decode_calls`: prompts and loading are in it",
        |run| run.engine_metrics.as_ref()?.read_bytes_per_decode_call;
    METRICS_BYTES_PER_TOKEN, "engine_metrics.read_bytes_per_generated_token", "read a token, engine's count", Bytes, Engine, null: NOT_SURE,
        "bytes read of all models in the window / `generated_tokens`: prompts and loading are in it",
        |run| run.engine_metrics.as_ref()?.read_bytes_per_generated_token;
    METRICS_STALL_PER_MILLION, "engine_metrics.stall_s_per_million_generated_tokens", "stall a million tokens, engine's count", Seconds, Engine, null: "as `read_bytes_per_generated_token`; waits are not known (`--detail counts`); several models, whose stalls may overlap",
        "stall of all phases / `generated_tokens` × 1,000,000",
        |run| run.engine_metrics.as_ref()?.stall_s_per_million_generated_tokens;
}
