//! What the reads were for → the record: phases, steps, tensors, shares.

use std::collections::BTreeMap;

use tracer_common::{
    counters::{DeviceIssueCounters, Operation},
    origin::{ALL_READ_ORIGINS, ReadOrigin},
};

use crate::{
    place::ModelPieces,
    schema::{
        CallCount, DeviceShareRecord, ExpertBytes, KindBytes, LayerBytes, MarksRecord, ModelRecord,
        PhaseRecord, ShareClass, TensorRecord, TokenRecord, WaitRecord,
    },
    stats::{
        Nanos,
        formulas::{amplification, coverage, need_factor, per_second, ratio, seconds},
        phases::{
            attribution::AttributionFigures,
            phase::{LoadEndBasis, Phase, Unended},
            reads::PhaseReadFigures,
            spans::SpanFigures,
        },
        waits::stall::WaitFigures,
    },
};

use super::waits_told::WaitsTold;

/// What the assembly knows beside the figures.
#[derive(Clone, Copy, Debug)]
pub struct Surroundings<'a> {
    pub pieces: &'a ModelPieces,
    /// Opening of the gate.
    pub opened: Nanos,
    /// Whether the model's sectors are known.
    pub has_sectors: bool,
    /// Whether waits were observed.
    pub waits_observed: bool,
    /// Whether page faults were observed.
    pub faults_observed: bool,
    /// Whether the kernel side knows the engine's processes.
    pub engine_is_known: bool,
    /// Whether anybody looked the model up with `read()` or the like, or may have.
    pub reads_by_call: bool,
    /// Whether waits in `read()` are told from others.
    pub reads_are_told: bool,
    /// Bytes of the model that are on a device.
    pub data_bytes: Option<u64>,
    /// Calls of the probed functions.
    pub calls: &'a [(String, u64)],
    /// When the last of the engine's functions was probed.
    pub last_probed: Option<Nanos>,
    /// What the road of the figures can tell.
    pub told: Told,
}

/// What the road of the figures can tell.
#[derive(Clone, Copy, Debug)]
pub struct Told {
    /// Each event gave a record: what was read more than once, how long it took, where pages came and went.
    pub events: bool,
    /// Steps and phases are apart.
    pub parts_of_the_run: bool,
    /// Each phase has its bytes by kind of tensor.
    pub kinds: bool,
}

/// Fills in what the reads of a model were for.
pub fn fill(record: &mut ModelRecord, figures: &AttributionFigures, around: &Surroundings<'_>) {
    record.marks = Some(marks(figures, around));
    if around.told.parts_of_the_run {
        record.phases = Some(phases(figures, around));
        record.tokens = tokens(figures, around);
    }
    record.tensors = Some(tensors(figures, around));
    // Without a count of inserts the events were not observed.
    record.page_cache = record.cache.inserts.map(|_| figures.pages.cache);
    record.page_course = record
        .cache
        .inserts
        .filter(|_| around.told.events)
        .map(|_| figures.page_course.clone());
}

impl Surroundings<'_> {
    fn seconds(&self, time: Nanos) -> f64 {
        seconds(time.since(self.opened).unwrap_or(0))
    }

    fn of_requests<T>(&self, figure: T) -> Option<T> {
        self.has_sectors.then_some(figure)
    }

    fn of_faults<T>(&self, figure: T) -> Option<T> {
        self.faults_observed.then_some(figure)
    }

    fn waits(&self, waits: &WaitFigures) -> WaitRecord {
        let told = WaitsTold {
            waits_observed: self.waits_observed,
            faults_observed: self.faults_observed,
            engine_is_known: self.engine_is_known,
            reads_by_call: self.reads_by_call,
            reads_are_told: self.reads_are_told,
        };
        told.record(waits)
    }
}

fn marks(figures: &AttributionFigures, around: &Surroundings<'_>) -> MarksRecord {
    let calls: Vec<CallCount> = around
        .calls
        .iter()
        .map(|(symbol, calls)| CallCount {
            symbol: symbol.clone(),
            calls: *calls,
        })
        .collect();
    let basis = match figures.load_end {
        Some(LoadEndBasis::Given) => "the load's end: the first phase that was given",
        Some(LoadEndBasis::Returned) => "the load's end: the function that loads returned",
        Some(LoadEndBasis::ContextMade) => "the load's end: the next function was entered",
        Some(LoadEndBasis::ExactLogLine) => "the load's end: a line of the log, at that moment",
        Some(LoadEndBasis::LogLine) => "the load's end: a line of the log, right after it",
        Some(LoadEndBasis::LateLogLine) => "the load's end: a line of the log, some time after it",
        Some(LoadEndBasis::FullPass) => {
            "the load's end: all of the model had entered the page cache once"
        }
        None if !figures.steps().is_empty()
            && figures
                .classes
                .iter()
                .any(|class| class.phase == Phase::Load) =>
        {
            "the load's end: the first step"
        }
        None => "nothing marked the load's end",
    };
    let load_end = figures.load_end.map(|basis| match basis {
        LoadEndBasis::FullPass => "page cache",
        LoadEndBasis::Given => "given",
        LoadEndBasis::Returned | LoadEndBasis::ContextMade => "uprobes",
        _ => "log",
    });
    let steps = figures.steps().len();
    let (source, description) = if steps > 0 && calls.is_empty() {
        ("given", format!("{steps} steps that were given; {basis}"))
    } else if steps > 0 {
        let names: Vec<String> = calls
            .iter()
            .map(|call| format!("{} × {}", call.symbol, call.calls))
            .collect();
        let since = around
            .last_probed
            .filter(|probed| *probed > around.opened)
            .map_or_else(String::new, |probed| {
                format!(", all probed from {:.3} s on", around.seconds(probed))
            });
        (
            "uprobes",
            format!(
                "{steps} decode calls ({}{since}); {basis}",
                names.join(", ")
            ),
        )
    } else {
        (
            load_end.unwrap_or("none"),
            format!("no decode call was seen, so there are no steps; {basis}"),
        )
    };
    MarksRecord {
        source: source.to_owned(),
        load_end: load_end.map(str::to_owned),
        description,
        calls,
    }
}

fn phases(figures: &AttributionFigures, around: &Surroundings<'_>) -> Vec<PhaseRecord> {
    let spans = figures.spans(|class| Some(class.phase));
    let mut steps: BTreeMap<Phase, u64> = BTreeMap::new();
    for step in figures.steps() {
        *steps.entry(step.phase).or_default() += 1;
    }
    let mut records: Vec<PhaseRecord> = spans
        .iter()
        .map(|(phase, span)| {
            let reads = figures.phases.get(phase);
            phase_record(
                *phase,
                span,
                reads,
                steps.get(phase).copied().unwrap_or(0),
                around,
            )
        })
        // A phase of no length and without an event is an artefact of two marks at one time.
        .filter(|phase| phase.duration_s > 0.0 || phase.read_bytes.is_some_and(|bytes| bytes > 0))
        .collect();
    records.sort_by(|one, other| one.start_s.total_cmp(&other.start_s));
    records
}

fn phase_record(
    phase: Phase,
    span: &SpanFigures,
    reads: Option<&PhaseReadFigures>,
    steps: u64,
    around: &Surroundings<'_>,
) -> PhaseRecord {
    let duration_s = seconds(span.nanos);
    let count = |pick: fn(&PhaseReadFigures) -> u64| around.of_requests(reads.map_or(0, pick));
    let of_events = |pick| count(pick).filter(|_| around.told.events);
    let unique_bytes = of_events(|reads: &PhaseReadFigures| reads.unique_bytes);
    let read_bytes = count(|reads| reads.total_bytes);
    let arrived_bytes = count(|reads| reads.arrived_bytes);
    // In counts a piece of each kind stands for all of it.
    let by_piece = || {
        let pieces = span.pieces.as_ref();
        pieces.filter(|_| around.has_sectors && around.told.events)
    };
    PhaseRecord {
        phase: phase.name().to_owned(),
        start_s: around.seconds(span.start_ns),
        end_s: around.seconds(span.end_ns),
        duration_s,
        steps,
        reads: count(|reads| reads.reads),
        read_bytes,
        unique_bytes,
        three_times_bytes: of_events(|reads| reads.three_times_bytes),
        coverage: unique_bytes
            .zip(around.data_bytes)
            .and_then(|(unique, data)| coverage(unique, data)),
        amplification: read_bytes
            .zip(unique_bytes)
            .and_then(|(total, unique)| amplification(total, unique)),
        readahead_bytes: around.of_requests(span.counts.readahead_bytes),
        average_bytes_per_s: arrived_bytes.and_then(|bytes| per_second(bytes, span.nanos)),
        gaps: reads.filter(|_| around.has_sectors).map(|reads| reads.gaps),
        latency_us: reads
            .filter(|_| around.has_sectors && around.told.events)
            .map(|reads| reads.latency_us),
        faults: around.of_faults(span.counts.faults),
        major_faults: around.of_faults(span.counts.major_faults),
        inserted_bytes: Some(span.counts.inserted_bytes),
        evicted_bytes: Some(span.counts.evicted_bytes),
        refaulted_bytes: Some(span.counts.refaulted_bytes),
        waits: around.waits(&span.waits),
        kinds: span
            .pieces
            .as_ref()
            .filter(|_| around.has_sectors && around.told.kinds)
            .map(|pieces| by_kind(pieces, around.pieces)),
        layers: by_piece().map(|pieces| by_layer(pieces, around.pieces)),
        experts: by_piece().map(|pieces| by_expert(pieces, around.pieces)),
    }
}

fn by_layer(pieces: &BTreeMap<u32, u64>, model: &ModelPieces) -> Vec<LayerBytes> {
    let mut layers: BTreeMap<u32, LayerBytes> = BTreeMap::new();
    for (number, piece) in (0u32..).zip(&model.pieces) {
        let tensor = piece.tensor(model.outline.as_ref());
        if let Some(layer) = tensor.and_then(|tensor| tensor.layer) {
            let sum = layers.entry(layer).or_default();
            sum.layer = layer;
            sum.bytes += piece.bytes;
            sum.read_bytes += pieces.get(&number).copied().unwrap_or(0);
        }
    }
    layers.into_values().collect()
}

fn by_expert(pieces: &BTreeMap<u32, u64>, model: &ModelPieces) -> Vec<ExpertBytes> {
    let mut experts: BTreeMap<(u32, u32), ExpertBytes> = BTreeMap::new();
    for (number, piece) in (0u32..).zip(&model.pieces) {
        let tensor = piece.tensor(model.outline.as_ref());
        if let (Some(layer), Some(expert)) =
            (tensor.and_then(|tensor| tensor.layer), piece.expert())
        {
            let sum = experts.entry((layer, expert)).or_default();
            (sum.layer, sum.expert) = (layer, expert);
            sum.bytes += piece.bytes;
            sum.read_bytes += pieces.get(&number).copied().unwrap_or(0);
        }
    }
    experts
        .into_values()
        .filter(|expert| expert.read_bytes > 0)
        .collect()
}

fn by_kind(pieces: &BTreeMap<u32, u64>, model: &ModelPieces) -> Vec<KindBytes> {
    let mut kinds: BTreeMap<&'static str, KindBytes> = BTreeMap::new();
    for (number, piece) in (0u32..).zip(&model.pieces) {
        let kind = piece.kind_name(model.outline.as_ref());
        let sum = kinds.entry(kind).or_insert_with(|| KindBytes {
            kind: kind.to_owned(),
            ..KindBytes::default()
        });
        sum.bytes += piece.bytes;
        sum.read_bytes += pieces.get(&number).copied().unwrap_or(0);
    }
    let mut kinds: Vec<_> = kinds.into_values().collect();
    kinds.sort_by_key(|kind| std::cmp::Reverse((kind.read_bytes, kind.bytes)));
    kinds
}

fn tokens(figures: &AttributionFigures, around: &Surroundings<'_>) -> Option<Vec<TokenRecord>> {
    let steps = figures.steps();
    if steps.is_empty() {
        return None;
    }
    let spans = figures.spans(|class| class.step);
    let last = steps.last().and_then(|class| class.step);
    let outline = around.pieces.outline.as_ref();
    let records = steps.iter().filter_map(|class| {
        let step = class.step?;
        let span = spans.get(&step)?;
        let need_bytes = class
            .tokens
            .zip(outline)
            .and_then(|(tokens, outline)| outline.need_of_tokens(tokens))
            .filter(|need| need.least_bytes == need.most_bytes)
            .map(|need| need.least_bytes)
            // A warm-up uses every expert, whatever its batch.
            .filter(|_| class.phase != Phase::WarmUp);
        let entered = TokenRecord {
            step: u64::from(step),
            phase: class.phase.name().to_owned(),
            tokens: class.tokens.map(u64::from),
            start_s: around.seconds(span.start_ns),
            need_bytes,
            ..TokenRecord::default()
        };
        if let Some(unended) = figures.unended.filter(|_| Some(step) == last) {
            return Some(TokenRecord {
                unended: Some(
                    match unended {
                        Unended::WindowEnded => "the window ended in it",
                        Unended::EntryOnly => {
                            "no step came after it, and nothing else marks where it ends"
                        }
                    }
                    .to_owned(),
                ),
                ..entered
            });
        }
        let read_bytes = around.of_requests(span.counts.read_bytes);
        Some(TokenRecord {
            duration_s: Some(seconds(span.nanos)),
            reads: around.of_requests(span.counts.reads),
            read_bytes,
            major_faults: around.of_faults(span.counts.major_faults),
            faults: around.of_faults(span.counts.faults),
            refaulted_bytes: Some(span.counts.refaulted_bytes),
            waits: around.waits(&span.waits),
            need_factor: read_bytes
                .zip(need_bytes)
                .and_then(|(read, need)| need_factor(read, need)),
            ..entered
        })
    });
    Some(records.collect())
}

fn tensors(figures: &AttributionFigures, around: &Surroundings<'_>) -> Vec<TensorRecord> {
    let model = around.pieces;
    model
        .pieces
        .iter()
        .enumerate()
        .map(|(number, piece)| {
            let tensor = piece.tensor(model.outline.as_ref());
            let kind = piece.kind_name(model.outline.as_ref());
            let reads = figures
                .piece_reads
                .get(number)
                .filter(|_| around.has_sectors);
            let pages = figures.piece_pages.get(number);
            TensorRecord {
                name: piece.name(model.outline.as_ref()).into_owned(),
                kind: kind.to_owned(),
                layer: tensor.and_then(|tensor| tensor.layer),
                expert: piece.expert(),
                file: u64::from(piece.file),
                offset_bytes: piece.offset_bytes,
                bytes: piece.bytes,
                read_bytes: reads.map(|reads| reads.read_bytes),
                reads: reads.map(|reads| reads.reads),
                readahead_bytes: reads.map(|reads| reads.readahead_bytes),
                reread: reads.and_then(|reads| reads.reread_factor),
                inserted_bytes: pages.map(|pages| pages.inserted_bytes),
                evictions_bytes: pages.map(|pages| pages.evicted_bytes),
                refaults_bytes: pages.map(|pages| pages.refaulted_bytes),
                unused_at_least_bytes: pages.and_then(|pages| pages.unused_at_least_bytes),
                unused_at_most_bytes: pages.and_then(|pages| pages.unused_at_most_bytes),
                resident_bytes: pages.and_then(|pages| pages.resident_bytes),
            }
        })
        .collect()
}

/// How the bytes that a device read divide, by first issue.
#[must_use]
pub fn device_share(
    device: &str,
    issues: &DeviceIssueCounters,
    statistics_sectors: Option<u64>,
) -> DeviceShareRecord {
    let read_bytes = issues
        .bytes
        .get(Operation::Read as usize)
        .copied()
        .unwrap_or(0);
    let mut classes: BTreeMap<&'static str, u64> = BTreeMap::new();
    for origin in ALL_READ_ORIGINS {
        let of = |bytes: &[u64]| bytes.get(origin as usize).copied().unwrap_or(0);
        let (model, other) = class_names(origin);
        *classes.entry(model).or_default() += of(&issues.model_bytes_by_origin);
        *classes.entry(other).or_default() += of(&issues.other_bytes_by_origin);
    }
    let mut classes: Vec<ShareClass> = classes
        .into_iter()
        .filter(|(_, bytes)| *bytes > 0)
        .map(|(class, bytes)| ShareClass {
            class: class.to_owned(),
            bytes,
            share: ratio(bytes, read_bytes),
        })
        .collect();
    classes.sort_by_key(|class| std::cmp::Reverse(class.bytes));
    DeviceShareRecord {
        device: device.to_owned(),
        classes,
        read_bytes,
        statistics_bytes: statistics_sectors
            .map(|sectors| sectors * tracer_common::gap::SECTOR_BYTES),
    }
}

/// What bytes in and outside the models' extents are called.
const fn class_names(origin: ReadOrigin) -> (&'static str, &'static str) {
    match origin {
        ReadOrigin::TracedFile => (
            "model, through the page cache",
            // Beyond the end of the file in its last block, or moved since the start.
            "model's files, beyond their end or outside the extents known at the start",
        ),
        ReadOrigin::OtherFile => (
            "model's sectors, for another file that shares them",
            "other files, through the page cache",
        ),
        ReadOrigin::BlockDevice => (
            "model's sectors, through the block device's own cache",
            "file-system metadata and reads of the block device itself",
        ),
        ReadOrigin::Unbuffered => ("model, direct I/O", "other direct I/O"),
        ReadOrigin::Swap => ("swap", "swap"),
        ReadOrigin::Metadata => (
            "file-system metadata and reads of the block device itself",
            "file-system metadata and reads of the block device itself",
        ),
    }
}
