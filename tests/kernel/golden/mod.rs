//! The golden check: reads of known shapes on every kind of disk at hand, whose figures must be equal to the sector to
//! the device's own counters and to what another program recorded beside the tracer.

mod audited;
mod engine;
mod recording;
mod workload;

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use tests::{
    disk::{FileSystem, MountedDisk, SpareDisk},
    environment::MachineLock,
    model_file::{ModelFile, extents_of},
    plan::ExpectedFigures,
    reference::BlkTrace,
    run_record::RunRecord,
    tracer::TracerCall,
};

use crate::{
    fragmented::{PIECE_BYTES, PIECES},
    ground::{
        Case, DISK_BYTES, FILE_SYSTEMS, Ground, Traced, case, check_content, check_figures,
        check_sound, sectors_between,
    },
    shapes::FILE_BYTES,
};
use recording::Recording;
use workload::Layout;

pub use workload::Workload;

const SECTOR_BYTES: u64 = 512;

pub fn cases() -> Vec<Case> {
    let mut disks = vec![DiskKind::Loop];
    match SpareDisk::all() {
        Ok(spare) => disks.extend(spare.into_iter().map(DiskKind::Spare)),
        Err(error) => {
            let error = format!("{error:#}");
            return vec![case("golden::disks", move |_, _| anyhow::bail!("{error}"))];
        }
    }
    let mut cases = Vec::new();
    for disk in disks {
        let of_engine = disk.clone();
        cases.push(case(
            format!("golden::{}::ext4::engine", disk.name()),
            move |ground, lock| {
                engine::golden(ground, lock, &of_engine.make(ground, FileSystem::Ext4)?)
            },
        ));
        for file_system in FILE_SYSTEMS {
            for workload in Workload::ALL {
                let disk = disk.clone();
                cases.push(case(
                    format!(
                        "golden::{}::{file_system}::{}",
                        disk.name(),
                        workload.name()
                    ),
                    move |ground, lock| {
                        let disk = disk.make(ground, file_system)?;
                        golden(ground, lock, &disk, workload)
                    },
                ));
            }
        }
    }
    cases
}

/// A kind of disk.
#[derive(Clone, Debug)]
enum DiskKind {
    Loop,
    Spare(SpareDisk),
}

impl DiskKind {
    fn name(&self) -> &str {
        match self {
            Self::Loop => "loop",
            Self::Spare(spare) => spare.kind(),
        }
    }

    /// A disk of its kind, with its read-ahead off.
    fn make(&self, ground: &Ground, file_system: FileSystem) -> Result<MountedDisk> {
        match self {
            Self::Loop => Ok(ground.disk(file_system)?.into()),
            Self::Spare(spare) => spare.with_file_system(&ground.scratch, file_system, DISK_BYTES),
        }
    }
}

/// Reads the first page, and nothing ahead of it.
fn read_first_page(path: &Path) -> Result<()> {
    use std::{io::Read as _, os::fd::AsRawFd as _};
    let mut file = fs::File::open(path).with_context(|| format!("open {}", path.display()))?;
    // SAFETY: a descriptor and numbers.
    unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_RANDOM) };
    file.read_exact(&mut [0; 4096])
        .with_context(|| format!("read {}", path.display()))
}

fn make_model(disk: &MountedDisk, layout: Layout) -> Result<ModelFile> {
    match layout {
        Layout::Contiguous => ModelFile::contiguous(disk, "model", FILE_BYTES),
        Layout::Fragmented => Ok(ModelFile::fragmented(disk, "model", PIECES, PIECE_BYTES)?.model),
    }
}

/// Makes the model of a workload. What the tracer looks up before its window is in memory then, so that all that a
/// disk reads from now on lies in it: the inode, the extents, and the header.
pub fn prepare(disk: &MountedDisk, workload: Workload) -> Result<ModelFile> {
    let model = make_model(disk, workload.layout())?;
    disk.set_read_ahead_kb(workload.read_ahead_kb())?;
    disk.remount()?;
    extents_of(model.path())?;
    read_first_page(model.path())?;
    disk.synchronise()?;
    Ok(model)
}

/// Traces a workload beside another recorder, and compares.
fn golden(
    ground: &Ground,
    lock: &MachineLock,
    disk: &MountedDisk,
    workload: Workload,
) -> Result<()> {
    let model = prepare(disk, workload)?;
    let plan = workload.plan(&model);
    let reader = workload.reader(ground, &model, &plan)?;
    let call = TracerCall::launch(&ground.scratch, model.path())?.reader(&reader);
    let before = disk.statistics()?;
    let recording = Recording::start(ground, disk, lock)?;
    let run = call.run()?;
    let after = disk.statistics()?;
    let recorded = recording.finish()?;
    let traced = Traced::of(run)?;
    check_content(&traced.report, &model, &plan)?;
    check_sound(&traced.record)?;

    let trace = recorded.trace();
    let by_recorder = ExpectedFigures::of_requests(&trace.first_issues()?, &model);
    workload.check_plan(&by_recorder, &plan, &model, disk)?;
    if workload.threads() > 1 {
        workload::check_order_apart(&traced.record, &by_recorder)?;
    } else {
        check_figures(&traced.record, &by_recorder)?;
    }
    check_device(
        &traced.record,
        disk,
        sectors_between(&before, &after),
        trace,
    )?;
    if let Some(recording) = recorded.blktrace() {
        audited::check(ground, recording, &model, workload.order(), &by_recorder)?;
    }
    Ok(())
}

/// All that the device read in the window: by its own counters, by the recorder, and by the tracer.
fn check_device(
    record: &RunRecord,
    disk: &MountedDisk,
    sectors: u64,
    trace: &BlkTrace,
) -> Result<()> {
    let by_recorder = trace.completed_read_sectors();
    let by_tracer = record.count("devices.0.read_bytes")?;
    ensure!(
        sectors == by_recorder && sectors * SECTOR_BYTES == by_tracer,
        "the device read {sectors} sectors, the recorder saw {by_recorder}, the tracer {by_tracer} bytes"
    );
    for (path, expected) in [
        ("devices.0.statistics_sectors_read", sectors),
        ("devices.0.reads", trace.first_issues()?.len() as u64),
        ("reads.in_flight", 0),
        ("reads.failed", 0),
    ] {
        let found = record.count(path)?;
        ensure!(found == expected, "{path} is {found}, not {expected}");
    }
    let reissues = record.count("reads.reissues")?;
    ensure!(
        reissues <= trace.reissues()? as u64,
        "the tracer saw {reissues} re-issues, the recorder {}",
        trace.reissues()?
    );
    let name = record.text("devices.0.name")?;
    ensure!(
        name == disk.name(),
        "the device is {name}, not {}",
        disk.name()
    );
    Ok(())
}
