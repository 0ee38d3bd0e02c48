//! Measures what tracing costs, on this machine.

use std::{
    collections::BTreeSet,
    env,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use clap::{Args, Parser, Subcommand};
use tests::bench::{BenchGround, Other, ReadLoad, TracerVariant, Variant, Variants, cost};

/// Measures what tracing costs: the same reads without a tracer and with several, in turns.
#[derive(Debug, Parser)]
#[command(name = "bench", max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Time of eBPF programs for a read, reads per second, CPU time of the machine, lost records.
    Cost(CostArguments),
}

/// What is compared, for every command.
#[derive(Debug, Args)]
struct Compared {
    /// The tracer [default: as TRACER_BINARY says, else `tracer` beside this program].
    #[arg(long, value_name = "PROGRAM")]
    tracer: Option<PathBuf>,
    /// The tracer with these arguments, such as 'counts=--detail counts'; or another build of it, such as
    /// 'before@/path/tracer='. Can be given several times [default: without arguments].
    #[arg(long = "variant", value_name = "NAME[@PROGRAM]=ARGUMENTS")]
    variants: Vec<TracerVariant>,
    /// Other tracers to compare with; `--others=` for none. What is not there is named and left out.
    #[arg(long, value_delimiter = ',', num_args = 0.., default_values = ["bpftrace", "perf", "ftrace"])]
    others: Vec<Other>,
}

#[derive(Debug, Args)]
struct CostArguments {
    #[command(flatten)]
    compared: Compared,
    /// Threads that read.
    #[arg(long, default_value_t = 4)]
    threads: usize,
    /// KiB a read.
    #[arg(long, default_value_t = 4)]
    read_kib: usize,
    /// Rounds that count.
    #[arg(long, default_value_t = 6)]
    rounds: usize,
    /// Rounds before them that do not.
    #[arg(long, default_value_t = 1)]
    warm_up: usize,
    /// Seconds that each is measured in a round, twice.
    #[arg(long, default_value_t = 1.0)]
    seconds: f64,
    /// Size of the model, MiB.
    #[arg(long, default_value_t = 600)]
    model_mib: u64,
    /// Write all that was measured to this file.
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Cost(arguments) => report(cost(&arguments)),
    }
}

fn report(result: Result<()>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn variants(compared: &Compared) -> Result<Variants> {
    let mut list = vec![Variant::None, Variant::Empty];
    if compared.variants.is_empty() {
        list.push(Variant::Tracer("tracer=".parse()?));
    }
    list.extend(compared.variants.iter().cloned().map(Variant::Tracer));
    for other in &compared.others {
        match other.find() {
            Ok(variant) => list.push(variant),
            Err(missing) => eprintln!("bench: not compared with: {missing}"),
        }
    }
    let names: BTreeSet<&str> = list.iter().map(Variant::name).collect();
    ensure!(names.len() == list.len(), "two variants have the same name");
    Ok(Variants {
        list,
        tracer: tracer(compared.tracer.as_deref())?,
    })
}

fn tracer(given: Option<&Path>) -> Result<PathBuf> {
    let path = match (given, env::var_os("TRACER_BINARY")) {
        (Some(given), _) => given.to_owned(),
        (None, Some(variable)) => variable.into(),
        (None, None) => env::current_exe()
            .context("find this program's own file")?
            .with_file_name("tracer"),
    };
    path.canonicalize().with_context(|| {
        format!(
            "there is no tracer {}; name it with --tracer",
            path.display()
        )
    })
}

fn cost(arguments: &CostArguments) -> Result<()> {
    let variants = variants(&arguments.compared)?;
    let ground = BenchGround::new(&variants.tracer, arguments.model_mib << 20)?;
    let load = ReadLoad {
        threads: arguments.threads,
        read_bytes: arguments.read_kib << 10,
        seed: 1,
    };
    let rounds = cost::Rounds {
        count: arguments.rounds,
        warm_up: arguments.warm_up,
        window: Duration::from_secs_f64(arguments.seconds),
    };
    let record = cost::measure(&ground, &variants, load, rounds, |line| eprintln!("{line}"))?;
    drop(ground);
    println!("{}", record.table());
    if let Some(path) = &arguments.json {
        let text = serde_json::to_string_pretty(&record).context("write JSON")?;
        std::fs::write(path, text + "\n").with_context(|| format!("write {}", path.display()))?;
    }
    Ok(())
}
