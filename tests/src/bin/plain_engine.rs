//! An engine whose every use of a model is said on its command line: how it loads the weights, what it keeps, and what it
//! touches for each token. For runs in which a cause is there on purpose.
//!
//! It prints `go` after loading and `step` before each token, for `--phase-line`.

use std::{
    fs::{File, OpenOptions},
    hint::black_box,
    io::Write as _,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};
use clap::{Parser, ValueEnum};
use tests::model_file::Mapping;

/// Of a read while loading: a multiple of every device's logical block.
const READ_BYTES: usize = 64 << 10;
const PAGE_BYTES: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Load {
    /// Map the file, and read it through the mapping.
    Map,
    /// read(2) it into memory of the engine's own.
    Copy,
    /// The same past the page cache.
    DirectCopy,
}

/// Loads a model as it is told to, and touches it for each token.
#[derive(Debug, Parser)]
struct Arguments {
    model: PathBuf,
    #[arg(long, value_enum, default_value = "map")]
    load: Load,
    /// Lock the mapping in memory; where that is refused, say so and go on, as llama.cpp does.
    #[arg(long)]
    mlock: bool,
    #[arg(long, default_value_t = 5)]
    steps: u32,
    /// Each step takes at least this long.
    #[arg(long, default_value_t = 150)]
    step_milliseconds: u64,
    /// For each step, touch so many bytes more of own memory than before.
    #[arg(long, default_value_t = 0)]
    growth_bytes: usize,
    /// Say in the log, as llama.cpp does, that so much was copied into another layout.
    #[arg(long)]
    says_repacked_bytes: Option<u64>,
    /// Touch no weights for a token.
    #[arg(long)]
    idle: bool,
}

enum Weights {
    Mapped(Mapping),
    Own(Vec<u8>),
}

impl Weights {
    fn load(path: &Path, how: Load) -> Result<Self> {
        let mut options = OpenOptions::new();
        options.read(true);
        if how == Load::DirectCopy {
            options.custom_flags(libc::O_DIRECT);
        }
        let file = options
            .open(path)
            .with_context(|| format!("open {}", path.display()))?;
        match how {
            Load::Map => Ok(Self::Mapped(Mapping::of(&file)?)),
            Load::Copy | Load::DirectCopy => Ok(Self::Own(copy(&file)?)),
        }
    }

    fn bytes(&self) -> &[u8] {
        match self {
            Self::Mapped(mapping) => mapping.bytes(),
            Self::Own(bytes) => bytes,
        }
    }
}

/// The whole file, read in order into memory that is aligned for direct reads.
fn copy(file: &File) -> Result<Vec<u8>> {
    let size = usize::try_from(file.metadata()?.len())?;
    let mut buffer = vec![0u8; READ_BYTES + PAGE_BYTES];
    let aligned = buffer.as_ptr().align_offset(PAGE_BYTES);
    let buffer = &mut buffer[aligned..aligned + READ_BYTES];
    let mut own = Vec::with_capacity(size);
    while own.len() < size {
        let length = file
            .read_at(buffer, own.len() as u64)
            .context("read the model")?;
        anyhow::ensure!(length > 0, "the model ends early");
        own.extend_from_slice(&buffer[..length]);
    }
    Ok(own)
}

/// A byte of each page.
fn touch(bytes: &[u8]) {
    let sum = bytes
        .iter()
        .step_by(PAGE_BYTES)
        .fold(0u8, |sum, byte| sum.wrapping_add(*byte));
    black_box(sum);
}

fn say(line: &str) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush())?;
    Ok(())
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let weights = Weights::load(&arguments.model, arguments.load)?;
    if arguments.mlock
        && let Weights::Mapped(mapping) = &weights
        && let Err(error) = mapping.lock()
    {
        say(&format!("warning: failed to mlock the model: {error:#}"))?;
    }
    if let Some(bytes) = arguments.says_repacked_bytes {
        let mebibytes = bytes as f64 / f64::from(1 << 20);
        say(&format!(
            "load_tensors:   CPU_REPACK model buffer size = {mebibytes:8.2} MiB"
        ))?;
    }
    touch(weights.bytes());
    say("builtin_engine: load finished")?;
    // The tracer looks at memory and mappings now.
    thread::sleep(Duration::from_millis(400));
    say("go")?;
    let began = Instant::now();
    let mut grown: Vec<Vec<u8>> = Vec::new();
    for _ in 0..arguments.steps {
        say("step")?;
        let step = Instant::now();
        if arguments.growth_bytes > 0 {
            grown.push(vec![1; arguments.growth_bytes]);
        }
        if !arguments.idle {
            touch(weights.bytes());
        }
        thread::sleep(
            Duration::from_millis(arguments.step_milliseconds).saturating_sub(step.elapsed()),
        );
    }
    black_box(&grown);
    let milliseconds = began.elapsed().as_secs_f64() * 1e3;
    let steps = f64::from(arguments.steps);
    say(&format!(
        "llama_perf_context_print:        eval time = {milliseconds:10.2} ms / {:5} runs   ({:8.2} ms per token, {:8.2} tokens per second)",
        arguments.steps,
        milliseconds / steps,
        steps * 1e3 / milliseconds,
    ))?;
    thread::sleep(Duration::from_millis(400));
    Ok(())
}
