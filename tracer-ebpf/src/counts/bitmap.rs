//! Bitmaps in arrays of 64-bit words.

use core::ffi::c_void;

use aya_ebpf::{helpers::generated::bpf_loop, maps::Array};

use tracer_common::extent::SECTORS_IN_BLOCK;

use crate::{
    atomic,
    maps::{EVICTED_PAGES, UNIQUE},
    settings::setting,
};

/// Notes the sectors `from..to` as read: by whole blocks where they are such, since those bits, an eighth of them, stay in a
/// processor's cache when reads come in no order.
#[inline(always)]
pub fn mark_unique(from: u64, to: u64) {
    let blocks = (from | to).is_multiple_of(SECTORS_IN_BLOCK);
    let (from, to) = if blocks {
        (from / SECTORS_IN_BLOCK, to / SECTORS_IN_BLOCK)
    } else {
        let first = setting!(first_sector_bit);
        (first + from, first + to)
    };
    let first_word = from >> 6;
    let last_word = (to - 1) >> 6;
    let head = u64::MAX << (from & 63);
    let tail = u64::MAX >> (63 - ((to - 1) & 63));
    if first_word == last_word {
        set(&UNIQUE, first_word, head & tail);
        return;
    }
    set(&UNIQUE, first_word, head);
    let mut base = first_word + 1;
    let whole_words = (last_word - base) as u32;
    if whole_words > 0 {
        // SAFETY: the callback has the signature that the kernel calls it with, and `base` lives on this
        // stack until bpf_loop returns.
        unsafe {
            bpf_loop(
                whole_words,
                mark_whole_word as *mut c_void,
                (&raw mut base).cast(),
                0,
            )
        };
    }
    set(&UNIQUE, last_word, tail);
}

unsafe extern "C" fn mark_whole_word(index: u64, base: *mut c_void) -> i64 {
    // SAFETY: bpf_loop hands over the pointer to the word number that `mark_unique` passed.
    let word = unsafe { *base.cast::<u64>() } + index;
    if let Some(pointer) = UNIQUE.get_ptr_mut(word as u32) {
        // SAFETY: a word of the map. Every writer stores the same value, so no atomic is needed.
        unsafe { core::ptr::write_volatile(pointer, u64::MAX) };
    }
    0
}

/// Remembers that `pages` pages from bit `first` on were evicted.
#[inline(always)]
pub fn mark_evicted(first: u64, pages: u64) {
    if pages < 64 {
        set(&EVICTED_PAGES, first >> 6, mask_of(first, pages));
        return;
    }
    let mut base = first >> 6;
    // SAFETY: as in `mark_unique`.
    unsafe {
        bpf_loop(
            (pages >> 6) as u32,
            mark_evicted_word as *mut c_void,
            (&raw mut base).cast(),
            0,
        )
    };
}

unsafe extern "C" fn mark_evicted_word(index: u64, base: *mut c_void) -> i64 {
    // SAFETY: bpf_loop hands over the pointer to the word number that `mark_evicted` passed.
    let word = unsafe { *base.cast::<u64>() } + index;
    set(&EVICTED_PAGES, word, u64::MAX);
    0
}

/// Forgets the eviction of `pages` pages from bit `first` on, and says how many of them had been evicted.
#[inline(always)]
pub fn take_evicted(first: u64, pages: u64) -> u64 {
    let last = first + pages - 1;
    let (first_word, last_word) = (first >> 6, last >> 6);
    let head = u64::MAX << (first & 63);
    let tail = u64::MAX >> (63 - (last & 63));
    if first_word == last_word {
        return clear(&EVICTED_PAGES, first_word, head & tail);
    }
    let mut state = TakenWords {
        base: first_word + 1,
        taken: clear(&EVICTED_PAGES, first_word, head),
    };
    let whole_words = (last_word - state.base) as u32;
    if whole_words > 0 {
        // SAFETY: as in `mark_unique`.
        unsafe {
            bpf_loop(
                whole_words,
                take_evicted_word as *mut c_void,
                (&raw mut state).cast(),
                0,
            )
        };
    }
    state.taken + clear(&EVICTED_PAGES, last_word, tail)
}

#[repr(C)]
struct TakenWords {
    base: u64,
    taken: u64,
}

unsafe extern "C" fn take_evicted_word(index: u64, state: *mut c_void) -> i64 {
    // SAFETY: bpf_loop hands over the pointer to the state that `take_evicted` passed.
    let state = unsafe { &mut *state.cast::<TakenWords>() };
    state.taken += clear(&EVICTED_PAGES, state.base + index, u64::MAX);
    0
}

/// Bits of a folio of fewer than 64 pages: folios are naturally aligned, so they lie in one word.
#[inline(always)]
fn mask_of(first: u64, pages: u64) -> u64 {
    ((1 << (pages & 63)) - 1) << (first & 63)
}

#[inline(always)]
fn set(bitmap: &Array<u64>, word: u64, bits: u64) {
    if let Some(pointer) = bitmap.get_ptr_mut(word as u32) {
        // SAFETY: an aligned word of the map.
        unsafe { atomic::set_bits(pointer, bits) };
    }
}

#[inline(always)]
fn clear(bitmap: &Array<u64>, word: u64, bits: u64) -> u64 {
    let Some(pointer) = bitmap.get_ptr_mut(word as u32) else {
        return 0;
    };
    // SAFETY: an aligned word of the map.
    let before = unsafe { atomic::clear_bits(pointer, bits) };
    u64::from((before & bits).count_ones())
}
