//! Atomic operations with a result. `core::sync::atomic` has none on the BPF targets, since the target
//! says it has no compare-and-swap; the intrinsics compile to the BPF instructions (ISA v3, Linux 5.12).

use core::{
    arch::asm,
    intrinsics::{
        self,
        AtomicOrdering::{Relaxed, SeqCst},
    },
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

/// Adds, wrapping around, and returns what was there.
///
/// # Safety
/// `word` is an aligned word of a map.
#[inline(always)]
pub unsafe fn fetch_add(word: *mut u64, value: u64) -> u64 {
    let mut before = value;
    // For this operation alone the compiler takes the older instruction, which has no result, and then complains that it is
    // used.
    // SAFETY: by the contract of this function.
    unsafe {
        asm!(
            "{value} = atomic_fetch_add((u64 *)({word} + 0), {value})",
            word = in(reg) word,
            value = inout(reg) before,
            options(nostack, preserves_flags),
        );
    }
    before
}

/// Stores `value` after all that was stored before.
///
/// # Safety
/// `word` is an aligned word of a map.
#[inline(always)]
pub unsafe fn publish(word: *mut u64, value: u64) {
    if cfg!(bpf_target_arch = "x86_64") {
        // This processor stores in the order of the program (Intel SDM 3A, 10.2.2), and the compiler moves no store over
        // the assembly.
        // SAFETY: no instruction; the word by the contract of this function.
        unsafe {
            asm!("", options(nostack, preserves_flags));
            core::ptr::write_volatile(word, value);
        }
    } else {
        // BPF has a store with release order from Linux 6.15 on only; an exchange is ordered both ways everywhere.
        // SAFETY: by the contract of this function.
        unsafe { exchange(word, value) };
    }
}

/// Sets bits. The order among words does not matter: they are read when no program runs any more.
///
/// # Safety
/// `word` is an aligned word of a map.
#[inline(always)]
pub unsafe fn set_bits(word: *mut u64, bits: u64) {
    // Many reads find what they would set, and then the cache line stays shared.
    // SAFETY: by the contract of this function.
    let before = unsafe { core::ptr::read_volatile(word) };
    if before & bits == bits {
        return;
    }
    if bits == u64::MAX {
        // SAFETY: by the contract of this function. Whatever others set at the same time is set by this as well.
        unsafe { core::ptr::write_volatile(word, bits) };
    } else {
        // Relaxed and without its result it is one instruction; else a loop of compare and exchange.
        // SAFETY: by the contract of this function.
        let _ = unsafe { intrinsics::atomic_or::<u64, u64, { Relaxed }>(word, bits) };
    }
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
