//! What a request, or a bio of a device without requests, means for the counts: issued, completed.

use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, generated::bpf_ktime_get_ns},
    programs::BtfTracePointContext,
};
use aya_log_ebpf::debug;
use tracer_common::{
    counters::Operation,
    extent::{MAX_DEVICES, MAX_MODELS},
    gap::{GapClass, SECTOR_BYTES},
    latency::{LATENCY_BUCKETS, latency_bucket},
    origin::ReadOrigin,
    program::Program,
    record::{
        ANY_MODEL, CompleteRecord, IssueRecord, KindByte, NO_PREVIOUS_END, UnseenRecord,
        complete_flag, issue_flag,
    },
    request::{RequestSlot, state},
    settings::DeviceFilter,
};

use crate::{
    abilities::Abilities,
    atomic,
    emit::emit,
    field::Bio,
    filter,
    maps::{
        DEVICE_COMPLETES, DEVICE_ISSUES, LAST_ENDS, LATENCIES, MODEL_COMPLETES, MODEL_ISSUES, value,
    },
    origin,
    parts::Walk,
    settings::setting,
    walk::{self, space},
};

/// A request, or a bio, that is handed to a device.
#[derive(Clone, Copy)]
pub struct Transfer {
    /// Its address in the kernel, as its name.
    pub address: u64,
    /// Operation and flags.
    pub command_flags: u32,
    /// First sector on the whole disk.
    pub sector: u64,
    /// Bytes.
    pub bytes: u32,
    /// It was handed over before.
    pub reissue: bool,
    /// Its first bio.
    pub first_bio: Bio,
}

/// A transfer is handed to a device. `slot` is where it is remembered; none where there is no room for it.
#[inline(always)]
pub fn issued<A: Abilities>(
    context: &BtfTracePointContext,
    program: Program,
    device_slot: u32,
    device: &DeviceFilter,
    transfer: &Transfer,
    slot: Option<&'static mut RequestSlot>,
) {
    let command_flags = transfer.command_flags;
    let operation = filter::operation_of(command_flags);
    let (bytes, reissue) = (transfer.bytes, transfer.reissue);
    let set = u32::from(A::LATE);
    let device_counters = value!(DEVICE_ISSUES, set * MAX_DEVICES as u32 + device_slot);
    let metadata = command_flags & setting!(constants.flag_metadata) != 0;
    if !reissue {
        device_counters.requests[operation as usize] += 1;
        device_counters.bytes[operation as usize] += u64::from(bytes);
        if metadata && operation == Operation::Read {
            device_counters.metadata_reads += 1;
            device_counters.metadata_bytes += u64::from(bytes);
        }
    } else if operation == Operation::Read {
        device_counters.read_reissues += 1;
    }
    if operation != Operation::Read && operation != Operation::Write {
        return;
    }

    let sector = transfer.sector;
    let end_sector = sector + u64::from(bytes) / SECTOR_BYTES;
    if operation == Operation::Write {
        if A::COUNTS_MODELS
            && !reissue
            && let Some(walk) = walk::over(issue_space::<A>(), device, sector, end_sector, false)
        {
            count_write(walk);
        }
        return;
    }

    // SAFETY: no arguments.
    let time_ns = unsafe { bpf_ktime_get_ns() };
    match slot {
        Some(slot) if reissue => {
            if slot.state == state::FREE || slot.request != transfer.address {
                // First issued before the gate opened: not a read of this window.
                debug!(context, "re-issue of a request from before the window");
                return;
            }
            slot.state = state::ISSUED;
            slot.next_sector = sector;
            slot.end_sector = end_sector;
        }
        Some(slot) => {
            if slot.state == state::ISSUED {
                device_counters.unseen_completions += 1;
                device_counters.unseen_bytes += (slot.end_sector - slot.next_sector) * SECTOR_BYTES;
                count_unseen::<A>(program, device, device_slot, slot, time_ns);
            } else if slot.state == state::REQUEUED {
                device_counters.absorbed_after_requeue += 1;
            }
            *slot = RequestSlot {
                request: transfer.address,
                // What was noticed late has no latency.
                issue_time_ns: if A::LATE { 0 } else { time_ns },
                next_sector: sector,
                end_sector,
                state: state::ISSUED,
                device: device_slot,
            };
        }
        None => {
            device_counters.untimed_reads += 1;
            if reissue {
                return;
            }
        }
    }
    // Shares count at the first issue, so a re-issue need not be looked at.
    let origin = if reissue {
        ReadOrigin::Unbuffered
    } else {
        origin::of_read(command_flags, transfer.first_bio)
    };
    let mut other_bytes = if reissue { 0 } else { u64::from(bytes) };
    let walk = if A::COUNTS_MODELS {
        walk::over(issue_space::<A>(), device, sector, end_sector, false)
    } else {
        None
    };
    let touches = if A::COUNTS_MODELS {
        walk.is_some()
    } else {
        walk::touches(device, sector, end_sector)
    };
    if !touches {
        device_counters.other_bytes_by_origin[origin as usize] += other_bytes;
        return;
    }

    let mut flags = if A::LATE { issue_flag::LATE } else { 0 };
    if metadata {
        flags |= issue_flag::METADATA;
    }
    if command_flags & setting!(constants.flag_readahead) != 0 {
        flags |= issue_flag::READAHEAD;
    }
    if command_flags & setting!(constants.flag_synchronous) != 0 {
        flags |= issue_flag::SYNCHRONOUS;
    }
    if reissue {
        flags |= issue_flag::REISSUE;
    } else {
        device_counters.model_reads += 1;
    }
    let process_and_thread = bpf_get_current_pid_tgid();
    let mut record = IssueRecord {
        kind: KindByte::NEW,
        device: device_slot as u8,
        model: 0,
        flags,
        thread_id: process_and_thread as u32,
        time_ns,
        request: transfer.address,
        sector,
        previous_end: NO_PREVIOUS_END,
        bytes,
        process_id: (process_and_thread >> 32) as u32,
    };
    let Some(walk) = walk else {
        record.model = ANY_MODEL;
        record.flags |= (origin as u8) << issue_flag::ORIGIN_SHIFT;
        emit(program, record);
        return;
    };
    for model in 0..MAX_MODELS {
        if walk.touched & (1 << model) == 0 {
            continue;
        }
        let part = &walk.parts[model];
        let counters = value!(MODEL_ISSUES, set * MAX_MODELS as u32 + model as u32);
        counters.issued_bytes += part.bytes;
        record.model = model as u8;
        if reissue {
            counters.reissues += 1;
        } else {
            counters.reads += 1;
            device_counters.model_bytes += part.bytes;
            device_counters.model_bytes_by_origin[origin as usize] += part.bytes;
            other_bytes = other_bytes.saturating_sub(part.bytes);
            let last_end = value!(
                LAST_ENDS,
                (model * MAX_DEVICES) as u32 + (device_slot & (MAX_DEVICES as u32 - 1))
            );
            // SAFETY: an aligned word of the map.
            let previous_end = unsafe { atomic::exchange(last_end, part.end_sector) };
            record.previous_end = previous_end;
            if previous_end == NO_PREVIOUS_END {
                counters.first_reads += 1;
            } else {
                count_gap(
                    &mut counters.gaps,
                    GapClass::of(part.start_sector, previous_end),
                );
            }
        }
        emit(program, record);
    }
    if !reissue {
        device_counters.other_bytes_by_origin[origin as usize] += other_bytes;
    }
}

/// Bytes of a read from `sector` on came back; `last`: nothing of it is left.
#[inline(always)]
#[allow(clippy::too_many_arguments)]
pub fn completed<A: Abilities>(
    context: &BtfTracePointContext,
    program: Program,
    device_slot: u32,
    device: &DeviceFilter,
    address: u64,
    sector: u64,
    bytes: u32,
    status: u8,
    last: bool,
    slot: Option<&'static mut RequestSlot>,
) {
    let device_counters = value!(DEVICE_COMPLETES, device_slot);
    device_counters.read_events += 1;
    device_counters.read_bytes += u64::from(bytes);

    let end_sector = sector + u64::from(bytes) / SECTOR_BYTES;
    let slot = slot.filter(|slot| slot.state != state::FREE && slot.request == address);
    let arrived = slot.is_some() && status == 0;
    let walk = if A::COUNTS_MODELS {
        walk::over(space::COMPLETE, device, sector, end_sector, arrived)
    } else {
        None
    };
    let touches = if A::COUNTS_MODELS {
        walk.is_some()
    } else {
        walk::touches(device, sector, end_sector)
    };
    if !touches {
        // A read that touches a model in its other part only, or not at all.
        if let Some(slot) = slot {
            advance(slot, last, end_sector);
        }
        return;
    }
    let Some(slot) = slot else {
        device_counters.unmatched += 1;
        if let Some(walk) = walk {
            for model in 0..MAX_MODELS {
                if walk.touched & (1 << model) != 0 {
                    device_counters.unmatched_bytes += walk.parts[model].bytes;
                }
            }
        }
        debug!(context, "completion without an issue at sector {}", sector);
        return;
    };
    // SAFETY: no arguments.
    let time_ns = unsafe { bpf_ktime_get_ns() };
    let latency_ns = match slot.issue_time_ns {
        0 => None,
        issue_time_ns => Some(time_ns.wrapping_sub(issue_time_ns)),
    };
    advance(slot, last, end_sector);
    if let Some(walk) = walk {
        count_completed(walk, status == 0, last, latency_ns);
    }
    emit(
        program,
        CompleteRecord {
            kind: KindByte::NEW,
            device: device_slot as u8,
            status,
            flags: if last { complete_flag::LAST } else { 0 },
            bytes,
            time_ns,
            request: address,
            sector,
        },
    );
}

#[inline(always)]
fn count_completed(walk: &Walk, arrived: bool, last: bool, latency_ns: Option<u64>) {
    for model in 0..MAX_MODELS {
        if walk.touched & (1 << model) == 0 {
            continue;
        }
        let part = &walk.parts[model];
        let counters = value!(MODEL_COMPLETES, model as u32);
        if arrived {
            counters.completed_bytes += part.bytes;
        } else {
            counters.failed_bytes += part.bytes;
        }
        if last {
            if arrived {
                counters.reads += 1;
            } else {
                counters.failed_reads += 1;
            }
            if let Some(latency_ns) = latency_ns {
                let bucket = model * LATENCY_BUCKETS + latency_bucket(latency_ns);
                *value!(LATENCIES, bucket as u32) += 1;
            }
        }
    }
}

/// Notes that sectors up to `end_sector` came back.
#[inline(always)]
fn advance(slot: &mut RequestSlot, last: bool, end_sector: u64) {
    if last {
        slot.state = state::FREE;
    } else {
        slot.next_sector = end_sector;
    }
}

/// A read came back and no program saw it: counts its rest, and its sectors as read.
#[inline(always)]
fn count_unseen<A: Abilities>(
    program: Program,
    device: &DeviceFilter,
    device_slot: u32,
    slot: &RequestSlot,
    time_ns: u64,
) {
    if A::COUNTS_MODELS {
        let Some(walk) = walk::over(
            issue_space::<A>(),
            device,
            slot.next_sector,
            slot.end_sector,
            true,
        ) else {
            return;
        };
        for model in 0..MAX_MODELS {
            if walk.touched & (1 << model) != 0 {
                let set = u32::from(A::LATE);
                let counters = value!(MODEL_ISSUES, set * MAX_MODELS as u32 + model as u32);
                counters.unseen_completions += 1;
                counters.unseen_bytes += walk.parts[model].bytes;
            }
        }
    } else if !walk::touches(device, slot.next_sector, slot.end_sector) {
        return;
    }
    emit(
        program,
        UnseenRecord {
            kind: KindByte::NEW,
            device: device_slot as u8,
            reserved: 0,
            reserved_too: 0,
            time_ns,
            request: slot.request,
        },
    );
}

/// Work space of the program that takes an issue in.
#[inline(always)]
const fn issue_space<A: Abilities>() -> u32 {
    if A::LATE {
        space::LATE_ISSUE
    } else {
        space::ISSUE
    }
}

#[inline(always)]
fn count_write(walk: &Walk) {
    for model in 0..MAX_MODELS {
        if walk.touched & (1 << model) != 0 {
            let counters = value!(MODEL_ISSUES, model as u32);
            counters.writes += 1;
            counters.write_bytes += walk.parts[model].bytes;
        }
    }
}

#[inline(always)]
fn count_gap(gaps: &mut [u64], class: GapClass) {
    if let Some(count) = gaps.get_mut(class.slot()) {
        *count += 1;
    }
}
