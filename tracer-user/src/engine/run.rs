//! A whole run of the built-in engine: load, prompt, generation, report.

use std::fs::{File, Metadata};
use std::io::{self, BufWriter, Write};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread;
use std::time::Instant;

use anyhow::Context;

use crate::{
    model::{GgufErrorKind, GgufHeader},
    stats::random_numbers::SplitMix64,
};

use super::{
    arithmetic::{largest, softmax},
    error::EngineError,
    forward::Sequence,
    mapping::Mapping,
    options::EngineOptions,
    probe_points::{tracer_engine_loaded, tracer_engine_step_begins, tracer_engine_step_ends},
    row_threads::RowThreads,
    timings::EngineReport,
    weights::Weights,
};

/// What the streams of random numbers are for.
const PROMPT: u64 = 1;
const SAMPLING: u64 = 2;

/// Runs the built-in engine as a program: what it is, its progress and its timings go to standard error, the generated
/// token ids and (on the last line) their hash to standard output.
///
/// # Errors
/// [`EngineError`] inside the `anyhow::Error`, or that an output could not be written. Everything about the file is
/// checked before it is mapped; a file that is truncated later ends the process with SIGBUS.
pub fn run(options: &EngineOptions) -> anyhow::Result<EngineReport> {
    // Not locked for the whole run: a helper thread that panics must be able to say so.
    run_with(options, &mut io::stdout(), &mut io::stderr())
}

/// As [`run`], with the two outputs given.
fn run_with(
    options: &EngineOptions,
    output: &mut dyn Write,
    log: &mut dyn Write,
) -> anyhow::Result<EngineReport> {
    let started = Instant::now();
    let mut say = |line: &str| -> anyhow::Result<()> {
        writeln!(log, "{line}")
            .and_then(|()| log.flush())
            .context("cannot write the built-in engine's log")
    };
    say(
        "builtin_engine: an access-pattern generator, not a language model: it reads weights as inference does, \
         but its tokens mean nothing",
    )?;
    check_options(options)?;
    let (file, header) = open(&options.model)?;
    let weights = Weights::find(&header, &options.model)?;
    let mut expert_log = ExpertLog::create(options.expert_log.as_deref(), &file)?;
    let mapping = Mapping::new(
        file,
        &options.model,
        header.file_size_bytes,
        options.load_mode,
    )?;
    let load_time = started.elapsed();
    tracer_engine_loaded();
    say("builtin_engine: load finished")?;

    let report = thread::scope(|scope| -> anyhow::Result<EngineReport> {
        let threads = RowThreads::start(scope, options.threads)?;
        let mut sequence = Sequence::new(&weights, mapping.bytes(), threads);
        let prepare = || {
            if options.zap_before_step {
                mapping.zap()
            } else {
                Ok(())
            }
        };
        let mut sampler = Sampler::new(options.seed);

        let prompt_started = Instant::now();
        let prompt = prompt(options, weights.dimensions.vocabulary);
        let (&last, before) = prompt
            .split_last()
            .ok_or(EngineError::Option { option: "prompt" })?;
        for (step, &token) in (0..).zip(before) {
            prepare()?;
            tracer_engine_step_begins(step, ONE_PROMPT_TOKEN);
            sequence.step(token, &mut expert_log.next_step("prompt", token))?;
            tracer_engine_step_ends(step);
        }
        prepare()?;
        let mut step = before.len() as u64;
        tracer_engine_step_begins(step, ONE_PROMPT_TOKEN);
        let logits = sequence.step_with_logits(last, &mut expert_log.next_step("prompt", last))?;
        tracer_engine_step_ends(step);
        let mut token = sampler.sample(logits);
        let prompt_time = prompt_started.elapsed();
        say("builtin_engine: prompt finished")?;

        let eval_started = Instant::now();
        let mut tokens = vec![token];
        put(output, token)?;
        let eval_steps = options.tokens - 1;
        for _ in 0..eval_steps {
            prepare()?;
            step += 1;
            tracer_engine_step_begins(step, ONE_TOKEN);
            let logits =
                sequence.step_with_logits(token, &mut expert_log.next_step("generation", token))?;
            tracer_engine_step_ends(step);
            token = sampler.sample(logits);
            tokens.push(token);
            put(output, token)?;
        }
        let eval_time = eval_started.elapsed();
        let (prompt_tokens, total_time) = (options.prompt_tokens, started.elapsed());
        Ok(EngineReport {
            load_time,
            prompt_time,
            prompt_tokens,
            eval_time,
            eval_steps,
            total_time,
            tokens,
        })
    })?;
    expert_log.finish()?;
    // Before the timings: where both outputs go to one place, each timing needs its own line.
    writeln!(output)
        .and_then(|()| output.flush())
        .context("cannot write the generated tokens")?;
    say(report.to_string().trim_end())?;
    writeln!(output, "token hash: {:016x}", report.token_hash())
        .context("cannot write the token hash")?;
    output.flush().context("cannot write the token hash")?;
    Ok(report)
}

/// One token, of the generation and of the prompt, for [`tracer_engine_step_begins`].
const ONE_TOKEN: u64 = 1;
const ONE_PROMPT_TOKEN: u64 = 1 << 32 | 1;

fn put(output: &mut dyn Write, token: u32) -> anyhow::Result<()> {
    write!(output, "{token} ")
        .and_then(|()| output.flush())
        .context("cannot write the generated tokens")
}

fn check_options(options: &EngineOptions) -> Result<(), EngineError> {
    let least_one = [
        ("number of tokens", options.tokens == 0),
        ("number of prompt tokens", options.prompt_tokens == 0),
        ("number of threads", options.threads == 0),
    ];
    match least_one.into_iter().find(|(_, is_zero)| *is_zero) {
        Some((option, _)) => Err(EngineError::Option { option }),
        None => Ok(()),
    }
}

/// Opens the model and reads its header, from the same file that is mapped later.
fn open(path: &Path) -> Result<(File, GgufHeader), EngineError> {
    let failed = |source| EngineError::Open {
        path: path.into(),
        source,
    };
    // Asked before opening: opening a pipe would wait for a writer.
    if !path.metadata().map_err(failed)?.is_file() {
        return Err(EngineError::NotARegularFile { path: path.into() });
    }
    let file = File::open(path).map_err(failed)?;
    let size_bytes = file.metadata().map_err(failed)?.len();
    let header = GgufHeader::read(&file, size_bytes).map_err(|source| match source.kind {
        GgufErrorKind::Io(source) => failed(source),
        _ => EngineError::Header {
            path: path.into(),
            source,
        },
    })?;
    Ok((file, header))
}

fn prompt(options: &EngineOptions, vocabulary: usize) -> Vec<u32> {
    let mut random = SplitMix64::new(options.seed.unwrap_or(0), PROMPT);
    // A token is below the vocabulary's size, which `Weights` has checked to be a u32.
    (0..options.prompt_tokens)
        .map(|_| random.below(vocabulary as u64) as u32)
        .collect()
}

/// Chooses the next token.
struct Sampler(Option<SplitMix64>);

impl Sampler {
    fn new(seed: Option<u64>) -> Self {
        Self(seed.map(|seed| SplitMix64::new(seed, SAMPLING)))
    }

    fn sample(&mut self, mut logits: Vec<f32>) -> u32 {
        let Some(random) = &mut self.0 else {
            return largest(&logits, 1).first().map_or(0, |&token| token as u32);
        };
        softmax(&mut logits);
        let mut left = random.fraction();
        // Rounding can leave a rest after the last token, which then takes it.
        let chosen = logits.iter().position(|&probability| {
            left -= f64::from(probability);
            left < 0.0
        });
        chosen.unwrap_or(logits.len().saturating_sub(1)) as u32
    }
}

/// The log of the experts picked, where one is asked for.
struct ExpertLog<'a> {
    to: Option<(&'a Path, BufWriter<File>)>,
    steps: u64,
}

impl<'a> ExpertLog<'a> {
    fn create(path: Option<&'a Path>, model: &File) -> Result<Self, EngineError> {
        let identity = |metadata: Metadata| (metadata.dev(), metadata.ino());
        if let Some(path) = path
            && let (Ok(log), Ok(model)) = (path.metadata(), model.metadata())
            && identity(log) == identity(model)
        {
            return Err(EngineError::ExpertLogIsModel { path: path.into() });
        }
        let open = |path: &'a Path| {
            let mut file = BufWriter::new(File::create(path)?);
            writeln!(file, "step\tphase\ttoken\tlayer\texperts")?;
            Ok((path, file))
        };
        let to = path.map(|path| {
            open(path).map_err(|source| EngineError::ExpertLog {
                path: path.into(),
                source,
            })
        });
        Ok(Self {
            to: to.transpose()?,
            steps: 0,
        })
    }

    /// What a step calls with the experts that each layer picks.
    fn next_step(
        &mut self,
        phase: &str,
        token: u32,
    ) -> impl FnMut(usize, &[usize]) -> Result<(), EngineError> {
        let step = self.steps;
        self.steps += 1;
        move |layer, experts| {
            let Some((path, file)) = &mut self.to else {
                return Ok(());
            };
            let experts: Vec<String> = experts.iter().map(usize::to_string).collect();
            writeln!(
                file,
                "{step}\t{phase}\t{token}\t{layer}\t{}",
                experts.join(",")
            )
            .map_err(|source| EngineError::ExpertLog {
                path: path.to_path_buf(),
                source,
            })
        }
    }

    fn finish(self) -> Result<(), EngineError> {
        let Some((path, mut file)) = self.to else {
            return Ok(());
        };
        file.flush().map_err(|source| EngineError::ExpertLog {
            path: path.to_path_buf(),
            source,
        })
    }
}

#[cfg(test)]
mod tests;
