//! What the built-in engine is asked to do.

use std::path::PathBuf;

/// How the model's file is brought into memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LoadMode {
    /// As llama.cpp's default: POSIX_FADV_SEQUENTIAL on the file, MAP_SHARED | MAP_POPULATE, then MADV_WILLNEED. Loading
    /// reads the whole file.
    #[default]
    Populate,
    /// A plain MAP_SHARED mapping: nothing is read until it is used.
    Mmap,
}

/// What the built-in engine is asked to do.
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// A GGUF file of architecture `olmoe` with F16 and F32 tensors.
    pub model: PathBuf,
    /// Tokens to generate, at least 1. The first one comes from the prompt's last step, so there are one fewer
    /// generation steps.
    pub tokens: u32,
    /// Tokens of the prompt, at least 1. They are random, and processed one by one.
    pub prompt_tokens: u32,
    /// Threads that multiply, the calling one included, at least 1.
    pub threads: usize,
    /// How the file is brought into memory.
    pub load_mode: LoadMode,
    /// Seed of the prompt and of the sampling (from the softmax of the logits, temperature 1). `None`: the prompt of
    /// seed 0, and always the most probable token.
    pub seed: Option<u64>,
    /// File to write the experts picked to: a line for each step and layer, tab-separated, after a line of headings:
    /// step (from 0, prompt included), phase (`prompt` or `generation`), token that is the step's input, layer,
    /// experts (comma-separated, most probable first). It is replaced if it exists.
    pub expert_log: Option<PathBuf>,
    /// Before each step, take the model out of this process's page tables (MADV_DONTNEED on the whole mapping) and out
    /// of the page cache (POSIX_FADV_DONTNEED), so that each step reads from the disk what it uses. Pages that
    /// other processes map, or that are dirty, stay in the cache.
    pub zap_before_step: bool,
}

impl EngineOptions {
    /// One token of prompt, 32 tokens, one thread, loaded as llama.cpp does, seed 0.
    pub fn new(model: impl Into<PathBuf>) -> Self {
        Self {
            model: model.into(),
            tokens: 32,
            prompt_tokens: 1,
            threads: 1,
            load_mode: LoadMode::default(),
            seed: Some(0),
            expert_log: None,
            zap_before_step: false,
        }
    }
}
