//! The figures of a stream of reads → members of a record: the same for a live run and an old trace.

use std::collections::BTreeSet;

use tracer_common::gap::GAP_CLASSES;

use crate::{
    schema::{
        AccountingRecord, BandwidthRecord, DistanceBucket, ExpectationRecord, FitRecord,
        GapClassRecord, GapsRecord, LatencyRecord, OrderRecord, ProcessShareRecord, SizeCount,
    },
    stats::{
        ModelFigures,
        audit::{
            accounting::{Accounting, AccountingFigures, Action},
            matching::{Expectation, Fit, fits},
        },
        formulas::ratio,
        order::gaps::GapFigure,
    },
};

/// Gaps. `counts` are those of the classes, by [`tracer_common::gap::GapClass::slot`]; all else is the stream's.
pub fn gaps(counts: [u64; GAP_CLASSES], figures: &ModelFigures) -> GapsRecord {
    let count: u64 = counts.iter().sum();
    let classes = figures.gaps.classes();
    let [sequential, small, medium, large, backward] = std::array::from_fn(|slot| {
        let gaps = counts[slot];
        GapClassRecord {
            count: gaps,
            share: ratio(gaps, count),
            share_of_bytes: classes[slot].1.bytes_share,
        }
    });
    let order = &figures.gaps_file_order;
    GapsRecord {
        sequential,
        small,
        medium,
        large,
        backward,
        count,
        backward_overlapping: figures.backward_overlap.overlapping,
        file_order: OrderRecord {
            sequential: order.sequential.count,
            small: order.small.count,
            medium: order.medium.count,
            large: order.large.count,
            backward: order.backward.count,
        },
        stream_sequential_share: figures.gaps_stream_aware.sequential.share,
        distances: figures
            .distances
            .iter()
            .map(|point| DistanceBucket {
                from_bytes: point.from_sectors.saturating_mul(512),
                to_bytes: point.to_sectors.saturating_mul(512),
                count: point.count,
                cumulative_share: point.cumulative_share,
                mean_queue_depth: point.mean_queue_depth,
            })
            .collect(),
        mean_queue_depth: figures.queue_depth.mean,
        largest_queue_depth: figures.queue_depth.max,
    }
}

/// Request sizes.
pub fn sizes(figures: &ModelFigures) -> Vec<SizeCount> {
    figures
        .request_sizes
        .iter()
        .map(|size| SizeCount {
            bytes: u64::from(size.request_bytes),
            count: size.reads,
        })
        .collect()
}

/// What some processes issued, and its share of all.
pub fn process_share(figures: &ModelFigures, process_ids: &BTreeSet<u32>) -> ProcessShareRecord {
    let mut share = ProcessShareRecord::default();
    for process in &figures.processes {
        if process_ids.contains(&process.process_id) {
            share.count += process.reads;
            share.bytes += process.bytes;
        }
    }
    let streamed: u64 = figures.processes.iter().map(|process| process.bytes).sum();
    share.share = ratio(share.bytes, streamed);
    share
}

/// Bandwidth. Where a read was in flight for a time that nobody knows, the busy time is not known either.
pub fn bandwidth(figures: &ModelFigures, busy_is_known: bool) -> BandwidthRecord {
    BandwidthRecord {
        average_bytes_per_s: figures.bandwidth.average_bytes_per_s,
        busy_bytes_per_s: figures.bandwidth.busy_bytes_per_s.filter(|_| busy_is_known),
        peak_bytes_per_s: figures.bandwidth.peak_bytes_per_s,
        busy_s: Some(figures.bandwidth.busy_s).filter(|_| busy_is_known),
    }
}

/// Latency; `untimed` completions had no issue that was observed.
pub fn latency(figures: &ModelFigures, untimed: Option<u64>) -> LatencyRecord {
    LatencyRecord {
        p50: figures.latency_us.p50,
        p90: figures.latency_us.p90,
        p99: figures.latency_us.p99,
        max: figures.latency_us.max,
        count: figures.latency_us.count,
        untimed,
    }
}

/// The figures by accounting.
pub fn accountings(figures: &[AccountingFigures]) -> Vec<AccountingRecord> {
    figures.iter().map(accounting).collect()
}

fn accounting(figures: &AccountingFigures) -> AccountingRecord {
    let letters = |actions: &[Action]| -> Vec<String> {
        actions
            .iter()
            .map(|action| action.letter().to_string())
            .collect()
    };
    let class = |gap: GapFigure| GapClassRecord {
        count: gap.count,
        share: gap.share,
        share_of_bytes: gap.bytes_share,
    };
    AccountingRecord {
        name: figures.accounting.name(),
        actions: match &figures.accounting {
            Accounting::Records(actions) => letters(actions),
            _ => letters(&[Action::Issue]),
        },
        records: figures.records,
        total_bytes: figures.total_bytes,
        unique_bytes: figures.unique_bytes,
        amplification: figures.amplification,
        gaps: figures.gaps.count,
        sequential: class(figures.gaps.sequential),
        small: class(figures.gaps.small),
        medium: class(figures.gaps.medium),
        large: class(figures.gaps.large),
        backward: class(figures.gaps.backward),
        records_per_read: figures.records_per_read,
        not_recorded: letters(&figures.not_recorded),
    }
}

/// Which accountings give the figures that somebody has: all whose amplification fits; where none does, the nearest.
pub fn expectation(figures: &[AccountingFigures], expected: &Expectation) -> ExpectationRecord {
    let fit = |fit: &Fit| {
        Some(FitRecord {
            accounting: figures.get(fit.accounting)?.accounting.name(),
            amplification_fits: fit.amplification_fits(),
            amplification_difference: fit.amplification_difference,
            shares_fit: fit.shares_fit(),
            share_difference: fit.share_difference,
            records_per_read: fit.records_per_read,
        })
    };
    let all = fits(figures, expected);
    let fitting = all.iter().filter(|fit| fit.amplification_fits()).count();
    ExpectationRecord {
        amplification: expected.amplification,
        sequential: expected.sequential,
        small: expected.small,
        medium: expected.medium,
        large: expected.large,
        backward: expected.backward,
        fits: all.iter().take(fitting.max(1)).filter_map(fit).collect(),
    }
}
