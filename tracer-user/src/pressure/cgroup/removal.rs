//! The processes of a cgroup, and its removal.

use std::{
    fs::{self, OpenOptions},
    io::{self, Write as _},
    path::Path,
    time::{Duration, Instant},
};

use super::{error::CgroupError, hierarchy::MemoryHierarchy, version::CgroupVersion};

pub(super) fn processes(directory: &Path) -> Result<Vec<i32>, CgroupError> {
    let path = directory.join("cgroup.procs");
    let content = fs::read_to_string(&path).map_err(CgroupError::io("read", &path))?;
    Ok(content
        .lines()
        .filter_map(|line| line.trim().parse().ok())
        .collect())
}

/// Removes a cgroup: waits a moment for processes that are just ending, then moves the rest out, and tries again while
/// the kernel says EBUSY.
pub(super) fn remove_directory(
    hierarchy: &MemoryHierarchy,
    directory: &Path,
) -> Result<(), CgroupError> {
    const PATIENCE: Duration = Duration::from_millis(200);
    const GIVE_UP: Duration = Duration::from_secs(3);
    let begin = Instant::now();
    loop {
        match fs::remove_dir(directory) {
            Ok(()) => return Ok(()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error)
                if error.raw_os_error() == Some(libc::EBUSY) && begin.elapsed() < GIVE_UP =>
            {
                if begin.elapsed() > PATIENCE {
                    move_out(hierarchy, directory);
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            Err(source) => {
                let processes = processes(directory).unwrap_or_default();
                return Err(CgroupError::NotRemoved {
                    path: directory.to_owned(),
                    source,
                    processes,
                });
            }
        }
    }
}

/// Moves processes out: in v1 to the cgroup above; in v2 that one may hold no processes, so to our own.
fn move_out(hierarchy: &MemoryHierarchy, directory: &Path) {
    let target = match hierarchy.version {
        CgroupVersion::V1 => directory.parent().unwrap_or(&hierarchy.mount_point),
        CgroupVersion::V2 => &hierarchy.own,
    };
    for pid in processes(directory).unwrap_or_default() {
        // One that ended meanwhile is out as well; another failure shows in the next try to remove.
        let _ = write(&target.join("cgroup.procs"), &pid.to_string());
    }
}

pub(super) fn write(path: &Path, content: &str) -> Result<(), CgroupError> {
    OpenOptions::new()
        .write(true)
        .open(path)
        .and_then(|mut file| file.write_all(content.as_bytes()))
        .map_err(CgroupError::io("write to", path))
}
