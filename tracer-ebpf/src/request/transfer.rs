//! What a request, or a bio of a device without requests, means for the counts when it is issued.

use core::arch::asm;

use aya_ebpf::{
    helpers::{bpf_get_current_pid_tgid, generated::bpf_ktime_get_ns},
    programs::BtfTracePointContext,
};
use aya_log_ebpf::debug;
use tracer_common::{
    counters::{DeviceIssueCounters, Operation},
    extent::{MAX_DEVICES, MAX_MODELS},
    gap::{GapClass, SECTOR_BYTES},
    origin::ReadOrigin,
    program::Program,
    record::{ANY_MODEL, IssueRecord, KindByte, NO_PREVIOUS_END, UnseenRecord, issue_flag},
    request::{RequestSlot, class_of_sectors, further_sectors, state},
};

use super::{
    origin,
    parts::Part,
    walk::{self, Parts, Range, space},
};
use crate::{
    abilities::Abilities,
    atomic,
    counts::slice,
    emit::{emit, emit_always},
    field::Bio,
    filter::{self, Device},
    maps::{DEVICE_ISSUES, LAST_ENDS, MODEL_ISSUES, value},
    settings::setting,
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

impl Transfer {
    #[inline(always)]
    fn range(&self, device: Device) -> Range {
        Range {
            device,
            sector: self.sector,
            end_sector: self.sector + u64::from(self.bytes) / SECTOR_BYTES,
        }
    }

    /// Whether the file system marked it as metadata.
    #[inline(always)]
    fn is_metadata(&self) -> bool {
        self.command_flags & setting!(constants.flag_metadata) != 0
    }
}

/// A transfer is handed to a device. `slot` is where it is remembered; none where there is no room for it.
#[inline(always)]
pub fn issued<A: Abilities>(
    context: &BtfTracePointContext,
    program: Program,
    device: Device,
    transfer: &Transfer,
    slot: Option<&mut RequestSlot>,
) {
    let operation = filter::operation_of(transfer.command_flags);
    let counters = value!(DEVICE_ISSUES, counter_set::<A>(MAX_DEVICES) + device.slot);
    count_request(counters, operation, transfer);
    match operation {
        Operation::Read => read_issued::<A>(context, program, device, transfer, slot, counters),
        Operation::Write if A::COUNTS_MODELS && !transfer.reissue => {
            count_write::<A>(transfer.range(device));
        }
        Operation::Write | Operation::Flush | Operation::Discard | Operation::Other => {}
    }
}

#[inline(always)]
fn count_request(counters: &mut DeviceIssueCounters, operation: Operation, transfer: &Transfer) {
    let bytes = u64::from(transfer.bytes);
    let is_read = operation == Operation::Read;
    if transfer.reissue {
        counters.read_reissues += u64::from(is_read);
        return;
    }
    counters.requests[operation as usize] += 1;
    counters.bytes[operation as usize] += bytes;
    if is_read && transfer.is_metadata() {
        counters.metadata_reads += 1;
        counters.metadata_bytes += bytes;
    }
}

#[inline(always)]
fn read_issued<A: Abilities>(
    context: &BtfTracePointContext,
    program: Program,
    device: Device,
    transfer: &Transfer,
    slot: Option<&mut RequestSlot>,
    device_counters: &mut DeviceIssueCounters,
) {
    let range = transfer.range(device);
    let reissue = transfer.reissue;
    // SAFETY: no arguments.
    let time_ns = unsafe { bpf_ktime_get_ns() };
    let mut slot = slot;
    match slot.as_deref_mut() {
        Some(slot) if reissue => {
            if slot.state == state::FREE || slot.request != transfer.address {
                // First issued before the gate opened: not a read of this window.
                debug!(context, "re-issue of a request from before the window");
                return;
            }
            slot.state = state::ISSUED;
            slot.next_sector = range.sector;
            slot.end_sector = range.end_sector;
        }
        Some(slot) => {
            if slot.state == state::ISSUED {
                device_counters.unseen_completions += 1;
                device_counters.unseen_bytes += (slot.end_sector - slot.next_sector) * SECTOR_BYTES;
                count_unseen::<A>(program, device, slot, time_ns);
            } else if slot.state == state::REQUEUED {
                device_counters.absorbed_after_requeue += 1;
            }
            slot.request = transfer.address;
            // What was noticed late has no latency.
            slot.issue_time_ns = if A::LATE { 0 } else { time_ns };
            slot.next_sector = range.sector;
            slot.end_sector = range.end_sector;
            slot.state = state::ISSUED;
            slot.device = device.slot;
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
        origin::of_read::<A>(transfer.command_flags, transfer.first_bio)
    };
    let mut other_bytes = if reissue {
        0
    } else {
        u64::from(transfer.bytes)
    };
    // What is issued again, or was noticed late, gives a record, and is counted from that.
    let in_slice = A::COUNTS_MODELS && !A::LATE && slice::are_counted() && !reissue;
    // What was noticed late is of no slice that is still there.
    let slice = if in_slice {
        slice::at(time_ns)
    } else {
        u64::MAX / 2
    };
    let parts = if A::COUNTS_MODELS {
        walk::parts(issue_space::<A>(), range, None, false)
    } else {
        Parts::NONE
    };
    if let Some(slot) = slot {
        slot.extent = parts.extent;
        if !reissue {
            slot.slice = slice;
        }
    }
    let touches = parts.are_some() || (!A::COUNTS_MODELS && walk::touches(range));
    if !touches {
        device_counters.other_bytes_by_origin[origin as usize] += other_bytes;
        return;
    }
    if !reissue {
        device_counters.model_reads += 1;
    }
    let process_and_thread = bpf_get_current_pid_tgid();
    let mut record = IssueRecord {
        kind: KindByte::NEW,
        device: device.slot as u8,
        model: ANY_MODEL,
        flags: record_flags::<A>(transfer),
        thread_id: process_and_thread as u32,
        time_ns,
        request: transfer.address,
        sector: range.sector,
        previous_end: NO_PREVIOUS_END,
        bytes: transfer.bytes,
        process_id: (process_and_thread >> 32) as u32,
    };
    if !A::COUNTS_MODELS {
        record.flags |= (origin as u8) << issue_flag::ORIGIN_SHIFT;
        emit::<A>(program, record);
        return;
    }
    // In several extents it is divided by user space.
    let is_divided = !in_slice || walk::count_sectors(&parts, slice, is_readahead(transfer));
    walk::each_model(&parts, |model, part| {
        let counters = value!(MODEL_ISSUES, counter_set::<A>(MAX_MODELS) + model);
        counters.issued_bytes += part.bytes;
        record.model = model as u8;
        if reissue {
            counters.reissues += 1;
        } else {
            counters.reads += 1;
            counters.readahead_reads +=
                u64::from(record.flags >> issue_flag::READAHEAD.trailing_zeros()) & 1;
            if let Some(count) = counters.sizes.get_mut(class_of(record.bytes)) {
                *count += 1;
            }
            device_counters.model_bytes += part.bytes;
            device_counters.model_bytes_by_origin[origin as usize] += part.bytes;
            other_bytes = other_bytes.saturating_sub(part.bytes);
            let last_end = value!(
                LAST_ENDS,
                model * MAX_DEVICES as u32 + (device.slot & (MAX_DEVICES as u32 - 1))
            );
            // SAFETY: an aligned word of the map.
            record.previous_end = unsafe { atomic::exchange(last_end, part.end_sector) };
            if record.previous_end == NO_PREVIOUS_END {
                counters.first_reads += 1;
            } else {
                let class = GapClass::of(part.start_sector, record.previous_end);
                count_gap(&mut counters.gaps, class);
            }
            if in_slice {
                count_in_slice(model, slice, part, &record);
            }
        }
        if !is_divided {
            record.flags |= issue_flag::UNDIVIDED;
        }
        if reissue || A::LATE || !is_divided {
            emit_always::<A>(program, record);
        } else {
            emit::<A>(program, record);
        }
    });
    device_counters.other_bytes_by_origin[origin as usize] += other_bytes;
}

/// The class of a request's size.
#[inline(always)]
fn class_of(bytes: u32) -> usize {
    let mut sectors = further_sectors(bytes);
    // The compiler, which knows how large it may be, would make branches of what is written without.
    // SAFETY: it moves a register to itself.
    unsafe {
        asm!("{0} = {0}", inout(reg) sectors, options(pure, nomem, nostack, preserves_flags));
    }
    class_of_sectors(sectors)
}

/// Counts a read for the slice in which it is issued.
#[inline(always)]
fn count_in_slice(model: u32, slice: u64, part: &Part, record: &IssueRecord) {
    let Some(counts) = slice::counts(model, slice) else {
        return;
    };
    counts.reads += 1;
    counts.bytes += part.bytes;
    if record.flags & issue_flag::READAHEAD != 0 {
        counts.readahead_reads += 1;
        counts.readahead_bytes += part.bytes;
    }
    if record.previous_end != NO_PREVIOUS_END {
        // Again, and not the class of the caller: that would be one more number for the verifier to tell ways apart by.
        let class = GapClass::of(part.start_sector, record.previous_end);
        count_gap(&mut counts.gaps, class);
        if let Some(bytes) = counts.gap_bytes.get_mut(class.slot()) {
            *bytes += part.bytes;
        }
    }
}

#[inline(always)]
fn is_readahead(transfer: &Transfer) -> bool {
    transfer.command_flags & setting!(constants.flag_readahead) != 0
}

#[inline(always)]
fn record_flags<A: Abilities>(transfer: &Transfer) -> u8 {
    let flag = |is_set: bool, flag: u8| if is_set { flag } else { 0 };
    let command = |mask: u32| transfer.command_flags & mask != 0;
    flag(A::LATE, issue_flag::LATE)
        | flag(transfer.is_metadata(), issue_flag::METADATA)
        | flag(is_readahead(transfer), issue_flag::READAHEAD)
        | flag(
            command(setting!(constants.flag_synchronous)),
            issue_flag::SYNCHRONOUS,
        )
        | flag(transfer.reissue, issue_flag::REISSUE)
}

/// A read came back and no program saw it: counts its rest, and its sectors as read.
#[inline(always)]
fn count_unseen<A: Abilities>(program: Program, device: Device, slot: &RequestSlot, time_ns: u64) {
    let range = Range {
        device,
        sector: slot.next_sector,
        end_sector: slot.end_sector,
    };
    if A::COUNTS_MODELS {
        let parts = walk::parts(issue_space::<A>(), range, Some(slot.extent), true);
        if !parts.are_some() {
            return;
        }
        walk::each_model(&parts, |model, part| {
            let counters = value!(MODEL_ISSUES, counter_set::<A>(MAX_MODELS) + model);
            counters.unseen_completions += 1;
            counters.unseen_bytes += part.bytes;
        });
    } else if !walk::touches(range) {
        return;
    }
    emit::<A>(
        program,
        UnseenRecord {
            kind: KindByte::NEW,
            device: device.slot as u8,
            reserved: 0,
            reserved_too: 0,
            time_ns,
            request: slot.request,
        },
    );
}

/// Where the counters lie of the program that takes an issue in, in a map with so many of each set.
#[inline(always)]
const fn counter_set<A: Abilities>(size: usize) -> u32 {
    if A::LATE { size as u32 } else { 0 }
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
fn count_write<A: Abilities>(range: Range) {
    let parts = walk::parts(issue_space::<A>(), range, None, false);
    walk::each_model(&parts, |model, part| {
        let counters = value!(MODEL_ISSUES, model);
        counters.writes += 1;
        counters.write_bytes += part.bytes;
    });
}

#[inline(always)]
fn count_gap(gaps: &mut [u64], class: GapClass) {
    if let Some(count) = gaps.get_mut(class.slot()) {
        *count += 1;
    }
}
