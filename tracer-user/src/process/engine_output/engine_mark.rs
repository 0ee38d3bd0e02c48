//! Lines that show that an engine has finished loading, or has finished the prompt.
//!
//! Where the engine exports symbols, uprobes are better marks; these lines are what is left without them. The log
//! of a child through a pipe may also arrive late, when the engine does not flush it.

use serde::Serialize;

/// How close a mark is to what it marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Certainty {
    /// Late: the model had been loaded before, and other work (warm-up, a grammar, a socket) came between.
    UpperBound,
    /// Printed by the first thing that the engine does after loading.
    Close,
    /// Printed at the moment itself.
    Exact,
}

/// What a mark marks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum MarkKind {
    /// The weights have been loaded.
    LoadEnd,
    /// The prompt has been processed, generation begins.
    PromptEnd,
}

/// A line that marks a phase's end. A load may be marked several times: take the mark with the highest certainty, and
/// of equals the last one before generation (llama.cpp may load twice, a fitting pass first).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct EngineMark {
    pub kind: MarkKind,
    /// How close the line is to it.
    pub certainty: Certainty,
    /// The text by which the line was recognised.
    pub basis: &'static str,
}

/// Text → what it marks. The first that matches counts.
///
/// * `llama_context: constructing` (2025 on) and `llama_new_context_with_model: n_ctx` (before): the context is made
///   right after `llama_model_load_from_file` returned.
/// * `warming up the model`: after the context, before the warm-up's decode; absent with `--no-warmup`.
/// * `llama threadpool init`: after `common_init_from_params`, which loads and warms up.
/// * `Loading weights took` (vLLM), `Load weight end.` (SGLang), `loaded the model in` (candle): right after loading.
/// * `: model loaded`, `server is listening on`: llama-server, after loading and warm-up.
///
/// `system_info:` is no mark: llama-cli prints it after loading, llama-server before. `load_tensors: … model buffer
/// size` is none either: it is printed before the data is read.
const MARKS: [(&str, MarkKind, Certainty); 11] = [
    (
        "builtin_engine: load finished",
        MarkKind::LoadEnd,
        Certainty::Exact,
    ),
    (
        "builtin_engine: prompt finished",
        MarkKind::PromptEnd,
        Certainty::Exact,
    ),
    (
        "llama_context: constructing llama_context",
        MarkKind::LoadEnd,
        Certainty::Close,
    ),
    (
        "llama_new_context_with_model: n_ctx ",
        MarkKind::LoadEnd,
        Certainty::Close,
    ),
    (
        "warming up the model with an empty run",
        MarkKind::LoadEnd,
        Certainty::Close,
    ),
    ("Loading weights took ", MarkKind::LoadEnd, Certainty::Close),
    ("Load weight end.", MarkKind::LoadEnd, Certainty::Close),
    ("loaded the model in ", MarkKind::LoadEnd, Certainty::Close),
    (
        "llama threadpool init, n_threads",
        MarkKind::LoadEnd,
        Certainty::UpperBound,
    ),
    (
        "server is listening on",
        MarkKind::LoadEnd,
        Certainty::UpperBound,
    ),
    (": model loaded", MarkKind::LoadEnd, Certainty::UpperBound),
];

/// The mark in a line of output, if there is one.
pub(crate) fn recognise(text: &str) -> Option<EngineMark> {
    MARKS
        .iter()
        .find(|(basis, _, _)| text.contains(basis))
        .map(|&(basis, kind, certainty)| EngineMark {
            kind,
            certainty,
            basis,
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_real_logs() {
        let certainty = |text| recognise(text).map(|mark| (mark.kind, mark.certainty));
        let load = |certainty| Some((MarkKind::LoadEnd, certainty));
        assert_eq!(
            certainty("builtin_engine: load finished in 1.2 s"),
            load(Certainty::Exact)
        );
        assert_eq!(
            certainty("builtin_engine: prompt finished"),
            Some((MarkKind::PromptEnd, Certainty::Exact))
        );
        assert_eq!(
            certainty("0.00.039.308 I llama_context: constructing llama_context"),
            load(Certainty::Close)
        );
        assert_eq!(
            certainty(
                "0.00.193.289 W common_init_from_params: warming up the model with an empty run - please wait ... (--no-warmup to disable)"
            ),
            load(Certainty::Close)
        );
        assert_eq!(
            certainty("0.00.274.243 I main: llama threadpool init, n_threads = 4"),
            load(Certainty::UpperBound)
        );
        assert_eq!(
            certainty("0.05.583.299 I srv          main: model loaded"),
            load(Certainty::UpperBound)
        );
        assert_eq!(
            certainty(
                "main: server is listening on http://127.0.0.1:8080 - starting the main loop"
            ),
            load(Certainty::UpperBound)
        );
        assert_eq!(
            certainty("system_info: n_threads = 4 (n_threads_batch = 4) / 10"),
            None
        );
        assert!(Certainty::Exact > Certainty::Close && Certainty::Close > Certainty::UpperBound);
    }
}
