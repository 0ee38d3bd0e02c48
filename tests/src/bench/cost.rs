//! What reads cost with and without tracers: rounds in which each has its turn.

use std::{
    collections::BTreeMap,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result};

use super::{
    bpf::{ProgramTime, RunTimeStatistics, run_times},
    ground::BenchGround,
    interval::Interval,
    processor_time::busy_seconds,
    random_reads::{RandomReads, ReadLoad},
    record::{CostRecord, ProgramRecord, RoundRecord, VariantRecord, WorkRecord},
    running::Running,
    variant::{Variant, Variants},
};
use crate::disk::DeviceStatistics;

/// Where programs that do nothing sit: what every tracer of reads needs.
const HOOKS: [&str; 2] = ["block_rq_issue", "block_rq_complete"];

/// How long and how often.
#[derive(Clone, Copy, Debug)]
pub struct Rounds {
    /// Rounds that count.
    pub count: usize,
    /// Rounds before them, which are left out: memory that a machine at rest gave back comes again slowly.
    pub warm_up: usize,
    /// How long each variant is measured in a round: once without and once with run-time statistics.
    pub window: Duration,
}

/// Measures all variants at one kind of reads. `say` is told how far it is.
///
/// # Errors
/// A variant cannot be started, or a read fails.
pub fn measure(
    ground: &BenchGround,
    variants: &Variants,
    load: ReadLoad,
    rounds: Rounds,
    say: impl Fn(&str),
) -> Result<CostRecord> {
    let mut taken: Vec<Vec<RoundRecord>> = vec![Vec::new(); variants.list.len()];
    for round in 0..rounds.warm_up + rounds.count {
        let mut order: Vec<usize> = (0..variants.list.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for index in order {
            let variant = &variants.list[index];
            let load = ReadLoad {
                seed: load.seed.wrapping_add((round as u64) << 32),
                ..load
            };
            let measured = slot(variant, variants, ground, load, rounds.window)
                .with_context(|| format!("{}, round {}", variant.name(), round + 1))?;
            say(&format!(
                "round {} of {}{}: {}: {:.0} reads/s",
                round + 1,
                rounds.warm_up + rounds.count,
                if round < rounds.warm_up {
                    " (warm-up)"
                } else {
                    ""
                },
                variant.name(),
                measured.reads_per_second
            ));
            if round >= rounds.warm_up {
                taken[index].push(measured);
            }
        }
    }
    Ok(CostRecord {
        work: WorkRecord {
            threads: load.threads,
            read_bytes: load.read_bytes,
            extents: crate::model_file::extents_of(ground.model())?.len(),
            model_bytes: ground.model().metadata()?.len(),
            processors: thread::available_parallelism()?.get(),
        },
        variants: summaries(&variants.list, taken),
    })
}

/// One variant's turn in a round.
fn slot(
    variant: &Variant,
    variants: &Variants,
    ground: &BenchGround,
    load: ReadLoad,
    window: Duration,
) -> Result<RoundRecord> {
    let running = Running::start(variant, variants, ground, &HOOKS)?;
    let reads = RandomReads::start(ground.model(), load)?;
    thread::sleep(window / 8);

    let (busy, before, start) = (busy_seconds()?, reads.done(), Instant::now());
    thread::sleep(window);
    let (seconds, done, busy) = (
        start.elapsed().as_secs_f64(),
        reads.done() - before,
        busy_seconds()? - busy,
    );

    let device = ground.disk().name();
    let programs = running.programs()?;
    let statistics = RunTimeStatistics::enable()?;
    let requests = DeviceStatistics::read(device)?.reads;
    let times = run_times(&programs)?;
    thread::sleep(window);
    let programs = difference(&times, &run_times(&programs)?);
    let requests = DeviceStatistics::read(device)?.reads - requests;
    drop(statistics);

    reads.stop()?;
    Ok(RoundRecord {
        reads_per_second: done as f64 / seconds,
        processor_ns_a_read: busy * 1e9 / done as f64,
        programs,
        requests,
        lost_records: running.finish()?,
    })
}

/// What programs did between two looks; those that did nothing are left out.
fn difference(
    before: &BTreeMap<u32, ProgramTime>,
    after: &BTreeMap<u32, ProgramTime>,
) -> Vec<ProgramRecord> {
    after
        .iter()
        .filter_map(|(id, now)| {
            let then = before.get(id);
            let since = |of: fn(&ProgramTime) -> u64| of(now) - then.map_or(0, of);
            Some(ProgramRecord {
                name: now.name.clone(),
                runs: since(|time| time.runs),
                time_ns: since(|time| time.time_ns),
                skipped: since(|time| time.skipped),
            })
            .filter(|program| program.runs > 0 || program.skipped > 0)
        })
        .collect()
}

/// What a program is for, told by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    /// Reads.
    Block,
    /// Threads that wait.
    Waits,
    /// The page cache.
    PageCache,
}

fn part(program: &str) -> Part {
    let has = |words: &[&str]| words.iter().any(|word| program.contains(word));
    if has(&["switch", "reclaim", "wait"]) {
        Part::Waits
    } else if has(&["filemap", "fault", "map_pages", "folio"]) {
        Part::PageCache
    } else {
        Part::Block
    }
}

/// Time of a part's programs for a request, ns, above so much a run.
fn above_floor(round: &RoundRecord, wanted: Part, floor_ns: f64) -> f64 {
    round
        .programs
        .iter()
        .filter(|program| part(&program.name) == wanted)
        .map(|program| program.time_ns as f64 - program.runs as f64 * floor_ns)
        .sum::<f64>()
        / round.requests as f64
}

/// What one run of a program that does nothing takes, ns.
fn floor_ns(round: &RoundRecord) -> Option<f64> {
    let (runs, time) = round.programs.iter().fold((0, 0), |(runs, time), program| {
        (runs + program.runs, time + program.time_ns)
    });
    (runs > 0).then(|| time as f64 / runs as f64)
}

fn summaries(variants: &[Variant], taken: Vec<Vec<RoundRecord>>) -> Vec<VariantRecord> {
    let rounds_of = |wanted: &Variant| {
        variants
            .iter()
            .position(|variant| variant == wanted)
            .map(|index| taken[index].clone())
    };
    let (none, empty) = (rounds_of(&Variant::None), rounds_of(&Variant::Empty));
    variants
        .iter()
        .zip(&taken)
        .map(|(variant, rounds)| summary(variant, rounds, none.as_deref(), empty.as_deref()))
        .collect()
}

fn summary(
    variant: &Variant,
    rounds: &[RoundRecord],
    none: Option<&[RoundRecord]>,
    empty: Option<&[RoundRecord]>,
) -> VariantRecord {
    let each = |value: &dyn Fn(&RoundRecord) -> f64| {
        Interval::of(&rounds.iter().map(value).collect::<Vec<_>>())
    };
    let against = |base: Option<&[RoundRecord]>,
                   value: &dyn Fn(&RoundRecord, &RoundRecord) -> Option<f64>| {
        let values: Option<Vec<f64>> = rounds
            .iter()
            .zip(base?)
            .map(|(round, base)| value(round, base))
            .collect();
        Interval::of(&values?)
    };
    let has_programs = rounds.iter().any(|round| !round.programs.is_empty());
    let of_part = |wanted: Part| {
        if !has_programs {
            return None;
        }
        against(empty, &|round, empty| {
            Some(above_floor(round, wanted, floor_ns(empty)?))
        })
    };
    let raw = |round: &RoundRecord| {
        round
            .programs
            .iter()
            .map(|program| program.time_ns)
            .sum::<u64>() as f64
            / round.requests as f64
    };
    VariantRecord {
        name: variant.name().to_owned(),
        rounds: rounds.to_vec(),
        block_ns_a_read: of_part(Part::Block),
        wait_ns_a_read: of_part(Part::Waits),
        raw_ns_a_read: has_programs.then(|| each(&raw)).flatten(),
        reads_per_second: each(&|round| round.reads_per_second),
        reads_ratio: against(none, &|round, none| {
            Some(round.reads_per_second / none.reads_per_second)
        }),
        processor_ns_a_read: each(&|round| round.processor_ns_a_read),
        processor_ratio: against(none, &|round, none| {
            Some(round.processor_ns_a_read / none.processor_ns_a_read)
        }),
        lost_records: rounds.iter().map(|round| round.lost_records).sum(),
    }
}
