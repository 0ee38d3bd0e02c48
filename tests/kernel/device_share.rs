//! How the bytes that a device read divide, where each class's bytes are known.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, ensure};
use tests::{
    disk::FileSystem,
    model_file::{ModelFile, evict},
    run_record::RunRecord,
    tracer::TracerCall,
};

use crate::{
    ground::{Case, FILE_SYSTEMS, Ground, case, check_sound, sectors_between},
    shapes::PAGE_BYTES,
};

const MODEL_BYTES: u64 = (16 << 20) + 1234;
const BUFFERED_BYTES: u64 = (5 << 20) + 4321;
const DIRECT_BYTES: u64 = 3 << 20;

const THROUGH_CACHE: &str = "model, through the page cache";
const MODEL_DIRECT: &str = "model, direct I/O";
const BEYOND: &str = "model's files, beyond their end or outside the extents known at the start";
const OTHER_THROUGH_CACHE: &str = "other files, through the page cache";
const OTHER_DIRECT: &str = "other direct I/O";
const METADATA: &str = "file-system metadata and reads of the block device itself";

pub fn cases() -> Vec<Case> {
    FILE_SYSTEMS
        .into_iter()
        .map(|file_system| {
            case(
                format!("device_share::{file_system}"),
                move |ground: &Ground, _: &_| classes(ground, file_system),
            )
        })
        .collect()
}

fn classes(ground: &Ground, file_system: FileSystem) -> Result<()> {
    let disk = ground.disk(file_system)?;
    let tree = disk.mount_point().join("tree");
    make_tree(&tree)?;
    let model = ModelFile::contiguous(&disk, "model", MODEL_BYTES)?;
    let buffered = ModelFile::contiguous(&disk, "buffered", BUFFERED_BYTES)?;
    let direct = ModelFile::contiguous(&disk, "direct", DIRECT_BYTES)?;
    // Inodes and directories are cached too, and evicting a file leaves them.
    disk.remount()?;
    evict(model.path())?;

    // All at once; the model once more past the page cache, where it is by then.
    let script = r#"
        cat "$1" >/dev/null & cat "$2" >/dev/null & dd if="$3" of=/dev/null bs=64k iflag=direct 2>/dev/null &
        ls -lR "$4" >/dev/null & wait
        dd if="$1" of=/dev/null bs=64k count=16 iflag=direct 2>/dev/null"#;
    let mut arguments = vec!["-c".to_owned(), script.to_owned(), "sh".to_owned()];
    for path in [model.path(), buffered.path(), direct.path(), &tree] {
        arguments.push(path.to_string_lossy().into_owned());
    }
    let call = TracerCall::launch(&ground.scratch, model.path())?
        // The header, which the tracer looked at, among them.
        .flag("--evict-model")
        .engine("/bin/sh".as_ref(), &arguments);
    let before = disk.statistics()?;
    let run = call.run()?;
    let after = disk.statistics()?;
    run.finished.succeeded().context("the traced run")?;
    let record = run.record()?;
    check_sound(&record)?;

    ensure!(
        record.count("reads.total_bytes")? == MODEL_BYTES + (1 << 20),
        "of the model {} bytes were read",
        record.count("reads.total_bytes")?
    );
    let read = record.count("device_share.0.read_bytes")?;
    let known = [
        (THROUGH_CACHE, MODEL_BYTES),
        (MODEL_DIRECT, 1 << 20),
        (
            BEYOND,
            MODEL_BYTES.next_multiple_of(PAGE_BYTES) - MODEL_BYTES,
        ),
        (
            OTHER_THROUGH_CACHE,
            BUFFERED_BYTES.next_multiple_of(PAGE_BYTES),
        ),
        (OTHER_DIRECT, DIRECT_BYTES),
    ];
    let metadata = read.saturating_sub(known.iter().map(|(_, bytes)| bytes).sum());
    // At least a block for each directory.
    ensure!(
        metadata >= 40 * PAGE_BYTES,
        "{metadata} bytes are left for the metadata, of {read}"
    );
    let mut expected = known.to_vec();
    expected.push((METADATA, metadata));
    check_classes(&record, &expected, read)?;

    // The tracer looks at the model before the run: so the device's counter around all of it is higher.
    let by_device = sectors_between(&before, &after) * 512;
    let by_counter = record.count("device_share.0.statistics_bytes")?;
    let all = record.count("devices.0.read_bytes")?;
    ensure!(
        by_counter == read && all == read && read <= by_device,
        "classes of {read} bytes, {all} by the tracer, {by_counter} by the device's counter, {by_device} around it"
    );
    Ok(())
}

/// Directories of one block each at least, whose inodes are on the device too.
fn make_tree(tree: &Path) -> Result<()> {
    for directory in 0..40 {
        let path = tree.join(format!("directory-{directory}"));
        fs::create_dir_all(&path).with_context(|| format!("make {}", path.display()))?;
        for file in 0..60 {
            let path = path.join(format!(
                "a file of this directory with a long name, number {file}"
            ));
            fs::write(&path, "").with_context(|| format!("make {}", path.display()))?;
        }
    }
    Ok(())
}

/// The record has exactly these classes.
fn check_classes(record: &RunRecord, expected: &[(&str, u64)], read: u64) -> Result<()> {
    let classes = record
        .value("device_share.0.classes")?
        .as_array()
        .context("classes is no array")?;
    let found = |class: &str| {
        classes
            .iter()
            .find(|found| found.get("class").is_some_and(|name| name == class))
    };
    for (class, bytes) in expected {
        let found = found(class).with_context(|| format!("no {class:?} in {classes:?}"))?;
        let (of_class, share) = (
            found.get("bytes").and_then(serde_json::Value::as_u64),
            found.get("share").and_then(serde_json::Value::as_f64),
        );
        let expected_share = *bytes as f64 / read as f64;
        ensure!(
            of_class == Some(*bytes)
                && share.is_some_and(|share| (share - expected_share).abs() < 1e-9),
            "{class:?} has {found}, and must have {bytes} bytes: {classes:?}"
        );
    }
    ensure!(
        classes.len() == expected.len(),
        "there are other classes: {classes:?}"
    );
    Ok(())
}
