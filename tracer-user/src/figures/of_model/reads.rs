//! Reads of a model that reached a device.

use crate::{figures::definition::figures, schema::ModelRecord};

/// Null wherever the model's sectors are not known.
pub(in crate::figures) const NO_SECTORS: &str = "no sectors";

figures! {
    /// Reads of a model, in the order of `run.json`.
    READS of ModelRecord;

    COUNT, "reads.count", "reads", Count, Kernel, null: NO_SECTORS,
        "requests to the device, each counted once, at its first issue",
        |model| model.reads.as_ref()?.amount.count;
    TOTAL_BYTES, "reads.total_bytes", "total read", Bytes, Kernel, null: NO_SECTORS,
        "bytes issued − bytes requeued: each byte of a read once",
        |model| model.reads.as_ref()?.amount.total_bytes;
    UNIQUE_BYTES, "reads.unique_bytes", "unique", Bytes, Kernel, null: NO_SECTORS,
        "distinct bytes that arrived without error (bitmap of sectors), those of unseen completions included; ≤ `data_bytes`",
        |model| model.reads.as_ref()?.amount.unique_bytes;
    COVERAGE, "reads.coverage", "coverage", Share, Kernel, null: "no sectors, no data bytes",
        "unique / data bytes: 100 % means that every byte was needed or read ahead. A warm start lowers it: see `cache.before_bytes`",
        |model| model.reads.as_ref()?.amount.coverage;
    AMPLIFICATION, "reads.amplification", "amplification", Factor, Kernel, null: "no sectors, unique is 0",
        "total / unique: above 1 means that bytes were read again. ≥ 1, but for reads in flight or failed, which are in the total only. Means nothing without tokens, threads, read-ahead and memory",
        |model| model.reads.as_ref()?.amount.amplification;
    REREAD_FACTOR, "reads.reread_factor", "total / size", Factor, Kernel, null: "no sectors, an empty model",
        "total / size of the model",
        |model| model.reads.as_ref()?.amount.reread_factor;
    COMPLETED_BYTES, "reads.completed_bytes", "arrived", Bytes, Kernel, null: NO_SECTORS,
        "bytes seen to arrive without error, repetitions included",
        |model| model.reads.as_ref()?.completed_bytes;
    FAILED, "reads.failed", "failed", Count, Kernel, null: NO_SECTORS,
        "reads whose last part came back with an error",
        |model| model.reads.as_ref()?.failed;
    FAILED_BYTES, "reads.failed_bytes", "failed bytes", Bytes, Kernel, null: NO_SECTORS,
        "bytes that came back with an error",
        |model| model.reads.as_ref()?.failed_bytes;
    IN_FLIGHT, "reads.in_flight", "in flight at the end", Count, Kernel, null: NO_SECTORS,
        "reads with the driver when the gate closed",
        |model| model.reads.as_ref()?.in_flight;
    IN_FLIGHT_BYTES, "reads.in_flight_bytes", "bytes in flight at the end", Bytes, Kernel, null: NO_SECTORS,
        "bytes of those that had not come back",
        |model| model.reads.as_ref()?.in_flight_bytes;
    REQUEUES, "reads.requeues", "requeued", Count, Kernel, null: NO_SECTORS,
        "issued reads that the driver gave back; each is issued again and is still one read. One that was never issued and is requeued is not in it",
        |model| model.reads.as_ref()?.requeues;
    REISSUES, "reads.reissues", "issued again", Count, Kernel, null: NO_SECTORS,
        "issues of reads that had been issued before: requeues − those waiting at the end",
        |model| model.reads.as_ref()?.reissues;
    UNSEEN, "reads.unseen", "ended unseen", Count, Kernel, null: NO_SECTORS,
        "reads whose completion no program saw",
        |model| model.reads.as_ref()?.unseen;
    UNSEEN_BYTES, "reads.unseen_bytes", "bytes that ended unseen", Bytes, Kernel, null: NO_SECTORS,
        "bytes of those that had not been seen to arrive",
        |model| model.reads.as_ref()?.unseen_bytes;
    READAHEAD, "reads.readahead", "by read-ahead", Count, Kernel, null: NO_SECTORS,
        "first issues with `REQ_RAHEAD`. Under a mapping nearly all reads are read-ahead to the kernel",
        |model| model.reads.as_ref()?.readahead;
    WRITES, "reads.writes", "writes to the model", Count, Kernel, null: "no sectors, a kernel before 5.17",
        "write requests that touch the model's extents, by first issue: somebody wrote to the file's blocks",
        |model| model.reads.as_ref()?.writes;
    WRITE_BYTES, "reads.write_bytes", "bytes written to the model", Bytes, Kernel, null: "no sectors, a kernel before 5.17",
        "bytes of the model in those writes",
        |model| model.reads.as_ref()?.write_bytes;
    ENGINE_READS, "reads.process_share.count", "reads issued by the engine", Count, Stream, null: NO_SECTORS,
        "reads first issued while the engine, or a descendant seen in a sample, was current. A diagnostic: kernel threads issue reads for others, and attribution never uses it",
        |model| model.reads.as_ref()?.process_share.as_ref()?.count;
    ENGINE_BYTES, "reads.process_share.bytes", "bytes issued by the engine", Bytes, Stream, null: NO_SECTORS,
        "bytes of the model in them",
        |model| model.reads.as_ref()?.process_share.as_ref()?.bytes;
    ENGINE_SHARE, "reads.process_share.share", "issued by the engine", Share, Stream,
        null: "no sectors, no reads, and outside the first pid namespace, where process ids cannot be compared",
        "bytes of the reads first issued while the engine was current / bytes of all reads at first issue; kernel threads issued the rest for it",
        |model| model.reads.as_ref()?.process_share.as_ref()?.share;
}
