//! The eBPF object with its constants and maps: as large as what is traced.

use anyhow::{Context as _, bail};
use aya::{Btf, Ebpf, EbpfLoader};
use tracer_common::{settings::Settings, slice::SLICES};

use super::{
    Detail, KernelTypes, SessionOptions,
    aggregates::Plain,
    rings,
    slices::{self, SliceSizes},
    tables::{
        self, FilterTables, file_slots, fill, fill_tables, padded,
        read_bits::{first_sector_bit, sectors_of},
        words_for,
    },
};

/// The eBPF object that the build script made.
pub(super) static OBJECT: &[u8] =
    aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/tracer-ebpf"));

/// Fewest bytes of a ring buffer: a page, which no kernel takes fewer of.
const LEAST_RING_BUFFER: u32 = 4096;

/// The object in the kernel, its programs not yet verified.
pub(super) struct Loaded {
    pub ebpf: Ebpf,
    /// Places for requests in flight.
    pub request_slots: u32,
    /// Places of each CPU's ring.
    pub ring_slots: u32,
    /// Whether counts by slice and span are kept.
    pub counts_slices: bool,
    /// How much is counted by slice and span.
    pub sizes: SliceSizes,
}

/// Makes the maps and fills in what the programs look at. `cpus`: how many there may be.
///
/// # Errors
/// A table that is too large; an object that the kernel refuses.
pub(super) fn load(
    btf: &Btf,
    types: &KernelTypes,
    tables: &FilterTables,
    options: SessionOptions,
    cpus: u32,
) -> anyhow::Result<Loaded> {
    let counts_models = types.counts_models() && !options.early_programs;
    // Programs of one kind use the rings of the CPUs, those of the other kind share a ring buffer: the bytes go where
    // most records do.
    const SMALLER_SHARE: u32 = 4;
    /// Of each CPU, where only what is rare gives a record.
    const RARE_RING_BYTES: u32 = 64 << 10;
    let gives_records = options.detail >= Detail::Events;
    let ring_buffer_bytes = if gives_records {
        options.ring_buffer_bytes
    } else {
        // Marks, and reads of several extents one after the other.
        (RARE_RING_BYTES * cpus).next_power_of_two()
    };
    let smaller_bytes = (ring_buffer_bytes / SMALLER_SHARE).max(LEAST_RING_BUFFER);
    let (ring_bytes, ring_buffer_bytes) = if counts_models {
        (ring_buffer_bytes, smaller_bytes)
    } else {
        (smaller_bytes, ring_buffer_bytes)
    };
    let ring_slots = rings::slots_for(ring_bytes, cpus);
    let (extent_indices, index_table) =
        tables::build_extent_index(&tables.devices, &tables.extents)?;
    // Who may step down counts beside the records.
    let steps_down = options.steps_down && counts_models && options.detail == Detail::Events;
    let counts_slices = options.detail == Detail::Counts || steps_down;
    if let Some(fault) = tables.fault_of_counts().filter(|_| counts_slices) {
        bail!(fault);
    }
    let (read_spans, read_span_index) = tables::build_span_index(
        &tables
            .spans
            .reads
            .iter()
            .map(|span| u64::from(span.end_bit))
            .collect::<Vec<_>>(),
    )?;
    let (page_spans, page_span_index) = tables::build_span_index(
        &tables
            .spans
            .pages
            .iter()
            .map(|span| span.end_bit)
            .collect::<Vec<_>>(),
    )?;
    let most_spans = tables.spans.reads.len().max(tables.spans.pages.len());
    let span_blocks = slices::span_blocks(cpus, most_spans);
    let first_sector_bit = first_sector_bit(&tables.extents);
    let settings = Settings {
        devices: padded(&tables.devices),
        extent_indices: padded(&extent_indices),
        device_count: u32::try_from(tables.devices.len())?,
        wake_above_bytes: ring_buffer_bytes / 4,
        ring_slots,
        records: u32::from(gives_records),
        hides_from_process_1: u32::from(types.hides_from_process_1()),
        counts_read_calls: u32::from(types.counts_read_calls()),
        slices: u32::from(counts_slices),
        takes_in_late: u32::from(types.has_stacks_of_programs()),
        steps_down: u32::from(steps_down),
        cpus,
        span_blocks,
        read_spans,
        page_spans,
        first_sector_bit,
        members: types.members()?,
        constants: types.constants()?,
    };
    let request_slots = tables
        .devices
        .iter()
        .map(|device| device.first_slot + device.tags * device.hardware_queues)
        .max()
        .unwrap_or_default();
    let unique_words = words_for(first_sector_bit + sectors_of(&tables.extents))?;
    let (file_slots, page_words) = file_slots(&tables.files)?;
    let files = u32::try_from(tables.files.len())?.max(1);
    let log_level: u8 = if options.diagnostics { u8::MAX } else { 0 };
    // Where nothing is counted so, the maps are as small as maps can be.
    let sizes = SliceSizes {
        models: tables.models.max(1),
        cpus: cpus as usize,
        blocks: span_blocks as usize,
        read_spans: tables.spans.reads.len(),
        page_spans: tables.spans.pages.len(),
    };
    let slice_blocks = if counts_slices {
        u32::try_from(sizes.models * sizes.cpus * SLICES)?
    } else {
        1
    };
    let entries = |count: usize| u32::try_from(count).map(|count| count.max(1));
    let mut ebpf = EbpfLoader::new()
        .btf(Some(btf))
        .override_global("SETTINGS", &Plain(settings), true)
        .override_global("AYA_LOG_LEVEL", &log_level, false)
        .map_max_entries("EXTENTS", u32::try_from(tables.extents.len())?.max(1))
        .map_max_entries("EXTENT_INDEX", u32::try_from(index_table.len())?.max(1))
        .map_max_entries("RING_ENDS", cpus)
        .map_max_entries("RING_SLOTS", cpus * ring_slots)
        .map_max_entries("REQUESTS", request_slots.max(1))
        .map_max_entries("UNIQUE", unique_words.max(1))
        .map_max_entries("EVICTED_PAGES", page_words.max(1))
        .map_max_entries("RECORDS", ring_buffer_bytes)
        .map_max_entries("SLICE_COUNTS", slice_blocks)
        .map_max_entries("READ_SPANS", entries(sizes.read_spans)?)
        .map_max_entries("SECTOR_SHARES", entries(tables.spans.shares.len())?)
        .map_max_entries("READ_SPAN_INDEX", entries(read_span_index.len())?)
        .map_max_entries("SPAN_READS", entries(sizes.blocks * sizes.read_spans)?)
        .map_max_entries("PAGE_SPANS", entries(sizes.page_spans)?)
        .map_max_entries("PAGE_SPAN_INDEX", entries(page_span_index.len())?)
        .map_max_entries("SPAN_PAGES", entries(sizes.blocks * sizes.page_spans)?)
        .map_max_entries("KNOWN_FILES", files)
        .map_max_entries("INSERTS", files)
        .map_max_entries("EVICTIONS", files)
        .map_max_entries("FAULTS", files)
        .map_max_entries("MAP_PAGES", files)
        .map_max_entries("LOOKUPS", files)
        .load(OBJECT)
        .context("the kernel refused the eBPF object")?;

    fill_tables(&mut ebpf, tables, &file_slots)?;
    fill(&mut ebpf, "EXTENT_INDEX", &index_table)?;
    fill(&mut ebpf, "READ_SPANS", &tables.spans.reads)?;
    fill(&mut ebpf, "SECTOR_SHARES", &tables.spans.shares)?;
    fill(&mut ebpf, "READ_SPAN_INDEX", &read_span_index)?;
    fill(&mut ebpf, "PAGE_SPANS", &tables.spans.pages)?;
    fill(&mut ebpf, "PAGE_SPAN_INDEX", &page_span_index)?;
    Ok(Loaded {
        ebpf,
        request_slots,
        ring_slots,
        counts_slices,
        sizes,
    })
}

/// Before Linux 5.11 maps count against the limit of locked memory. Where it cannot be raised, loading
/// fails with the kernel's own error.
pub(super) fn raise_memlock_limit() {
    use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
    let _ = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY);
}
