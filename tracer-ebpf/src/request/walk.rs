//! The extents that a range of sectors touches: the parts of it that belong to each model.
//!
//! Nearly every read lies in one extent. It is found by an index, or at a completion by what the issue found, and needs no
//! work space. Only a range that reaches into a second extent is walked over.

use core::ffi::c_void;

use aya_ebpf::helpers::generated::bpf_loop;
use tracer_common::extent::{Extent, MAX_DEVICES, MAX_EXTENTS, MAX_MODELS};

use super::parts::{Part, Walk};
use crate::{
    counts::{bitmap, slice},
    filter::Device,
    maps::{DEVICES, EXTENT_INDEX, EXTENTS, WALKS},
};

/// Work spaces: a program may be interrupted by another one, never by itself.
pub mod space {
    pub const ISSUE: u32 = 0;
    pub const COMPLETE: u32 = 1;
    pub const REQUEUE: u32 = 2;
    pub const LATE_ISSUE: u32 = 3;
}

/// log2 of the largest number of extents.
const SEARCH_STEPS: u32 = MAX_EXTENTS.ilog2() + 1;

/// A range of sectors on a device.
#[derive(Clone, Copy)]
pub struct Range {
    /// The device.
    pub device: Device,
    /// First sector.
    pub sector: u64,
    /// Sector after the last one.
    pub end_sector: u64,
}

/// How many extents a range touches.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Extents {
    None,
    One,
    Several,
}

/// What of a range belongs to models. A plain struct whose members always have a value: of an enum's, the compiler keeps some
/// that have none, and the verifier refuses to see them copied.
pub struct Parts {
    extents: Extents,
    /// The first extent.
    pub extent: u32,
    /// The model of the one extent.
    model: u32,
    /// What lies in the one extent.
    part: Part,
    /// The work space in which the parts of several extents lie.
    space: u32,
}

impl Parts {
    /// Nothing.
    pub const NONE: Self = Self {
        extents: Extents::None,
        extent: 0,
        model: 0,
        part: Part::NONE,
        space: 0,
    };

    /// Whether there are any.
    #[inline(always)]
    pub fn are_some(&self) -> bool {
        self.extents != Extents::None
    }
}

/// The parts of a range that belong to models. `hint` is an extent in which it may begin; `mark_unique` notes their
/// sectors as read.
#[inline(always)]
pub fn parts(space: u32, range: Range, hint: Option<u32>, mark_unique: bool) -> Parts {
    let Some((index, extent)) = first_touched(range, hint) else {
        return Parts::NONE;
    };
    let device = range.device;
    let end_of_table = device.first_extent() + device.extents();
    if range.end_sector > extent.end_sector && index + 1 < end_of_table {
        return over(space, range, index, extent, mark_unique);
    }
    let part = part_between(extent, range.sector, range.end_sector);
    if mark_unique {
        mark(extent, &part);
    }
    Parts {
        extents: Extents::One,
        extent: index,
        model: u32::from(extent.model) & (MAX_MODELS as u32 - 1),
        part,
        space,
    }
}

/// First extent that a range touches.
#[inline(always)]
fn first_touched(range: Range, hint: Option<u32>) -> Option<(u32, &'static Extent)> {
    let device = range.device;
    let first = device.first_extent();
    let end_of_table = first + device.extents();
    if let Some(hint) = hint
        && hint >= first
        && hint < end_of_table
    {
        let extent = EXTENTS.get(hint)?;
        if extent.start_sector <= range.sector && range.sector < extent.end_sector {
            return Some((hint, extent));
        }
    }
    let index = if device.extents() == 1 {
        first
    } else {
        first_ending_after(device, range.sector)
    };
    if index >= end_of_table {
        return None;
    }
    let extent = EXTENTS.get(index)?;
    if extent.start_sector >= range.end_sector || extent.end_sector <= range.sector {
        return None;
    }
    Some((index, extent))
}

/// First extent of a device that ends after a sector; the end of its table where there is none.
#[inline(always)]
fn first_ending_after(device: Device, sector: u64) -> u32 {
    walk_first_ending_after(device.slot, sector)
}

/// A function of its own to the verifier (global, with numbers only), which so follows it once and not on each way to it.
#[unsafe(no_mangle)]
#[inline(never)]
extern "C" fn walk_first_ending_after(slot: u32, sector: u64) -> u32 {
    let device = Device {
        slot: slot & (MAX_DEVICES as u32 - 1),
    };
    let first = device.first_extent();
    let end_of_table = first + device.extents();
    let piece = sector.saturating_sub(device.first_sector()) >> (device.shift() & 63);
    if piece >= u64::from(device.pieces()) {
        return end_of_table;
    }
    let Some(&indexed) = EXTENT_INDEX.get(device.first_piece() + piece as u32) else {
        return end_of_table;
    };
    let Some(extent) = EXTENTS.get(indexed) else {
        return end_of_table;
    };
    if extent.end_sector > sector {
        return indexed;
    }
    search(indexed + 1, end_of_table, sector)
}

/// Walks over the extents from `index` on, of which the range touches the first.
#[inline(always)]
fn over(space: u32, range: Range, index: u32, extent: &Extent, mark_unique: bool) -> Parts {
    let Some(walk) = WALKS.get_ptr_mut(space) else {
        return Parts::NONE;
    };
    // SAFETY: a value of the map that only the program with this work space uses on this CPU.
    let walk = unsafe { &mut *walk };
    walk.sector = range.sector;
    walk.end_sector = range.end_sector;
    walk.next_extent = index + 1;
    walk.mark_unique = u32::from(mark_unique);
    walk.touched = 0;
    visit(walk, extent);
    let mut space_number = space;
    // SAFETY: the callback has the signature that the kernel calls it with, and `space_number` lives on this stack until
    // bpf_loop returns.
    unsafe {
        bpf_loop(
            range.device.first_extent() + range.device.extents() - walk.next_extent,
            visit_next as *mut c_void,
            (&raw mut space_number).cast(),
            0,
        )
    };
    Parts {
        extents: Extents::Several,
        extent: index,
        space,
        ..Parts::NONE
    }
}

/// Counts the sectors of a read for a slice of time, where they lie in one extent. False where they lie in several.
#[inline(always)]
pub fn count_sectors(parts: &Parts, slice: u64, readahead: bool) -> bool {
    if parts.extents != Extents::One {
        return false;
    }
    if let Some(extent) = EXTENTS.get(parts.extent) {
        let first_bit = extent.first_bit + (parts.part.start_sector - extent.start_sector);
        let end_bit = first_bit + (parts.part.end_sector - parts.part.start_sector);
        slice::count_sectors(parts.model, slice, first_bit, end_bit, readahead);
    }
    true
}

/// Calls `body` for each model that has a part, with its slot.
#[inline(always)]
pub fn each_model<F: FnMut(u32, &Part)>(parts: &Parts, mut body: F) {
    match parts.extents {
        Extents::None => {}
        Extents::One => body(parts.model, &parts.part),
        Extents::Several => {
            let mut visit = VisitModel {
                body: &raw mut body,
                space: parts.space,
            };
            // As a plain loop the verifier would follow every set of models.
            // SAFETY: the callback has the signature that the kernel calls it with, and `visit` and `body` live on this
            // stack until bpf_loop returns.
            unsafe {
                bpf_loop(
                    MAX_MODELS as u32,
                    visit_model::<F> as *mut c_void,
                    (&raw mut visit).cast(),
                    0,
                )
            };
        }
    }
}

#[repr(C)]
struct VisitModel<F> {
    body: *mut F,
    space: u32,
}

unsafe extern "C" fn visit_model<F: FnMut(u32, &Part)>(index: u64, visit: *mut c_void) -> i64 {
    // SAFETY: bpf_loop hands over the pointer to the state that `each_model` passed.
    let visit = unsafe { &mut *visit.cast::<VisitModel<F>>() };
    let Some(walk) = WALKS.get_ptr(visit.space) else {
        return 1;
    };
    // SAFETY: as in `over`.
    let walk = unsafe { &*walk };
    let model = index as usize & (MAX_MODELS - 1);
    if walk.touched & (1 << model) != 0 {
        // SAFETY: the closure lives as long as the loop, and nothing else calls it meanwhile.
        unsafe { (*visit.body)(model as u32, &walk.parts[model]) };
    }
    0
}

/// Whether the range touches a model: a binary search without `bpf_loop`. No branch depends on what is found, so that
/// there is one path for the verifier to follow.
#[inline(always)]
pub fn touches(range: Range) -> bool {
    let Some(device) = DEVICES.get(range.device.slot) else {
        return false;
    };
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
        let ends_before = (extent.end_sector.wrapping_sub(range.sector + 1) as i64) >> 63;
        low += half & in_table & ends_before;
        half >>= 1;
    }
    if low >= end_of_table {
        return false;
    }
    EXTENTS.get(low as u32).is_some_and(|extent| {
        extent.start_sector < range.end_sector && extent.end_sector > range.sector
    })
}

/// First extent in `low..high` whose end lies after the sector, else `high`: a binary search. As a plain
/// loop the verifier would follow both halves at every step.
#[inline(always)]
fn search(low: u32, high: u32, sector: u64) -> u32 {
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
    // SAFETY: bpf_loop hands over the pointer to the state that `search` passed.
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
    let found = part_between(extent, walk.sector, walk.end_sector);
    let model = extent.model as usize & (MAX_MODELS - 1);
    let part = &mut walk.parts[model];
    if walk.touched & (1 << model) == 0 {
        walk.touched |= 1 << model;
        *part = found;
    } else {
        part.end_sector = found.end_sector;
        part.bytes += found.bytes;
    }
    if walk.mark_unique != 0 {
        mark(extent, &found);
    }
}

/// What a range has of an extent that it touches.
#[inline(always)]
fn part_between(extent: &Extent, sector: u64, end_sector: u64) -> Part {
    let start_sector = extent.start_sector.max(sector);
    let end_sector = extent.end_sector.min(end_sector);
    Part {
        start_sector,
        end_sector,
        bytes: extent.bytes_between(start_sector, end_sector),
    }
}

/// Notes the sectors of a part of an extent as read.
#[inline(always)]
fn mark(extent: &Extent, part: &Part) {
    let first_bit = extent.first_bit + (part.start_sector - extent.start_sector);
    bitmap::mark_unique(first_bit, first_bit + (part.end_sector - part.start_sector));
}
