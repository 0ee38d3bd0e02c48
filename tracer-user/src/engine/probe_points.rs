//! Functions that do nothing but be called, so that a uprobe can sit on them: the same as a real engine's exported
//! functions are for the tracer.

use std::hint::black_box;

/// The model has been loaded.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn tracer_engine_loaded() {
    black_box(0);
}

/// A step begins. `step` counts from 0; `work` has the number of its tokens in the lower half, and 1 in the upper half
/// where they are of the prompt.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn tracer_engine_step_begins(step: u64, work: u64) {
    black_box((step, work));
}

/// A step has ended.
#[inline(never)]
#[unsafe(no_mangle)]
pub extern "C" fn tracer_engine_step_ends(step: u64) {
    black_box(step);
}
