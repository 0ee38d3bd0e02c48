//! What a run may leave behind on the machine: eBPF objects, processes, loop devices, mounts, cgroups,
//! locked memory. Observed before and after, and compared.

mod bpf_objects;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context as _, Result, bail};

use crate::tracer::ENVIRONMENT_MARK;
pub use bpf_objects::BpfObject;

/// Locked memory of the rest of the machine may move by so much, KiB.
const LOCKED_TOLERANCE_KIB: u64 = 1024;

/// One look at the machine.
#[derive(Clone, Debug, Default)]
pub struct Surroundings {
    /// All eBPF programs, maps and links.
    pub bpf_objects: BTreeSet<BpfObject>,
    /// Processes that a test's call of the tracer started, and theirs.
    pub marked_processes: BTreeSet<String>,
    /// Attached loop devices with their files.
    pub loop_devices: BTreeSet<String>,
    /// Mounts of this process's namespace.
    pub mounts: BTreeSet<String>,
    pub control_groups: BTreeSet<PathBuf>,
    /// `Mlocked` of `/proc/meminfo`, KiB.
    pub locked_kib: u64,
}

impl Surroundings {
    /// Looks at the machine.
    ///
    /// # Errors
    /// Where `/proc` cannot be read, or eBPF objects cannot be listed (CAP_SYS_ADMIN).
    pub fn observe() -> Result<Self> {
        let mount_lines =
            fs::read_to_string("/proc/self/mountinfo").context("read /proc/self/mountinfo")?;
        Ok(Self {
            bpf_objects: bpf_objects::all()?,
            marked_processes: marked_processes()?,
            loop_devices: loop_devices()?,
            mounts: mount_lines
                .lines()
                .filter_map(|line| line.split_whitespace().nth(4))
                .map(str::to_owned)
                .collect(),
            control_groups: control_groups(&mount_lines),
            locked_kib: locked_kib()?,
        })
    }

    /// Fails where something is there that was not there before. The kernel frees eBPF objects and control
    /// groups a little later than their owner ends, hence it is given ten seconds.
    ///
    /// # Errors
    /// Names what is left.
    pub fn check_nothing_left_since(before: &Self) -> Result<()> {
        let deadline = Instant::now() + Duration::from_secs(10);
        loop {
            let left = Self::observe()?.left_since(before)?;
            if left.is_empty() {
                return Ok(());
            }
            if Instant::now() > deadline {
                bail!("left behind: {}", left.join("; "));
            }
            thread::sleep(Duration::from_millis(100));
        }
    }

    /// What is there now and was not before.
    ///
    /// # Errors
    /// Where `/proc` cannot be read.
    pub fn left_since(&self, before: &Self) -> Result<Vec<String>> {
        let mut left = Vec::new();
        let objects: BTreeSet<_> = self
            .bpf_objects
            .difference(&before.bpf_objects)
            .copied()
            .collect();
        if !objects.is_empty() {
            // Somebody else may load programs meanwhile: theirs have a process that holds them.
            let held = bpf_objects::held_by_processes()?;
            left.extend(
                objects
                    .difference(&held)
                    .map(|object| format!("eBPF {object}")),
            );
        }
        let new = |now: &BTreeSet<String>, then: &BTreeSet<String>, what: &str| -> Vec<String> {
            now.difference(then)
                .map(|one| format!("{what} {one}"))
                .collect()
        };
        left.extend(new(
            &self.marked_processes,
            &before.marked_processes,
            "process",
        ));
        left.extend(new(&self.loop_devices, &before.loop_devices, "loop device"));
        left.extend(new(&self.mounts, &before.mounts, "mount"));
        left.extend(
            self.control_groups
                .difference(&before.control_groups)
                .filter(|path| !is_of_somebody_else(path))
                .map(|path| format!("control group {}", path.display())),
        );
        if self.locked_kib > before.locked_kib + LOCKED_TOLERANCE_KIB {
            left.push(format!(
                "locked memory: {} KiB, before {}",
                self.locked_kib, before.locked_kib
            ));
        }
        Ok(left)
    }
}

/// Processes with this test run's mark in their environment, by `/proc`.
fn marked_processes() -> Result<BTreeSet<String>> {
    let mark = format!("{ENVIRONMENT_MARK}={}", std::process::id());
    let mut marked = BTreeSet::new();
    for entry in fs::read_dir("/proc").context("list /proc")? {
        let path = entry.context("list /proc")?.path();
        // Gone meanwhile, a kernel thread, or no process at all.
        let Ok(environment) = fs::read(path.join("environ")) else {
            continue;
        };
        if environment
            .split(|byte| *byte == 0)
            .any(|variable| variable == mark.as_bytes())
        {
            let command = fs::read(path.join("cmdline")).unwrap_or_default();
            let command = String::from_utf8_lossy(&command).replace('\0', " ");
            marked.insert(format!("{} {}", path.display(), command.trim_end()));
        }
    }
    Ok(marked)
}

fn loop_devices() -> Result<BTreeSet<String>> {
    let mut devices = BTreeSet::new();
    for entry in fs::read_dir("/sys/block").context("list /sys/block")? {
        let entry = entry.context("list /sys/block")?;
        if let Ok(file) = fs::read_to_string(entry.path().join("loop/backing_file")) {
            devices.insert(format!(
                "{} ({})",
                entry.file_name().to_string_lossy(),
                file.trim_end()
            ));
        }
    }
    Ok(devices)
}

/// Whether a tracer that no test started is at work in this control group: it has that process's id in its name.
fn is_of_somebody_else(group: &Path) -> bool {
    let name = group.file_name().unwrap_or_default().to_string_lossy();
    let process_id = name
        .strip_prefix("tracer-")
        .and_then(|rest| rest.split('-').next()?.parse::<u32>().ok());
    let Some(environment) = process_id.and_then(|id| fs::read(format!("/proc/{id}/environ")).ok())
    else {
        return false;
    };
    let mark = format!("{ENVIRONMENT_MARK}=");
    !environment
        .split(|byte| *byte == 0)
        .any(|variable| variable.starts_with(mark.as_bytes()))
}

/// All control groups of all hierarchies that are mounted here.
fn control_groups(mount_lines: &str) -> BTreeSet<PathBuf> {
    let mut groups = BTreeSet::new();
    for line in mount_lines.lines() {
        let Some((place, kind)) = line.split_once(" - ") else {
            continue;
        };
        if !kind.starts_with("cgroup") {
            continue;
        }
        if let Some(root) = place.split_whitespace().nth(4) {
            add_folders(Path::new(root), &mut groups);
        }
    }
    groups
}

fn add_folders(folder: &Path, folders: &mut BTreeSet<PathBuf>) {
    // A group that goes away meanwhile is not there.
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            add_folders(&entry.path(), folders);
            folders.insert(entry.path());
        }
    }
}

fn locked_kib() -> Result<u64> {
    let text = fs::read_to_string("/proc/meminfo").context("read /proc/meminfo")?;
    text.lines()
        .find_map(|line| {
            line.strip_prefix("Mlocked:")?
                .split_whitespace()
                .next()?
                .parse()
                .ok()
        })
        .context("/proc/meminfo has no Mlocked")
}
