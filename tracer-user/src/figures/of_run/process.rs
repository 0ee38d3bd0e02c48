//! The engine's own process, not its children.

use crate::{figures::definition::figures, schema::RunRecord};

const NO_SAMPLE: &str = "no sample";
const NO_LOOK: &str = "never looked";

figures! {
    /// The engine's memory and faults, in the order of `run.json`.
    PROCESS of RunRecord;

    MAJOR_FAULTS, "process.major_faults", "major page faults", Count, UserSpace, null: "`attach`, and the process ended",
        "page faults that waited for the device. `launch`: of the engine and the children that it waited for (`wait4`). `attach`: change over the window",
        |run| run.process.major_faults;
    MINOR_FAULTS, "process.minor_faults", "minor page faults", Count, UserSpace, null: "as above",
        "page faults that did not wait for the device",
        |run| run.process.minor_faults;
    PEAK_RSS_BYTES, "process.peak.rss_bytes", "peak resident set", Bytes, UserSpace, null: NO_SAMPLE,
        "largest `VmRSS` of the samples (every 200 ms; where `attach` counts and nobody looks on, every second, and every 5 s while the engine spends no CPU time); the next are of the same sample",
        |run| run.process.peak.as_ref()?.rss_bytes;
    PEAK_ANONYMOUS_BYTES, "process.peak.anonymous_bytes", "of it anonymous", Bytes, UserSpace, null: NO_SAMPLE,
        "`RssAnon`: buffers and copies of weights",
        |run| run.process.peak.as_ref()?.anonymous_bytes;
    PEAK_FILE_BYTES, "process.peak.file_bytes", "of it mapped files", Bytes, UserSpace, null: NO_SAMPLE,
        "`RssFile`: the mapped model",
        |run| run.process.peak.as_ref()?.file_bytes;
    PEAK_SHARED_BYTES, "process.peak.shared_memory_bytes", "of it shared memory", Bytes, UserSpace, null: NO_SAMPLE,
        "`RssShmem`",
        |run| run.process.peak.as_ref()?.shared_memory_bytes;
    PEAK_PAGE_TABLE_BYTES, "process.peak.page_table_bytes", "page tables", Bytes, UserSpace, null: NO_SAMPLE,
        "`VmPTE`, not part of the resident set",
        |run| run.process.peak.as_ref()?.page_table_bytes;
    HIGH_WATER_BYTES, "process.peak_rss_bytes", "high-water mark", Bytes, UserSpace, null: NO_SAMPLE,
        "largest `VmHWM` seen; since the program's start, not the window's",
        |run| run.process.peak_rss_bytes;
    MEMORY_LIMIT_BYTES, "process.memory_limit_bytes", "limit of its cgroup", Bytes, UserSpace,
        null: "no limit is in sight",
        "the smallest limit of the memory cgroup that it is in and of those above it, whoever set it",
        |run| run.process.memory_limit_bytes;
    ROLLUP_RSS_BYTES, "process.rollup.rss_bytes", "resident, by mappings", Bytes, UserSpace, null: NO_LOOK,
        "`smaps_rollup` at the moment of `mappings`: resident",
        |run| run.process.rollup.as_ref()?.rss_bytes;
    ROLLUP_PSS_BYTES, "process.rollup.pss_bytes", "proportional, by mappings", Bytes, UserSpace, null: NO_LOOK,
        "shared pages divided among their users",
        |run| run.process.rollup.as_ref()?.pss_bytes;
    ROLLUP_ANONYMOUS_BYTES, "process.rollup.anonymous_bytes", "anonymous, by mappings", Bytes, UserSpace, null: NO_LOOK,
        "anonymous",
        |run| run.process.rollup.as_ref()?.anonymous_bytes;
    ROLLUP_LOCKED_BYTES, "process.rollup.locked_bytes", "locked, by mappings", Bytes, UserSpace, null: NO_LOOK,
        "locked",
        |run| run.process.rollup.as_ref()?.locked_bytes;
}
