//! The machine around a run: its kernel, and its memory before and after.

use std::{fs, path::Path};

use procfs::Current as _;

use crate::{
    pressure::{PressureShare, SystemMemory},
    schema::{MachineRecord, MemoryRecord},
};

/// The machine's memory at one moment.
#[derive(Clone, Copy, Debug, Default)]
pub struct MemoryState {
    memory: Option<SystemMemory>,
    swapped_in_pages: Option<u64>,
    swapped_out_pages: Option<u64>,
    oom_kills: Option<u64>,
}

impl MemoryState {
    /// As it is now.
    #[must_use]
    pub fn now() -> Self {
        let statistics = procfs::vmstat().ok();
        let value = |name: &str| {
            statistics
                .as_ref()
                .and_then(|statistics| statistics.get(name))
                .and_then(|value| u64::try_from(*value).ok())
        };
        Self {
            memory: SystemMemory::read().ok(),
            swapped_in_pages: value("pswpin"),
            swapped_out_pages: value("pswpout"),
            oom_kills: value("oom_kill"),
        }
    }

    fn refaulted_pages(&self) -> Option<u64> {
        self.memory?.workingset_refault_file_pages
    }

    /// What changed until `after`.
    #[must_use]
    pub fn until(&self, after: &Self) -> MemoryRecord {
        let change = |pick: fn(&Self) -> Option<u64>| pick(after)?.checked_sub(pick(self)?);
        MemoryRecord {
            total_bytes: self.memory.map(|memory| memory.total_bytes),
            available_before_bytes: self.memory.and_then(|memory| memory.available_bytes),
            cached_before_bytes: self.memory.map(|memory| memory.cached_bytes),
            cached_after_bytes: after.memory.map(|memory| memory.cached_bytes),
            workingset_refault_file_pages: change(Self::refaulted_pages),
            swap_in_pages: change(|state| state.swapped_in_pages),
            swap_out_pages: change(|state| state.swapped_out_pages),
            oom_kills: change(|state| state.oom_kills),
        }
    }

    fn io_pressure(&self) -> Option<PressureShare> {
        Some(self.memory?.io_pressure?.some)
    }

    fn memory_pressure(&self) -> Option<PressureShare> {
        Some(self.memory?.pressure?.some)
    }
}

/// What of the machine does not change within a run, and its load before the start.
#[must_use]
pub fn machine() -> MachineRecord {
    let cpus = nix::unistd::sysconf(nix::unistd::SysconfVar::_NPROCESSORS_ONLN);
    MachineRecord {
        cpus: cpus
            .ok()
            .flatten()
            .and_then(|count| u64::try_from(count).ok()),
        page_bytes: Some(procfs::page_size()),
        governor: line_of("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
        lru: page_ageing(
            line_of("/sys/kernel/mm/lru_gen/enabled").as_deref(),
            Path::new("/sys/kernel/mm").is_dir(),
        ),
        min_free_kbytes: line_of("/proc/sys/vm/min_free_kbytes")
            .and_then(|value| value.parse().ok()),
        swap_total_bytes: procfs::Meminfo::current()
            .ok()
            .map(|memory| memory.swap_total),
        load_average: procfs::LoadAverage::current()
            .ok()
            .map(|load| f64::from(load.one)),
        ..MachineRecord::default()
    }
}

/// How the kernel ages pages, from `lru_gen/enabled`: a bit mask whose bit 0 is MGLRU's main switch
/// (Documentation/admin-guide/mm/multigen_lru.rst). A kernel without the file has the classic lists only.
fn page_ageing(enabled: Option<&str>, has_sysfs: bool) -> Option<String> {
    let Some(mask) = enabled else {
        return has_sysfs.then(|| "classic".to_owned());
    };
    let mask = u32::from_str_radix(mask.trim_start_matches("0x"), 16).ok()?;
    Some(if mask & 1 == 1 { "mglru" } else { "classic" }.to_owned())
}

/// Temperature of a disk, degrees Celsius, where its driver has a sensor below the device (NVMe).
#[must_use]
pub fn temperature_celsius(disk: &str) -> Option<f64> {
    let device = Path::new("/sys/class/block").join(disk).join("device");
    // NVMe: the sensor belongs to the controller, which is the disk's `device`; SCSI: to the disk's own `device`.
    let sensors = [device.clone(), device.join("hwmon"), device.join("device")]
        .into_iter()
        .filter_map(|folder| fs::read_dir(folder).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path().join("temp1_input")));
    sensors
        .filter_map(|path| line_of(path)?.parse::<f64>().ok())
        .map(|millidegrees| millidegrees / 1000.0)
        .reduce(f64::max)
}

/// The content of a file of one line.
fn line_of(path: impl AsRef<Path>) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

/// Fills in the time that the machine waited between two moments.
pub fn add_pressure(machine: &mut MachineRecord, before: &MemoryState, after: &MemoryState) {
    let seconds = |pick: fn(&MemoryState) -> Option<PressureShare>| {
        let microseconds = pick(after)?
            .total_microseconds
            .checked_sub(pick(before)?.total_microseconds)?;
        Some(microseconds as f64 / 1e6)
    };
    machine.io_pressure_some_s = seconds(MemoryState::io_pressure);
    machine.memory_pressure_some_s = seconds(MemoryState::memory_pressure);
}

#[cfg(test)]
mod tests {
    use super::{machine, page_ageing};

    #[test]
    fn the_kind_of_page_ageing() {
        for (mask, kind) in [
            ("0x0007", "mglru"),
            ("0x0000", "classic"),
            ("0x0001", "mglru"),
        ] {
            assert_eq!(
                page_ageing(Some(mask), true).as_deref(),
                Some(kind),
                "{mask}"
            );
        }
        assert_eq!(
            page_ageing(Some("0x0002"), true).as_deref(),
            Some("classic")
        );
        assert_eq!(page_ageing(None, true).as_deref(), Some("classic"));
        assert_eq!(page_ageing(None, false), None);
        assert_eq!(page_ageing(Some("y"), true), None);
    }

    #[test]
    fn this_machine() {
        let found = machine();
        assert!(found.cpus.is_some_and(|cpus| cpus > 0), "{found:?}");
        assert!(found.min_free_kbytes.is_some_and(|kilobytes| kilobytes > 0));
        assert!(found.load_average.is_some());
    }
}
