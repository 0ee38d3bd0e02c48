//! Decode steps.

use crate::schema::TokenRecord;

use super::definition::figures;

const NO_TRACEPOINT: &str = "no `mm_filemap_fault`; step without a known end";
const NO_WAITS: &str = "waits not observed; step without a known end";
const UNENDED: &str = "step without a known end";
const NO_SECTORS: &str = "no sectors; step without a known end";

figures! {
    /// Figures of a step, in the order of `run.json`.
    STEP of TokenRecord;

    STEP_NUMBER, "step", "step", Count, Stream, null: "",
        "its number over all decode calls of the run, from 0",
        |step| step.step;
    TOKENS, "tokens", "tokens", Count, Stream, null: "they cannot be seen",
        "tokens in its batch",
        |step| step.tokens;
    START_S, "start_s", "start", Seconds, Stream, null: "",
        "entry of the decode call, seconds from the opening of the gate",
        |step| step.start_s;
    DURATION_S, "duration_s", "time", Seconds, Stream, null: UNENDED,
        "to the entry of the next one; the last of a request to its return",
        |step| step.duration_s;
    READS, "reads", "reads", Count, Stream, null: NO_SECTORS,
        "reads first issued in it",
        |step| step.reads;
    READ_BYTES, "read_bytes", "read", Bytes, Stream, null: NO_SECTORS,
        "bytes of the model in them",
        |step| step.read_bytes;
    MAJOR_FAULTS, "major_faults", "major faults", Count, Stream, null: NO_TRACEPOINT,
        "page faults on the model whose handler inserted the page",
        |step| step.major_faults;
    FAULTS, "faults", "faults", Count, Stream, null: NO_TRACEPOINT,
        "page faults on the model",
        |step| step.faults;
    REFAULTED_BYTES, "refaulted_bytes", "refaulted", Bytes, Stream, null: "not observed; step without a known end",
        "bytes that entered the page cache after an eviction seen in this run",
        |step| step.refaulted_bytes;
    STALL_S, "waits.stall_s", "stalled", Seconds, Stream, null: "as of phases; step without a known end",
        "time in which at least one thread waited for a folio of the model: union over threads",
        |step| step.waits.stall_s;
    RECLAIM_S, "waits.reclaim_s", "reclaiming", Seconds, Stream, null: "as of phases; step without a known end",
        "as of phases",
        |step| step.waits.reclaim_s;
    LOCK_S, "waits.lock_s", "waiting for a lock", Seconds, Stream, null: "as of phases; step without a known end",
        "as of phases",
        |step| step.waits.lock_s;
    OTHER_IO_S, "waits.other_io_s", "waiting for other I/O", Seconds, Stream, null: "as of phases; step without a known end",
        "as of phases",
        |step| step.waits.other_io_s;
    STALL_THREADS_S, "waits.stall_threads_s", "threads in folio waits", Seconds, Stream, null: "as `stall_s`",
        "waits for a folio of the model, summed over threads",
        |step| step.waits.stall_threads_s;
    OTHER_IO_THREADS_S, "waits.other_io_threads_s", "in other I/O", Seconds, Stream, null: NO_WAITS,
        "as of phases",
        |step| step.waits.other_io_threads_s;
    RECLAIM_THREADS_S, "waits.reclaim_threads_s", "in reclaim", Seconds, Stream, null: NO_WAITS,
        "as of phases",
        |step| step.waits.reclaim_threads_s;
    LOCK_THREADS_S, "waits.lock_threads_s", "in locks", Seconds, Stream, null: "waits or faults not observed; step without a known end",
        "as of phases",
        |step| step.waits.lock_threads_s;
    NEED_BYTES, "need_bytes", "needed", Bytes, UserSpace, null: "a warm-up; several tokens, where it is a range; the headers do not say",
        "bytes of the tensors and experts that a step with so many tokens uses",
        |step| step.need_bytes;
    NEED_FACTOR, "need_factor", "read / needed", Factor, Stream, null: "no sectors, need null; step without a known end",
        "bytes read in the step / bytes that it needs: 0 where all of it was in memory, 1 where each was read",
        |step| step.need_factor;
}
