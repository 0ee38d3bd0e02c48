//! The figures of a stream of reads → members of a record: the same for a live run and an old trace.

use tracer_common::gap::GAP_CLASSES;

use crate::{
    schema::{ByGapClass, GapFigure, GapsRecord},
    stats::ModelFigures,
};

/// Gaps. `counts` are those of the classes, by [`tracer_common::gap::GapClass::slot`]; all else is the stream's, and
/// null without one.
pub fn gaps(counts: [u64; GAP_CLASSES], figures: Option<&ModelFigures>) -> GapsRecord {
    let by_class = figures.map(|figures| figures.gaps).unwrap_or_default();
    let classes = by_class.with_counts(counts);
    GapsRecord {
        classes,
        count: classes.count(),
        backward_overlapping: figures.map(|figures| figures.backward_overlap.overlapping),
        file_order: figures.map(|figures| figures.gaps_file_order.map(|gap| gap.count)),
        stream_sequential_share: figures
            .and_then(|figures| figures.gaps_stream_aware.sequential.share),
        distances: figures.map(|figures| figures.distances.clone()),
        mean_queue_depth: figures.and_then(|figures| figures.queue_depth.mean),
        largest_queue_depth: figures.and_then(|figures| figures.queue_depth.max),
    }
}

/// Gaps where counts are all there is: `by_bytes` has the classes' shares of bytes.
pub fn counted_gaps(counts: [u64; GAP_CLASSES], by_bytes: ByGapClass<GapFigure>) -> GapsRecord {
    let classes = by_bytes.with_counts(counts);
    GapsRecord {
        count: classes.count(),
        classes,
        ..GapsRecord::default()
    }
}
