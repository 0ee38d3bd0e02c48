//! Tables that say of most threads and processes, at the price of one load, that they are in no hash map.

use aya_ebpf::maps::Array;
use tracer_common::page::MARKS;

/// Whether a thread or a process may be in a table. No means no; yes is to be looked up, since several share a mark.
#[inline(always)]
pub fn is_marked(marks: &Array<u8>, id: u32) -> bool {
    marks.get(id & (MARKS - 1)).is_some_and(|mark| *mark != 0)
}

/// Marks a thread, before it is put into the table. Marks stay: every program writes the same.
#[inline(always)]
pub fn mark(marks: &Array<u8>, id: u32) {
    if let Some(mark) = marks.get_ptr_mut(id & (MARKS - 1)) {
        // SAFETY: a value of the map.
        unsafe { core::ptr::write_volatile(mark, 1) };
    }
}
