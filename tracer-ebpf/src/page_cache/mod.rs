//! What the page cache does with the model's files.

pub mod known_file;

use aya_ebpf::helpers::{
    bpf_get_current_pid_tgid,
    generated::{bpf_get_current_task, bpf_get_current_task_btf},
};
use aya_ebpf::{bindings::BPF_NOEXIST, helpers::generated::bpf_ktime_get_ns};
use tracer_common::{
    counters::EvictionAgent,
    page::{FileKey, FileSlot, ThreadTouch, touch},
    program::Program,
    record::{KindByte, PageRecord, page_event},
};

use crate::{
    abilities::Abilities,
    atomic,
    counts::{
        bitmap,
        slice::{self, PagesFound},
    },
    emit::emit,
    engine,
    field::{Folio, Mapping, Task, read},
    gate,
    maps::{
        EVICTIONS, FAULTS, INSERTS, LEARNT_KEY, LOOKUPS, MAP_PAGES, OTHER_FILES, THREAD_TOUCHES,
        value,
    },
    settings::setting,
    waits,
};

/// `mm_filemap_add_to_page_cache`.
#[inline(always)]
pub fn insert<A: Abilities>(folio: *const u8) {
    let folio = Folio(folio);
    let mapping = folio.mapping();
    let Some(file) = traced_file::<A>(mapping) else {
        tell_key(mapping);
        note_other(mapping, folio.pages::<A>());
        return;
    };
    let counters = value!(INSERTS, file.file);
    let (index, pages) = (folio.index(), folio.pages::<A>());
    counters.folios += 1;
    counters.pages += pages;
    let first_bit = file.first_bit + index;
    let mut found = PagesFound::NONE;
    if index >= file.pages {
        counters.pages_beyond_end += pages;
    } else if A::COUNTS_MODELS {
        found = if slice::are_counted() {
            slice::count_pages(first_bit, first_bit + pages, true)
        } else {
            PagesFound {
                refaulted_pages: bitmap::take_evicted(first_bit, pages),
                ..PagesFound::NONE
            }
        };
        counters.reinserted_pages += found.refaulted_pages;
    }
    // The handler of a fault that finds nothing inserts the page itself (`filemap_fault` in mm/filemap.c): that
    // is what the kernel counts as a major fault.
    let thread = bpf_get_current_pid_tgid() as u32;
    let by_fault = last_touch(thread).is_some_and(|touch| {
        touch.kind == touch::FAULT && covers(touch, file, index, index + pages - 1)
    });
    let event = if by_fault {
        counters.by_fault += 1;
        page_event::INSERT_BY_FAULT
    } else {
        page_event::INSERT
    };
    if A::COUNTS_MODELS
        && slice::are_counted()
        && let Some(counts) = slice::counts(file.model, slice::current())
    {
        counts.inserted_pages += pages;
        counts.inserted_bytes += found.bytes;
        counts.refaulted_bytes += found.refaulted_bytes;
        counts.major_faults += u64::from(by_fault);
    }
    note::<A>(Program::PageInsert, event, file, index, pages);
}

/// `mm_filemap_delete_from_page_cache`.
#[inline(always)]
pub fn evict<A: Abilities>(folio: *const u8) {
    let folio = Folio(folio);
    let Some(file) = traced_file::<A>(folio.mapping()) else {
        return;
    };
    let counters = value!(EVICTIONS, file.file);
    let (index, pages) = (folio.index(), folio.pages::<A>());
    counters.folios += 1;
    let agent = agent::<A>() as usize;
    counters.pages[agent] += pages;
    if A::COUNTS_MODELS && index < file.pages {
        let first_bit = file.first_bit + index;
        bitmap::mark_evicted(first_bit, pages);
        if slice::are_counted() {
            let found = slice::count_pages(first_bit, first_bit + pages, false);
            if let Some(counts) = slice::counts(file.model, slice::current()) {
                counts.evicted_pages += pages;
                counts.evicted_bytes += found.bytes;
            }
        }
    }
    let event = page_event::EVICTION + agent as u8;
    note::<A>(Program::PageEvict, event, file, index, pages);
}

/// `mm_filemap_fault`.
#[inline(always)]
pub fn fault<A: Abilities>(mapping: *const u8, page: u64) {
    let Some(file) = traced_file::<A>(Mapping(mapping)) else {
        return;
    };
    let counters = value!(FAULTS, file.file);
    counters.faults += 1;
    if A::COUNTS_MODELS
        && slice::are_counted()
        && let Some(counts) = slice::counts(file.model, slice::current())
    {
        counts.faults += 1;
    }
    let thread = bpf_get_current_pid_tgid() as u32;
    if let Some(touch) = last_touch(thread)
        && touch.kind == touch::TENTATIVE_HIT
        && covers(touch, file, page, page)
    {
        counters.retracted_hits += 1;
    }
    waits::faults(thread);
    remember(thread, touch::FAULT, file, page, page);
    note::<A>(Program::PageFault, page_event::FAULT, file, page, 1);
}

/// `mm_filemap_map_pages`.
#[inline(always)]
pub fn map_pages<A: Abilities>(mapping: *const u8, first_page: u64, last_page: u64) {
    let Some(file) = traced_file::<A>(Mapping(mapping)) else {
        tell_key(Mapping(mapping));
        return;
    };
    let counters = value!(MAP_PAGES, file.file);
    counters.events += 1;
    let thread = bpf_get_current_pid_tgid() as u32;
    let ends_a_fault = last_touch(thread).is_some_and(|touch| {
        touch.kind == touch::FAULT && covers(touch, file, first_page, last_page)
    });
    let kind = if ends_a_fault {
        touch::MAPPED
    } else {
        counters.tentative_hits += 1;
        touch::TENTATIVE_HIT
    };
    remember(thread, kind, file, first_page, last_page);
    let pages = last_page - first_page + 1;
    note::<A>(
        Program::PageMap,
        page_event::MAP_WINDOW,
        file,
        first_page,
        pages,
    );
}

/// `mm_filemap_get_pages`: pages `first_page..=last_page` were asked for, and the look-up succeeded.
#[inline(always)]
pub fn lookup<A: Abilities>(mapping: *const u8, first_page: u64, last_page: u64) {
    let Some(file) = traced_file::<A>(Mapping(mapping)) else {
        tell_key(Mapping(mapping));
        return;
    };
    value!(LOOKUPS, file.file).lookups += 1;
    // SAFETY: no arguments.
    waits::look_up_found::<A>(file, first_page, unsafe { bpf_ktime_get_ns() });
    let pages = last_page - first_page + 1;
    note::<A>(
        Program::PageLookup,
        page_event::LOOKUP,
        file,
        first_page,
        pages,
    );
}

/// Counts pages of a file that is no model's, where one of the engine's processes put them into the cache.
#[inline(always)]
fn note_other(mapping: Mapping, pages: u64) {
    if !gate::is_open() {
        return;
    }
    let process_id = (bpf_get_current_pid_tgid() >> 32) as u32;
    if !engine::may_hold(process_id) || !engine::holds(process_id) {
        return;
    }
    let key = mapping.file();
    // Another CPU may put the file's first pages in at the same moment: then the entry is there after all. Where the
    // table takes no more, a note says less.
    if !add_other(key, pages) && OTHER_FILES.insert(key, pages, BPF_NOEXIST.into()).is_err() {
        add_other(key, pages);
    }
}

/// Adds to what is counted of a file; false where nothing is counted of it yet.
#[inline(always)]
fn add_other(key: FileKey, pages: u64) -> bool {
    let Some(counted) = OTHER_FILES.get_ptr_mut(key) else {
        return false;
    };
    // SAFETY: a word of the map.
    unsafe { atomic::add(counted, pages) };
    true
}

/// Answers the loader, which reads a byte of a file, or touches a page of it, before the gate opens. A look-up, an insert
/// and a page mapped by a fault each name the file; not every kernel shows each.
#[inline(always)]
fn tell_key(mapping: Mapping) {
    let Some(learnt) = LEARNT_KEY.get_ptr_mut(0) else {
        return;
    };
    // SAFETY: a value of the map; only the thread that it names changes it here.
    let learnt = unsafe { &mut *learnt };
    if learnt.thread_id != 0 && learnt.thread_id == bpf_get_current_pid_tgid() as u32 {
        learnt.key = mapping.file();
        learnt.found = 1;
    }
}

/// Writes a record, where records are wanted.
#[inline(always)]
fn note<A: Abilities>(program: Program, event: u8, file: &FileSlot, first_page: u64, pages: u64) {
    if setting!(records) == 0 {
        return;
    }
    emit::<A>(
        program,
        PageRecord {
            kind: KindByte::NEW,
            event,
            file: file.file as u16,
            process_id: (bpf_get_current_pid_tgid() >> 32) as u32,
            // SAFETY: no arguments.
            time_ns: unsafe { bpf_ktime_get_ns() },
            first_page: first_page as u32,
            pages: pages as u32,
        },
    );
}

/// The file, where the gate is open and the file is one of the models'.
#[inline(always)]
fn traced_file<A: Abilities>(mapping: Mapping) -> Option<&'static FileSlot> {
    if gate::is_open() {
        known_file::of_mapping::<A>(mapping)
    } else {
        None
    }
}

/// Bits of `task_struct.flags` (`include/linux/sched.h`; unchanged from Linux 5.10 to 7.3).
mod task_flag {
    /// Allocates from reserves, since it reclaims.
    pub const MEMALLOC: u32 = 0x0000_0800;
    /// kswapd.
    pub const KSWAPD: u32 = 0x0002_0000;
    /// A kernel thread.
    pub const KERNEL_THREAD: u32 = 0x0020_0000;
}

/// Who is removing a folio: reclaim sets `PF_MEMALLOC` (`memalloc_noreclaim_save` in `mm/vmscan.c`),
/// truncation and invalidation do not.
#[inline(always)]
fn agent<A: Abilities>() -> EvictionAgent {
    let flags = if A::COUNTS_MODELS {
        // SAFETY: no arguments; the current task is always there.
        Task(unsafe { bpf_get_current_task_btf() }.cast()).flags()
    } else {
        // The typed one came with Linux 5.11.
        // SAFETY: no arguments.
        let task = unsafe { bpf_get_current_task() };
        read(task, setting!(members.task_flags)).unwrap_or(0)
    };
    if flags & task_flag::KSWAPD != 0 {
        EvictionAgent::Kswapd
    } else if flags & task_flag::MEMALLOC == 0 {
        EvictionAgent::Invalidation
    } else if flags & task_flag::KERNEL_THREAD != 0 {
        EvictionAgent::KernelThread
    } else {
        EvictionAgent::DirectReclaim
    }
}

#[inline(always)]
fn last_touch(thread: u32) -> Option<&'static ThreadTouch> {
    // SAFETY: a value of the map; only events of this very thread write it.
    THREAD_TOUCHES
        .get_ptr(thread)
        .map(|touch| unsafe { &*touch })
}

#[inline(always)]
fn remember(thread: u32, kind: u32, file: &FileSlot, first_page: u64, last_page: u64) {
    let touch = ThreadTouch {
        kind,
        file: file.file,
        first_page,
        last_page,
    };
    // The table forgets the threads that were longest without an event. One that is forgotten between the
    // end of a miss and its fault can leave a tentative hit too many: one in a table of 16,384 threads.
    let _ = THREAD_TOUCHES.insert(thread, touch, 0);
}

/// Whether a touch's window has a page in `first_page..=last_page` of the file.
#[inline(always)]
fn covers(touch: &ThreadTouch, file: &FileSlot, first_page: u64, last_page: u64) -> bool {
    touch.file == file.file && touch.first_page <= last_page && first_page <= touch.last_page
}
