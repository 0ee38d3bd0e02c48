//! The figures of a run that are compared over runs. One list for consistency, differences and outliers.

use crate::stats::experiment::summary::FigureKind;

use super::{amounts::Unit, groups::Traced};

/// One figure.
#[derive(Clone, Copy)]
pub(super) struct Figure {
    pub name: &'static str,
    pub unit: Unit,
    pub kind: FigureKind,
    pub pick: for<'a> fn(&Traced<'a>) -> Option<f64>,
}

const fn amount(
    name: &'static str,
    unit: Unit,
    pick: for<'a> fn(&Traced<'a>) -> Option<f64>,
) -> Figure {
    Figure {
        name,
        unit,
        kind: FigureKind::Amount,
        pick,
    }
}

const fn ratio(
    name: &'static str,
    unit: Unit,
    pick: for<'a> fn(&Traced<'a>) -> Option<f64>,
) -> Figure {
    Figure {
        name,
        unit,
        kind: FigureKind::Ratio,
        pick,
    }
}

/// Every figure that is compared, in the order of the results' table.
pub(super) static FIGURES: [Figure; 14] = [
    amount("time", Unit::Seconds, |run| Some(run.record.time.wall_s)),
    amount("tok/s", Unit::PerSecond, |run| {
        run.record.engine.tokens_per_s
    }),
    amount("reads", Unit::Count, |run| {
        Some(run.model.reads.as_ref()?.count as f64)
    }),
    amount("total read", Unit::Bytes, |run| {
        Some(run.model.reads.as_ref()?.total_bytes as f64)
    }),
    amount("unique", Unit::Bytes, |run| {
        Some(run.model.reads.as_ref()?.unique_bytes as f64)
    }),
    ratio("coverage", Unit::Share, |run| {
        run.model.reads.as_ref()?.coverage
    }),
    ratio("amplification", Unit::Factor, |run| {
        run.model.reads.as_ref()?.amplification
    }),
    ratio("backward", Unit::Share, |run| {
        run.model.gaps.as_ref()?.backward.share
    }),
    ratio("sequential", Unit::Share, |run| {
        run.model.gaps.as_ref()?.sequential.share
    }),
    ratio("in its stream", Unit::Share, |run| {
        run.model.gaps.as_ref()?.stream_sequential_share
    }),
    amount("read in generation", Unit::Bytes, |run| {
        Some(run.phase("generation")?.read_bytes? as f64)
    }),
    amount("cache delta", Unit::Bytes, |run| {
        Some(run.model.cache.delta_bytes? as f64)
    }),
    amount("bandwidth while busy", Unit::BytesPerSecond, |run| {
        run.model.bandwidth.as_ref()?.busy_bytes_per_s
    }),
    amount("peak resident set", Unit::Bytes, |run| {
        Some(run.record.process.peak.as_ref()?.rss_bytes? as f64)
    }),
];

/// The figure of this name.
pub(super) fn figure(name: &str) -> Option<&'static Figure> {
    FIGURES.iter().find(|figure| figure.name == name)
}
