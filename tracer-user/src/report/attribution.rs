//! What the reads were for: tables of phases, kinds, layers, tensors, experts, steps, and of each device.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt::Write as _,
};

use crate::{
    schema::{ModelRecord, PageCacheRecord, RunRecord, TensorRecord, TokenRecord},
    units::{
        bytes, count, factor, observed_bytes, observed_count, rate, seconds, share, unobserved,
    },
};

use super::markdown::{escaped, table};

/// Steps that the table shows; a longer run is shown by its first and last ones.
const STEPS_SHOWN: usize = 40;
/// Tensors in the table of those that were read most often.
const MOST_REREAD: usize = 10;

/// The tables of one model.
pub(super) fn attribution(text: &mut String, model: &ModelRecord) {
    let name = escaped(&model.model.path);
    if let Some(marks) = &model.marks {
        let _ = writeln!(text, "## Phases of {name}\n");
        let _ = writeln!(
            text,
            "Taken from: {} – {}.\n",
            marks.source,
            escaped(&marks.description)
        );
    }
    phases(text, model);
    if let Some(tensors) = model.tensors.as_ref().filter(|_| model.reads.is_some()) {
        kinds_and_layers(text, &name, tensors);
        most_reread(text, &name, tensors);
        experts(text, &name, tensors);
    }
    if let Some(pages) = &model.page_cache {
        page_cache(text, &name, pages);
    }
    if let Some(tokens) = &model.tokens {
        steps(text, &name, tokens);
    }
}

fn page_cache(text: &mut String, name: &str, pages: &PageCacheRecord) {
    let _ = writeln!(
        text,
        "## Page-cache events of {name}, in bytes of its files\n"
    );
    table(
        text,
        &[
            "inserted",
            "inserted / size",
            "evicted",
            "refaulted",
            "evicted unused, at least",
            "at most",
            "inserted between eviction and refault, half at most",
            "90 % at most",
            "resident at the end",
        ],
        &[vec![
            bytes(pages.inserted_bytes),
            factor(pages.times_inserted),
            bytes(pages.evicted_bytes),
            bytes(pages.refaulted_bytes),
            observed_bytes(pages.unused_at_least_bytes),
            observed_bytes(pages.unused_at_most_bytes),
            observed_bytes(pages.miss_stream_distance_p50_bytes),
            observed_bytes(pages.miss_stream_distance_p90_bytes),
            observed_bytes(pages.resident_bytes),
        ]],
    );
    text.push_str(
        "Unused: inserted and evicted without a use in between. At least: in no fault, look-up or mapped window; at most: in no fault or look-up, since an access through a mapping is not seen. With `read()` alone both are exact.\n\n",
    );
}

fn phases(text: &mut String, model: &ModelRecord) {
    let Some(phases) = &model.phases else {
        return;
    };
    let rows: Vec<Vec<String>> = phases
        .iter()
        .map(|phase| {
            let gaps = phase.gaps.as_ref();
            vec![
                phase.phase.replace('_', "-"),
                seconds(Some(phase.duration_s)),
                count(phase.steps),
                observed_count(phase.reads),
                observed_bytes(phase.read_bytes),
                observed_bytes(phase.unique_bytes),
                share(phase.coverage),
                factor(phase.amplification),
                share(gaps.and_then(|gaps| gaps.sequential.share)),
                share(gaps.and_then(|gaps| gaps.stream_sequential_share)),
                share(gaps.and_then(|gaps| gaps.backward.share)),
                rate(phase.average_bytes_per_s),
            ]
        })
        .collect();
    table(
        text,
        &[
            "phase",
            "time",
            "steps",
            "reads",
            "read",
            "unique",
            "coverage",
            "amplification",
            "sequential",
            "in its stream",
            "backward",
            "average",
        ],
        &rows,
    );
    let rows: Vec<Vec<String>> = phases
        .iter()
        .map(|phase| {
            vec![
                phase.phase.replace('_', "-"),
                observed_bytes(phase.inserted_bytes),
                observed_bytes(phase.evicted_bytes),
                observed_bytes(phase.refaulted_bytes),
                observed_count(phase.faults),
                observed_count(phase.major_faults),
                seconds(phase.waits.stall_s),
                seconds(phase.waits.stall_threads_s),
                seconds(phase.waits.other_io_threads_s),
                seconds(phase.waits.reclaim_threads_s),
                seconds(phase.waits.lock_threads_s),
            ]
        })
        .collect();
    table(
        text,
        &[
            "phase",
            "inserted",
            "evicted",
            "refaulted",
            "faults",
            "major",
            "stalled",
            "threads in folio waits",
            "in other I/O",
            "in reclaim",
            "in locks",
        ],
        &rows,
    );
}

/// Sums over tensors.
#[derive(Clone, Copy, Default)]
struct Sum {
    bytes: u64,
    read_bytes: u64,
    readahead_bytes: u64,
    evicted_bytes: u64,
    refaulted_bytes: u64,
}

impl Sum {
    fn add(&mut self, tensor: &TensorRecord) {
        self.bytes += tensor.bytes;
        self.read_bytes += tensor.read_bytes.unwrap_or(0);
        self.readahead_bytes += tensor.readahead_bytes.unwrap_or(0);
        self.evicted_bytes += tensor.evictions_bytes.unwrap_or(0);
        self.refaulted_bytes += tensor.refaults_bytes.unwrap_or(0);
    }

    fn cells(self) -> Vec<String> {
        vec![
            bytes(self.bytes),
            bytes(self.read_bytes),
            factor(ratio(self.read_bytes, self.bytes)),
            bytes(self.readahead_bytes),
            bytes(self.evicted_bytes),
            bytes(self.refaulted_bytes),
        ]
    }
}

fn ratio(part: u64, whole: u64) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

const SUM_HEADER: [&str; 6] = [
    "size",
    "read",
    "read / size",
    "by read-ahead",
    "evicted",
    "refaulted",
];

fn kinds_and_layers(text: &mut String, name: &str, tensors: &[TensorRecord]) {
    let mut kinds: BTreeMap<&str, Sum> = BTreeMap::new();
    let mut layers: BTreeMap<u32, Sum> = BTreeMap::new();
    for tensor in tensors {
        kinds.entry(&tensor.kind).or_default().add(tensor);
        if let Some(layer) = tensor.layer {
            layers.entry(layer).or_default().add(tensor);
        }
    }
    let _ = writeln!(text, "## Reads of {name} by kind\n");
    let mut kinds: Vec<_> = kinds.into_iter().collect();
    kinds.sort_by_key(|(_, sum)| std::cmp::Reverse(sum.bytes));
    let rows: Vec<Vec<String>> = kinds
        .into_iter()
        .map(|(kind, sum)| with_label(kind.to_owned(), sum))
        .collect();
    table(text, &header("kind"), &rows);
    if layers.is_empty() {
        return;
    }
    let _ = writeln!(text, "## Reads of {name} by layer\n");
    let rows: Vec<Vec<String>> = layers
        .into_iter()
        .map(|(layer, sum)| with_label(layer.to_string(), sum))
        .collect();
    table(text, &header("layer"), &rows);
}

fn header(first: &'static str) -> Vec<&'static str> {
    std::iter::once(first).chain(SUM_HEADER).collect()
}

fn with_label(label: String, sum: Sum) -> Vec<String> {
    std::iter::once(label).chain(sum.cells()).collect()
}

fn most_reread(text: &mut String, name: &str, tensors: &[TensorRecord]) {
    let mut tensors: Vec<&TensorRecord> = tensors
        .iter()
        .filter(|tensor| tensor.read_bytes.is_some_and(|read| read > tensor.bytes))
        .collect();
    if tensors.is_empty() {
        return;
    }
    tensors.sort_by(|one, other| {
        other
            .reread
            .unwrap_or(0.0)
            .total_cmp(&one.reread.unwrap_or(0.0))
    });
    let _ = writeln!(text, "## Most re-read tensors of {name}\n");
    let rows: Vec<Vec<String>> = tensors
        .iter()
        .take(MOST_REREAD)
        .map(|tensor| {
            vec![
                tensor.name.clone(),
                tensor.kind.clone(),
                tensor
                    .expert
                    .map_or_else(String::new, |expert| expert.to_string()),
                bytes(tensor.bytes),
                observed_bytes(tensor.read_bytes),
                factor(tensor.reread),
                observed_bytes(tensor.refaults_bytes),
            ]
        })
        .collect();
    table(
        text,
        &[
            "tensor",
            "kind",
            "expert",
            "size",
            "read",
            "read / size",
            "refaulted",
        ],
        &rows,
    );
}

/// Experts to which the table gives a column; with more, `run.json` has them and the table the most read ones.
const EXPERT_COLUMNS: usize = 64;
/// The most read experts of a layer that the table names, where it has no column for each.
const MOST_READ_EXPERTS: usize = 8;

/// Layer × expert: bytes read, and the share of all bytes read of experts.
fn experts(text: &mut String, name: &str, tensors: &[TensorRecord]) {
    let mut cells: BTreeMap<(u32, u32), u64> = BTreeMap::new();
    for tensor in tensors {
        if let (Some(layer), Some(expert)) = (tensor.layer, tensor.expert) {
            *cells.entry((layer, expert)).or_default() += tensor.read_bytes.unwrap_or(0);
        }
    }
    let all: u64 = cells.values().sum();
    let experts: BTreeSet<u32> = cells.keys().map(|(_, expert)| *expert).collect();
    if cells.is_empty() {
        return;
    }
    let _ = writeln!(
        text,
        "## Experts of {name}: bytes read, share of all experts\n"
    );
    let layers: BTreeSet<u32> = cells.keys().map(|(layer, _)| *layer).collect();
    if experts.len() > EXPERT_COLUMNS {
        most_read_experts(text, &layers, &cells, all);
        return;
    }
    let rows: Vec<Vec<String>> = layers
        .iter()
        .map(|layer| {
            let own = experts.iter().map(|expert| {
                cells
                    .get(&(*layer, *expert))
                    .map_or_else(String::new, |read| {
                        format!("{} ({})", bytes(*read), share(ratio(*read, all)))
                    })
            });
            std::iter::once(layer.to_string()).chain(own).collect()
        })
        .collect();
    let names: Vec<String> = experts
        .iter()
        .map(|expert| format!("expert {expert}"))
        .collect();
    let mut header = vec!["layer"];
    header.extend(names.iter().map(String::as_str));
    table(text, &header, &rows);
}

/// One line a layer, where a column for each expert would be too many.
fn most_read_experts(
    text: &mut String,
    layers: &BTreeSet<u32>,
    cells: &BTreeMap<(u32, u32), u64>,
    all: u64,
) {
    let rows: Vec<Vec<String>> = layers
        .iter()
        .map(|layer| {
            let mut own: Vec<(u32, u64)> = cells
                .range((*layer, 0)..=(*layer, u32::MAX))
                .map(|((_, expert), read)| (*expert, *read))
                .collect();
            own.sort_by_key(|(expert, read)| (std::cmp::Reverse(*read), *expert));
            let sum: u64 = own.iter().map(|(_, read)| read).sum();
            let touched = own.iter().filter(|(_, read)| *read > 0).count();
            let most: Vec<String> = own
                .iter()
                .take(MOST_READ_EXPERTS)
                .map(|(expert, read)| format!("{expert}: {}", bytes(*read)))
                .collect();
            vec![
                layer.to_string(),
                format!("{touched} of {}", own.len()),
                bytes(sum),
                share(ratio(sum, all)),
                most.join(", "),
            ]
        })
        .collect();
    table(
        text,
        &["layer", "experts read", "read", "share", "most read"],
        &rows,
    );
}

fn steps(text: &mut String, name: &str, tokens: &[TokenRecord]) {
    let _ = writeln!(text, "## Bytes per token of {name}\n");
    let row = |token: &TokenRecord| {
        vec![
            token.step.to_string(),
            token.phase.replace('_', "-"),
            token.tokens.map_or_else(unobserved, count),
            seconds(Some(token.duration_s)),
            observed_count(token.reads),
            observed_bytes(token.read_bytes),
            observed_count(token.major_faults),
            seconds(token.waits.stall_s),
            observed_bytes(token.need_bytes),
            factor(token.need_factor),
        ]
    };
    let left_out = tokens.len().saturating_sub(STEPS_SHOWN);
    let rows: Vec<Vec<String>> = if left_out == 0 {
        tokens.iter().map(row).collect()
    } else {
        let half = STEPS_SHOWN / 2;
        let first = tokens.iter().take(half).map(row);
        let last = tokens.iter().skip(tokens.len() - half).map(row);
        first.chain(last).collect()
    };
    table(
        text,
        &[
            "step",
            "phase",
            "tokens",
            "time",
            "reads",
            "read",
            "major faults",
            "stalled",
            "needed",
            "read / needed",
        ],
        &rows,
    );
    if left_out > 0 {
        let _ = writeln!(
            text,
            "{} steps in the middle are left out here; `run.json` has all of them.\n",
            count(left_out as u64)
        );
    }
}

/// How the bytes of each device divide.
pub(super) fn device_share(text: &mut String, record: &RunRecord) {
    for device in &record.device_share {
        let _ = writeln!(text, "## Bytes read from {}\n", escaped(&device.device));
        let mut rows: Vec<Vec<String>> = device
            .classes
            .iter()
            .map(|class| vec![class.class.clone(), bytes(class.bytes), share(class.share)])
            .collect();
        rows.push(vec![
            "all reads".to_owned(),
            bytes(device.read_bytes),
            share(ratio(device.read_bytes, device.read_bytes)),
        ]);
        rows.push(vec![
            "the device's own counter".to_owned(),
            observed_bytes(device.statistics_bytes),
            String::new(),
        ]);
        table(text, &["class", "bytes", "share"], &rows);
    }
}
