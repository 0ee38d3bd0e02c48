//! The figures of a stream of reads → members of a record: the same for a live run and an old trace.

use tracer_common::gap::GAP_CLASSES;

use crate::{
    schema::{AccountingRecord, ExpectationRecord, FitRecord, GapsRecord},
    stats::{
        ModelFigures,
        audit::{
            accounting::{Accounting, AccountingFigures, Action},
            matching::{Expectation, Fit, fits},
        },
    },
};

/// Gaps. `counts` are those of the classes, by [`tracer_common::gap::GapClass::slot`]; all else is the stream's.
pub fn gaps(counts: [u64; GAP_CLASSES], figures: &ModelFigures) -> GapsRecord {
    let classes = figures.gaps.with_counts(counts);
    GapsRecord {
        classes,
        count: classes.count(),
        backward_overlapping: figures.backward_overlap.overlapping,
        file_order: figures.gaps_file_order.map(|gap| gap.count),
        stream_sequential_share: figures.gaps_stream_aware.sequential.share,
        distances: figures.distances.clone(),
        mean_queue_depth: figures.queue_depth.mean,
        largest_queue_depth: figures.queue_depth.max,
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
        gaps: figures.gaps.count(),
        sequential: figures.gaps.sequential,
        small: figures.gaps.small,
        medium: figures.gaps.medium,
        large: figures.gaps.large,
        backward: figures.gaps.backward,
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
