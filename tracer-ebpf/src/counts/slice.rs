//! Counts by slice of time and by span of the files ([`tracer_common::slice`]): what a run has instead of records.

use core::ffi::c_void;

use aya_ebpf::helpers::{bpf_get_smp_processor_id, generated::bpf_loop};
use tracer_common::gap::SECTOR_BYTES;
use tracer_common::slice::{
    CLASSES_IN_SECTOR, PIECE_CLASSES, SLICE_MARGIN, SLICE_NS, SLICES, SLICES_IN_USE, SliceClock,
    SliceCounts, SpanIndex,
};

use super::bitmap;
use crate::{
    atomic,
    emit::wake,
    maps::{
        PAGE_SPAN_INDEX, PAGE_SPANS, READ_SPAN_INDEX, READ_SPANS, SECTOR_SHARES, SLICE_CLOCK,
        SLICE_COUNTS, SLICE_STARTS, SPAN_PAGES, SPAN_READS,
    },
    settings::setting,
};

/// Whether the run counts so.
#[inline(always)]
pub fn are_counted() -> bool {
    setting!(slices) != 0
}

/// Number of the slice that is current.
#[inline(always)]
pub fn current() -> u64 {
    SLICE_CLOCK.get_ptr(0).map_or(0, |clock| {
        // SAFETY: an aligned word of the map.
        unsafe { core::ptr::read_volatile(&raw const (*clock).current) }
    })
}

/// Number of the slice that a moment lies in, which is now: the first that looks after a slice's time is over begins the
/// next one.
#[inline(always)]
pub fn at(time_ns: u64) -> u64 {
    let Some(clock) = SLICE_CLOCK.get_ptr_mut(0) else {
        return 0;
    };
    // SAFETY: aligned words of the map.
    let next_ns = unsafe { core::ptr::read_volatile(&raw const (*clock).next_ns) };
    if time_ns >= next_ns {
        let start_ns = time_ns - (time_ns - next_ns) % SLICE_NS;
        // SAFETY: an aligned word of the map. Whoever finds there what it had read begins the slice.
        if unsafe { atomic::exchange(&raw mut (*clock).next_ns, start_ns + SLICE_NS) } == next_ns {
            begin(clock, start_ns);
        }
    }
    // SAFETY: an aligned word of the map.
    unsafe { core::ptr::read_volatile(&raw const (*clock).current) }
}

/// Something is marked at a moment, which is now: a slice begins there.
#[inline(always)]
pub fn mark(time_ns: u64) {
    at(time_ns);
    let Some(clock) = SLICE_CLOCK.get_ptr_mut(0) else {
        return;
    };
    begin(clock, time_ns);
}

/// Begins a slice, or counts that there is no room for one.
#[inline(always)]
fn begin(clock: *mut SliceClock, start_ns: u64) {
    // SAFETY: aligned words of the map.
    let (current, taken) = unsafe {
        (
            core::ptr::read_volatile(&raw const (*clock).current),
            core::ptr::read_volatile(&raw const (*clock).taken),
        )
    };
    let kept = current.wrapping_sub(taken);
    if kept >= SLICES as u64 - SLICE_MARGIN {
        // SAFETY: an aligned word of the map.
        unsafe { atomic::add(&raw mut (*clock).undivided, 1) };
        return;
    }
    if kept == SLICES as u64 / 2 {
        wake();
    }
    // SAFETY: an aligned word of the map.
    let number = unsafe { atomic::fetch_add(&raw mut (*clock).current, 1) } + 1;
    if let Some(start) = SLICE_STARTS.get_ptr_mut(number as u32 & (SLICES as u32 - 1)) {
        // SAFETY: an aligned word of the map, which only who begins this slice writes.
        unsafe { core::ptr::write_volatile(start, start_ns) };
    }
}

/// The slice that a read that was issued in `issued` still counts for: that one, unless it may have been taken out.
#[inline(always)]
pub fn of_read(issued: u64, current: u64) -> u64 {
    if current.wrapping_sub(issued) < SLICES_IN_USE / 2 {
        issued
    } else {
        current
    }
}

/// Place of this CPU's block of a model in a slice.
#[inline(always)]
fn place(model: u32, slice: u64) -> u32 {
    // SAFETY: no arguments.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    (model * setting!(cpus) + cpu) * SLICES as u32 + (slice as u32 & (SLICES as u32 - 1))
}

/// This CPU's block of a model in a slice.
#[inline(always)]
pub fn counts(model: u32, slice: u64) -> Option<&'static mut SliceCounts> {
    SLICE_COUNTS
        .get_ptr_mut(place(model, slice))
        // SAFETY: a value of the map. Each member has one writing program, which does not run inside itself.
        .map(|counts| unsafe { &mut *counts })
}

/// Place of this CPU's block of the first span.
#[inline(always)]
fn first_block(index: SpanIndex) -> u32 {
    // SAFETY: no arguments.
    let cpu = unsafe { bpf_get_smp_processor_id() };
    let blocks = setting!(span_blocks);
    let block = if blocks == setting!(cpus) {
        cpu
    } else {
        cpu & blocks.wrapping_sub(1)
    };
    block * index.spans
}

/// Adds to a word of a span's block, which may be several CPUs'.
#[inline(always)]
fn add(word: *mut u64, value: u64) {
    if setting!(span_blocks) == setting!(cpus) {
        // SAFETY: a word of a map that one program writes on this CPU alone.
        unsafe { *word += value };
    } else {
        // SAFETY: an aligned word of a map.
        unsafe { atomic::add(word, value) };
    }
}

#[inline(always)]
fn read_spans() -> SpanIndex {
    SpanIndex {
        spans: setting!(read_spans.spans),
        shift: setting!(read_spans.shift),
    }
}

#[inline(always)]
fn page_spans() -> SpanIndex {
    SpanIndex {
        spans: setting!(page_spans.spans),
        shift: setting!(page_spans.shift),
    }
}

/// A read, or a part of it, on its way over the spans.
#[repr(C)]
struct ReadWalk {
    from: u64,
    to: u64,
    span: u32,
    /// Place of this CPU's block of the first span.
    block: u32,
    /// Place of this CPU's block in the slice.
    place: u32,
    readahead: u32,
    /// Whether the read comes from the span before.
    continues: u32,
    reserved: u32,
}

/// Counts the sectors of the bits `from..to`, of a read of a model that was issued in a slice.
#[inline(always)]
pub fn count_sectors(model: u32, slice: u64, from: u64, to: u64, readahead: bool) {
    slice_count_sectors(place(model, slice), from, to, readahead.into());
}

/// A function of its own to the verifier (global, with numbers only), which so follows it once and not on each way to it.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn slice_count_sectors(place: u32, from: u64, to: u64, readahead: u32) -> u32 {
    let index = read_spans();
    let Some(&span) = READ_SPAN_INDEX.get((from >> (index.shift & 63)) as u32) else {
        return 0;
    };
    let mut walk = ReadWalk {
        from,
        to,
        span,
        block: first_block(index),
        place,
        readahead,
        continues: 0,
        reserved: 0,
    };
    // In the loop also the first span, in which nearly every read lies: what is not inlined here needs no place on this stack.
    // SAFETY: the callback has the signature that the kernel calls it with, and `walk` lives on this stack until bpf_loop
    // returns.
    unsafe {
        bpf_loop(
            index.spans,
            visit_sectors as *mut c_void,
            (&raw mut walk).cast(),
            0,
        )
    };
    0
}

/// Counts what the walk has of one span, and goes on to the next; ends the loop where nothing is left.
unsafe extern "C" fn visit_sectors(_index: u64, walk: *mut c_void) -> i64 {
    // SAFETY: bpf_loop hands over the pointer to the state that `slice_count_sectors` passed.
    let walk = unsafe { &mut *walk.cast::<ReadWalk>() };
    let Some(span) = READ_SPANS.get(walk.span) else {
        return 1;
    };
    let number = walk.span;
    walk.span += 1;
    let end_bit = u64::from(span.end_bit);
    if end_bit <= walk.from {
        return 0;
    }
    let to = end_bit.min(walk.to);
    let sectors = to - walk.from;
    walk.from = to;
    if let Some(reads) = SPAN_READS.get_ptr_mut(walk.block + number) {
        // SAFETY: words of the map.
        unsafe {
            add(&raw mut (*reads).sectors, sectors);
            if walk.readahead != 0 {
                add(&raw mut (*reads).readahead_sectors, sectors);
            }
            if walk.continues == 0 {
                add(&raw mut (*reads).begun, 1);
            } else {
                add(&raw mut (*reads).continued, 1);
            }
        }
    }
    walk.continues = 1;
    if let Some(counts) = SLICE_COUNTS.get_ptr_mut(walk.place) {
        // SAFETY: a value of the map; the program on issues alone writes these members.
        let counts = unsafe { &mut *counts };
        if let Some(class) = counts.class_bytes.get_mut(span.shares as usize) {
            *class += sectors * SECTOR_BYTES;
        } else if let Some(shares) = SECTOR_SHARES.get(span.shares - PIECE_CLASSES as u32) {
            for part in 0..CLASSES_IN_SECTOR {
                let bytes = u64::from(shares.class_bytes[part]);
                if bytes == 0 {
                    break;
                }
                let class = shares.classes[part] as usize & (PIECE_CLASSES - 1);
                counts.class_bytes[class] += sectors * bytes;
            }
        }
    }
    i64::from(to >= walk.to)
}

/// Pages on their way over the spans.
#[repr(C)]
struct PageWalk {
    from: u64,
    to: u64,
    /// Bytes of the files in the pages.
    bytes: u64,
    /// Of them: in pages that had been evicted in this run.
    refaulted_bytes: u64,
    refaulted_pages: u64,
    span: u32,
    block: u32,
    inserted: u32,
    reserved: u32,
}

/// What a walk over pages found.
#[derive(Clone, Copy)]
pub struct PagesFound {
    /// Bytes of the files in the pages.
    pub bytes: u64,
    /// Of them: in pages that had been evicted in this run.
    pub refaulted_bytes: u64,
    /// Pages that had been evicted in this run.
    pub refaulted_pages: u64,
}

impl PagesFound {
    /// Nothing.
    pub const NONE: Self = Self {
        bytes: 0,
        refaulted_bytes: 0,
        refaulted_pages: 0,
    };
}

/// Counts the pages of the bits `from..to`, which entered the page cache or left it.
#[inline(always)]
pub fn count_pages(from: u64, to: u64, inserted: bool) -> PagesFound {
    let index = page_spans();
    let mut walk = PageWalk {
        from,
        to,
        bytes: 0,
        refaulted_bytes: 0,
        refaulted_pages: 0,
        span: PAGE_SPAN_INDEX
            .get((from >> (index.shift & 63)) as u32)
            .copied()
            .unwrap_or(0),
        block: first_block(index),
        inserted: u32::from(inserted),
        reserved: 0,
    };
    if !visit_pages(&mut walk) {
        // SAFETY: the callback has the signature that the kernel calls it with, and `walk` lives on this stack until bpf_loop
        // returns.
        unsafe {
            bpf_loop(
                index.spans,
                visit_pages_again as *mut c_void,
                (&raw mut walk).cast(),
                0,
            )
        };
    }
    PagesFound {
        bytes: walk.bytes,
        refaulted_bytes: walk.refaulted_bytes,
        refaulted_pages: walk.refaulted_pages,
    }
}

unsafe extern "C" fn visit_pages_again(_index: u64, walk: *mut c_void) -> i64 {
    // SAFETY: bpf_loop hands over the pointer to the state that `count_pages` passed.
    i64::from(visit_pages(unsafe { &mut *walk.cast::<PageWalk>() }))
}

/// Counts what the walk has of one span, and goes on to the next. True where nothing is left.
#[inline(always)]
fn visit_pages(walk: &mut PageWalk) -> bool {
    let Some(span) = PAGE_SPANS.get(walk.span) else {
        return true;
    };
    let number = walk.span;
    walk.span += 1;
    if span.end_bit <= walk.from {
        return false;
    }
    let (from, to) = (walk.from, span.end_bit.min(walk.to));
    let pages = to - from;
    walk.from = to;
    let page_bytes = u64::from(span.page_bytes);
    walk.bytes += pages * page_bytes;
    let Some(counted) = SPAN_PAGES.get_ptr_mut(walk.block + number) else {
        return true;
    };
    if walk.inserted != 0 {
        let refaulted = bitmap::take_evicted(from, pages);
        walk.refaulted_pages += refaulted;
        walk.refaulted_bytes += refaulted * page_bytes;
        // SAFETY: words of the map.
        unsafe {
            add(&raw mut (*counted).inserted, pages);
            add(&raw mut (*counted).refaulted, refaulted);
        }
    } else {
        // SAFETY: a word of the map.
        unsafe { add(&raw mut (*counted).evicted, pages) };
    }
    to >= walk.to
}
