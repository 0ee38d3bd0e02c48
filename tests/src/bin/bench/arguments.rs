//! The command line.

use std::{num::NonZeroUsize, path::PathBuf, time::Duration};

use ::tests::bench::{Other, TracerVariant};
use clap::{Args, Parser, Subcommand, ValueEnum};

/// Measures what tracing costs: the same work without a tracer and with several, in turns.
#[derive(Debug, Parser)]
#[command(name = "bench", max_term_width = 100)]
pub struct Arguments {
    /// What to measure.
    #[command(subcommand)]
    pub command: Command,
}

/// What to measure.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Direct reads: time of the tracers' programs for a read, reads per second, CPU time of the machine, lost records.
    Cost(CostArguments),
    /// The same over numbers of threads and of CPUs.
    Scale(ScaleArguments),
    /// The page cache: a file is read, dropped, and read again.
    Cache(CacheArguments),
    /// The tracers while nothing happens: time to start, CPU time, memory.
    Idle(IdleArguments),
    /// Tokens per second of an engine that has less memory than its model.
    Tokens(TokenArguments),
    /// Write docs/PERFORMANCE.md from the files of measurements beside it.
    Document(DocumentArguments),
}

/// For every command.
#[derive(Debug, Args)]
pub struct Compared {
    /// The tracer [default: as TRACER_BINARY says, else `tracer` beside this program].
    #[arg(long, value_name = "PROGRAM")]
    pub tracer: Option<PathBuf>,
    /// The tracer with these arguments, such as 'counts=--detail counts'; or another build of it, such as
    /// 'before@/path/tracer='. Can be given several times [default: both levels].
    #[arg(long = "variant", value_name = "NAME[@PROGRAM]=ARGUMENTS")]
    pub variants: Vec<TracerVariant>,
    /// Rounds that count.
    #[arg(long, default_value_t = 6)]
    pub rounds: usize,
    /// Rounds before them that do not.
    #[arg(long, default_value_t = 1)]
    pub warm_up: usize,
    /// Size of the model, MiB.
    #[arg(long, default_value_t = 256)]
    pub model_mib: u64,
    /// Write all that was measured to this file; where there is one of the same machine and source, add it there.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Which source the tracer was built from, to be written down [default: as `cargo xtask bench` says].
    #[arg(long)]
    pub revision: Option<String>,
}

/// For commands that do work.
#[derive(Clone, Copy, Debug, Args)]
pub struct Window {
    /// Seconds that each is measured in a round, twice: the second time the kernel times the programs.
    #[arg(long, default_value = "1", value_parser = seconds)]
    pub seconds: Duration,
    /// Run readers, tracers and the kernel's workers before all other programs of the machine: for one that others use.
    /// Time of programs is steadier then, and CPU time of the machine still includes the others.
    #[arg(long)]
    pub go_first: bool,
}

/// For commands that other tracers do as well.
#[derive(Clone, Debug, Args)]
pub struct Others {
    /// Other tracers to compare with; without a value, none. What is not there is named and left out.
    #[arg(long, value_delimiter = ',', num_args = 0.., default_values = ["bpftrace", "perf", "ftrace"])]
    pub others: Vec<Other>,
}

/// `bench cost`.
#[derive(Debug, Args)]
pub struct CostArguments {
    /// What is compared.
    #[command(flatten)]
    pub compared: Compared,
    /// And with what.
    #[command(flatten)]
    pub others: Others,
    /// How long.
    #[command(flatten)]
    pub window: Window,
    /// Threads that read.
    #[arg(long, default_value = "4")]
    pub threads: NonZeroUsize,
    /// Which reads.
    #[arg(long, value_delimiter = ',', default_values = ["small", "large", "fragmented"])]
    pub reads: Vec<Reads>,
    /// Trace another process than the one that reads: what its switches between threads cost.
    #[arg(long)]
    pub other_engine: bool,
}

/// Kinds of reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Reads {
    /// 4 KiB.
    Small,
    /// 256 KiB.
    Large,
    /// 4 KiB of a file in 1,000 extents.
    Fragmented,
}

/// `bench scale`.
#[derive(Debug, Args)]
pub struct ScaleArguments {
    /// What is compared.
    #[command(flatten)]
    pub compared: Compared,
    /// And with what.
    #[command(flatten)]
    pub others: Others,
    /// How long.
    #[command(flatten)]
    pub window: Window,
    /// Threads that read.
    #[arg(long, value_delimiter = ',', default_values = ["1", "4", "16", "64"])]
    pub threads: Vec<NonZeroUsize>,
    /// CPUs that readers and device are bound to; those of the machine where there are fewer.
    #[arg(long, value_delimiter = ',', default_values = ["2", "1024"])]
    pub processors: Vec<NonZeroUsize>,
}

/// `bench cache`.
#[derive(Debug, Args)]
pub struct CacheArguments {
    /// What is compared.
    #[command(flatten)]
    pub compared: Compared,
    /// How long.
    #[command(flatten)]
    pub window: Window,
}

/// `bench idle`.
#[derive(Debug, Args)]
pub struct IdleArguments {
    /// What is compared.
    #[command(flatten)]
    pub compared: Compared,
    /// Seconds that each is left alone in a round.
    #[arg(long, default_value = "60", value_parser = seconds)]
    pub seconds: Duration,
    /// A model that is there already, instead of one that is made.
    #[arg(long, value_name = "FILE")]
    pub model: Option<PathBuf>,
}

/// `bench tokens`.
#[derive(Debug, Args)]
pub struct TokenArguments {
    /// What is compared.
    #[command(flatten)]
    pub compared: Compared,
    /// A Python with the package xllamacpp [default: as TRACER_TESTS_PYTHON says; else the built-in engine runs].
    #[arg(long, value_name = "PROGRAM")]
    pub python: Option<PathBuf>,
    /// Run the built-in engine, whatever else is there.
    #[arg(long, conflicts_with = "python")]
    pub built_in: bool,
    /// Threads of the built-in engine.
    #[arg(long, default_value = "2")]
    pub threads: NonZeroUsize,
    /// Tokens in a round.
    #[arg(long, default_value_t = 24)]
    pub tokens: u64,
    /// Memory for engine and model, MiB [default: two thirds of the model, and what the engine needs besides].
    #[arg(long)]
    pub memory_mib: Option<u64>,
}

/// `bench document`.
#[derive(Debug, Args)]
pub struct DocumentArguments {
    /// Folder of the measurements, and of introduction.md.
    #[arg(long, default_value = "docs/performance")]
    pub folder: PathBuf,
    /// The document.
    #[arg(long, default_value = "docs/PERFORMANCE.md")]
    pub document: PathBuf,
    /// Only say whether the document is what would be written.
    #[arg(long)]
    pub check: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "no number".to_owned())?;
    Duration::try_from_secs_f64(seconds)
        .ok()
        .filter(|duration| !duration.is_zero())
        .ok_or_else(|| "it must be more than 0".to_owned())
}

#[cfg(test)]
mod tests {
    use super::{Arguments, Command};
    use clap::{CommandFactory as _, Parser as _};

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn other_tracers_can_be_left_out() {
        let parsed = Arguments::try_parse_from(["bench", "cost", "--others", "--rounds", "2"]);
        let Ok(Command::Cost(cost)) = parsed.map(|arguments| arguments.command) else {
            panic!("it is a command line");
        };
        assert!(cost.others.others.is_empty());
        assert_eq!(cost.compared.rounds, 2);
    }
}
