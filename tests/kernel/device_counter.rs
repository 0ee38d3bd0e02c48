//! All that a device read, the model's and everything else, is what its own counters and ftrace say: to
//! the sector, while somebody else reads another file on it.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use tests::{
    disk::FileSystem,
    environment::MachineLock,
    model_file::{ModelFile, extents_of},
    plan::{ExpectedFigures, ReadPlan},
    reader::ReadMode,
    reference::{Action, FtraceBlk},
    tracer::TracerCall,
};

use crate::{
    ground::{Case, FILE_SYSTEMS, Ground, case, check_figures, check_sound, sectors_between},
    shapes::{FILE_BYTES, PAGE_BYTES},
};

pub fn cases() -> Vec<Case> {
    FILE_SYSTEMS
        .into_iter()
        .map(|file_system| {
            case(
                format!("device_counter::{file_system}::with_a_second_reader"),
                move |ground, lock| with_a_second_reader(ground, lock, file_system),
            )
        })
        .collect()
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

fn with_a_second_reader(
    ground: &Ground,
    lock: &MachineLock,
    file_system: FileSystem,
) -> Result<()> {
    const SECTOR_BYTES: u64 = 512;
    let disk = ground.disk(file_system)?;
    disk.set_read_ahead_kb(128)?;
    let model = ModelFile::contiguous(&disk, "model", FILE_BYTES)?;
    let folder = disk.mount_point().join("folder");
    fs::create_dir(&folder).with_context(|| format!("make {}", folder.display()))?;
    // A folder with few entries may lie within its inode, which the file system has read by then.
    for entry in 0..500 {
        fs::write(folder.join(format!("an-entry-of-the-folder-{entry}")), "")
            .context("fill the folder")?;
    }
    let other = ModelFile::contiguous(&disk, "folder/other", FILE_BYTES)?;
    // Now nothing of the file system is cached; the model's inode and extents are then read here, so that
    // what the tracer looks up before its window reads nothing. The folder and the other file's inode are
    // left to be read within it: metadata.
    disk.remount()?;
    extents_of(model.path())?;
    // The tracer looks at the header before its window, which ftrace would see as a read.
    read_first_page(model.path())?;

    let model_plan = ReadPlan::random(FILE_BYTES, PAGE_BYTES, 1500, 11);
    let model_reader = ground.reader(&model, &model_plan, ReadMode::Buffered)?;
    let other_plan = ReadPlan::sequential(FILE_BYTES, 64 << 10);
    let other_reader = ground.reader(&other, &other_plan, ReadMode::Buffered)?;
    let mut arguments = vec!["-c".into(), BOTH_AT_ONCE.into(), "sh".into()];
    for reader in [&other_reader, &model_reader] {
        arguments.push(reader.program().as_os_str().to_owned());
        arguments.extend_from_slice(reader.arguments());
        arguments.push("--".into());
    }
    let call =
        TracerCall::launch(&ground.scratch, model.path())?.engine(Path::new("/bin/sh"), &arguments);

    let before = disk.statistics()?;
    let ftrace = FtraceBlk::start(&disk, lock)?;
    let run = call.run()?;
    let after = disk.statistics()?;
    let trace = ftrace.finish()?;
    run.finished.succeeded().context("the traced run")?;
    let record = run.record()?;
    check_sound(&record)?;

    let issued = trace.issued_reads();
    let of_model = ExpectedFigures::of_requests(&issued, &model);
    let of_other = ExpectedFigures::of_requests(&issued, &other);
    ensure!(
        of_model.reads > 0 && of_other.unique_bytes == FILE_BYTES,
        "{of_model:?}, {of_other:?}"
    );
    let metadata = trace
        .records
        .iter()
        .filter(|record| {
            record.action == Action::Issued && record.is_read() && record.operation.contains('M')
        })
        .count();
    ensure!(metadata > 0, "no metadata was read");

    check_figures(&record, &of_model)?;
    let device = sectors_between(&before, &after) * SECTOR_BYTES;
    let by_ftrace = trace.completed_read_sectors() * SECTOR_BYTES;
    let by_tracer = record.count("devices.0.read_bytes")?;
    ensure!(
        device == by_ftrace && device == by_tracer,
        "bytes read: device {device}, ftrace {by_ftrace}, tracer {by_tracer}"
    );
    for (path, expected) in [
        ("devices.0.reads", issued.len() as u64),
        ("devices.0.other_read_bytes", device - of_model.total_bytes),
        (
            "devices.0.other_reads",
            issued.len() as u64 - of_model.reads,
        ),
        ("devices.0.metadata_reads", metadata as u64),
        ("devices.0.statistics_sectors_read", device / SECTOR_BYTES),
    ] {
        let found = record.count(path)?;
        ensure!(
            found == expected,
            "{path} is {found}, and ftrace and the device say {expected}"
        );
    }
    ensure!(
        record.text("devices.0.name")? == disk.name(),
        "the device has another name"
    );
    ensure!(
        record.text("devices.0.number")? == disk.number().to_string(),
        "the device has another number"
    );
    Ok(())
}

/// Runs two commands, each ended by `--`, at the same time.
const BOTH_AT_ONCE: &str = r#"
first=
while [ "$1" != -- ]; do first="$first '$1'"; shift; done
shift
second=
while [ "$1" != -- ]; do second="$second '$1'"; shift; done
eval "$first" & other=$!
eval "$second" || exit 1
wait $other
"#;
