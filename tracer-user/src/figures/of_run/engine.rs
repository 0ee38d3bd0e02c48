//! The window, and what the engine says of itself.

use crate::{figures::definition::figures, schema::RunRecord};

const NO_OFFLOAD: &str = "the log has no such line; `attach` without a log";
const NO_BUFFERS: &str =
    "the log names no buffer of weights, or those of several models; `attach` without a log";
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
