//! Programs that another task cannot come between.
//!
//! From Linux 7 on a program on a tracepoint can be preempted. The kernel then skips it for whatever other tasks do on that
//! processor until the first one is back, which can be milliseconds: on 7.3 one issue in a hundred was lost that way in a
//! busy virtual machine.

use tracer_common::kernel_function::{PREEMPT_DISABLE, PREEMPT_ENABLE};

/// Does the work without being preempted, where the kernel lets programs say so.
#[inline(always)]
pub fn off(work: impl FnOnce()) {
    call::<PREEMPT_DISABLE>();
    work();
    call::<PREEMPT_ENABLE>();
}

#[inline(always)]
fn call<const NUMBER: u32>() {
    // SAFETY: the loader makes it a call of a function without arguments, or no call at all.
    unsafe {
        let function: unsafe extern "C" fn() = core::mem::transmute(NUMBER as usize);
        function();
    }
}
