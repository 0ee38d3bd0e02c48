//! An engine in a memory cgroup of version 2: the kernel's own files say that the limit held, and the reads show it.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use tests::{
    disk::{FileSystem, MountedDisk},
    model_file::ModelFile,
    plan::ReadPlan,
    reader::ReadMode,
    run_record::RunRecord,
    tracer::TracerCall,
};

use crate::ground::{Case, Ground, Traced, case, check_content, check_sound, sectors_between};

/// Of the model: three times the smallest limit.
const MODEL_BYTES: u64 = 48 << 20;

const LIMIT_BYTES: u64 = 16 << 20;

/// Where the hierarchy is, if it has the memory controller.
const CONTROLLERS: &str = "/sys/fs/cgroup/cgroup.controllers";

pub fn cases() -> Vec<Case> {
    let has_memory = fs::read_to_string(CONTROLLERS)
        .is_ok_and(|text| text.split_whitespace().any(|name| name == "memory"));
    if !has_memory {
        return Vec::new();
    }
    [
        ("cgroup_v2::memory_max", Limit::Max),
        ("cgroup_v2::memory_high", Limit::High),
    ]
    .into_iter()
    .map(|(name, limit)| case(name, move |ground, _| under(ground, limit)))
    .collect()
}

/// Which limit the engine meets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit {
    /// `memory.max`.
    Max,
    /// `memory.high`, far below `memory.max`.
    High,
}

/// Runs what follows it, then writes down what the kernel says of the cgroup that it is in.
const LOOK_AT_THE_GROUP: &str = r#"
out=$1
shift
"$@" || exit 1
group=
while IFS=: read -r number controllers path; do
    [ "$number" = 0 ] && group=/sys/fs/cgroup$path
done < /proc/self/cgroup
for file in memory.max memory.high memory.peak memory.events memory.stat; do
    [ -e "$group/$file" ] || continue
    while read -r line; do echo "$file $line"; done < "$group/$file"
done > "$out"
"#;

/// What the kernel says of a cgroup: lines of a file's name and the file's own line.
struct Group(String);

impl Group {
    fn number(&self, name: &str) -> Result<Option<u64>> {
        self.0
            .lines()
            .find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))
            .map(|value| {
                value
                    .trim()
                    .parse()
                    .with_context(|| format!("{name} is {value:?}"))
            })
            .transpose()
    }

    fn known(&self, name: &str) -> Result<u64> {
        self.number(name)?
            .with_context(|| format!("the kernel says no {name}: {}", self.0))
    }
}

fn under(ground: &Ground, limit: Limit) -> Result<()> {
    let disk: MountedDisk = ground.disk(FileSystem::Ext4)?.into();
    disk.set_read_ahead_kb(128)?;
    let model = ModelFile::contiguous(&disk, "model", MODEL_BYTES)?;
    let mut plan = ReadPlan::sequential(MODEL_BYTES, 64 << 10);
    plan.reads.extend_from_within(..);
    let reader = ground.reader(&model, &plan, ReadMode::Buffered)?;
    let out = ground.scratch.fresh_path("group");
    let mut arguments = vec![
        "-c".into(),
        LOOK_AT_THE_GROUP.into(),
        "sh".into(),
        out.clone().into_os_string(),
        reader.program().as_os_str().to_owned(),
    ];
    arguments.extend_from_slice(reader.arguments());
    let (max_bytes, high_bytes) = match limit {
        Limit::Max => (LIMIT_BYTES, None),
        Limit::High => (2 * MODEL_BYTES, Some(LIMIT_BYTES)),
    };
    let mut call = TracerCall::launch(&ground.scratch, model.path())?
        .option("--memory-max", max_bytes.to_string());
    if let Some(high_bytes) = high_bytes {
        call = call.option("--memory-high", high_bytes.to_string());
    }
    let before = disk.statistics()?;
    let run = call.engine(Path::new("/bin/sh"), &arguments).run()?;
    let after = disk.statistics()?;
    let traced = Traced::of(run)?;
    check_content(&traced.report, &model, &plan)?;
    check_sound(&traced.record)?;
    let group = fs::read_to_string(&out).context("read what the kernel said of the cgroup")?;
    check_group(&Group(group), &traced.record, limit, max_bytes, high_bytes)?;
    check_reads(&traced.record, sectors_between(&before, &after) * 512)
}

fn check_group(
    group: &Group,
    record: &RunRecord,
    limit: Limit,
    max_bytes: u64,
    high_bytes: Option<u64>,
) -> Result<()> {
    ensure!(
        group.known("memory.max")? == max_bytes,
        "memory.max is not {max_bytes}: {}",
        group.0
    );
    if let Some(high_bytes) = high_bytes {
        ensure!(
            group.known("memory.high")? == high_bytes
                && record.count("pressure.cgroup.high_bytes")? == high_bytes,
            "memory.high is not {high_bytes}: {}",
            group.0
        );
    }
    // From Linux 5.19 on.
    let peak = group.number("memory.peak")?;
    ensure!(
        peak.is_none_or(|peak| peak <= max_bytes),
        "memory.peak is beyond {max_bytes}: {}",
        group.0
    );
    let (met, not_met) = match limit {
        Limit::Max => ("memory.events max", "memory.events high"),
        Limit::High => ("memory.events high", "memory.events max"),
    };
    ensure!(
        group.known(met)? > 0
            && group.known(not_met)? == 0
            && group.known("memory.events oom_kill")? == 0,
        "the engine did not meet {limit:?} alone: {}",
        group.0
    );
    let refaults = group.known("memory.stat workingset_refault_file")?;
    ensure!(refaults > 0, "the cgroup had no refault: {}", group.0);
    for (path, expected) in [
        ("pressure.cgroup.version", 2),
        ("pressure.cgroup.limit_bytes", max_bytes),
        ("pressure.cgroup.oom_kills", 0),
        ("pressure.cgroup.workingset_refault_file", refaults),
    ] {
        let found = record.count(path)?;
        ensure!(found == expected, "{path} is {found}, not {expected}");
    }
    let peak_path = "pressure.cgroup.peak_bytes";
    match peak {
        Some(_) => ensure!(
            record.count(peak_path)? <= max_bytes,
            "{peak_path} is beyond {max_bytes}"
        ),
        None => ensure!(record.is_null(peak_path)?, "{peak_path} is not null"),
    }
    Ok(())
}

/// The second pass found little of the first in memory.
fn check_reads(record: &RunRecord, by_device: u64) -> Result<()> {
    let (total, unique) = (
        record.count("reads.total_bytes")?,
        record.count("reads.unique_bytes")?,
    );
    ensure!(
        unique == MODEL_BYTES && total >= unique + unique / 2,
        "{total} bytes were read, {unique} of them distinct"
    );
    let refaults = record.count("cache.refaults")?;
    ensure!(refaults > 0, "no page came back");
    let by_tracer = record.count("devices.0.read_bytes")?;
    // Before the run the tracer reads the beginning of the file, to see what it is.
    ensure!(
        (by_tracer..by_tracer + (1 << 20)).contains(&by_device),
        "the device read {by_device} bytes, the tracer counted {by_tracer}"
    );
    let by_counter = record.count("devices.0.statistics_sectors_read")? * 512;
    ensure!(
        by_counter == by_tracer,
        "the tracer counted {by_tracer} bytes, the device's own counter {by_counter}"
    );
    Ok(())
}
