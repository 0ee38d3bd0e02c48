//! The eBPF programs of the tracer: one file a topic.
//!
//! All but the uprobes are BTF-enabled raw tracepoints (`tp_btf`): a program on a perf-attached classic tracepoint is
//! skipped when it fires while another such program runs on that CPU. Each looks at the gate first, then
//! filters by device or by file, and only then does anything that costs.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch, core_intrinsics)]
#![allow(internal_features)]

mod abilities;
mod atomic;
mod counts;
mod emit;
mod engine;
mod field;
mod filter;
mod gate;
mod maps;
mod mark;
mod marks;
mod page_cache;
mod request;
mod settings;
mod waits;

use abilities::{Early, Full};
use field::{Fault, Task};
use request::{bio, block, stage};

use aya_ebpf::{
    macros::{btf_tracepoint, fentry, uprobe, uretprobe},
    programs::{BtfTracePointContext, FEntryContext, ProbeContext, RetProbeContext},
};
use tracer_common::program::Program;

/// A read, or another request, is handed to the driver.
#[btf_tracepoint(function = "block_rq_issue")]
pub fn block_rq_issue(context: BtfTracePointContext) -> i32 {
    block::issue::<Full>(&context);
    0
}

/// A request, or a part of it, came back from the driver.
#[btf_tracepoint(function = "block_rq_complete")]
pub fn block_rq_complete(context: BtfTracePointContext) -> i32 {
    block::complete::<Full>(&context);
    0
}

/// The driver refused a request, which goes back to the queue.
#[btf_tracepoint(function = "block_rq_requeue")]
pub fn block_rq_requeue(context: BtfTracePointContext) -> i32 {
    block::requeue::<Full>(&context);
    0
}

/// A bio is handed to a device without requests.
#[btf_tracepoint(function = "block_bio_queue")]
pub fn block_bio_queue(context: BtfTracePointContext) -> i32 {
    bio::queue::<Full>(&context);
    0
}

/// A bio of a device without requests came back.
#[btf_tracepoint(function = "block_bio_complete")]
pub fn block_bio_complete(context: BtfTracePointContext) -> i32 {
    bio::complete::<Full>(&context);
    0
}

/// A bio is queued; for the audit.
#[btf_tracepoint(function = "block_bio_queue")]
pub fn audit_queue(context: BtfTracePointContext) -> i32 {
    stage::queued(&context);
    0
}

/// A request is allocated for a bio; for the audit.
#[btf_tracepoint(function = "block_getrq")]
pub fn audit_request(context: BtfTracePointContext) -> i32 {
    stage::request_allocated(&context);
    0
}

/// A request is inserted in a scheduler's queue; for the audit.
#[btf_tracepoint(function = "block_rq_insert")]
pub fn audit_insert(context: BtfTracePointContext) -> i32 {
    stage::inserted(&context);
    0
}

/// A bio goes to another device, or from a partition to its disk; for the audit.
#[btf_tracepoint(function = "block_bio_remap")]
pub fn audit_remap(context: BtfTracePointContext) -> i32 {
    stage::remapped(&context);
    0
}

/// A folio entered the page cache.
#[btf_tracepoint(function = "mm_filemap_add_to_page_cache")]
pub fn filemap_add(context: BtfTracePointContext) -> i32 {
    page_cache::insert::<Full>(context.arg(0));
    0
}

/// A folio left the page cache.
#[btf_tracepoint(function = "mm_filemap_delete_from_page_cache")]
pub fn filemap_delete(context: BtfTracePointContext) -> i32 {
    page_cache::evict::<Full>(context.arg(0));
    0
}

/// A page fault reached the file's fault handler. It fires before the look-up.
#[btf_tracepoint(function = "mm_filemap_fault")]
pub fn filemap_fault(context: BtfTracePointContext) -> i32 {
    page_cache::fault::<Full>(context.arg(0), context.arg(1));
    0
}

/// A page fault mapped what was cached around it.
#[btf_tracepoint(function = "mm_filemap_map_pages")]
pub fn filemap_map_pages(context: BtfTracePointContext) -> i32 {
    page_cache::map_pages::<Full>(context.arg(0), context.arg(1), context.arg(2));
    0
}

/// `read()` or the like looked pages up.
#[btf_tracepoint(function = "mm_filemap_get_pages")]
pub fn filemap_get_pages(context: BtfTracePointContext) -> i32 {
    page_cache::lookup::<Full>(context.arg(0), context.arg(1), context.arg(2));
    0
}

/// As [`block_rq_issue`].
#[btf_tracepoint(function = "block_rq_issue")]
pub fn early_rq_issue(context: BtfTracePointContext) -> i32 {
    block::issue::<Early>(&context);
    0
}

/// As [`block_rq_complete`].
#[btf_tracepoint(function = "block_rq_complete")]
pub fn early_rq_complete(context: BtfTracePointContext) -> i32 {
    block::complete::<Early>(&context);
    0
}

/// As [`block_rq_requeue`].
#[btf_tracepoint(function = "block_rq_requeue")]
pub fn early_rq_requeue(context: BtfTracePointContext) -> i32 {
    block::requeue::<Early>(&context);
    0
}

/// As [`block_bio_queue`].
#[btf_tracepoint(function = "block_bio_queue")]
pub fn early_bio_queue(context: BtfTracePointContext) -> i32 {
    bio::queue::<Early>(&context);
    0
}

/// As [`block_bio_complete`].
#[btf_tracepoint(function = "block_bio_complete")]
pub fn early_bio_complete(context: BtfTracePointContext) -> i32 {
    bio::complete::<Early>(&context);
    0
}

/// As [`filemap_add`].
#[btf_tracepoint(function = "mm_filemap_add_to_page_cache")]
pub fn early_filemap_add(context: BtfTracePointContext) -> i32 {
    page_cache::insert::<Early>(context.arg(0));
    0
}

/// As [`filemap_delete`].
#[btf_tracepoint(function = "mm_filemap_delete_from_page_cache")]
pub fn early_filemap_delete(context: BtfTracePointContext) -> i32 {
    page_cache::evict::<Early>(context.arg(0));
    0
}

/// As [`filemap_fault`], where the kernel has no such tracepoint.
#[fentry(function = "filemap_fault")]
pub fn fault_function(context: FEntryContext) -> i32 {
    let fault = Fault(context.arg(0));
    page_cache::fault::<Early>(fault.mapping(), fault.page());
    0
}

/// As [`filemap_map_pages`], where the kernel has no such tracepoint.
#[fentry(function = "filemap_map_pages")]
pub fn map_pages_function(context: FEntryContext) -> i32 {
    let fault = Fault(context.arg(0));
    page_cache::map_pages::<Early>(fault.mapping(), context.arg(1), context.arg(2));
    0
}

/// A CPU goes from one thread to another.
#[btf_tracepoint(function = "sched_switch")]
pub fn sched_switch(context: BtfTracePointContext) -> i32 {
    let is_preempted: u64 = context.arg(0);
    waits::switch(
        is_preempted != 0,
        Task(context.arg(1)),
        Task(context.arg(2)),
    );
    0
}

/// A process starts another, or a thread.
#[btf_tracepoint(function = "sched_process_fork")]
pub fn process_fork(context: BtfTracePointContext) -> i32 {
    engine::started(Task(context.arg(0)), Task(context.arg(1)));
    0
}

/// Nothing is left of a process, or of a thread.
#[btf_tracepoint(function = "sched_process_free")]
pub fn process_free(context: BtfTracePointContext) -> i32 {
    engine::gone(Task(context.arg(0)));
    0
}

/// A thread begins to reclaim memory of the system.
#[btf_tracepoint(function = "mm_vmscan_direct_reclaim_begin")]
pub fn reclaim_begin(_context: BtfTracePointContext) -> i32 {
    waits::reclaim_begins(Program::ReclaimBegin);
    0
}

/// A thread has reclaimed memory of the system.
#[btf_tracepoint(function = "mm_vmscan_direct_reclaim_end")]
pub fn reclaim_end(_context: BtfTracePointContext) -> i32 {
    waits::reclaim_ends(Program::ReclaimEnd);
    0
}

/// A thread begins to reclaim memory of its cgroup.
#[btf_tracepoint(function = "mm_vmscan_memcg_reclaim_begin")]
pub fn cgroup_reclaim_begin(_context: BtfTracePointContext) -> i32 {
    waits::reclaim_begins(Program::CgroupReclaimBegin);
    0
}

/// A thread has reclaimed memory of its cgroup.
#[btf_tracepoint(function = "mm_vmscan_memcg_reclaim_end")]
pub fn cgroup_reclaim_end(_context: BtfTracePointContext) -> i32 {
    waits::reclaim_ends(Program::CgroupReclaimEnd);
    0
}

/// A function that an engine exports is entered.
#[uprobe]
pub fn mark_entry(context: ProbeContext) -> u32 {
    mark::entered(&context);
    0
}

/// A function that an engine exports returns.
#[uretprobe]
pub fn mark_return(context: RetProbeContext) -> u32 {
    mark::returned(&context);
    0
}

#[panic_handler]
fn panic(_information: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

/// Some helpers are for programs with a GPL-compatible licence only.
#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
