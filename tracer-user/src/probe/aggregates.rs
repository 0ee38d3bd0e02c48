//! What the kernel side counted, read from its maps after the gate has closed.

use anyhow::{Context as _, anyhow};
use aya::{
    Ebpf, Pod,
    maps::{Array, HashMap, PerCpuArray},
};
use tracer_common::{
    counters::{
        CompleteCounters, CounterBlock, DeviceCompleteCounters, DeviceIssueCounters,
        EvictionCounters, FaultCounters, InsertCounters, IssueCounters, LOSS_CELLS, LookupCounters,
        LostRecords, MapPagesCounters, Operation, RequeueCounters,
    },
    extent::{Extent, MAX_DEVICES, MAX_MODELS, SECTORS_IN_BLOCK},
    latency::LATENCY_BUCKETS,
    page::{FileKey, WaitingThread},
    program::Program,
    record::NO_PREVIOUS_END,
    request::{RequestSlot, state},
};

use super::tables::read_bits::first_sector_bit;

/// A value of the contract, for aya's maps.
#[derive(Clone, Copy)]
#[repr(transparent)]
pub(super) struct Plain<T: Copy>(pub T);

// SAFETY: only used with the repr(C) types of tracer-common, which have no padding and accept any bytes.
unsafe impl<T: Copy + 'static> Pod for Plain<T> {}

/// Everything of one model.
#[derive(Clone, Debug, Default)]
pub struct ModelAggregates {
    /// From `block_rq_issue`.
    pub issues: IssueCounters,
    /// From `block_rq_complete`.
    pub completes: CompleteCounters,
    /// From `block_rq_requeue`.
    pub requeues: RequeueCounters,
    /// Reads by latency bucket (`tracer_common::latency`).
    pub latency_buckets: Vec<u64>,
    /// Distinct bytes that arrived without error.
    pub unique_bytes: u64,
    /// End of the last read by device slot; None where the model was not read on that device.
    pub last_ends: Vec<Option<u64>>,
}

/// Everything of one file in the page cache. None where the kernel lacks the tracepoint.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileAggregates {
    pub inserts: Option<InsertCounters>,
    /// Pages inserted after an eviction that was seen. None where the kernel side does not remember evictions.
    pub reinserted_pages: Option<u64>,
    pub evictions: Option<EvictionCounters>,
    pub faults: Option<FaultCounters>,
    pub map_pages: Option<MapPagesCounters>,
    pub lookups: Option<LookupCounters>,
}

/// Everything that the kernel side counted in one window.
#[derive(Clone, Debug, Default)]
pub struct Aggregates {
    /// By model slot. Empty where the kernel side does not count models.
    pub models: Vec<ModelAggregates>,
    pub files: Vec<FileAggregates>,
    /// By device slot: issues and completions.
    pub devices: Vec<(DeviceIssueCounters, DeviceCompleteCounters)>,
    /// Reads, of models and others, that were in flight or requeued when the gate closed.
    pub unfinished: Vec<RequestSlot>,
    /// Reads that their device had finished before the gate closed, although no program saw their completion.
    pub unseen_at_end: Vec<RequestSlot>,
    /// Threads that waited when the gate closed, and threads whose last wait nothing explained, by thread id.
    pub waiting: Vec<(u32, WaitingThread)>,
    /// Files that are no model's, and how many pages of each the engine's processes put into the page cache.
    pub other_files: Vec<(FileKey, u64)>,
    /// Records that found no room in the ring buffer.
    pub lost_records: LostRecords,
    /// Reads, of models and others, whose issue no program saw: taken in when they completed.
    pub late_issues: u64,
}

/// Of what the kernel side counts, that which is cheap to read while it goes on.
#[derive(Clone, Debug, Default)]
pub struct CountsSoFar {
    /// By model slot. Empty where the kernel side does not count models.
    pub models: Vec<ReadCounts>,
    pub files: Vec<FileAggregates>,
}

/// What was counted of a model's reads.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReadCounts {
    /// From `block_rq_issue`.
    pub issues: IssueCounters,
    /// From `block_rq_complete`.
    pub completes: CompleteCounters,
    /// From `block_rq_requeue`.
    pub requeues: RequeueCounters,
}

/// How much of each kind to read.
pub(super) struct Sizes<'a> {
    pub models: usize,
    pub files: usize,
    pub devices: usize,
    pub request_slots: u32,
    pub extents: &'a [Extent],
    /// By device: its part of the extents.
    pub extents_by_device: Vec<std::ops::Range<usize>>,
    /// By device: a moment at which it had nothing in flight.
    pub idle_since: &'a [Option<u64>],
    /// Whether the kernel side counts each model's reads.
    pub counts_models: bool,
    /// Whether a program was attached.
    pub attached: &'a dyn Fn(Program) -> bool,
}

pub(super) fn read(ebpf: &Ebpf, sizes: &Sizes<'_>) -> anyhow::Result<Aggregates> {
    let (unfinished, unseen_at_end) = open_requests(ebpf, sizes)?;
    let models = if sizes.counts_models {
        models_counted(ebpf, sizes, &unseen_at_end)?
    } else {
        Vec::new()
    };
    let files = (0..sizes.files)
        .map(|file| file_counted(ebpf, sizes, file))
        .collect::<anyhow::Result<_>>()?;
    let mut devices = Vec::with_capacity(sizes.devices);
    let mut late_issues = 0;
    for device in 0..sizes.devices {
        let slot = slot_number(device)?;
        let late: DeviceIssueCounters =
            sum_at(ebpf, "DEVICE_ISSUES", slot_number(MAX_DEVICES + device)?)?;
        late_issues += late.requests[Operation::Read as usize];
        let mut issues: DeviceIssueCounters = sum_at(ebpf, "DEVICE_ISSUES", slot)?;
        issues.add(&late);
        devices.push((issues, sum_at(ebpf, "DEVICE_DONE", slot)?));
    }
    Ok(Aggregates {
        models,
        files,
        devices,
        unfinished,
        unseen_at_end,
        waiting: waiting_threads(ebpf)?,
        other_files: other_files(ebpf)?,
        lost_records: lost_records(ebpf)?,
        late_issues,
    })
}

/// Reads what is cheap to read.
pub(super) fn so_far(ebpf: &Ebpf, sizes: &Sizes<'_>) -> anyhow::Result<CountsSoFar> {
    let models = if sizes.counts_models { sizes.models } else { 0 };
    Ok(CountsSoFar {
        models: (0..models)
            .map(|model| reads_counted(ebpf, model))
            .collect::<anyhow::Result<_>>()?,
        files: (0..sizes.files)
            .map(|file| file_counted(ebpf, sizes, file))
            .collect::<anyhow::Result<_>>()?,
    })
}

/// Records that found no room: several hundred look-ups.
pub(super) fn lost_records(ebpf: &Ebpf) -> anyhow::Result<LostRecords> {
    let cells = per_cpu_words(ebpf, "LOST_RECORDS", LOSS_CELLS)?;
    Ok(LostRecords::of_cells(cells))
}

/// What was counted of a file's pages.
fn file_counted(ebpf: &Ebpf, sizes: &Sizes<'_>, file: usize) -> anyhow::Result<FileAggregates> {
    let slot = slot_number(file)?;
    let inserts: Option<InsertCounters> =
        observed(sizes, Program::PageInsert, || sum_at(ebpf, "INSERTS", slot))?;
    Ok(FileAggregates {
        inserts,
        reinserted_pages: inserts
            .filter(|_| sizes.counts_models)
            .map(|inserts| inserts.reinserted_pages),
        evictions: observed(sizes, Program::PageEvict, || {
            sum_at(ebpf, "EVICTIONS", slot)
        })?,
        faults: observed(sizes, Program::PageFault, || sum_at(ebpf, "FAULTS", slot))?,
        map_pages: observed(sizes, Program::PageMap, || sum_at(ebpf, "MAP_PAGES", slot))?,
        lookups: observed(sizes, Program::PageLookup, || sum_at(ebpf, "LOOKUPS", slot))?,
    })
}

/// What was counted of a model's reads.
fn reads_counted(ebpf: &Ebpf, model: usize) -> anyhow::Result<ReadCounts> {
    let slot = slot_number(model)?;
    let mut issues: IssueCounters = sum_at(ebpf, "MODEL_ISSUES", slot)?;
    issues.add(&sum_at(
        ebpf,
        "MODEL_ISSUES",
        slot_number(MAX_MODELS + model)?,
    )?);
    Ok(ReadCounts {
        issues,
        completes: sum_at(ebpf, "MODEL_COMPLETES", slot)?,
        requeues: sum_at(ebpf, "MODEL_REQUEUES", slot)?,
    })
}

/// Reads of each model by latency bucket (`tracer_common::latency`), as they are now.
///
/// # Errors
/// The map cannot be read.
pub fn latencies(ebpf: &Ebpf, sizes: &Sizes<'_>) -> anyhow::Result<Vec<Vec<u64>>> {
    let words = per_cpu_words(ebpf, "LATENCIES", sizes.models * LATENCY_BUCKETS)?;
    Ok(words.chunks(LATENCY_BUCKETS).map(<[u64]>::to_vec).collect())
}

/// What was counted of each model.
fn models_counted(
    ebpf: &Ebpf,
    sizes: &Sizes<'_>,
    unseen_at_end: &[RequestSlot],
) -> anyhow::Result<Vec<ModelAggregates>> {
    let unique = unique_bytes(ebpf, sizes, unseen_at_end)?;
    let mut latencies = latencies(ebpf, sizes)?.into_iter();
    let last_ends = array::<u64>(ebpf, "LAST_ENDS")?;
    let mut models = Vec::with_capacity(sizes.models);
    for model in 0..sizes.models {
        let ReadCounts {
            issues,
            completes,
            requeues,
        } = reads_counted(ebpf, model)?;
        let mut ends = Vec::with_capacity(sizes.devices);
        for device in 0..sizes.devices {
            let end = last_ends
                .get(&slot_number(model * MAX_DEVICES + device)?, 0)?
                .0;
            ends.push((end != NO_PREVIOUS_END).then_some(end));
        }
        models.push(ModelAggregates {
            issues,
            completes,
            requeues,
            latency_buckets: latencies.next().unwrap_or_default(),
            unique_bytes: unique.get(model).copied().unwrap_or_default(),
            last_ends: ends,
        });
    }
    Ok(models)
}

fn waiting_threads(ebpf: &Ebpf) -> anyhow::Result<Vec<(u32, WaitingThread)>> {
    let threads: HashMap<_, u32, Plain<WaitingThread>> =
        HashMap::try_from(map(ebpf, "WAITING_THREADS")?)?;
    threads
        .iter()
        .map(|entry| {
            let (thread, waiting) = entry?;
            Ok((thread, waiting.0))
        })
        .collect()
}

fn other_files(ebpf: &Ebpf) -> anyhow::Result<Vec<(FileKey, u64)>> {
    let files: HashMap<_, Plain<FileKey>, u64> = HashMap::try_from(map(ebpf, "OTHER_FILES")?)?;
    files
        .iter()
        .map(|entry| {
            let (key, pages) = entry?;
            Ok((key.0, pages))
        })
        .collect()
}

/// Runs `read` where the program was attached.
fn observed<T>(
    sizes: &Sizes<'_>,
    program: Program,
    read: impl FnOnce() -> anyhow::Result<T>,
) -> anyhow::Result<Option<T>> {
    if (sizes.attached)(program) {
        read().map(Some)
    } else {
        Ok(None)
    }
}

/// Requests that were never seen to end: those that are unfinished, and those that an idle device must have
/// finished.
fn open_requests(
    ebpf: &Ebpf,
    sizes: &Sizes<'_>,
) -> anyhow::Result<(Vec<RequestSlot>, Vec<RequestSlot>)> {
    let requests = array::<RequestSlot>(ebpf, "REQUESTS")?;
    let (mut unfinished, mut unseen) = (Vec::new(), Vec::new());
    let mut open = Vec::new();
    for slot in 0..sizes.request_slots {
        open.push(requests.get(&slot, 0)?.0);
    }
    let bios: HashMap<_, u64, Plain<RequestSlot>> = HashMap::try_from(map(ebpf, "BIOS")?)?;
    for entry in bios.iter() {
        open.push(entry?.1.0);
    }
    for request in open {
        let ended = sizes
            .idle_since
            .get(request.device as usize)
            .copied()
            .flatten()
            .is_some_and(|idle_since| request.issue_time_ns < idle_since);
        match request.state {
            state::FREE => {}
            state::ISSUED if ended => unseen.push(request),
            _ => unfinished.push(request),
        }
    }
    Ok((unfinished, unseen))
}

/// Distinct bytes by model: the bits of its extents, and the sectors of reads that were not seen to end but
/// did, without what lies beyond a file's end.
fn unique_bytes(
    ebpf: &Ebpf,
    sizes: &Sizes<'_>,
    unseen: &[RequestSlot],
) -> anyhow::Result<Vec<u64>> {
    let bitmap = array::<u64>(ebpf, "UNIQUE")?;
    let first_sector_bit = first_sector_bit(sizes.extents);
    let mut bytes = vec![0u64; sizes.models];
    for (device, extents) in sizes.extents_by_device.iter().enumerate() {
        for extent in sizes.extents.get(extents.clone()).unwrap_or_default() {
            let sectors = extent.end_sector - extent.start_sector;
            let bits = extent.first_bit..extent.first_bit + sectors;
            let blocks = Bits::read(
                &bitmap,
                bits.start / SECTORS_IN_BLOCK..bits.end.div_ceil(SECTORS_IN_BLOCK),
            )?;
            let single = Bits::read(
                &bitmap,
                first_sector_bit + bits.start..first_sector_bit + bits.end,
            )?;
            let is_read = |sector: u64| {
                let bit = extent.first_bit + sector;
                blocks.is_set(bit / SECTORS_IN_BLOCK) || single.is_set(first_sector_bit + bit)
            };
            let own_unseen: Vec<&RequestSlot> = unseen
                .iter()
                .filter(|slot| {
                    slot.device as usize == device
                        && slot.next_sector < extent.end_sector
                        && slot.end_sector > extent.start_sector
                })
                .collect();
            let mut set = 0u64;
            let mut last_is_set = false;
            for sector in 0..sectors {
                let absolute = extent.start_sector + sector;
                last_is_set = is_read(sector)
                    || own_unseen
                        .iter()
                        .any(|slot| (slot.next_sector..slot.end_sector).contains(&absolute));
                set += u64::from(last_is_set);
            }
            if let Some(sum) = bytes.get_mut(usize::from(extent.model)) {
                *sum += set * tracer_common::gap::SECTOR_BYTES;
                if last_is_set {
                    *sum -= u64::from(extent.beyond_end_bytes);
                }
            }
        }
    }
    Ok(bytes)
}

/// Some bits of a bitmap.
struct Bits {
    words: Vec<u64>,
    first_word: u64,
}

impl Bits {
    fn read(
        bitmap: &Array<&aya::maps::MapData, Plain<u64>>,
        bits: std::ops::Range<u64>,
    ) -> anyhow::Result<Self> {
        let first_word = bits.start / 64;
        let words = (first_word..bits.end.div_ceil(64))
            .map(|word| Ok(bitmap.get(&u32::try_from(word)?, 0)?.0))
            .collect::<anyhow::Result<_>>()?;
        Ok(Self { words, first_word })
    }

    fn is_set(&self, bit: u64) -> bool {
        (bit / 64)
            .checked_sub(self.first_word)
            .and_then(|word| self.words.get(usize::try_from(word).ok()?))
            .is_some_and(|word| word >> (bit % 64) & 1 == 1)
    }
}

fn slot_number(slot: usize) -> anyhow::Result<u32> {
    u32::try_from(slot).context("more slots than a map has")
}

fn map<'a>(ebpf: &'a Ebpf, name: &str) -> anyhow::Result<&'a aya::maps::Map> {
    ebpf.map(name)
        .ok_or_else(|| anyhow!("the eBPF object has no map {name}"))
}

fn array<'a, T: Copy + 'static>(
    ebpf: &'a Ebpf,
    name: &str,
) -> anyhow::Result<Array<&'a aya::maps::MapData, Plain<T>>> {
    Ok(Array::try_from(map(ebpf, name)?)?)
}

fn per_cpu<'a, T: Copy + 'static>(
    ebpf: &'a Ebpf,
    name: &str,
) -> anyhow::Result<PerCpuArray<&'a aya::maps::MapData, Plain<T>>> {
    Ok(PerCpuArray::try_from(map(ebpf, name)?)?)
}

/// Sum over CPUs of the counter block in a slot.
fn sum_at<T: CounterBlock + 'static>(ebpf: &Ebpf, name: &str, slot: u32) -> anyhow::Result<T> {
    let mut sum = T::default();
    for value in per_cpu::<T>(ebpf, name)?.get(&slot, 0)?.iter() {
        sum.add(&value.0);
    }
    Ok(sum)
}

/// Sums over CPUs of the first `count` words of a per-CPU array.
fn per_cpu_words(ebpf: &Ebpf, name: &str, count: usize) -> anyhow::Result<Vec<u64>> {
    let map = per_cpu::<u64>(ebpf, name)?;
    (0..count)
        .map(|slot| {
            Ok(map
                .get(&slot_number(slot)?, 0)?
                .iter()
                .map(|value| value.0)
                .sum())
        })
        .collect()
}
