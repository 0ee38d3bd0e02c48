//! Atomic operations with a result. `core::sync::atomic` has none on the BPF targets, since the target
//! says it has no compare-and-swap; the intrinsics compile to the BPF instructions (ISA v3, Linux 5.12).

use core::intrinsics::{
    self,
    AtomicOrdering::{Relaxed, SeqCst},
};

/// Stores `value` and returns what was there.
///
/// # Safety
/// `word` is an aligned word of a map.
#[inline(always)]
pub unsafe fn exchange(word: *mut u64, value: u64) -> u64 {
    // SAFETY: by the contract of this function.
    unsafe { intrinsics::atomic_xchg::<u64, { SeqCst }>(word, value) }
}

/// Sets bits and returns what was there.
///
/// # Safety
/// `word` is an aligned word of a map.
#[inline(always)]
pub unsafe fn set_bits(word: *mut u64, bits: u64) -> u64 {
    // SAFETY: by the contract of this function.
    unsafe { intrinsics::atomic_or::<u64, u64, { SeqCst }>(word, bits) }
}

/// Clears bits and returns what was there.
///
/// # Safety
/// `word` is an aligned word of a map.
#[inline(always)]
pub unsafe fn clear_bits(word: *mut u64, bits: u64) -> u64 {
    // SAFETY: by the contract of this function.
    unsafe { intrinsics::atomic_and::<u64, u64, { SeqCst }>(word, !bits) }
}

/// Adds, wrapping around. Without a result it is an instruction that every kernel has.
///
/// # Safety
/// `word` is an aligned word of a map.
#[inline(always)]
pub unsafe fn add(word: *mut u64, value: u64) {
    // SAFETY: by the contract of this function.
    unsafe { intrinsics::atomic_xadd::<u64, u64, { Relaxed }>(word, value) };
}
