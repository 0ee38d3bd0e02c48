//! Memory: what was done to it, the machine's, and what bears on it.

use crate::{figures::definition::figures, schema::RunRecord};

const NO_CGROUP: &str = "without `--memory-max`";
const NO_FILE: &str = "without `--memory-max`; the kernel has no such file";
const UNREADABLE: &str = "unreadable";
const NO_COUNTER: &str = "no such counter";

figures! {
    /// What was done to the memory, in the order of `run.json`.
    PRESSURE of RunRecord;

    LOCKED_BYTES, "pressure.locked_bytes", "locked", Bytes, UserSpace, null: "",
        "locked by the balloon: `VmLck` of its process when it was inflated; 0 without `--lock`",
        |run| run.pressure.locked_bytes;
    LEAVE_FREE_BYTES, "pressure.leave_free_bytes", "to be left free", Bytes, UserSpace, null: "without `--leave-free`",
        "what the balloon was told to leave of `MemAvailable`",
        |run| run.pressure.leave_free_bytes;
    CGROUP_LIMIT_BYTES, "pressure.cgroup.limit_bytes", "memory cgroup", Bytes, UserSpace, null: NO_CGROUP,
        "the engine and the pages that it reads may take no more: reclaim of the cgroup, not that of a full machine",
        |run| run.pressure.cgroup.as_ref()?.limit_bytes;
    CGROUP_HIGH_BYTES, "pressure.cgroup.high_bytes", "throttled from", Bytes, UserSpace, null: "without `--memory-high`",
        "`memory.high`: beyond it the engine reclaims at each charge and is slowed down",
        |run| run.pressure.cgroup.as_ref()?.high_bytes;
    CGROUP_PEAK_BYTES, "pressure.cgroup.peak_bytes", "cgroup's peak", Bytes, UserSpace, null: NO_FILE,
        "its highest use, read after the engine's end",
        |run| run.pressure.cgroup.as_ref()?.peak_bytes;
    CGROUP_OOM_KILLS, "pressure.cgroup.oom_kills", "killed for lack of memory", Count, UserSpace, null: NO_FILE,
        "processes that the kernel killed for the limit: it was too small for the engine's anonymous memory",
        |run| run.pressure.cgroup.as_ref()?.oom_kills;
    CGROUP_REFAULTS, "pressure.cgroup.workingset_refault_file", "cgroup's refaults", Pages, UserSpace, null: NO_FILE,
        "pages that reclaim had evicted and that came back",
        |run| run.pressure.cgroup.as_ref()?.workingset_refault_file;
}

figures! {
    /// The machine's memory around the run, in the order of `run.json`.
    MEMORY of RunRecord;

    TOTAL_BYTES, "memory.total_bytes", "memory of the machine", Bytes, UserSpace, null: UNREADABLE,
        "`MemTotal`",
        |run| run.memory.total_bytes;
    AVAILABLE_BEFORE_BYTES, "memory.available_before_bytes", "available before", Bytes, UserSpace, null: UNREADABLE,
        "`MemAvailable`, pressure applied, engine not started",
        |run| run.memory.available_before_bytes;
    CACHED_BEFORE_BYTES, "memory.cached_before_bytes", "system's cache before", Bytes, UserSpace, null: UNREADABLE,
        "`Cached` then: all files together",
        |run| run.memory.cached_before_bytes;
    CACHED_AFTER_BYTES, "memory.cached_after_bytes", "system's cache after", Bytes, UserSpace, null: UNREADABLE,
        "`Cached` after the gate has closed",
        |run| run.memory.cached_after_bytes;
    REFAULT_FILE_PAGES, "memory.workingset_refault_file_pages", "system's refaults", Pages, UserSpace, null: NO_COUNTER,
        "change of `workingset_refault_file` over the run, whole machine (`/proc/vmstat`)",
        |run| run.memory.workingset_refault_file_pages;
    SWAP_IN_PAGES, "memory.swap_in_pages", "swapped in", Pages, UserSpace, null: NO_COUNTER,
        "change of `pswpin`, whole machine",
        |run| run.memory.swap_in_pages;
    SWAP_OUT_PAGES, "memory.swap_out_pages", "swapped out", Pages, UserSpace, null: NO_COUNTER,
        "change of `pswpout`, whole machine",
        |run| run.memory.swap_out_pages;
    OOM_KILLS, "memory.oom_kills", "killed on the machine", Count, UserSpace, null: NO_COUNTER,
        "processes of the whole machine that the kernel killed for lack of memory during the run (`oom_kill` of `/proc/vmstat`)",
        |run| run.memory.oom_kills;
}

figures! {
    /// The machine, in the order of `run.json`.
    MACHINE of RunRecord;

    CPUS, "machine.cpus", "CPUs", Count, UserSpace, null: UNREADABLE,
        "online CPUs",
        |run| run.machine.cpus;
    PAGE_BYTES, "machine.page_bytes", "page", Bytes, UserSpace, null: "records of before it was noted",
        "bytes of a page of the kernel: what all counts of pages in the record are in",
        |run| run.machine.page_bytes;
    MIN_FREE_KBYTES, "machine.min_free_kbytes", "min_free_kbytes", Kibibytes, UserSpace, null: UNREADABLE,
        "the sysctl",
        |run| run.machine.min_free_kbytes;
    SWAP_TOTAL_BYTES, "machine.swap_total_bytes", "swap", Bytes, UserSpace, null: UNREADABLE,
        "`SwapTotal`; 0: none",
        |run| run.machine.swap_total_bytes;
    IO_PRESSURE_S, "machine.io_pressure_some_s", "tasks waited for storage", Seconds, UserSpace, null: "no PSI",
        "PSI `some` of I/O, change over the run: the engine's own waits are among it",
        |run| run.machine.io_pressure_some_s;
    MEMORY_PRESSURE_S, "machine.memory_pressure_some_s", "tasks waited for memory", Seconds, UserSpace, null: "no PSI",
        "PSI `some` of memory, change over the run",
        |run| run.machine.memory_pressure_some_s;
    LOAD_AVERAGE, "machine.load_average", "load average", Mean, UserSpace, null: UNREADABLE,
        "1-minute load before the start",
        |run| run.machine.load_average;
    DEVICE_TEMPERATURE, "machine.device_temperature_celsius", "device's temperature", Celsius, UserSpace, null: "no sensor",
        "hottest `temp1_input` below the first traced disk's device, before the start",
        |run| run.machine.device_temperature_celsius;
}
