//! The maps. Sizes marked 1 are set by the loader.

use aya_ebpf::{
    bindings::BPF_F_MMAPABLE,
    macros::map,
    maps::{Array, HashMap, LruHashMap, PerCpuArray, RingBuf},
};
use tracer_common::{
    counters::{
        CompleteCounters, DeviceCompleteCounters, DeviceIssueCounters, EvictionCounters,
        FaultCounters, InsertCounters, IssueCounters, LOSS_CELLS, LookupCounters, MapPagesCounters,
        RequeueCounters,
    },
    extent::{Extent, MAX_DEVICES, MAX_MODELS},
    latency::LATENCY_BUCKETS,
    page::{
        FileKey, FileSlot, KnownFile, LearntKey, MARKS, MAX_FILES, MappingVerdict, ThreadTouch,
        WaitingThread,
    },
    request::RequestSlot,
    ring::{RingEnds, RingSlot},
    settings::DeviceFilter,
    slice::{
        PageSpan, ReadSpan, SLICES, SectorShares, SliceClock, SliceCounts, SpanPages, SpanReads,
    },
};

use crate::request::parts::Walk;

const DEVICE_SLOTS: u32 = MAX_DEVICES as u32;
const MODELS: u32 = MAX_MODELS as u32;
const ISSUE_SETS: u32 = tracer_common::counters::ISSUE_SETS as u32;

/// When it was opened while events count, else 0.
#[map(name = "GATE")]
pub static GATE: Array<u64> = Array::with_max_entries(2, 0);

/// The devices of the settings once more, for the search without branches: with constants the verifier would follow every
/// step of it both ways.
#[map(name = "DEVICES")]
pub static DEVICES: Array<DeviceFilter> = Array::with_max_entries(DEVICE_SLOTS, 0);

/// Where the models lie, sorted by device and start.
#[map(name = "EXTENTS")]
pub static EXTENTS: Array<Extent> = Array::with_max_entries(1, 0);

/// First extents of the pieces of the devices ([`tracer_common::settings::ExtentIndex`]).
#[map(name = "EXTENT_INDEX")]
pub static EXTENT_INDEX: Array<u32> = Array::with_max_entries(1, 0);

/// Reads in flight, by device, hardware queue and tag.
#[map(name = "REQUESTS")]
pub static REQUESTS: Array<RequestSlot> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Bios in flight of devices without requests, by address.
#[map(name = "BIOS")]
pub static BIOS: HashMap<u64, RequestSlot> = HashMap::with_max_entries(65536, 0);

/// End of each model's last read on each device, exchanged at every read.
#[map(name = "LAST_ENDS")]
pub static LAST_ENDS: Array<u64> = Array::with_max_entries(MODELS * DEVICE_SLOTS, 0);

/// What of the models' extents was read without error: a bit for each block that was read whole, then one for each sector of
/// reads that begin or end within a block.
#[map(name = "UNIQUE")]
pub static UNIQUE: Array<u64> = Array::with_max_entries(1, 0);

/// By model; behind them, by model, what the program on completions counts of late issues.
#[map(name = "MODEL_ISSUES")]
pub static MODEL_ISSUES: PerCpuArray<IssueCounters> =
    PerCpuArray::with_max_entries(ISSUE_SETS * MODELS, 0);

/// By model.
#[map(name = "MODEL_COMPLETES")]
pub static MODEL_COMPLETES: PerCpuArray<CompleteCounters> =
    PerCpuArray::with_max_entries(MODELS, 0);

/// By model.
#[map(name = "MODEL_REQUEUES")]
pub static MODEL_REQUEUES: PerCpuArray<RequeueCounters> = PerCpuArray::with_max_entries(MODELS, 0);

/// Latency from first issue to last completion, by model and bucket.
#[map(name = "LATENCIES")]
pub static LATENCIES: PerCpuArray<u64> =
    PerCpuArray::with_max_entries(MODELS * LATENCY_BUCKETS as u32, 0);

/// By device; behind them, by device, what the program on completions counts of late issues.
#[map(name = "DEVICE_ISSUES")]
pub static DEVICE_ISSUES: PerCpuArray<DeviceIssueCounters> =
    PerCpuArray::with_max_entries(ISSUE_SETS * DEVICE_SLOTS, 0);

/// By device.
#[map(name = "DEVICE_DONE")]
pub static DEVICE_COMPLETES: PerCpuArray<DeviceCompleteCounters> =
    PerCpuArray::with_max_entries(DEVICE_SLOTS, 0);

/// Records by CPU.
#[map(name = "RING_SLOTS")]
pub static RING_SLOTS: Array<RingSlot> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Ends of the rings of records, by CPU.
#[map(name = "RING_ENDS")]
pub static RING_ENDS: Array<RingEnds> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Records of programs that have no rings, and the bell by which the others wake the reader.
#[map(name = "RECORDS")]
pub static RECORDS: RingBuf = RingBuf::with_byte_size(4096, 0);

/// Which slice of time is current.
#[map(name = "SLICE_CLOCK")]
pub static SLICE_CLOCK: Array<SliceClock> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// When each of the slices that are kept began, `CLOCK_MONOTONIC` nanoseconds.
#[map(name = "SLICE_STARTS")]
pub static SLICE_STARTS: Array<u64> = Array::with_max_entries(SLICES as u32, BPF_F_MMAPABLE);

/// By model, CPU and slice.
#[map(name = "SLICE_COUNTS")]
pub static SLICE_COUNTS: Array<SliceCounts> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Spans of sectors, in the order of their numbers.
#[map(name = "READ_SPANS")]
pub static READ_SPANS: Array<ReadSpan> = Array::with_max_entries(1, 0);

/// What sectors have of classes.
#[map(name = "SECTOR_SHARES")]
pub static SECTOR_SHARES: Array<SectorShares> = Array::with_max_entries(1, 0);

/// First spans of the pieces of the bits ([`tracer_common::slice::SpanIndex`]).
#[map(name = "READ_SPAN_INDEX")]
pub static READ_SPAN_INDEX: Array<u32> = Array::with_max_entries(1, 0);

/// By block and span of sectors.
#[map(name = "SPAN_READS")]
pub static SPAN_READS: Array<SpanReads> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Spans of pages, in the order of the bits of [`EVICTED_PAGES`].
#[map(name = "PAGE_SPANS")]
pub static PAGE_SPANS: Array<PageSpan> = Array::with_max_entries(1, 0);

/// As [`READ_SPAN_INDEX`].
#[map(name = "PAGE_SPAN_INDEX")]
pub static PAGE_SPAN_INDEX: Array<u32> = Array::with_max_entries(1, 0);

/// By block and span of pages.
#[map(name = "SPAN_PAGES")]
pub static SPAN_PAGES: Array<SpanPages> = Array::with_max_entries(1, BPF_F_MMAPABLE);

/// Records that found no room, by program and kind.
#[map(name = "LOST_RECORDS")]
pub static LOST_RECORDS: PerCpuArray<u64> = PerCpuArray::with_max_entries(LOSS_CELLS as u32, 0);

/// Work space of a walk over extents, one for each program that walks.
#[map(name = "WALKS")]
pub static WALKS: PerCpuArray<Walk> = PerCpuArray::with_max_entries(4, 0);

/// The files whose page-cache events count.
#[map(name = "FILES")]
pub static FILES: HashMap<FileKey, FileSlot> = HashMap::with_max_entries(MAX_FILES, 0);

/// The same files by slot, once their mappings have been seen.
#[map(name = "KNOWN_FILES")]
pub static KNOWN_FILES: Array<KnownFile> = Array::with_max_entries(1, 0);

/// Whose mappings were seen of late.
#[map(name = "MAPPING_VERDICTS")]
pub static MAPPING_VERDICTS: PerCpuArray<MappingVerdict> = PerCpuArray::with_max_entries(1, 0);

/// Pages of files that are no model's, put into the page cache by the engine's processes. Those of which least was put
/// there of late are forgotten.
#[map(name = "OTHER_FILES")]
pub static OTHER_FILES: LruHashMap<FileKey, u64> =
    LruHashMap::with_max_entries(tracer_common::page::OTHER_FILES, 0);

/// One bit for each page of the files: evicted in this run and not inserted since.
#[map(name = "EVICTED_PAGES")]
pub static EVICTED_PAGES: Array<u64> = Array::with_max_entries(1, 0);

/// A question of the loader: how is this file called?
#[map(name = "LEARNT_KEY")]
pub static LEARNT_KEY: Array<LearntKey> = Array::with_max_entries(1, 0);

/// By file.
#[map(name = "INSERTS")]
pub static INSERTS: PerCpuArray<InsertCounters> = PerCpuArray::with_max_entries(1, 0);

/// By file.
#[map(name = "EVICTIONS")]
pub static EVICTIONS: PerCpuArray<EvictionCounters> = PerCpuArray::with_max_entries(1, 0);

/// By file.
#[map(name = "FAULTS")]
pub static FAULTS: PerCpuArray<FaultCounters> = PerCpuArray::with_max_entries(1, 0);

/// By file.
#[map(name = "MAP_PAGES")]
pub static MAP_PAGES: PerCpuArray<MapPagesCounters> = PerCpuArray::with_max_entries(1, 0);

/// By file.
#[map(name = "LOOKUPS")]
pub static LOOKUPS: PerCpuArray<LookupCounters> = PerCpuArray::with_max_entries(1, 0);

/// Last page-cache event of a thread, by thread id.
#[map(name = "THREAD_TOUCHES")]
pub static THREAD_TOUCHES: LruHashMap<u32, ThreadTouch> = LruHashMap::with_max_entries(16384, 0);

/// The engine's processes, each with an [`tracer_common::engine`] state: only their waits for other I/O and in reclaim count.
#[map(name = "ENGINE_PROCS")]
pub static ENGINE_PROCESSES: HashMap<u32, u8> = HashMap::with_max_entries(4096, 0);

/// By process id, as far as it goes into the table: whether one of the engine's processes has it.
#[map(name = "ENGINE_MARKS")]
pub static ENGINE_MARKS: Array<u8> = Array::with_max_entries(MARKS, 0);

/// By thread id: whether such a thread has faulted on a model.
#[map(name = "FAULT_MARKS")]
pub static FAULT_MARKS: Array<u8> = Array::with_max_entries(MARKS, 0);

/// By thread id: whether such a thread has been put into the table of waiting threads.
#[map(name = "WAITING_MARKS")]
pub static WAITING_MARKS: Array<u8> = Array::with_max_entries(MARKS, 0);

/// Threads that wait, and threads whose last wait has ended and that a look-up may explain.
#[map(name = "WAITING_THREADS")]
pub static WAITING_THREADS: HashMap<u32, WaitingThread> = HashMap::with_max_entries(16384, 0);

/// Threads that wait for a lock now.
#[map(name = "LOCK_WAITS")]
pub static LOCK_WAITS: Array<u64> = Array::with_max_entries(1, 0);

/// Threads that reclaim memory, since when.
#[map(name = "RECLAIMING")]
pub static RECLAIMING_THREADS: HashMap<u32, u64> = HashMap::with_max_entries(16384, 0);

/// Tokens that were added to a batch, by its address.
#[map(name = "BATCH_TOKENS")]
pub static BATCH_TOKENS: LruHashMap<u64, u32> = LruHashMap::with_max_entries(1024, 0);

/// The value of a per-CPU or plain array, to be changed in place.
macro_rules! value {
    ($map:expr, $index:expr) => {
        match $map.get_ptr_mut($index) {
            // SAFETY: the pointer comes from the map and lives as long as the program runs; a per-CPU value
            // has one writing program, which the kernel does not run inside itself.
            Some(pointer) => unsafe { &mut *pointer },
            None => return,
        }
    };
}
pub(crate) use value;
