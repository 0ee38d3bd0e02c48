//! What an engine loses that has less memory than its model.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result};
use serde_json::Value;

use crate::bench::{
    compared::{Rounds, RunFolder, Turn, Variant, Variants, tracer_program},
    ground::BenchGround,
    record::{Figure, MeasurementRecord, RoundRecord, WorkRecord},
};
use crate::{environment::MemoryGroup, model_file::evict, reader::RunningProgram};

/// llama.cpp through the package xllamacpp. It is part of this program, which may be elsewhere than its source.
const LLAMA: &str = include_str!("../../../programs/llama_generate.py");

/// Longest that an engine may take for its tokens.
const LIMIT: Duration = Duration::from_secs(1800);

#[derive(Clone, Debug)]
pub enum Engine {
    BuiltIn {
        tracer: PathBuf,
        threads: usize,
    },
    /// llama.cpp, by a Python that has the package xllamacpp.
    Llama {
        python: PathBuf,
    },
}

impl Engine {
    /// What tables call it.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::BuiltIn { .. } => "the built-in engine",
            Self::Llama { .. } => "llama.cpp",
        }
    }

    /// Memory that it takes besides the model, bytes.
    #[must_use]
    pub const fn own_bytes(&self) -> u64 {
        match self {
            Self::BuiltIn { .. } => 0,
            Self::Llama { .. } => 192 << 20,
        }
    }

    fn command(&self, model: &Path, tokens: u64) -> Command {
        match self {
            Self::BuiltIn { tracer, threads } => {
                let mut command = Command::new(tracer);
                command
                    .args(["engine", "--lazy", "--model"])
                    .arg(model)
                    .args(["--tokens", &tokens.to_string()])
                    .args(["--threads", &threads.to_string()]);
                command
            }
            Self::Llama { python } => {
                let mut command = Command::new(python);
                command
                    .args(["-c", LLAMA])
                    .arg(model)
                    .arg(tokens.to_string());
                command
            }
        }
    }
}

/// How an engine is to work.
#[derive(Clone, Debug)]
pub struct TokenLoad {
    pub engine: Engine,
    /// Memory for it and the model's pages, bytes.
    pub memory_bytes: u64,
    /// Tokens in a round.
    pub tokens: u64,
}

/// Measures an engine alone and under tracers that start it.
///
/// # Errors
/// There are no memory groups here, or the engine or a tracer fails.
pub fn measure_tokens(
    ground: &BenchGround<'_>,
    model: &Path,
    variants: &Variants,
    load: &TokenLoad,
    rounds: Rounds,
) -> Result<MeasurementRecord> {
    let mut started = variants.clone();
    started
        .list
        .retain(|variant| matches!(variant, Variant::None | Variant::Tracer(_)));
    let group = MemoryGroup::new(load.memory_bytes)?;
    Ok(MeasurementRecord {
        work: WorkRecord::Tokens {
            engine: load.engine.name().to_owned(),
            memory_bytes: load.memory_bytes,
            model_bytes: model.metadata()?.len(),
            tokens: load.tokens,
        },
        variants: rounds.take(&started, |turn| one_turn(turn, ground, model, load, &group))?,
    })
}

fn one_turn(
    turn: Turn<'_>,
    ground: &BenchGround<'_>,
    model: &Path,
    load: &TokenLoad,
    group: &MemoryGroup,
) -> Result<RoundRecord> {
    evict(model)?;
    let engine = group.command(&load.engine.command(model, load.tokens));
    let (command, folder) = match turn.variant {
        Variant::Tracer(tracer) => {
            let folder = RunFolder::new(ground);
            let mut command = Command::new(tracer_program(tracer, turn.variants));
            command
                .args(["launch", "--model"])
                .arg(model)
                .arg("--out")
                .arg(folder.path())
                .args(&tracer.arguments)
                .arg("--")
                .arg(engine.get_program())
                .args(engine.get_args());
            (command, Some(folder))
        }
        _ => (engine, None),
    };
    let finished = RunningProgram::start(ground.scratch(), command)?.finish(LIMIT)?;
    let output = finished.succeeded()?;
    let rate = tokens_per_second(output)
        .or_else(|| tokens_per_second(&finished.errors))
        .with_context(|| format!("the engine does not say how fast it was:\n{output}"))?;
    let mut figures = match folder {
        Some(folder) => folder.take_figures()?,
        None => BTreeMap::new(),
    };
    figures.insert(Figure::TokensPerSecond, rate);
    Ok(RoundRecord {
        figures,
        ..RoundRecord::default()
    })
}

/// What an engine says of its generation: llama.cpp's line `eval time = … (… 12.34 tokens per second)`, or the
/// timings of its server as JSON.
fn tokens_per_second(output: &str) -> Option<f64> {
    output.lines().rev().find_map(|line| {
        if let Ok(timings) = serde_json::from_str::<Value>(line) {
            return timings.get("predicted_per_second")?.as_f64();
        }
        if line.contains("prompt eval time") || !line.contains("eval time") {
            return None;
        }
        let before = line.split(" tokens per second").next()?;
        before.split_whitespace().next_back()?.parse().ok()
    })
}

#[cfg(test)]
mod tests {
    use super::tokens_per_second;

    #[test]
    fn both_engines_say_how_fast_they_were() {
        let built_in = "builtin_perf_print: prompt eval time =     100.00 ms /     5 tokens (   20.00 ms per token,    50.00 tokens per second)\n\
            builtin_perf_print:        eval time =     950.00 ms /    19 runs   (   50.00 ms per token,    20.00 tokens per second)\n\
            builtin_perf_print:       total time =    2000.00 ms /    24 tokens\n";
        assert_eq!(tokens_per_second(built_in), Some(20.0));
        let prompt_alone = built_in.lines().next().expect("a line");
        assert_eq!(tokens_per_second(prompt_alone), None);
        let llama = "loaded\n{\"predicted_n\": 20, \"predicted_per_second\": 12.5}\n";
        assert_eq!(tokens_per_second(llama), Some(12.5));
        assert_eq!(tokens_per_second("no figures\n"), None);
    }
}
