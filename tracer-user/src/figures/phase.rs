//! Phases of a run.

use crate::schema::PhaseRecord;

use super::{definition::figures, reads::NO_SECTORS};

const NO_TRACEPOINT: &str = "no `mm_filemap_fault`";
const NO_WAITS: &str = "waits not observed";

figures! {
    /// Figures of a phase, in the order of `run.json`; those of its gaps are [`super::gaps::phase`]'s.
    PHASE of PhaseRecord;

    START_S, "start_s", "start", Seconds, Stream, null: "",
        "begin of its first part, seconds from the opening of the gate",
        |phase| phase.start_s;
    END_S, "end_s", "end", Seconds, Stream, null: "",
        "end of its last part",
        |phase| phase.end_s;
    DURATION_S, "duration_s", "time", Seconds, Stream, null: "",
        "sum of its parts",
        |phase| phase.duration_s;
    STEPS, "steps", "steps", Count, Stream, null: "",
        "decode calls in it",
        |phase| phase.steps;
    READS, "reads", "reads", Count, Stream, null: NO_SECTORS,
        "reads first issued in it",
        |phase| phase.reads;
    READ_BYTES, "read_bytes", "read", Bytes, Stream, null: NO_SECTORS,
        "bytes of the model in them: issued − requeued",
        |phase| phase.read_bytes;
    UNIQUE_BYTES, "unique_bytes", "unique", Bytes, Stream, null: NO_SECTORS,
        "distinct bytes among those that arrived; reads that ended unseen count as arrived",
        |phase| phase.unique_bytes;
    THREE_TIMES_BYTES, "three_times_bytes", "read three times or more", Bytes, Stream, null: NO_SECTORS,
        "distinct bytes of the model that arrived three times or more in the phase: what was read again and again",
        |phase| phase.three_times_bytes;
    COVERAGE, "coverage", "coverage", Share, Stream, null: "no sectors, no data bytes",
        "unique / data bytes of the model. A byte may be read in several phases, so the shares do not add up",
        |phase| phase.coverage;
    AMPLIFICATION, "amplification", "amplification", Factor, Stream, null: "no sectors, unique is 0",
        "read / unique in this phase",
        |phase| phase.amplification;
    READAHEAD_BYTES, "readahead_bytes", "by read-ahead", Bytes, Stream, null: NO_SECTORS,
        "bytes of reads that the kernel marked as read-ahead (`REQ_RAHEAD`), which under a mapping are nearly all",
        |phase| phase.readahead_bytes;
    AVERAGE_BYTES_PER_S, "average_bytes_per_s", "average bandwidth", BytesPerSecond, Stream, null: "no sectors, no length",
        "bytes that arrived / `duration_s`",
        |phase| phase.average_bytes_per_s;
    FAULTS, "faults", "faults", Count, Stream, null: NO_TRACEPOINT,
        "page faults on the model",
        |phase| phase.faults;
    MAJOR_FAULTS, "major_faults", "major faults", Count, Stream, null: NO_TRACEPOINT,
        "those whose handler inserted the page",
        |phase| phase.major_faults;
    INSERTED_BYTES, "inserted_bytes", "inserted", Bytes, Stream, null: "not observed",
        "bytes of the files in folios that entered the page cache",
        |phase| phase.inserted_bytes;
    EVICTED_BYTES, "evicted_bytes", "evicted", Bytes, Stream, null: "not observed",
        "bytes of the files in folios that left it",
        |phase| phase.evicted_bytes;
    REFAULTED_BYTES, "refaulted_bytes", "refaulted", Bytes, Stream, null: "not observed",
        "bytes that entered it after an eviction seen in this run",
        |phase| phase.refaulted_bytes;
    STALL_S, "waits.stall_s", "stalled", Seconds, Stream,
        null: "a wait became known too late; before Linux 6.12 where other I/O makes more than 1 % of it, since waits in `read()` are then among that",
        "time in which at least one thread waited for a folio of the model: union over threads",
        |phase| phase.waits.stall_s;
    RECLAIM_S, "waits.reclaim_s", "reclaiming", Seconds, Stream, null: "as `stall_s`",
        "time in which at least one thread of the engine reclaimed memory, and none waited for the model. With `stall_s` and the next two it is a part of the duration",
        |phase| phase.waits.reclaim_s;
    LOCK_S, "waits.lock_s", "waiting for a lock", Seconds, Stream, null: "as `stall_s`",
        "time in which at least one thread waited for a lock in a fault on the model, and none in one of the ways above",
        |phase| phase.waits.lock_s;
    OTHER_IO_S, "waits.other_io_s", "waiting for other I/O", Seconds, Stream, null: "as `stall_s`",
        "time in which at least one thread waited for other I/O, and none in one of the ways above",
        |phase| phase.waits.other_io_s;
    STALL_THREADS_S, "waits.stall_threads_s", "threads in folio waits", Seconds, Stream, null: "as `stall_s`",
        "waits for a folio of the model, summed over threads",
        |phase| phase.waits.stall_threads_s;
    OTHER_IO_THREADS_S, "waits.other_io_threads_s", "in other I/O", Seconds, Stream, null: NO_WAITS,
        "other I/O of the engine's threads, direct reads among it, summed over threads",
        |phase| phase.waits.other_io_threads_s;
    RECLAIM_THREADS_S, "waits.reclaim_threads_s", "in reclaim", Seconds, Stream, null: NO_WAITS,
        "direct reclaim of the system or of a cgroup by the engine's threads, summed over threads",
        |phase| phase.waits.reclaim_threads_s;
    LOCK_THREADS_S, "waits.lock_threads_s", "in locks", Seconds, Stream, null: "waits or faults not observed",
        "uninterruptible sleep that is no I/O in a fault on the model, summed over threads",
        |phase| phase.waits.lock_threads_s;
    LATENCY_P50, "latency_us.p50", "latency, p50", Microseconds, Stream, null: "no sectors, no read timed",
        "half of the phase's reads took at most this",
        |phase| phase.latency_us.as_ref()?.p50;
    LATENCY_P90, "latency_us.p90", "latency, p90", Microseconds, Stream, null: "no sectors, no read timed",
        "90 % of them",
        |phase| phase.latency_us.as_ref()?.p90;
    LATENCY_P99, "latency_us.p99", "latency, p99", Microseconds, Stream, null: "no sectors, no read timed",
        "99 % of them",
        |phase| phase.latency_us.as_ref()?.p99;
    LATENCY_MAX, "latency_us.max", "latency, slowest", Microseconds, Stream, null: "no sectors, no read timed",
        "the slowest (exact)",
        |phase| phase.latency_us.as_ref()?.max;
    LATENCY_COUNT, "latency_us.count", "reads timed", Count, Stream, null: "no sectors, no reads",
        "reads whose first issue and last completion were both seen",
        |phase| phase.latency_us.as_ref()?.count;
}

/// What a phase is, in words, by its name in the record.
#[must_use]
pub fn meaning(phase: &str) -> &'static str {
    match phase {
        "load" => "until the model had been loaded",
        "idle" => "loaded, and not decoding",
        "warm_up" => "a decode call that only touches everything once",
        "prompt" => "decode calls for the prompt",
        "generation" => "one token a step",
        "mixed" => "several requests at once",
        "inference" => "prompt and generation, which no mark tells apart",
        "unended_step" => "the last step and what came after it: nothing says when it ended",
        "end" => "after the last decode call",
        _ => "nothing marked what the engine did",
    }
}
