//! Every eBPF program loads and attaches on this kernel, also those that it does not need, and costs the verifier what it
//! did before.

use std::{collections::BTreeMap, time::Duration};

use anyhow::{Context as _, Result, bail, ensure};
use tests::{environment::unavailable, tracer};

use crate::ground::{Case, Ground, case};

/// Instructions that the verifier went through, by program and kernel: `-` where the kernel lacks what the program needs,
/// `?` where it does not tell (before Linux 5.16). `own` is this machine's kernel as tests find it, whose options differ
/// from Debian's. `-arm64` stands for Debian's kernel for 64-bit Arm.
const RECORDED: &str = include_str!("verified_instructions.tsv");
/// A program that costs so much more than was recorded fails.
const LARGEST_GROWTH: f64 = 1.2;
/// Longest that the tracer may take for all of them.
const LIMIT: Duration = Duration::from_secs(120);

pub fn cases() -> Vec<Case> {
    vec![
        case("programs::each_loads_and_attaches", |ground, _| {
            each_loads_and_attaches(ground)
        }),
        case("programs::verifier_costs", |ground, _| {
            verifier_costs(ground)
        }),
    ]
}

/// What the tracer says of a program.
#[derive(Debug, PartialEq, Eq)]
enum Said {
    /// It works; the instructions that the verifier went through, where the kernel tells.
    Works(Option<u64>),
    /// The kernel lacks something.
    Lacking(String),
    /// The kernel refused it.
    Refused(String),
}

fn ask(ground: &Ground) -> Result<BTreeMap<String, Said>> {
    let mut doctor = std::process::Command::new(tracer::binary()?);
    doctor.args(["doctor", "--programs"]);
    let finished = tests::reader::RunningProgram::start(&ground.scratch, doctor)?.finish(LIMIT)?;
    let mut said = BTreeMap::new();
    for line in finished.output.lines() {
        if let Some((program, what)) = parse(line)? {
            said.insert(program, what);
        }
    }
    ensure!(
        !said.is_empty(),
        "it says nothing of programs: {}",
        finished.output
    );
    Ok(said)
}

/// A line such as `  ok       program NAME: tracepoint X: the verifier went through 12 instructions, translated to 9`.
fn parse(line: &str) -> Result<Option<(String, Said)>> {
    let Some((state, rest)) = line.trim_start().split_once(' ') else {
        return Ok(None);
    };
    let Some((program, text)) = rest
        .trim_start()
        .strip_prefix("program ")
        .and_then(|rest| rest.split_once(": "))
    else {
        return Ok(None);
    };
    let said = match state {
        "ok" => {
            let (_, count) = text
                .split_once("went through ")
                .with_context(|| format!("no count: {line}"))?;
            let count = count.split(' ').next().unwrap_or_default();
            Said::Works(if count == "a" {
                None
            } else {
                Some(count.parse().with_context(|| format!("a count: {line}"))?)
            })
        }
        "reduced" => Said::Lacking(text.to_owned()),
        "MISSING" => Said::Refused(text.to_owned()),
        _ => bail!("an unknown state: {line}"),
    };
    Ok(Some((program.to_owned(), said)))
}

fn each_loads_and_attaches(ground: &Ground) -> Result<()> {
    let said = ask(ground)?;
    let recorded = recorded()?;
    ensure!(
        said.keys().eq(recorded.rows.keys()),
        "the tracer has the programs {:?}, and {:?} are recorded",
        said.keys(),
        recorded.rows.keys()
    );
    for (program, said) in &said {
        match said {
            Said::Works(_) => {}
            Said::Refused(why) => bail!("{program}: {why}"),
            Said::Lacking(why) => {
                let reason = ["this kernel has no ", "functions cannot be traced here"]
                    .iter()
                    .any(|reason| why.starts_with(reason));
                ensure!(reason, "{program} does not work for another reason: {why}");
            }
        }
    }
    // Whatever else a kernel lacks, a run needs these.
    for event in ["rq_issue", "rq_complete", "rq_requeue"] {
        ensure!(
            ["block", "early"]
                .iter()
                .any(|set| matches!(said.get(&format!("{set}_{event}")), Some(Said::Works(_)))),
            "no program for {event} works"
        );
    }
    Ok(())
}

fn verifier_costs(ground: &Ground) -> Result<()> {
    let recorded = recorded()?;
    let column = recorded.column()?;
    let mut faults = Vec::new();
    for (program, said) in ask(ground)? {
        let cell = recorded
            .rows
            .get(&program)
            .and_then(|cells| cells.get(column))
            .map_or("-", String::as_str);
        match (&said, cell.parse::<u64>()) {
            (Said::Works(Some(count)), Ok(before)) => {
                if *count as f64 > LARGEST_GROWTH * before as f64 {
                    faults.push(format!(
                        "{program}: {count} instructions, {before} are recorded"
                    ));
                }
            }
            (Said::Works(None), _) if cell == "?" => {}
            (Said::Lacking(_), _) if cell == "-" => {}
            _ => faults.push(format!("{program}: {said:?}, and {cell:?} is recorded")),
        }
    }
    ensure!(
        faults.is_empty(),
        "on {}: {faults:#?}\nwhere that is meant to be, record it in verified_instructions.tsv",
        recorded.kernels[column]
    );
    Ok(())
}

struct Recorded {
    kernels: Vec<String>,
    rows: BTreeMap<String, Vec<String>>,
}

impl Recorded {
    /// The column of the running kernel.
    fn column(&self) -> Result<usize> {
        let name = nix::sys::utsname::uname().context("the kernel does not say its release")?;
        let release = name.release().to_string_lossy().into_owned();
        let found = self.kernels.iter().position(|kernel| {
            if kernel == "own" {
                release.starts_with("6.18.") && !release.contains("-cloud-")
            } else {
                let (number, flavour) = match kernel.strip_suffix("-arm64") {
                    Some(number) => (number, "-cloud-arm64"),
                    None => (kernel.as_str(), "-cloud-amd64"),
                };
                release.ends_with(flavour)
                    && release
                        .strip_prefix(number)
                        .is_some_and(|rest| rest.starts_with(['.', '-', '+']))
            }
        });
        found.ok_or_else(|| {
            unavailable(format!(
                "no verifier costs are recorded for kernel {release}"
            ))
        })
    }
}

fn recorded() -> Result<Recorded> {
    let mut lines = RECORDED
        .lines()
        .map(|line| line.split('\t').map(str::to_owned));
    let kernels: Vec<String> = lines.next().context("no line")?.skip(1).collect();
    let mut rows = BTreeMap::new();
    for mut line in lines {
        let program = line.next().context("no program")?;
        let cells: Vec<String> = line.collect();
        ensure!(
            cells.len() == kernels.len(),
            "{program} has {} cells",
            cells.len()
        );
        rows.insert(program, cells);
    }
    Ok(Recorded { kernels, rows })
}
