//! The engine that the tracer brings, and the models that it runs: their command lines.

use std::path::PathBuf;

use clap::Args;

use super::examples;

/// `tracer engine`.
#[derive(Debug, Args)]
#[command(args_override_self = true, after_help = examples::ENGINE)]
pub struct EngineArguments {
    /// The model: a file that `tracer make-model` wrote.
    #[arg(long, value_name = "FILE")]
    pub model: PathBuf,
    /// Tokens to generate.
    #[arg(long, default_value_t = 24)]
    pub tokens: u32,
    /// Tokens of the prompt.
    #[arg(long, default_value_t = 8)]
    pub prompt_tokens: u32,
    /// Threads.
    #[arg(long, default_value_t = 2)]
    pub threads: u32,
    /// Map the file without reading it whole while loading.
    #[arg(long)]
    pub lazy: bool,
    /// Seed of the sampler.
    #[arg(long, default_value_t = 0)]
    pub seed: u64,
    /// Write the experts that the router picked to this file.
    #[arg(long, value_name = "FILE")]
    pub expert_log: Option<PathBuf>,
    /// Give the mapping's pages back before each step.
    #[arg(long)]
    pub zap_before_step: bool,
}

/// `tracer make-model`.
#[derive(Debug, Args)]
#[command(after_help = examples::MAKE_MODEL)]
pub struct MakeModelArguments {
    /// The file to write.
    pub path: PathBuf,
    /// How large it is to be: what can be made goes in steps of 1.5 MiB with 16 experts, and the nearest is taken.
    #[arg(long, value_name = "SIZE", default_value = "547M", value_parser = super::size::bytes)]
    pub size: u64,
    /// Experts in each layer. With 1 each token uses all of the model, as of a dense one.
    #[arg(long, value_name = "COUNT", default_value_t = 16)]
    pub experts: u32,
    /// Experts that a token uses; never more than there are.
    #[arg(long, value_name = "COUNT", default_value_t = 2)]
    pub experts_used: u32,
}
