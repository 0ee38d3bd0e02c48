//! A model on a device that is laid over others: read once there, and once more below it, and counted once.

use anyhow::{Result, ensure};
use tests::{
    disk::{DeviceStatistics, FileSystem, SpareDisk, Stack, StackedDisk},
    model_file::ModelFile,
    plan::ReadPlan,
    reader::ReadMode,
    tracer::TracerCall,
};

use crate::{
    fragmented::check_completed,
    golden::{Workload, prepare},
    ground::{
        Case, DISK_BYTES, FILE_SYSTEMS, Ground, Traced, case, check_content, check_figures,
        check_sound, sectors_between,
    },
};

/// Their requests are known without another recorder.
const WORKLOADS: [Workload; 2] = [Workload::Random, Workload::Direct];

pub fn cases() -> Vec<Case> {
    // Where the variable is wrong, the golden check says so.
    let spare = SpareDisk::all().unwrap_or_default();
    if spare.is_empty() {
        return Vec::new();
    }
    let mut cases = Vec::new();
    for stack in Stack::ALL {
        let disks = spare.clone();
        cases.push(case(
            format!("stacked::{}::settings", stack.name()),
            move |ground, _| settings(ground, stack, &disks),
        ));
        for file_system in FILE_SYSTEMS {
            for workload in WORKLOADS {
                let spare = spare.clone();
                cases.push(case(
                    format!(
                        "stacked::{}::{file_system}::{}",
                        stack.name(),
                        workload.name()
                    ),
                    move |ground, _| stacked(ground, stack, &spare, file_system, workload),
                ));
            }
        }
    }
    cases
}

fn stacked(
    ground: &Ground,
    stack: Stack,
    spare: &[SpareDisk],
    file_system: FileSystem,
    workload: Workload,
) -> Result<()> {
    let disk = StackedDisk::new(&ground.scratch, stack, spare, file_system, DISK_BYTES)?;
    let model = prepare(&disk, workload)?;
    let plan = workload.plan(&model);
    let expected = workload.expected(&plan, &model, &disk)?;
    let reader = workload.reader(ground, &model, &plan)?;
    let statistics = || -> Result<(DeviceStatistics, Vec<DeviceStatistics>)> {
        let lower = disk.lower().iter().map(|name| DeviceStatistics::read(name));
        Ok((disk.statistics()?, lower.collect::<Result<_>>()?))
    };
    let (before, lower_before) = statistics()?;
    let run = TracerCall::launch(&ground.scratch, model.path())?
        .reader(&reader)
        .run()?;
    let (after, lower_after) = statistics()?;
    let traced = Traced::of(run)?;
    check_content(&traced.report, &model, &plan)?;
    check_figures(&traced.record, &expected)?;
    check_sound(&traced.record)?;
    check_completed(&traced.record, expected.total_bytes)?;

    let upper = sectors_between(&before, &after);
    let lower: u64 = lower_before
        .iter()
        .zip(&lower_after)
        .map(|(before, after)| sectors_between(before, after))
        .sum();
    let by_tracer = traced.record.count("devices.0.read_bytes")?;
    ensure!(
        by_tracer == upper * 512 && upper == lower,
        "the device read {upper} sectors, those below it {lower}, and the tracer counted {by_tracer} bytes"
    );
    let by_counter = traced.record.count("devices.0.statistics_sectors_read")?;
    ensure!(
        by_counter == upper,
        "the tracer read {by_counter} from the counter"
    );
    let devices = traced.record.value("devices")?;
    ensure!(
        devices.as_array().map(Vec::len) == Some(1)
            && traced.record.text("devices.0.name")? == disk.name(),
        "{} alone was to be traced: {devices}",
        disk.name()
    );
    Ok(())
}

/// A read-ahead that is set for a run is that of the device that the file system is mounted from, and is put back; requests are
/// those of the devices below, and that is said.
fn settings(ground: &Ground, stack: Stack, spare: &[SpareDisk]) -> Result<()> {
    const BEFORE_KB: u64 = 512;
    let disk = StackedDisk::new(&ground.scratch, stack, spare, FileSystem::Ext4, DISK_BYTES)?;
    disk.set_read_ahead_kb(BEFORE_KB)?;
    let model = ModelFile::contiguous(&disk, "model", 16 << 20)?;
    model.evict()?;
    let plan = ReadPlan::sequential(model.size_bytes(), 4096);
    let reader = ground.reader(&model, &plan, ReadMode::Buffered)?;
    let run = TracerCall::launch(&ground.scratch, model.path())?
        .option("--read-ahead", "64K")
        .reader(&reader)
        .run()?;
    let record = Traced::of(run)?.record;
    check_sound(&record)?;
    let (set, now) = (
        record.count("devices.0.read_ahead_kb")?,
        disk.read_ahead_kb()?,
    );
    ensure!(
        set == 64 && now == BEFORE_KB,
        "{set} KiB in the run, {now} KiB after it"
    );
    let sizes = record.value("reads.sizes")?;
    let largest = sizes
        .as_array()
        .and_then(|sizes| sizes.iter().filter_map(|size| size["bytes"].as_u64()).max());
    ensure!(
        largest.is_some_and(|bytes| bytes > 4096 && bytes <= 64 << 10),
        "the largest read is {largest:?}: {sizes}"
    );
    let refused = TracerCall::launch(&ground.scratch, model.path())?
        .option("--nr-requests", "8")
        .reader(&reader)
        .run()?
        .finished;
    ensure!(
        refused.code() == 125 && refused.errors.contains("laid over other devices"),
        "{} {}",
        refused.code(),
        refused.errors
    );
    Ok(())
}
