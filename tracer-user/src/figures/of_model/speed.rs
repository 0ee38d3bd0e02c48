//! Bandwidth and latency of a model's reads.

use crate::{figures::definition::figures, schema::ModelRecord};

use super::reads::NO_SECTORS;

figures! {
    /// Bandwidth, in the order of `run.json`. Bytes count when they arrive without error.
    BANDWIDTH of ModelRecord;

    AVERAGE_BYTES_PER_S, "bandwidth.average_bytes_per_s", "average bandwidth", BytesPerSecond, Stream,
        null: "no sectors, a window without length",
        "bytes / window, computing included",
        |model| model.bandwidth.as_ref()?.average_bytes_per_s;
    BUSY_BYTES_PER_S, "bandwidth.busy_bytes_per_s", "bandwidth while busy", BytesPerSecond, Stream,
        null: "no sectors, never busy, `busy_s` null",
        "bytes / `busy_s`: what the device gave while it was asked",
        |model| model.bandwidth.as_ref()?.busy_bytes_per_s;
    PEAK_BYTES_PER_S, "bandwidth.peak_bytes_per_s", "peak bandwidth", BytesPerSecond, Stream,
        null: "no sectors, a window shorter than 100 ms",
        "largest of the 100 ms windows that follow each other from the stream's start, / 0.1 s. One that the end cuts short counts as 100 ms",
        |model| model.bandwidth.as_ref()?.peak_bytes_per_s;
    BUSY_S, "bandwidth.busy_s", "busy", Seconds, Stream,
        null: "no sectors, a read ended unseen and was noticed at the end only",
        "time in which at least one of the model's reads was with the driver (union of the intervals). A read that ended unseen counts until its tag was used again",
        |model| model.bandwidth.as_ref()?.busy_s;
}

figures! {
    /// Latency, in the order of `run.json`: microseconds from first issue to last completion.
    LATENCY of ModelRecord;

    LATENCY_P50, "latency_us.p50", "latency, p50", Microseconds, Stream, null: "no sectors, no read timed",
        "half of the reads took at most this (three significant digits)",
        |model| model.latency_us.as_ref()?.p50;
    LATENCY_P90, "latency_us.p90", "latency, p90", Microseconds, Stream, null: "no sectors, no read timed",
        "90 % of the reads took at most this",
        |model| model.latency_us.as_ref()?.p90;
    LATENCY_P99, "latency_us.p99", "latency, p99", Microseconds, Stream, null: "no sectors, no read timed",
        "99 % of the reads took at most this: the slowest are what a token waits for",
        |model| model.latency_us.as_ref()?.p99;
    LATENCY_MAX, "latency_us.max", "latency, slowest", Microseconds, Stream, null: "no sectors, no read timed",
        "the slowest read (exact)",
        |model| model.latency_us.as_ref()?.max;
    LATENCY_COUNT, "latency_us.count", "reads timed", Count, Stream, null: NO_SECTORS,
        "reads whose first issue and last completion were both seen",
        |model| model.latency_us.as_ref()?.count;
    LATENCY_UNTIMED, "latency_us.untimed", "completions untimed", Count, Kernel, null: "no sectors, several models",
        "completions in the models' extents whose issue was not seen (issued before the gate opened)",
        |model| model.latency_us.as_ref()?.untimed;
}
