//! Gaps between consecutive reads, of a model and of a phase.

use crate::{
    figures::{Figure, Scope, definition::figures},
    schema::{ModelRecord, PhaseRecord},
};

/// Null where there is no gap: the model's sectors are not known, or fewer than two reads.
const NO_GAP: &str = "no sectors, no gap";
const NO_SECTORS: &str = super::reads::NO_SECTORS;

/// The figures of one class of gaps.
#[derive(Debug)]
pub struct Class<R: Scope> {
    /// The class and its bounds.
    pub name: &'static str,
    pub count: &'static Figure<R>,
    /// Their share of all gaps.
    pub share: &'static Figure<R>,
    /// The share of bytes in the reads after them.
    pub share_of_bytes: &'static Figure<R>,
    /// How many over offsets in a file.
    pub in_file: &'static Figure<R>,
}

/// The classes of a model's gaps, in the order of their bounds.
pub static CLASSES: [Class<ModelRecord>; 5] = [
    Class {
        name: "sequential (gap = 0)",
        count: &SEQUENTIAL,
        share: &SEQUENTIAL_SHARE,
        share_of_bytes: &SEQUENTIAL_SHARE_OF_BYTES,
        in_file: &SEQUENTIAL_IN_FILE,
    },
    Class {
        name: "small (< 128 KiB)",
        count: &SMALL,
        share: &SMALL_SHARE,
        share_of_bytes: &SMALL_SHARE_OF_BYTES,
        in_file: &SMALL_IN_FILE,
    },
    Class {
        name: "medium (128 KiB – 1 MiB)",
        count: &MEDIUM,
        share: &MEDIUM_SHARE,
        share_of_bytes: &MEDIUM_SHARE_OF_BYTES,
        in_file: &MEDIUM_IN_FILE,
    },
    Class {
        name: "large (> 1 MiB)",
        count: &LARGE,
        share: &LARGE_SHARE,
        share_of_bytes: &LARGE_SHARE_OF_BYTES,
        in_file: &LARGE_IN_FILE,
    },
    Class {
        name: "backward (< 0)",
        count: &BACKWARD,
        share: &BACKWARD_SHARE,
        share_of_bytes: &BACKWARD_SHARE_OF_BYTES,
        in_file: &BACKWARD_IN_FILE,
    },
];

/// The shares of a class's gaps in a phase, with the classes' names, in the order of their bounds.
pub static PHASE_SHARES: [(&str, &Figure<PhaseRecord>); 5] = [
    ("sequential (gap = 0)", &phase::SEQUENTIAL_SHARE),
    ("small (< 128 KiB)", &phase::SMALL_SHARE),
    ("medium (128 KiB – 1 MiB)", &phase::MEDIUM_SHARE),
    ("large (> 1 MiB)", &phase::LARGE_SHARE),
    ("backward (< 0)", &phase::BACKWARD_SHARE),
];

figures! {
    /// Gaps of a model, in the order of `run.json`.
    GAPS of ModelRecord;

    SEQUENTIAL, "gaps.sequential.count", "sequential gaps", Count, Kernel, null: NO_SECTORS,
        "reads of which each starts where the model's previous read ended",
        |model| model.gaps.as_ref()?.classes.sequential.count;
    SEQUENTIAL_SHARE, "gaps.sequential.share", "sequential", Share, Kernel, null: NO_GAP,
        "those / all gaps: starts where the model's previous read ended",
        |model| model.gaps.as_ref()?.classes.sequential.share;
    SEQUENTIAL_SHARE_OF_BYTES, "gaps.sequential.share_of_bytes", "sequential, by bytes", Share, Stream, null: NO_GAP,
        "bytes of the model in the reads after these gaps / in all reads that have a gap",
        |model| model.gaps.as_ref()?.classes.sequential.share_of_bytes;
    SMALL, "gaps.small.count", "small gaps", Count, Kernel, null: NO_SECTORS,
        "reads of which each skips forward by less than 128 KiB",
        |model| model.gaps.as_ref()?.classes.small.count;
    SMALL_SHARE, "gaps.small.share", "small", Share, Kernel, null: NO_GAP,
        "those / all gaps: skips forward by less than 128 KiB",
        |model| model.gaps.as_ref()?.classes.small.share;
    SMALL_SHARE_OF_BYTES, "gaps.small.share_of_bytes", "small, by bytes", Share, Stream, null: NO_GAP,
        "bytes of the model in the reads after these gaps / in all reads that have a gap",
        |model| model.gaps.as_ref()?.classes.small.share_of_bytes;
    MEDIUM, "gaps.medium.count", "medium gaps", Count, Kernel, null: NO_SECTORS,
        "reads of which each skips forward by 128 KiB – 1 MiB",
        |model| model.gaps.as_ref()?.classes.medium.count;
    MEDIUM_SHARE, "gaps.medium.share", "medium", Share, Kernel, null: NO_GAP,
        "those / all gaps: skips forward by 128 KiB – 1 MiB",
        |model| model.gaps.as_ref()?.classes.medium.share;
    MEDIUM_SHARE_OF_BYTES, "gaps.medium.share_of_bytes", "medium, by bytes", Share, Stream, null: NO_GAP,
        "bytes of the model in the reads after these gaps / in all reads that have a gap",
        |model| model.gaps.as_ref()?.classes.medium.share_of_bytes;
    LARGE, "gaps.large.count", "large gaps", Count, Kernel, null: NO_SECTORS,
        "reads of which each jumps forward by more than 1 MiB",
        |model| model.gaps.as_ref()?.classes.large.count;
    LARGE_SHARE, "gaps.large.share", "large", Share, Kernel, null: NO_GAP,
        "those / all gaps: jumps forward by more than 1 MiB",
        |model| model.gaps.as_ref()?.classes.large.share;
    LARGE_SHARE_OF_BYTES, "gaps.large.share_of_bytes", "large, by bytes", Share, Stream, null: NO_GAP,
        "bytes of the model in the reads after these gaps / in all reads that have a gap",
        |model| model.gaps.as_ref()?.classes.large.share_of_bytes;
    BACKWARD, "gaps.backward.count", "backward gaps", Count, Kernel, null: NO_SECTORS,
        "reads of which each starts before the end of the model's previous read; one request is one record here, so none of these is an artefact",
        |model| model.gaps.as_ref()?.classes.backward.count;
    BACKWARD_SHARE, "gaps.backward.share", "backward", Share, Kernel, null: NO_GAP,
        "those / all gaps: starts before the end of the model's previous read; one request is one record here, so none of these is an artefact",
        |model| model.gaps.as_ref()?.classes.backward.share;
    BACKWARD_SHARE_OF_BYTES, "gaps.backward.share_of_bytes", "backward, by bytes", Share, Stream, null: NO_GAP,
        "bytes of the model in the reads after these gaps / in all reads that have a gap",
        |model| model.gaps.as_ref()?.classes.backward.share_of_bytes;
    COUNT, "gaps.count", "gaps", Count, Kernel, null: NO_SECTORS,
        "all gaps: reads − devices. The five classes sum to it, their shares to 1",
        |model| model.gaps.as_ref()?.count;
    BACKWARD_OVERLAPPING, "gaps.backward_overlapping", "backward, overlapping", Count, Stream, null: NO_SECTORS,
        "backward reads that overlap their predecessor",
        |model| model.gaps.as_ref()?.backward_overlapping;
    SEQUENTIAL_IN_FILE, "gaps.file_order.sequential", "sequential in the file", Count, Stream, null: NO_SECTORS,
        "gaps of this class over offsets in a file",
        |model| model.gaps.as_ref()?.file_order.as_ref()?.sequential;
    SMALL_IN_FILE, "gaps.file_order.small", "small in the file", Count, Stream, null: NO_SECTORS,
        "gaps of this class over offsets in a file",
        |model| model.gaps.as_ref()?.file_order.as_ref()?.small;
    MEDIUM_IN_FILE, "gaps.file_order.medium", "medium in the file", Count, Stream, null: NO_SECTORS,
        "gaps of this class over offsets in a file",
        |model| model.gaps.as_ref()?.file_order.as_ref()?.medium;
    LARGE_IN_FILE, "gaps.file_order.large", "large in the file", Count, Stream, null: NO_SECTORS,
        "gaps of this class over offsets in a file",
        |model| model.gaps.as_ref()?.file_order.as_ref()?.large;
    BACKWARD_IN_FILE, "gaps.file_order.backward", "backward in the file", Count, Stream, null: NO_SECTORS,
        "gaps of this class over offsets in a file",
        |model| model.gaps.as_ref()?.file_order.as_ref()?.backward;
    STREAM_SEQUENTIAL_SHARE, "gaps.stream_sequential_share", "in its stream", Share, Stream, null: NO_GAP,
        "stream-aware sequential / gaps: continues one of the last 32 reads, which is what several threads that read in order look like",
        |model| model.gaps.as_ref()?.stream_sequential_share;
    MEAN_QUEUE_DEPTH, "gaps.mean_queue_depth", "reads in flight", Mean, Stream, null: "no sectors, no read",
        "the model's reads with the driver at a first issue, that read included, on average: one after another gives 1",
        |model| model.gaps.as_ref()?.mean_queue_depth;
    LARGEST_QUEUE_DEPTH, "gaps.largest_queue_depth", "reads in flight, at most", Count, Stream, null: "no sectors, no read",
        "the largest number of the model's reads with the driver at a first issue",
        |model| model.gaps.as_ref()?.largest_queue_depth;
}

/// Gaps of a phase.
pub mod phase {
    use crate::schema::PhaseRecord;

    use crate::figures::definition::figures;

    const NO_READS: &str = "no sectors, no reads";
    const NO_GAP: &str = "no sectors, no gap";

    figures! {
        /// Gaps of a phase, in the order of `run.json`. A gap belongs to the later read.
        GAPS of PhaseRecord;

        SEQUENTIAL, "gaps.sequential.count", "sequential gaps", Count, Stream, null: NO_READS,
            "as of the whole run",
            |phase| phase.gaps.as_ref()?.classes.sequential.count;
        SEQUENTIAL_SHARE, "gaps.sequential.share", "sequential", Share, Stream, null: NO_GAP,
            "as of the whole run: starts where the model's previous read ended",
            |phase| phase.gaps.as_ref()?.classes.sequential.share;
        SEQUENTIAL_SHARE_OF_BYTES, "gaps.sequential.share_of_bytes", "sequential, by bytes", Share, Stream, null: NO_GAP,
            "as of the whole run",
            |phase| phase.gaps.as_ref()?.classes.sequential.share_of_bytes;
        SMALL, "gaps.small.count", "small gaps", Count, Stream, null: NO_READS,
            "as of the whole run",
            |phase| phase.gaps.as_ref()?.classes.small.count;
        SMALL_SHARE, "gaps.small.share", "small", Share, Stream, null: NO_GAP,
            "as of the whole run: skips forward by less than 128 KiB",
            |phase| phase.gaps.as_ref()?.classes.small.share;
        SMALL_SHARE_OF_BYTES, "gaps.small.share_of_bytes", "small, by bytes", Share, Stream, null: NO_GAP,
            "as of the whole run",
            |phase| phase.gaps.as_ref()?.classes.small.share_of_bytes;
        MEDIUM, "gaps.medium.count", "medium gaps", Count, Stream, null: NO_READS,
            "as of the whole run",
            |phase| phase.gaps.as_ref()?.classes.medium.count;
        MEDIUM_SHARE, "gaps.medium.share", "medium", Share, Stream, null: NO_GAP,
            "as of the whole run: skips forward by 128 KiB – 1 MiB",
            |phase| phase.gaps.as_ref()?.classes.medium.share;
        MEDIUM_SHARE_OF_BYTES, "gaps.medium.share_of_bytes", "medium, by bytes", Share, Stream, null: NO_GAP,
            "as of the whole run",
            |phase| phase.gaps.as_ref()?.classes.medium.share_of_bytes;
        LARGE, "gaps.large.count", "large gaps", Count, Stream, null: NO_READS,
            "as of the whole run",
            |phase| phase.gaps.as_ref()?.classes.large.count;
        LARGE_SHARE, "gaps.large.share", "large", Share, Stream, null: NO_GAP,
            "as of the whole run: jumps forward by more than 1 MiB",
            |phase| phase.gaps.as_ref()?.classes.large.share;
        LARGE_SHARE_OF_BYTES, "gaps.large.share_of_bytes", "large, by bytes", Share, Stream, null: NO_GAP,
            "as of the whole run",
            |phase| phase.gaps.as_ref()?.classes.large.share_of_bytes;
        BACKWARD, "gaps.backward.count", "backward gaps", Count, Stream, null: NO_READS,
            "as of the whole run",
            |phase| phase.gaps.as_ref()?.classes.backward.count;
        BACKWARD_SHARE, "gaps.backward.share", "backward", Share, Stream, null: NO_GAP,
            "as of the whole run: starts before the end of the model's previous read; one request is one record here, so none of these is an artefact",
            |phase| phase.gaps.as_ref()?.classes.backward.share;
        BACKWARD_SHARE_OF_BYTES, "gaps.backward.share_of_bytes", "backward, by bytes", Share, Stream, null: NO_GAP,
            "as of the whole run",
            |phase| phase.gaps.as_ref()?.classes.backward.share_of_bytes;
        STREAM_SEQUENTIAL_SHARE, "gaps.stream_sequential_share", "in its stream", Share, Stream, null: NO_GAP,
            "as of the whole run: continues one of the last 32 reads",
            |phase| phase.gaps.as_ref()?.stream_sequential_share;
    }
}
