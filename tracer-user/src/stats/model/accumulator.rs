//! One model's figures, from the stream of its reads.

use std::collections::BTreeMap;

use tracer_common::gap::GapClass;

use crate::stats::{
    check::Check,
    event::{FilePosition, FileRange, Nanos, ReadCompleted, ReadIssued, ReadRequeued},
    formulas::seconds,
    order::{
        distances::DistanceDistribution,
        exchange_check::ExchangeBalance,
        exchange_order::{ExchangeLink, ExchangeOrder, Ordered},
        file_order::FileOrderGaps,
        gaps::GapCounts,
        overlap::BackwardOverlap,
        streams::StreamGaps,
    },
    reads::{
        bandwidth::{ArrivedBytes, BusyTime},
        latency::Latencies,
        open_reads::OpenRead,
        process_share::ProcessShares,
        queue_depth::QueueDepths,
        requests::{Completion, Issue, RequestCounts, RequestTally},
        sizes::RequestSizes,
        unique::UniqueBytes,
    },
};

use super::figures::{DeviceFigures, FileData, ModelFigures, ReadFigures, Window};

mod so_far;

/// Takes in the events of one model's reads and gives its figures.
///
/// Events come in the order of the ring buffer, each with the read that it is of, out of the table of open reads
/// ([`crate::stats::reads::open_reads`]). A completion may be handed in although it brings no bytes of this model: it
/// then only ends the read, if that was its last part.
#[derive(Clone, Debug)]
pub struct ModelAccumulator {
    start: Nanos,
    files: Vec<FileData>,
    requests: RequestTally,
    gaps: GapCounts,
    distances: DistanceDistribution,
    queue_depths: QueueDepths,
    sizes: RequestSizes,
    processes: ProcessShares,
    devices: BTreeMap<u8, DeviceOrder>,
    latencies: Latencies,
    arrived: ArrivedBytes,
    busy: BusyTime,
    unique: UniqueBytes,
    file_bytes: BTreeMap<u16, u64>,
    stream_gaps: Vec<StreamGap>,
}

/// What an issue was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Issued {
    First {
        /// Class of its gap; None for the first read of its device.
        gap: Option<GapClass>,
    },
    /// The same read again; None where its first issue was not seen.
    Again(Option<BytesChange>),
}

/// The bytes of a read that began earlier have changed: it went back to the queue, or was issued again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BytesChange {
    /// When the read began.
    pub first_issue: Nanos,
    /// It was marked as read-ahead then.
    pub readahead: bool,
    /// Change of issued − requeued bytes.
    pub bytes: i64,
}

/// A completion of a read whose issue was seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arrival {
    /// When it came back.
    pub time: Nanos,
    /// When the read began.
    pub first_issue: Nanos,
    /// First issue to last completion, in nanoseconds, if this was the last one.
    pub latency_nanos: Option<u64>,
    /// None of the model's reads is with the driver any more.
    pub none_left: bool,
}

/// The stream-aware gap of a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StreamGap {
    /// First issue of the read.
    pub time: Nanos,
    /// Class of the gap.
    pub class: GapClass,
    /// Bytes of the model in the read.
    pub bytes: u64,
}

impl ModelAccumulator {
    /// A window that begins at `start`. `files` are the model's files; the slot of a file in the events is
    /// its index here.
    #[must_use]
    pub fn new(start: Nanos, files: Vec<FileData>) -> Self {
        Self {
            start,
            files,
            requests: RequestTally::default(),
            gaps: GapCounts::default(),
            distances: DistanceDistribution::default(),
            queue_depths: QueueDepths::default(),
            sizes: RequestSizes::default(),
            processes: ProcessShares::default(),
            devices: BTreeMap::new(),
            latencies: Latencies::default(),
            arrived: ArrivedBytes::from_start(start),
            busy: BusyTime::default(),
            unique: UniqueBytes::default(),
            file_bytes: BTreeMap::new(),
            stream_gaps: Vec::new(),
        }
    }

    /// A read was handed to the driver. Returns what that means for the part of the run in which it began.
    pub fn issue(&mut self, open: &mut Option<OpenRead>, read: &ReadIssued) -> Issued {
        let bytes_before = self.requests.total_bytes();
        let issue = self.requests.issue(open, read);
        self.busy.observe(read.time, self.requests.with_driver());
        let Issue::First { queue_depth } = issue else {
            return Issued::Again(self.change_since(open.as_ref(), bytes_before));
        };
        self.queue_depths.record(queue_depth);
        self.sizes.record(read.request_bytes);
        self.processes.record(read.process_id, read.bytes);
        let gap = read
            .previous_end
            .map(|previous_end| GapClass::of(read.start_sector, previous_end));
        if let Some(gap) = gap {
            self.gaps.record(gap, read.bytes);
        }
        if let Some(previous_end) = read.previous_end {
            self.distances
                .record(read.start_sector, previous_end, queue_depth);
        }
        self.devices
            .entry(read.device)
            .or_default()
            .push(read, &mut self.stream_gaps);
        Issued::First { gap }
    }

    /// A part of a read came back; `ranges` are the pieces of files in it, whose lengths sum to
    /// `part.bytes`. Returns what it was a part of, where its issue was seen.
    pub fn complete(
        &mut self,
        open: &mut Option<OpenRead>,
        part: &ReadCompleted,
        ranges: &[FileRange],
    ) -> Option<Arrival> {
        let completion = self.requests.complete(open, part);
        self.busy.observe(part.time, self.requests.with_driver());
        let Completion::Matched {
            first_issue,
            latency_nanos,
        } = completion
        else {
            return None;
        };
        let arrival = first_issue.map(|first_issue| Arrival {
            time: part.time,
            first_issue,
            latency_nanos,
            none_left: self.requests.with_driver() == 0,
        });
        if let Some(nanos) = latency_nanos {
            self.latencies.record(nanos);
        }
        if part.failed {
            return arrival;
        }
        self.arrived.record(part.time, part.bytes);
        for range in ranges {
            self.unique
                .insert(range.file, range.offset_bytes, range.length_bytes);
            let bytes = self.file_bytes.entry(range.file).or_default();
            *bytes = bytes.saturating_add(range.length_bytes);
        }
        arrival
    }

    /// Gives the stream-aware gaps that have become known since the last call.
    pub fn drain_stream_gaps(&mut self, take: impl FnMut(StreamGap)) {
        self.stream_gaps.drain(..).for_each(take);
    }

    /// An issued read went back to the queue. Returns what that means for the part of the run in which it began.
    pub fn requeue(
        &mut self,
        open: &mut Option<OpenRead>,
        part: &ReadRequeued,
    ) -> Option<BytesChange> {
        let bytes_before = self.requests.total_bytes();
        self.requests.requeue(open, part);
        self.busy.observe(part.time, self.requests.with_driver());
        self.change_since(open.as_ref(), bytes_before)
    }

    fn change_since(&self, open: Option<&OpenRead>, bytes_before: u64) -> Option<BytesChange> {
        let open = open?;
        Some(BytesChange {
            first_issue: open.first_issue()?,
            readahead: open.is_readahead(),
            bytes: signed_difference(self.requests.total_bytes(), bytes_before),
        })
    }

    /// Takes in that a read has ended unseen some time before `noticed`.
    pub fn end_unseen(&mut self, noticed: Nanos, read: &OpenRead) {
        self.requests.end_unseen(read);
        self.busy.observe(noticed, self.requests.with_driver());
    }

    /// What became of the requests so far.
    #[must_use]
    pub fn request_counts(&self) -> RequestCounts {
        self.requests.counts()
    }

    /// Reads by the kernel side's latency buckets so far, to be compared with its histogram.
    #[must_use]
    pub fn latency_buckets(&self) -> &[u64] {
        self.latencies.buckets()
    }

    /// A read has ended unseen, and is taken to have arrived: its bytes are among the unique ones, and in no other
    /// figure of what arrived.
    pub fn arrived_unseen(&mut self, ranges: &[FileRange]) {
        for range in ranges {
            self.unique
                .insert(range.file, range.offset_bytes, range.length_bytes);
        }
    }

    /// Replaces what is known of the files: where the model is whatever was read, its size is known only at the end.
    pub fn set_files(&mut self, files: Vec<FileData>) {
        self.files = files;
    }

    /// No read comes any more: puts those whose place in the order was not known yet to their places.
    pub fn settle_order(&mut self) {
        for device in self.devices.values_mut() {
            device.finish(&mut self.stream_gaps);
        }
    }

    /// The figures of the window, which ends at `end`.
    #[must_use]
    pub fn finish(mut self, end: Nanos) -> ModelFigures {
        self.settle_order();
        self.figures(end)
    }

    /// The figures so far. Reads whose place in the order is not known yet are missing from the stream-aware
    /// gaps, the gaps in file offsets and the overlap of backward gaps; the law about it may not hold yet.
    #[must_use]
    pub fn figures(&self, end: Nanos) -> ModelFigures {
        let requests = self.requests.counts();
        let (mut streams, mut file_order) = (GapCounts::default(), GapCounts::default());
        let mut overlap = BackwardOverlap::default();
        let mut without_position = 0;
        for device in self.devices.values() {
            streams.merge(device.ordered.streams.counts());
            file_order.merge(device.ordered.file_order.counts());
            overlap.merge(&device.ordered.overlap);
            without_position += device.ordered.file_order.without_position();
        }
        let devices: Vec<_> = self
            .devices
            .iter()
            .map(|(slot, device)| device.figures(*slot))
            .collect();
        let reads = self.read_figures(&requests);
        let laws = self.laws(&requests, &reads, &overlap, &devices);
        ModelFigures {
            window: Window {
                start_ns: self.start,
                end_ns: end,
                wall_s: end.since(self.start).map(seconds),
            },
            reads,
            requests,
            gaps: self.gaps.figures(),
            backward_overlap: overlap,
            gaps_stream_aware: streams.figures(),
            gaps_file_order: file_order.figures(),
            reads_without_file_position: without_position,
            distances: self.distances.points(),
            queue_depth: self.queue_depths.figures(),
            bandwidth: self.arrived.figures(end, self.busy.nanos_until(end)),
            arrivals: self.arrived.series(end),
            latency_us: self.latencies.figures(),
            request_sizes: self.sizes.figures(),
            processes: self.processes.clone(),
            devices,
            laws,
            laws_of_completions: laws_of_completions(&requests),
        }
    }

    fn read_figures(&self, requests: &RequestCounts) -> ReadFigures {
        let counted = ReadFigures {
            count: requests.reads,
            total_bytes: requests.total_bytes(),
            unique_bytes: self.unique_bytes(),
            ..ReadFigures::default()
        };
        let figures = counted.of_model(FileData::sum(self.files.iter().copied()));
        ReadFigures {
            // Of one file more may have arrived than there is, although not of all together.
            coverage: figures.coverage.filter(|_| self.overfull_files() == 0),
            ..figures
        }
    }

    /// Files of which more distinct bytes arrived than there are, and slots that name no file.
    fn overfull_files(&self) -> u64 {
        let overfull = |slot: &&u16| {
            let data = self
                .files
                .get(usize::from(**slot))
                .map_or(0, FileData::data_bytes);
            self.unique.file_bytes(**slot) > data
        };
        self.file_bytes.keys().filter(overfull).count() as u64
    }

    fn laws(
        &self,
        requests: &RequestCounts,
        reads: &ReadFigures,
        overlap: &BackwardOverlap,
        devices: &[DeviceFigures],
    ) -> Vec<Check> {
        let first_reads = devices
            .iter()
            .map(|device| device.exchange.first_reads)
            .sum();
        let file_bytes = self
            .file_bytes
            .values()
            .fold(0u64, |sum, bytes| sum.saturating_add(*bytes));
        let balanced = devices
            .iter()
            .filter(|device| device.exchange.holds)
            .count() as u64;
        vec![
            Check::equation(
                "bytes of file ranges = bytes completed",
                file_bytes,
                requests.completed_bytes,
            ),
            Check::at_most("unique ≤ total", reads.unique_bytes, reads.total_bytes),
            Check::equation(
                "files with unique > size − holes = 0",
                self.overfull_files(),
                0,
            ),
            Check::equation(
                "gaps + first reads = reads",
                self.gaps.total() + first_reads,
                requests.reads,
            ),
            Check::equation("first reads = devices", first_reads, devices.len() as u64),
            Check::equation(
                "each end is a predecessor exactly once, devices",
                balanced,
                devices.len() as u64,
            ),
            Check::equation(
                "backward gaps by overlap = backward gaps",
                overlap.total(),
                self.gaps.count(GapClass::Backward),
            ),
        ]
    }
}

/// The laws that fail where completions were missed.
fn laws_of_completions(requests: &RequestCounts) -> Vec<Check> {
    vec![
        Check::equation(
            "bytes issued = completed + failed + in flight",
            requests.total_bytes(),
            requests.accounted_bytes(),
        ),
        Check::equation(
            "reads = completed + failed + in flight + waiting + absorbed + ended outside",
            requests.reads,
            requests.accounted_reads(),
        ),
        Check::equation("missed events of requests = 0", requests.missed_events(), 0),
    ]
}

fn signed_difference(left: u64, right: u64) -> i64 {
    let size = i64::try_from(left.abs_diff(right)).unwrap_or(i64::MAX);
    if left < right { -size } else { size }
}

/// What is kept of a read until its place in the order is known.
#[derive(Clone, Copy, Debug)]
struct PlacedRead {
    time: Nanos,
    start_sector: u64,
    end_sector: u64,
    previous_end: Option<u64>,
    bytes: u64,
    file_position: Option<FilePosition>,
}

/// Everything that depends on the order of the reads of one device.
#[derive(Clone, Debug, Default)]
struct DeviceOrder {
    balance: ExchangeBalance,
    order: ExchangeOrder<PlacedRead>,
    ordered: OrderedFigures,
}

impl DeviceOrder {
    fn push(&mut self, read: &ReadIssued, gaps: &mut Vec<StreamGap>) {
        self.balance.record(read.previous_end, read.end_sector);
        let link = ExchangeLink {
            time: read.time,
            previous_end: read.previous_end,
            end: read.end_sector,
        };
        let placed = PlacedRead {
            time: read.time,
            start_sector: read.start_sector,
            end_sector: read.end_sector,
            previous_end: read.previous_end,
            bytes: read.bytes,
            file_position: read.file_position,
        };
        self.order
            .push(link, placed, |read| self.ordered.observe(read, gaps));
    }

    fn finish(&mut self, gaps: &mut Vec<StreamGap>) {
        self.order.finish(|read| self.ordered.observe(read, gaps));
    }

    fn figures(&self, device: u8) -> DeviceFigures {
        DeviceFigures {
            device,
            exchange: self.balance.check(None),
            order_breaks: self.order.breaks(),
            order_detours: self.order.detours(),
        }
    }
}

#[derive(Clone, Debug, Default)]
struct OrderedFigures {
    streams: StreamGaps,
    file_order: FileOrderGaps,
    overlap: BackwardOverlap,
    latest: Option<(u64, u64)>,
}

impl OrderedFigures {
    fn observe(&mut self, read: Ordered<PlacedRead>, gaps: &mut Vec<StreamGap>) {
        let predecessor = self.latest.filter(|_| read.follows);
        let read = read.value;
        let in_stream = self
            .streams
            .observe(read.start_sector, read.end_sector, read.bytes);
        gaps.extend(in_stream.map(|class| StreamGap {
            time: read.time,
            class,
            bytes: read.bytes,
        }));
        self.file_order.observe(read.file_position, read.bytes);
        let range = (read.start_sector, read.end_sector);
        if read.previous_end.is_some_and(|end| read.start_sector < end) {
            self.overlap.record(range, predecessor, read.bytes);
        }
        self.latest = Some(range);
    }
}

#[cfg(test)]
mod tests;
