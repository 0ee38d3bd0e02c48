//! The page cache of a model's files.

use crate::{figures::definition::figures, schema::ModelRecord};

const UNOBSERVED: &str = "not observed";
const NO_TRACEPOINT: &str = "no tracepoint";
const NO_LINE: &str = "no such line; `attach`";
const NO_COPIES: &str = "residency or `engine.copied_weights_bytes` is null; several models";
const NO_INSERTS: &str = "inserts not observed";

figures! {
    /// What the kernel counted, in the order of `run.json`. Pages unless the name says bytes.
    CACHE of ModelRecord;

    BEFORE_BYTES, "cache.before_bytes", "resident before", Bytes, UserSpace, null: UNOBSERVED,
        "resident right before the gate opens, after all pressure was applied. What was cached lowers the coverage",
        |model| model.cache.before_bytes;
    LOAD_END_BYTES, "cache.load_end_bytes", "resident at load end", Bytes, UserSpace, null: NO_LINE,
        "resident at the first sample (every 200 ms) after the line of the log that `engine.load_end_mark` names",
        |model| model.cache.load_end_bytes;
    LAST_TOKEN_BYTES, "cache.last_token_bytes", "resident at last token", Bytes, UserSpace, null: NO_LINE,
        "resident at the first sample after the first line with timings; the last sample is taken after the engine's end",
        |model| model.cache.last_token_bytes;
    AFTER_BYTES, "cache.after_bytes", "resident after", Bytes, UserSpace, null: UNOBSERVED,
        "resident after the gate has closed",
        |model| model.cache.after_bytes;
    LOAD_END_DEAD_BYTES, "cache.load_end_dead_bytes", "of it dead, at least", Bytes, UserSpace, null: NO_COPIES,
        "`load_end_bytes` − (size − `engine.copied_weights_bytes`), not below 0: cached at the load's end although the engine has copied it (to a GPU, or into memory of its own). Cached, not needed",
        |model| model.cache.load_end_dead_bytes;
    AFTER_DEAD_BYTES, "cache.after_dead_bytes", "resident after, dead at least", Bytes, UserSpace, null: NO_COPIES,
        "the same of `after_bytes`",
        |model| model.cache.after_dead_bytes;
    DELTA_BYTES, "cache.delta_bytes", "cache delta", Bytes, UserSpace, null: "one side null",
        "resident after − before; can be negative",
        |model| model.cache.delta_bytes;
    INSERTS, "cache.inserts", "inserts", Pages, Kernel, null: UNOBSERVED,
        "pages that entered the page cache, read ahead or needed (2^order of each folio)",
        |model| model.cache.inserts;
    EVICTIONS, "cache.evictions", "evictions", Pages, Kernel, null: UNOBSERVED,
        "pages that left it, = sum of the next four",
        |model| model.cache.evictions;
    EVICTIONS_BY_KSWAPD, "cache.evictions_by_agent.kswapd", "evicted by kswapd", Pages, Kernel, null: UNOBSERVED,
        "by the kernel's background reclaim",
        |model| model.cache.evictions_by_agent.as_ref()?.kswapd;
    EVICTIONS_BY_DIRECT_RECLAIM, "cache.evictions_by_agent.direct_reclaim", "evicted by direct reclaim", Pages, Kernel, null: UNOBSERVED,
        "by a task that reclaims, for itself, its cgroup or by `MADV_PAGEOUT`",
        |model| model.cache.evictions_by_agent.as_ref()?.direct_reclaim;
    EVICTIONS_BY_KERNEL_THREAD, "cache.evictions_by_agent.kernel_thread", "evicted by kernel threads", Pages, Kernel, null: UNOBSERVED,
        "by another kernel thread that reclaims",
        |model| model.cache.evictions_by_agent.as_ref()?.kernel_thread;
    EVICTIONS_BY_INVALIDATION, "cache.evictions_by_agent.invalidation", "invalidated", Pages, Kernel, null: UNOBSERVED,
        "by truncation, `POSIX_FADV_DONTNEED`, `drop_caches`",
        |model| model.cache.evictions_by_agent.as_ref()?.invalidation;
    REFAULTS, "cache.refaults", "refaults", Pages, Kernel, null: UNOBSERVED,
        "pages inserted after an eviction seen in this run: the cause of amplification. The kernel's own count is `memory.workingset_refault_file_pages`",
        |model| model.cache.refaults;
    FAULTS, "cache.faults", "faults", Count, Kernel, null: NO_TRACEPOINT,
        "page faults that reached the file's fault handler, hit or miss; accesses to mapped pages are invisible",
        |model| model.cache.faults;
    LOOKUPS, "cache.lookups", "look-ups", Count, Kernel, null: NO_TRACEPOINT,
        "look-ups by `read()` and the like; one `read()` can make several",
        |model| model.cache.lookups;
    FIRST_TOUCH_HITS, "cache.first_touch_hits", "first-touch hits", Count, Kernel, null: NO_TRACEPOINT,
        "fault-around events not explained by a fault of the same thread in their window: events, not pages; a lower bound (`LIMITS.md`)",
        |model| model.cache.first_touch_hits;
}

figures! {
    /// The page cache event by event, in the order of `run.json`. Bytes of the model's files.
    PAGE_CACHE of ModelRecord;

    INSERTED_BYTES, "page_cache.inserted_bytes", "inserted", Bytes, Stream, null: NO_INSERTS,
        "bytes of the files in folios that entered the page cache",
        |model| model.page_cache.as_ref()?.inserted_bytes;
    TIMES_INSERTED, "page_cache.times_inserted", "inserted / size", Factor, Stream, null: "an empty model, inserts not observed",
        "pages inserted / pages of the model",
        |model| model.page_cache.as_ref()?.times_inserted;
    EVICTED_BYTES, "page_cache.evicted_bytes", "evicted", Bytes, Stream, null: NO_INSERTS,
        "bytes of the files in folios that left it",
        |model| model.page_cache.as_ref()?.evicted_bytes;
    REFAULTED_BYTES, "page_cache.refaulted_bytes", "refaulted", Bytes, Stream, null: NO_INSERTS,
        "bytes that entered it after an eviction seen in this run: they were thrown out and needed again",
        |model| model.page_cache.as_ref()?.refaulted_bytes;
    UNUSED_AT_LEAST_BYTES, "page_cache.unused_at_least_bytes", "evicted unused, at least", Bytes, Stream,
        null: "`--detail counts`, uses not observed",
        "inserted and evicted in this run, in no fault, look-up or mapped window in between (of a folio of which a part was mapped: no page): certainly not used. A lower bound",
        |model| model.page_cache.as_ref()?.unused_at_least_bytes;
    UNUSED_AT_MOST_BYTES, "page_cache.unused_at_most_bytes", "evicted unused, at most", Bytes, Stream,
        null: "`--detail counts`, uses not observed",
        "inserted and evicted, in no fault and no look-up: used at most through a mapping. An upper bound; with `read()` alone both are equal and exact",
        |model| model.page_cache.as_ref()?.unused_at_most_bytes;
    MISS_STREAM_DISTANCE_P50_BYTES, "page_cache.miss_stream_distance_p50_bytes", "inserted until the refault, half at most", Bytes, Stream,
        null: "`--detail counts`, no refault",
        "bytes inserted, of all files of the model, between a page's eviction and its next insert: half of the pages had at most this. Bound of a bucket of powers of two",
        |model| model.page_cache.as_ref()?.miss_stream_distance_p50_bytes;
    MISS_STREAM_DISTANCE_P90_BYTES, "page_cache.miss_stream_distance_p90_bytes", "inserted until the refault, 90 % at most", Bytes, Stream,
        null: "`--detail counts`, no refault",
        "the same for 90 % of the pages",
        |model| model.page_cache.as_ref()?.miss_stream_distance_p90_bytes;
    RESIDENT_BYTES, "page_cache.resident_bytes", "resident at the end, by events", Bytes, Stream,
        null: "residency at the start is not known",
        "resident at the start + inserts − evictions",
        |model| model.page_cache.as_ref()?.resident_bytes;
    CONTRADICTING_PAGES, "page_cache.contradicting_pages", "contradicting pages", Pages, Stream, null: "`--detail counts`, inserts not observed",
        "inserted while resident or evicted while absent by the events: 0 in a complete stream",
        |model| model.page_cache.as_ref()?.contradicting_pages;
}
