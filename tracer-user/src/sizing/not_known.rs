//! Why a run says nothing of other amounts of memory.

use thiserror::Error;

/// Fewest tokens: the first half of them is left out, since the cache still settles.
pub const FEWEST_STEPS: usize = 8;

/// Why nothing can be said; each with what to do.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum NotKnown {
    #[error(
        "the run traced {0} models: which of them a page of memory would go to is not known. Trace one: `--model FILE`"
    )]
    SeveralModels(usize),
    #[error("the record has no model")]
    NoModel,
    #[error(
        "the record has no figures by tensor and by token (detail: {0}). Make a run with `--detail events`, with the engine's steps marked (`tracer launch --help`: --mark)"
    )]
    NoSteps(String),
    #[error(
        "only {0} tokens were generated while it was traced, and {least} are needed: let it generate more",
        least = FEWEST_STEPS
    )]
    TooFewSteps(usize),
    #[error(
        "what a token needs is not known, since the model's names or its steps are not understood (`tracer model FILE` says more)"
    )]
    NoNeed,
    #[error(
        "the steps are of several tokens each (a batch, or several requests at once): what one of them uses is not known. Trace one request at a time"
    )]
    SeveralTokens,
    #[error(
        "the engine copied {0} of the weights to memory of its own or of a GPU, so the page cache does not decide. Run it with the weights mapped (llama.cpp: without --no-mmap, with --no-repack, -ngl 0)"
    )]
    Copied(String),
    #[error(
        "the engine took {own} of memory of its own for a model of {model}, and read() it: the weights are not mapped, so the page cache does not decide. Run it with the weights mapped (llama.cpp: without --no-mmap)"
    )]
    NotMapped { own: String, model: String },
    #[error(
        "the engine's memory was not observed, so what it takes beside the weights is not known"
    )]
    NoMemory,
    #[error(
        "events were lost, or the run is partial: its figures may be too small. Make the run again"
    )]
    Incomplete,
    #[error(
        "the model has experts, and the run {0}: which of them each token uses is seen only where they are read again. Run it once with about half of the model as memory: `--memory-max {1}`; or let `tracer attach --show-experts 1G` throw experts out of an engine that serves, a part at a time"
    )]
    ExpertsUnseen(String, String),
    #[error(
        "of {layers} times a layer was passed, {over} show more experts than a token uses ({used}): the events do not tell one token from another"
    )]
    ExpertsUnclear {
        layers: usize,
        over: usize,
        used: u64,
    },
}
