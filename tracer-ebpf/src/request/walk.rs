//! A walk over the extents that a range of sectors touches: the parts of it that belong to each model.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_loop;
use tracer_common::{
    extent::{Extent, MAX_EXTENTS, MAX_MODELS},
    settings::DeviceFilter,
};

use super::{
    bitmap,
    parts::{Part, Walk},
};
use crate::maps::{EXTENTS, WALKS};

/// Work spaces: a program may be interrupted by another one, never by itself.
pub mod space {
    pub const ISSUE: u32 = 0;
    pub const COMPLETE: u32 = 1;
    pub const REQUEUE: u32 = 2;
    pub const LATE_ISSUE: u32 = 3;
}

/// log2 of the largest number of extents.
const SEARCH_STEPS: u32 = MAX_EXTENTS.ilog2() + 1;

/// Walks over the extents in `sector..end_sector`; `mark_unique` notes their sectors as read. None where
/// the range touches no model.
#[inline(always)]
pub fn over(
    space: u32,
    device: &DeviceFilter,
    sector: u64,
    end_sector: u64,
    mark_unique: bool,
) -> Option<&'static Walk> {
    let end_of_table = device.first_extent + device.extents;
    let first = if device.extents == 1 {
        device.first_extent
    } else {
        first_ending_after(device.first_extent, end_of_table, sector)
    };
    if first >= end_of_table {
        return None;
    }
    let extent = EXTENTS.get(first)?;
    if extent.start_sector >= end_sector || extent.end_sector <= sector {
        return None;
    }
    // SAFETY: a value of the map that only the program with this work space uses on this CPU.
    let walk = unsafe { &mut *WALKS.get_ptr_mut(space)? };
    walk.sector = sector;
    walk.end_sector = end_sector;
    walk.next_extent = first + 1;
    walk.mark_unique = u32::from(mark_unique);
    walk.touched = 0;
    visit(walk, extent);
    if end_sector > extent.end_sector && end_of_table > walk.next_extent {
        let mut space = space;
        // SAFETY: the callback has the signature that the kernel calls it with, and `space` lives on this
        // stack until bpf_loop returns.
        unsafe {
            bpf_loop(
                end_of_table - walk.next_extent,
                visit_next as *mut c_void,
                (&raw mut space).cast(),
                0,
            )
        };
    }
    Some(walk)
}

/// Whether the range touches a model: a binary search without `bpf_loop`. No branch depends on what is found, so that
/// there is one path for the verifier to follow.
#[inline(always)]
pub fn touches(device: &DeviceFilter, sector: u64, end_sector: u64) -> bool {
    let end_of_table = i64::from(device.first_extent) + i64::from(device.extents);
    let mut low = i64::from(device.first_extent);
    let mut half = 1i64 << (SEARCH_STEPS - 1);
    for _ in 0..SEARCH_STEPS {
        let candidate = low + half - 1;
        // Beyond the table there is nothing that ends before the sector.
        let Some(extent) = EXTENTS.get(candidate as u32) else {
            half >>= 1;
            continue;
        };
        let in_table = (candidate - end_of_table) >> 63;
        let ends_before = (extent.end_sector.wrapping_sub(sector + 1) as i64) >> 63;
        low += half & in_table & ends_before;
        half >>= 1;
    }
    if low >= end_of_table {
        return false;
    }
    EXTENTS
        .get(low as u32)
        .is_some_and(|extent| extent.start_sector < end_sector && extent.end_sector > sector)
}

/// First extent in `low..high` whose end lies after the sector, else `high`: a binary search. As a plain
/// loop the verifier would follow both halves at every step.
#[inline(always)]
fn first_ending_after(low: u32, high: u32, sector: u64) -> u32 {
    let mut search = Search { sector, low, high };
    // SAFETY: the callback has the signature that the kernel calls it with, and `search` lives on this
    // stack until bpf_loop returns.
    unsafe {
        bpf_loop(
            SEARCH_STEPS,
            halve as *mut c_void,
            (&raw mut search).cast(),
            0,
        )
    };
    search.low
}

#[repr(C)]
struct Search {
    sector: u64,
    low: u32,
    high: u32,
}

unsafe extern "C" fn halve(_index: u64, search: *mut c_void) -> i64 {
    // SAFETY: bpf_loop hands over the pointer to the state that `first_ending_after` passed.
    let search = unsafe { &mut *search.cast::<Search>() };
    if search.low >= search.high {
        return 1;
    }
    let middle = search.low + (search.high - search.low) / 2;
    let Some(extent) = EXTENTS.get(middle) else {
        return 1;
    };
    if extent.end_sector > search.sector {
        search.high = middle;
    } else {
        search.low = middle + 1;
    }
    0
}

unsafe extern "C" fn visit_next(_index: u64, space: *mut c_void) -> i64 {
    // SAFETY: bpf_loop hands over the pointer to the number that `over` passed.
    let space = unsafe { *space.cast::<u32>() };
    let Some(walk) = WALKS.get_ptr_mut(space) else {
        return 1;
    };
    // SAFETY: as in `over`.
    let walk = unsafe { &mut *walk };
    let Some(extent) = EXTENTS.get(walk.next_extent) else {
        return 1;
    };
    if extent.start_sector >= walk.end_sector {
        return 1;
    }
    walk.next_extent += 1;
    visit(walk, extent);
    0
}

/// Adds what the range has of one extent.
#[inline(always)]
fn visit(walk: &mut Walk, extent: &Extent) {
    let start = extent.start_sector.max(walk.sector);
    let end = extent.end_sector.min(walk.end_sector);
    let bytes = extent.bytes_between(start, end);
    let model = extent.model as usize & (MAX_MODELS - 1);
    let part = &mut walk.parts[model];
    if walk.touched & (1 << model) == 0 {
        walk.touched |= 1 << model;
        *part = Part {
            start_sector: start,
            end_sector: end,
            bytes,
        };
    } else {
        part.end_sector = end;
        part.bytes += bytes;
    }
    if walk.mark_unique != 0 {
        let first_bit = extent.first_bit + (start - extent.start_sector);
        bitmap::mark_unique(first_bit, first_bit + (end - start));
    }
}
