//! On real file systems.

use std::{
    fs::{self, File},
    ops::ControlFlow,
    os::unix::fs::PermissionsExt as _,
    path::Path,
};

use super::{FragmentedCopyError, make_fragmented_copy};
use crate::storage::{FileExtents, residency, test_disk::TestDisk};

const SIZE_BYTES: usize = (20 << 20) + 777;

fn content() -> Vec<u8> {
    (0..SIZE_BYTES as u32)
        .map(|number| (number.wrapping_mul(2_654_435_761) >> 11) as u8)
        .collect()
}

/// Counts extents without the code under test.
fn filefrag(path: &Path) -> Option<u64> {
    let output = std::process::Command::new("filefrag")
        .arg(path)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let words = text.rsplit_once(": ")?.1;
    words.split_ascii_whitespace().next()?.parse().ok()
}

fn copies_on(disk: &TestDisk) {
    let source = disk.mount_point().join("model.gguf");
    fs::write(&source, content()).expect("room");
    fs::set_permissions(&source, fs::Permissions::from_mode(0o640)).expect("ours");
    disk.settle();
    for extents in [1, 2, 19, 640] {
        let target = disk.mount_point().join(format!("copy {extents}"));
        let mut reported = Vec::new();
        let copy = make_fragmented_copy(&source, &target, extents, &mut |done| {
            reported.push(done);
            ControlFlow::Continue(())
        })
        .expect("a copy");
        assert_eq!(copy.extents, extents, "{}", disk.file_system_type());
        assert_eq!(copy.size_bytes, SIZE_BYTES as u64);
        assert!(
            fs::read(&target).expect("there") == content(),
            "other bytes"
        );
        assert_eq!(filefrag(&target), Some(extents), "filefrag says otherwise");
        let file = File::open(&target).expect("there");
        let found = FileExtents::of(&file).expect("extents");
        assert_eq!(
            (found.physical_extent_count, found.holes_bytes),
            (extents, 0)
        );
        assert_eq!(
            file.metadata().expect("there").permissions().mode() & 0o777,
            0o640
        );
        assert_eq!(reported.last(), Some(&(2 * SIZE_BYTES as u64)));
        assert!(reported.is_sorted());
        fs::remove_file(&target).expect("ours");
    }
}

#[test]
fn ext4_copies_have_the_extents_that_were_asked_for() {
    if let Some(disk) = TestDisk::new("ext4", 160 << 20, false) {
        copies_on(&disk);
    }
}

#[test]
fn xfs_copies_have_the_extents_that_were_asked_for() {
    if let Some(disk) = TestDisk::new("xfs", 320 << 20, false) {
        copies_on(&disk);
    }
}

fn never(_: u64) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

#[test]
fn what_fails_leaves_nothing_and_says_why() {
    let Some(disk) = TestDisk::new("ext4", 96 << 20, false) else {
        return;
    };
    let source = disk.mount_point().join("model.gguf");
    fs::write(&source, content()).expect("room");
    disk.settle();
    let free = || {
        nix::sys::statvfs::statvfs(&disk.mount_point())
            .expect("a file system")
            .blocks_free()
    };
    let (before, names) = (
        free(),
        fs::read_dir(disk.mount_point()).expect("ours").count(),
    );
    let target = disk.mount_point().join("copy");

    // Stopped at every moment: while cutting, writing, reading again.
    for limit in [0, 1, 5 << 20, SIZE_BYTES as u64 + (1 << 20)] {
        let stopped = make_fragmented_copy(&source, &target, 30, &mut |done| {
            if done >= limit {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        assert!(
            matches!(stopped, Err(FragmentedCopyError::Stopped)),
            "{stopped:?}"
        );
    }
    for extents in [0, 1 << 20] {
        assert!(matches!(
            make_fragmented_copy(&source, &target, extents, &mut never),
            Err(FragmentedCopyError::ExtentCount { .. })
        ));
    }
    let large = disk.mount_point().join("large");
    File::create(&large)
        .and_then(|file| file.set_len(60 << 20))
        .expect("sparse");
    assert!(matches!(
        make_fragmented_copy(&large, &target, 2, &mut never),
        Err(FragmentedCopyError::NoSpace { .. })
    ));
    fs::remove_file(&large).expect("ours");
    let growing = make_fragmented_copy(&source, &target, 2, &mut |done| {
        if done == 4 << 20 {
            let file = File::options().append(true).open(&source);
            file.and_then(|mut file| std::io::Write::write_all(&mut file, b"more"))
                .expect("room");
        }
        ControlFlow::Continue(())
    });
    assert!(
        matches!(growing, Err(FragmentedCopyError::SourceChanged(_))),
        "{growing:?}"
    );
    assert!(!target.exists());
    fs::write(&target, "somebody's").expect("room");
    assert!(matches!(
        make_fragmented_copy(&source, &target, 2, &mut never),
        Err(FragmentedCopyError::TargetExists(_))
    ));
    assert_eq!(fs::read(&target).expect("there"), b"somebody's");
    fs::remove_file(&target).expect("ours");
    disk.settle();
    assert_eq!(
        fs::read_dir(disk.mount_point()).expect("ours").count(),
        names
    );
    // The source grew by a block at most.
    assert!(
        before.abs_diff(free()) <= 2,
        "{before} blocks, then {}",
        free()
    );
}

#[test]
fn file_systems_without_extents_are_refused() {
    let source = tempfile::NamedTempFile::new_in("/var/tmp").expect("scratch");
    fs::write(source.path(), [1; 9000]).expect("scratch");
    let Ok(memory) = tempfile::tempdir_in("/dev/shm") else {
        return eprintln!("skipped: no /dev/shm to write to");
    };
    let refused = make_fragmented_copy(source.path(), &memory.path().join("copy"), 2, &mut never);
    assert!(
        matches!(refused, Err(FragmentedCopyError::NoExtents { .. })),
        "{refused:?}"
    );
    assert_eq!(fs::read_dir(memory.path()).expect("ours").count(), 0);
    if let Some(disk) = TestDisk::new("btrfs", 160 << 20, false) {
        let target = disk.mount_point().join("copy");
        let refused = make_fragmented_copy(source.path(), &target, 2, &mut never);
        assert!(
            matches!(refused, Err(FragmentedCopyError::NoExtents { .. })),
            "{refused:?}"
        );
    }
    for nothing in [Path::new("/proc/self"), Path::new("/dev/null")] {
        assert!(matches!(
            make_fragmented_copy(nothing, &memory.path().join("copy"), 2, &mut never),
            Err(FragmentedCopyError::NoContent(_))
        ));
    }
}

#[test]
fn a_cold_source_stays_cold() {
    let Some(disk) = TestDisk::new("ext4", 96 << 20, false) else {
        return;
    };
    let source = disk.mount_point().join("model.gguf");
    fs::write(&source, content()).expect("room");
    disk.settle();
    let file = File::open(&source).expect("there");
    super::forget(&file, 0, 0);
    let target = disk.mount_point().join("copy");
    make_fragmented_copy(&source, &target, 3, &mut never).expect("a copy");
    for path in [&source, &target] {
        let pages = residency(&File::open(path).expect("there"))
            .expect("looked at")
            .observed()
            .expect("observed")
            .resident_pages;
        // Read-ahead beyond what was dropped last is all that may be there.
        assert!(pages * 4096 < SIZE_BYTES as u64 / 4, "{pages} pages");
    }
}
