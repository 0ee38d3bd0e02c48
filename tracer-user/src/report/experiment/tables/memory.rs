//! Tables of memory: the cache delta, and what is needed beside the file.

use crate::{
    figures::{InRun, Unit, pages, process},
    report::document::{Column, Document, Table},
    schema::{ExperimentRecord, PeakMemoryRecord},
    stats::{experiment::bootstrap::median, formulas::quotient},
    units::{bytes, share, unobserved},
};

use super::spread;
use crate::report::experiment::groups::{Group, Traced};

/// A part of the model's size.
pub(in crate::report::experiment) fn of_model(run: &Traced<'_>, part: Option<f64>) -> Option<f64> {
    quotient(part?, run.model.model.size_bytes as f64)
}

/// Cache delta / size of the model.
pub(in crate::report::experiment) fn delta_share(run: &Traced<'_>) -> Option<f64> {
    of_model(run, Some(run.model.cache.delta_bytes? as f64))
}

/// Bytes of the engine's buffers with one of these purposes, those on other devices (`CUDA0`, …) left out. `None` where
/// the log named no buffer at all.
pub(in crate::report::experiment) fn buffers(run: &Traced<'_>, purposes: &[&str]) -> Option<f64> {
    let buffers = &run.record.engine.buffers;
    (!buffers.is_empty()).then(|| {
        let named = buffers.iter().filter(|buffer| {
            let device = buffer.device.as_deref().unwrap_or("CPU");
            (device.starts_with("CPU") || device.starts_with("AMX"))
                && purposes.contains(&buffer.purpose.as_str())
        });
        named.map(|buffer| buffer.bytes as f64).sum()
    })
}

/// Every purpose that is anonymous memory: all but the mapping of the file.
pub(in crate::report::experiment) const ANONYMOUS_PURPOSES: [&str; 8] = [
    "model",
    "repack",
    "adapter",
    "kv_cache",
    "recurrent_state",
    "compute",
    "input",
    "output",
];

/// A cell and its figures.
fn table_of_cells<const N: usize>(
    groups: &[Group<'_>],
    figures: [&str; N],
    of: impl Fn(&Group<'_>) -> [String; N],
) -> Table {
    let figures = figures.map(Column::right);
    Table::new(std::iter::once(Column::left("cell")).chain(figures)).with_rows(
        groups
            .iter()
            .map(|group| std::iter::once(group.name.clone()).chain(of(group))),
    )
}

/// The page cache around the run.
pub(in crate::report::experiment) fn cache(
    document: &mut Document,
    experiment: &ExperimentRecord,
    groups: &[Group<'_>],
) {
    document.heading(3, "Page-cache delta");
    let columns = [
        "before",
        "load end",
        "last token",
        "after",
        "delta",
        "of the model",
        "evicted pages",
    ];
    let table = table_of_cells(groups, columns, |group| {
        let cached = |pick: &dyn Fn(&Traced<'_>) -> Option<u64>| {
            group.show(Unit::Bytes, |run| Some(pick(run)? as f64))
        };
        [
            cached(&|run| run.model.cache.before_bytes),
            cached(&|run| run.model.cache.load_end_bytes),
            cached(&|run| run.model.cache.last_token_bytes),
            cached(&|run| run.model.cache.after_bytes),
            spread::of_figure(group, &InRun::Model(&pages::DELTA_BYTES), experiment.seed),
            group.show(Unit::Share, delta_share),
            group.show(Unit::Count, |run| Some(run.model.cache.evictions? as f64)),
        ]
    });
    document.table(table.captioned("Bytes of the model's files in the page cache. Delta: after the engine's end − before its start."));
}

/// RssFile + RssAnon of the largest sample, bytes.
pub(in crate::report::experiment) fn resident_bytes(run: &Traced<'_>) -> Option<f64> {
    let peak = run.record.process.peak.as_ref()?;
    Some(peak.file_bytes? as f64 + peak.anonymous_bytes? as f64)
}

/// Anonymous and shared memory and page tables of the largest sample, bytes: what is needed beside the file.
pub(in crate::report::experiment) fn beside_bytes(run: &Traced<'_>) -> Option<f64> {
    let peak = run.record.process.peak.as_ref()?;
    let parts = [
        peak.anonymous_bytes,
        peak.shared_memory_bytes,
        peak.page_table_bytes,
    ];
    parts
        .into_iter()
        .try_fold(0.0, |sum, part| Some(sum + part? as f64))
}

/// The engine's memory at its largest.
pub(in crate::report::experiment) fn beside(
    document: &mut Document,
    experiment: &ExperimentRecord,
    groups: &[Group<'_>],
) {
    document.heading(3, "Memory beside the file");
    let columns = [
        "MemAvailable",
        "peak resident set",
        "needed",
        "over the file",
        "RssFile",
        "RssAnon",
        "page tables",
        "KV cache",
        "repacked",
        "compute and output",
    ];
    let table = table_of_cells(groups, columns, |group| {
        let peak = |pick: fn(&PeakMemoryRecord) -> Option<u64>| {
            group.show(Unit::Bytes, |run| {
                Some(pick(run.record.process.peak.as_ref()?)? as f64)
            })
        };
        let logged = |purposes: &[&str]| {
            let values = group.figures(|run| buffers(run, purposes));
            median(&values).map_or_else(|| "–".to_owned(), |value| bytes(value as u64))
        };
        let needed = group.figures(|run| of_model(run, resident_bytes(run)));
        [
            group.show(Unit::Bytes, |run| {
                Some(run.record.memory.available_before_bytes? as f64)
            }),
            spread::of_figure(
                group,
                &InRun::Run(&process::PEAK_RSS_BYTES),
                experiment.seed,
            ),
            group.show(Unit::Bytes, resident_bytes),
            median(&needed).map_or_else(unobserved, |needed| share(Some(needed - 1.0))),
            peak(|peak| peak.file_bytes),
            peak(|peak| peak.anonymous_bytes),
            peak(|peak| peak.page_table_bytes),
            logged(&["kv_cache"]),
            logged(&["repack"]),
            logged(&["compute", "input", "output"]),
        ]
    });
    document.table(table.captioned("MemAvailable: what the machine could give before the start, pressure included. The rest is of the largest sample of the engine's resident set. Needed: RssFile + RssAnon; over the file: needed / size − 1. The buffers are what the engine's log says; a dash: the log named none."));
}
