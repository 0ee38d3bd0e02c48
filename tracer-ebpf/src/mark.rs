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
    record::{MarkRecord, UNKNOWN_TOKENS, kind},
};

use crate::{
    emit::emit,
    gate,
    maps::{BATCH_TOKENS, LOST_RECORDS, value},
};

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
            count(first);
            return;
        }
        BatchAction::Forget => {
            let _ = BATCH_TOKENS.remove(first);
            return;
        }
        BatchAction::InThirdArgument => counted(third),
        BatchAction::ByValue => on_stack(context),
        BatchAction::None => UNKNOWN_TOKENS,
    };
    let lost = value!(LOST_RECORDS, 0);
    emit(
        record(cookie, false, tokens, second),
        &mut lost.mark_entries,
    );
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
    let lost = value!(LOST_RECORDS, 0);
    emit(
        record(cookie, true, UNKNOWN_TOKENS, value),
        &mut lost.mark_returns,
    );
}

#[inline(always)]
fn record(cookie: u64, returns: bool, tokens: u32, value: u64) -> MarkRecord {
    let process_and_thread = bpf_get_current_pid_tgid();
    MarkRecord {
        kind: kind::MARK,
        returns: u8::from(returns),
        symbol: cookie::symbol(cookie),
        process_id: (process_and_thread >> 32) as u32,
        thread_id: process_and_thread as u32,
        tokens,
        // SAFETY: no arguments.
        time_ns: unsafe { bpf_ktime_get_ns() },
        value,
    }
}

/// One more token in the batch at an address.
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

/// First member, `int32_t n_tokens`, of a `struct llama_batch` passed by value. It is larger than two registers:
/// x86-64 puts it on the stack behind the return address, AArch64 passes its address in the second register.
#[inline(always)]
fn on_stack(context: &ProbeContext) -> u32 {
    #[cfg(bpf_target_arch = "x86_64")]
    // SAFETY: the registers of the probe.
    let address = unsafe { (*context.regs).rsp } + 8;
    #[cfg(bpf_target_arch = "aarch64")]
    let address: u64 = context.arg(1).unwrap_or(0);
    #[cfg(not(any(bpf_target_arch = "x86_64", bpf_target_arch = "aarch64")))]
    let address: u64 = 0;
    // SAFETY: the helper checks the address.
    unsafe { bpf_probe_read_user(address as *const i32) }
        .ok()
        .and_then(|tokens| u32::try_from(tokens).ok())
        .unwrap_or(UNKNOWN_TOKENS)
}
