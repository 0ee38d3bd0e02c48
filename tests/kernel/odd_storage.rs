//! Models on storage whose sectors cannot be told, which gives the page cache's side alone and says so; and
//! on storage that looks odd but can be followed.

use std::{
    fs,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use tests::{
    disk::{FileSystem, LoopDisk, Mount, ZramDisk},
    environment::unavailable,
    model_file::{ModelFile, content_at, evict},
    plan::{IssueOrder, ReadPlan},
    reader::{ReadMode, ReaderCommand},
    run_record::RunRecord,
    tracer::TracerCall,
};

use crate::{
    ground::{
        Case, DISK_BYTES, FILE_SYSTEMS, Ground, Traced, case, check_figures, check_no_violation,
        check_sound, sectors_between,
    },
    shapes::{self, FILE_BYTES, PAGE_BYTES, Shape},
};

/// In its last page it ends in the middle.
const ODD_BYTES: u64 = (8 << 20) + 1234;

pub fn cases() -> Vec<Case> {
    let mut cases = vec![
        case("odd_storage::btrfs", |ground, _| btrfs(ground)),
        case("odd_storage::btrfs_subvolume", |ground, _| {
            btrfs_subvolume(ground)
        }),
        case("odd_storage::tmpfs", |ground, _| tmpfs(ground)),
        case("odd_storage::erofs", |ground, _| erofs(ground)),
        case("odd_storage::overlay_on_btrfs", |ground, _| {
            overlay_on_btrfs(ground)
        }),
        case("odd_storage::overlay_on_tmpfs", |ground, _| {
            overlay_on_tmpfs(ground)
        }),
    ];
    for file_system in FILE_SYSTEMS {
        cases.push(case(
            format!("odd_storage::partition_with_{file_system}"),
            move |ground, _| partition(ground, file_system),
        ));
    }
    for mode in [ReadMode::Direct, ReadMode::Buffered, ReadMode::Mmap] {
        let mode_name = format!("{mode:?}").to_lowercase();
        for file_system in FILE_SYSTEMS {
            cases.push(case(
                format!("odd_storage::overlay_on_{file_system}_{mode_name}"),
                move |ground, _| overlay(ground, file_system, mode),
            ));
        }
        cases.push(case(
            format!("odd_storage::zram_{mode_name}"),
            move |ground, _| zram(ground, mode),
        ));
    }
    cases
}

/// Writes a file; nothing of it is cached then, where it is not in memory anyway.
fn write_file(directory: &Path, bytes: u64) -> Result<PathBuf> {
    let path = directory.join("model");
    let mut content = vec![0; usize::try_from(bytes)?];
    content_at(0, &mut content);
    fs::write(&path, content).with_context(|| format!("write {}", path.display()))?;
    Ok(path)
}

fn trace(ground: &Ground, path: &Path, plan: &ReadPlan, mode: ReadMode) -> Result<Traced> {
    let reader = ReaderCommand::new(
        Path::new(env!("CARGO_BIN_EXE_scripted_reader")),
        &ground.scratch,
        path,
        plan,
        mode,
    )?;
    let run = TracerCall::launch(&ground.scratch, path)?
        .reader(&reader)
        .run()?;
    Traced::of(run)
}

fn whole() -> ReadPlan {
    ReadPlan::sequential(ODD_BYTES, 64 << 10)
}

/// What comes from sectors is absent, and the record says for which storage.
fn check_without_sectors(record: &RunRecord, storage: &str) -> Result<()> {
    for figures in ["reads", "gaps", "bandwidth", "latency_us", "model.extents"] {
        ensure!(
            record.is_null(figures)?,
            "without sectors {figures} is {}",
            record.value(figures)?
        );
    }
    let reason = record.text("model.without_sectors")?;
    ensure!(
        reason.contains(storage),
        "the reason does not name {storage}: {reason:?}"
    );
    for list in ["phases", "tensors"] {
        let list_of = record
            .value(list)?
            .as_array()
            .with_context(|| format!("{list} is no array"))?;
        ensure!(!list_of.is_empty(), "{list} is empty");
        for element in list_of {
            ensure!(
                element
                    .get("read_bytes")
                    .is_some_and(serde_json::Value::is_null),
                "without sectors something was read: {element}"
            );
        }
    }
    check_no_violation(record)
}

/// The whole file came into the cache once.
fn check_inserted_once(record: &RunRecord) -> Result<()> {
    let (pages, bytes) = (
        record.count("cache.inserts")?,
        record.count("page_cache.inserted_bytes")?,
    );
    ensure!(
        pages == ODD_BYTES.div_ceil(PAGE_BYTES) && bytes == ODD_BYTES,
        "{pages} pages and {bytes} bytes were inserted, and the file has {ODD_BYTES}"
    );
    // A kernel thread may page out what nobody maps: within the run its evictions are seen, after it they are not.
    let (resident, evicted) = (
        record.count("page_cache.resident_bytes")?,
        record.count("page_cache.evicted_bytes")?,
    );
    let after = record.count("cache.after_bytes")?;
    ensure!(
        resident + evicted == ODD_BYTES && after <= resident.next_multiple_of(PAGE_BYTES),
        "{resident} bytes are resident by the events, {evicted} were evicted, {after} are cached in the end"
    );
    Ok(())
}

fn btrfs_disk(ground: &Ground) -> Result<LoopDisk> {
    ground.disk(FileSystem::Btrfs)
}

fn btrfs(ground: &Ground) -> Result<()> {
    let disk = btrfs_disk(ground)?;
    let path = write_file(disk.mount_point(), ODD_BYTES)?;
    for mode in [ReadMode::Buffered, ReadMode::Mmap] {
        evict(&path)?;
        let record = trace(ground, &path, &whole(), mode)?.record;
        check_without_sectors(&record, "btrfs")?;
        check_inserted_once(&record)?;
    }
    evict(&path)?;
    let record = trace(ground, &path, &whole(), ReadMode::Direct)?.record;
    check_without_sectors(&record, "btrfs")
}

/// Its files have another device in stat(2) than the one that the kernel's events name.
fn btrfs_subvolume(ground: &Ground) -> Result<()> {
    let disk = btrfs_disk(ground)?;
    let subvolume = disk.mount_point().join("subvolume");
    let made = Command::new("btrfs")
        .args(["subvolume", "create"])
        .arg(&subvolume)
        .output()
        .context("run btrfs")?;
    ensure!(
        made.status.success(),
        "btrfs failed: {}",
        String::from_utf8_lossy(&made.stderr)
    );
    let path = write_file(&subvolume, ODD_BYTES)?;
    let device = |path: &Path| -> Result<u64> { Ok(fs::metadata(path)?.dev()) };
    ensure!(
        device(&path)? != device(disk.mount_point())?,
        "the subvolume has no device of its own"
    );
    evict(&path)?;
    let record = trace(ground, &path, &whole(), ReadMode::Buffered)?.record;
    check_without_sectors(&record, "btrfs")?;
    check_inserted_once(&record)
}

/// An image that nobody writes to. What does not fill its last block lies in the metadata; a compressed file has no
/// places.
fn erofs(ground: &Ground) -> Result<()> {
    let source = ground.scratch.fresh_directory("source")?;
    write_file(&source, ODD_BYTES)?;
    let make = |name: &str, options: &[&str]| -> Result<Mount> {
        let image = ground.scratch.fresh_path(name);
        let made = Command::new("mkfs.erofs")
            .args(options)
            .args([&image, &source])
            .output()
            .map_err(|error| unavailable(format!("mkfs.erofs does not run: {error}")))?;
        ensure!(
            made.status.success(),
            "mkfs.erofs failed: {}",
            String::from_utf8_lossy(&made.stderr)
        );
        Mount::image(&ground.scratch, "erofs", &image)
    };
    let tail = ODD_BYTES % PAGE_BYTES;
    for mode in [ReadMode::Buffered, ReadMode::Mmap] {
        // A mount of its own has nothing cached.
        let image = make("image.erofs", &[])?;
        let path = image.mount_point().join("model");
        let record = trace(ground, &path, &whole(), mode)?.record;
        check_sound(&record)?;
        for figure in [
            "model.data_bytes",
            "reads.unique_bytes",
            "reads.total_bytes",
        ] {
            let found = record.count(figure)?;
            ensure!(
                found == ODD_BYTES - tail,
                "{figure} is {found}, and the file has {ODD_BYTES} with {tail} in the metadata"
            );
        }
        let coverage = record.number("reads.coverage")?;
        ensure!(coverage == 1.0, "the coverage is {coverage}");
        check_inserted_once(&record)?;
        let notes = record.value("notes")?.to_string();
        ensure!(
            notes.contains("lie in the metadata of erofs"),
            "no note tells of the tail: {notes}"
        );
    }

    let compressed = make("compressed.erofs", &["-zlz4"])?;
    let path = compressed.mount_point().join("model");
    let run = TracerCall::launch(&ground.scratch, &path)?
        .engine(Path::new("/bin/cat"), &[&path])
        .run()?;
    ensure!(
        run.finished.code() == 125 && run.finished.errors.contains("compressed or encrypted"),
        "{}:\n{}",
        run.finished.code(),
        run.finished.errors
    );
    Ok(())
}

fn tmpfs(ground: &Ground) -> Result<()> {
    let tmpfs = Mount::tmpfs(&ground.scratch)?;
    let path = write_file(tmpfs.mount_point(), ODD_BYTES)?;
    let record = trace(ground, &path, &whole(), ReadMode::Mmap)?.record;
    check_without_sectors(&record, "tmpfs")?;
    check_stays_in_memory(&record)
}

/// What is in memory only neither comes nor goes.
fn check_stays_in_memory(record: &RunRecord) -> Result<()> {
    for figure in ["page_cache.inserted_bytes", "page_cache.evicted_bytes"] {
        let found = record.count(figure)?;
        ensure!(found == 0, "{figure} is {found}");
    }
    Ok(())
}

/// Two folders of one file system, the model in the lower one, laid over each other.
struct Overlay {
    mount: Mount,
    lower: PathBuf,
}

impl Overlay {
    fn over(ground: &Ground, directory: &Path) -> Result<Self> {
        let (upper, lower) = (directory.join("upper"), directory.join("lower"));
        for path in [&upper, &lower] {
            fs::create_dir_all(path).with_context(|| format!("make {}", path.display()))?;
        }
        Ok(Self {
            mount: Mount::overlay(&ground.scratch, &[&upper, &lower])?,
            lower,
        })
    }

    fn model(&self) -> PathBuf {
        self.mount.mount_point().join("model")
    }
}

fn overlay(ground: &Ground, file_system: FileSystem, mode: ReadMode) -> Result<()> {
    let disk = ground.disk(file_system)?;
    fs::create_dir(disk.mount_point().join("lower")).context("make the lower folder")?;
    let file = ModelFile::contiguous(&disk, "lower/model", FILE_BYTES)?;
    let overlay = Overlay::over(ground, disk.mount_point())?;
    let plan = Shape::Random.plan(mode, &disk)?;
    let expected = shapes::expected(&plan, mode, &file, &disk)?;
    disk.synchronise()?;

    let before = disk.statistics()?;
    let traced = trace(ground, &overlay.model(), &plan, mode)?;
    let after = disk.statistics()?;
    check_figures(&traced.record, &expected)?;
    let (by_device, by_tracer) = (
        sectors_between(&before, &after) * 512,
        traced.record.count("devices.0.read_bytes")?,
    );
    // Before the run the tracer reads the beginning of the file, to see what it is.
    ensure!(
        by_tracer == expected.total_bytes
            && (by_tracer..by_tracer + (1 << 20)).contains(&by_device),
        "the device read {by_device} bytes, the tracer counted {by_tracer}"
    );
    if mode != ReadMode::Direct {
        let inserted = traced.record.count("page_cache.inserted_bytes")?;
        ensure!(
            inserted == expected.unique_bytes,
            "{inserted} bytes were inserted: {expected:?}"
        );
    }
    check_sound(&traced.record)
}

/// A file system on a partition: events name the whole disk and its sectors.
fn partition(ground: &Ground, file_system: FileSystem) -> Result<()> {
    const START_SECTOR: u64 = 40_960;
    let disk = LoopDisk::partitioned(&ground.scratch, file_system, DISK_BYTES, START_SECTOR)?;
    disk.set_read_ahead_kb(0)?;
    let file = ModelFile::contiguous(&disk, "model", FILE_BYTES)?;
    let plan = Shape::Random.plan(ReadMode::Direct, &disk)?;
    let expected = shapes::expected(&plan, ReadMode::Direct, &file, &disk)?;
    disk.synchronise()?;
    let before = disk.statistics()?;
    let record = trace(ground, file.path(), &plan, ReadMode::Direct)?.record;
    let after = disk.statistics()?;
    check_figures(&record, &expected)?;
    let (by_device, by_tracer) = (
        sectors_between(&before, &after) * 512,
        record.count("devices.0.read_bytes")?,
    );
    ensure!(
        record.text("devices.0.name")? == disk.name()
            && by_tracer == expected.total_bytes
            && (by_tracer..by_tracer + (1 << 20)).contains(&by_device),
        "{} read {by_device} bytes, the tracer counted {by_tracer}",
        disk.name()
    );
    check_sound(&record)
}

fn overlay_on_btrfs(ground: &Ground) -> Result<()> {
    let disk = btrfs_disk(ground)?;
    let overlay = Overlay::over(ground, disk.mount_point())?;
    let below = write_file(&overlay.lower, ODD_BYTES)?;
    evict(&below)?;
    let record = trace(ground, &overlay.model(), &whole(), ReadMode::Buffered)?.record;
    check_without_sectors(&record, "btrfs")?;
    check_inserted_once(&record)
}

fn overlay_on_tmpfs(ground: &Ground) -> Result<()> {
    let tmpfs = Mount::tmpfs(&ground.scratch)?;
    let overlay = Overlay::over(ground, tmpfs.mount_point())?;
    write_file(&overlay.lower, ODD_BYTES)?;
    let record = trace(ground, &overlay.model(), &whole(), ReadMode::Mmap)?.record;
    check_without_sectors(&record, "tmpfs")?;
    check_stays_in_memory(&record)
}

/// A device whose driver takes bios and makes no requests of them.
fn zram(ground: &Ground, mode: ReadMode) -> Result<()> {
    let disk = ZramDisk::new(&ground.scratch, DISK_BYTES)?;
    let file = ModelFile::existing(write_file(disk.mount_point(), FILE_BYTES)?)?;
    let plan = ReadPlan::random(
        FILE_BYTES,
        if mode == ReadMode::Direct {
            16 << 10
        } else {
            PAGE_BYTES
        },
        500,
        20_260_101,
    );
    let requests = match mode {
        ReadMode::Direct => {
            tests::plan::direct_requests(&plan, &file, u64::MAX, IssueOrder::Forward)?
        }
        ReadMode::Buffered | ReadMode::Mmap => tests::plan::buffered_requests(&plan, &file),
    };
    let expected = tests::plan::ExpectedFigures::of_requests(&requests, &file);
    let before = disk.statistics()?;
    let record = trace(ground, file.path(), &plan, mode)?.record;
    let after = disk.statistics()?;
    check_figures(&record, &expected)?;
    let (by_device, by_tracer) = (
        sectors_between(&before, &after) * 512,
        record.count("devices.0.read_bytes")?,
    );
    ensure!(
        record.text("devices.0.name")? == disk.name()
            && by_tracer == expected.total_bytes
            && (by_tracer..by_tracer + (1 << 20)).contains(&by_device),
        "{} read {by_device} bytes, the tracer counted {by_tracer} of {}",
        disk.name(),
        record.value("devices")?
    );
    let by_counter = record.count("devices.0.statistics_sectors_read")? * 512;
    ensure!(
        by_counter == by_tracer,
        "the tracer counted {by_tracer} bytes, the device's own counter {by_counter}"
    );
    check_sound(&record)
}
