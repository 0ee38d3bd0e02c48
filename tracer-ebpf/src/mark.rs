//! Uprobes on functions that an engine exports: where its phases and steps begin and end.

use aya_ebpf::{
    EbpfContext as _,
    helpers::{
        bpf_get_current_pid_tgid, bpf_probe_read_user,
        generated::{bpf_get_attach_cookie, bpf_ktime_get_ns},
    },
    programs::{ProbeContext, RetProbeContext},
};
use tracer_common::{
    mark::{BatchAction, cookie},
    program::Program,
    record::{KindByte, MarkRecord, UNKNOWN_TOKENS},
};

use crate::{abilities::Full, counts::slice, emit::emit_always, gate, maps::BATCH_TOKENS};

/// A probed function is entered.
#[inline(always)]
pub fn entered(context: &ProbeContext) {
    if !gate::is_open() {
        return;
    }
    // SAFETY: the context of a probe.
    let cookie = unsafe { bpf_get_attach_cookie(context.as_ptr()) };
    let first: u64 = context.arg(0).unwrap_or(0);
    let second: u64 = context.arg(1).unwrap_or(0);
    let third: u64 = context.arg(2).unwrap_or(0);
    let tokens = match cookie::batch_action(cookie) {
        BatchAction::Count => {
            count(batch_key(first));
            return;
        }
        BatchAction::Forget => {
            let _ = BATCH_TOKENS.remove(batch_key(first));
            return;
        }
        BatchAction::InThirdArgument => counted(batch_key(third)),
        BatchAction::ByValue => on_stack(context),
        BatchAction::None => UNKNOWN_TOKENS,
    };
    emit_always::<Full>(Program::MarkEntry, record(cookie, false, tokens, second));
}

/// A probed function returns.
#[inline(always)]
pub fn returned(context: &RetProbeContext) {
    if !gate::is_open() {
        return;
    }
    // SAFETY: the context of a probe.
    let cookie = unsafe { bpf_get_attach_cookie(context.as_ptr()) };
    let value: u64 = context.ret();
    emit_always::<Full>(
        Program::MarkReturn,
        record(cookie, true, UNKNOWN_TOKENS, value),
    );
}

#[inline(always)]
fn record(cookie: u64, returns: bool, tokens: u32, value: u64) -> MarkRecord {
    let process_and_thread = bpf_get_current_pid_tgid();
    // SAFETY: no arguments.
    let time_ns = unsafe { bpf_ktime_get_ns() };
    if slice::are_counted() {
        slice::mark(time_ns);
    }
    MarkRecord {
        kind: KindByte::NEW,
        returns: u8::from(returns),
        symbol: cookie::symbol(cookie),
        process_id: (process_and_thread >> 32) as u32,
        thread_id: process_and_thread as u32,
        tokens,
        time_ns,
        value,
    }
}

/// A batch's address in its process. User addresses leave the upper 16 bits free, where the process goes.
#[inline(always)]
fn batch_key(address: u64) -> u64 {
    address ^ (bpf_get_current_pid_tgid() >> 32) << 48
}

/// One more token in a batch.
#[inline(always)]
fn count(batch: u64) {
    match BATCH_TOKENS.get_ptr_mut(batch) {
        // SAFETY: a value of the map; one thread fills one batch.
        Some(tokens) => unsafe { *tokens += 1 },
        None => {
            let _ = BATCH_TOKENS.insert(batch, 1, 0);
        }
    }
}

#[inline(always)]
fn counted(batch: u64) -> u32 {
    // SAFETY: a value of the map.
    BATCH_TOKENS
        .get_ptr(batch)
        .map_or(UNKNOWN_TOKENS, |tokens| unsafe { *tokens })
}

/// First member, `int32_t n_tokens`, of a `struct llama_batch` passed by value.
#[inline(always)]
fn on_stack(context: &ProbeContext) -> u32 {
    let address = batch_address(context);
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_user(address as *const i32) }
        .ok()
        .and_then(|tokens| u32::try_from(tokens).ok())
        .unwrap_or(UNKNOWN_TOKENS)
}

/// The batch is larger than two registers: the caller puts it on the stack, behind the return address.
#[cfg(bpf_target_arch = "x86_64")]
#[inline(always)]
fn batch_address(context: &ProbeContext) -> u64 {
    // SAFETY: the registers of the probe.
    unsafe { (*context.regs).rsp + 8 }
}

/// The batch is larger than two registers: the caller passes the address of a copy in its place.
#[cfg(bpf_target_arch = "aarch64")]
#[inline(always)]
fn batch_address(context: &ProbeContext) -> u64 {
    context.arg(1).unwrap_or(0)
}

/// Not known: the number of tokens stays unknown.
#[cfg(not(any(bpf_target_arch = "x86_64", bpf_target_arch = "aarch64")))]
#[inline(always)]
fn batch_address(_context: &ProbeContext) -> u64 {
    0
}
