//! Members of kernel structs, at the offsets that the loader took from the kernel's BTF.
//!
//! In a `tp_btf` program the arguments are typed pointers: a plain load at a member's offset is checked by
//! the verifier against the kernel's BTF, so a wrong offset is refused at load and not read in silence. A
//! load through a null pointer gives 0.

use core::arch::asm;

use aya_ebpf::{
    helpers::{bpf_probe_read_kernel, generated::bpf_get_current_task_btf},
    programs::BtfTracePointContext,
};

use crate::{abilities::Abilities, settings::setting};

/// Loads a `T` at `offset` bytes from `base`.
#[inline(always)]
fn load<T: Copy>(base: *const u8, offset: u32) -> T {
    // SAFETY: the verifier accepts this only where `base` is a typed kernel pointer with a member of this
    // size at this offset, and handles the fault of a stale pointer.
    unsafe { core::ptr::read_volatile(base.add(offset as usize).cast::<T>()) }
}

/// Reads a `T` at `offset` bytes from an address that is no typed pointer. None where there is nothing to read.
#[inline(always)]
pub fn read<T>(base: u64, offset: u32) -> Option<T> {
    // SAFETY: the helper checks the address and fails on one that is none.
    unsafe { bpf_probe_read_kernel((base + u64::from(offset)) as *const T) }.ok()
}

/// A tracepoint's argument 0 or 1, as the kernel has it.
///
/// The two loads must stay two: made one, from the context plus a computed offset, verifiers before Linux 6.x refuse it
/// ("dereference of modified ctx ptr", seen on 5.10). The assembly tells them apart for the compiler. Of the two
/// branches the verifier follows one only, since the setting is a constant to it.
#[inline(always)]
pub fn argument(context: &BtfTracePointContext, position: u32) -> *const u8 {
    if position == 0 {
        context.arg(0)
    } else {
        let mut second: u64 = context.arg(1);
        // SAFETY: it moves a register to itself.
        unsafe {
            asm!("{0} = {0}", inout(reg) second, options(pure, nomem, nostack, preserves_flags))
        };
        second as *const u8
    }
}

/// `struct request`.
#[derive(Clone, Copy)]
pub struct Request(pub *const u8);

impl Request {
    /// The address, as an identity.
    #[inline(always)]
    pub fn address(self) -> u64 {
        self.0 as u64
    }

    /// Operation and flags.
    #[inline(always)]
    pub fn command_flags(self) -> u32 {
        load(self.0, setting!(members.request_command_flags))
    }

    /// First sector that has not completed.
    #[inline(always)]
    pub fn sector(self) -> u64 {
        load(self.0, setting!(members.request_sector))
    }

    /// Bytes that have not completed.
    #[inline(always)]
    pub fn bytes(self) -> u32 {
        load(self.0, setting!(members.request_data_length))
    }

    /// Its first bio.
    #[inline(always)]
    pub fn first_bio(self) -> Bio {
        Bio(load(self.0, setting!(members.request_bio)))
    }

    /// Whether it was issued before: `blk_mq_rq_ctx_init` clears the deadline, `blk_add_timer` sets it
    /// right after the tracepoint of the first issue (`block/blk-mq.c`, `blk_mq_start_request`).
    #[inline(always)]
    pub fn was_issued_before(self) -> bool {
        load::<u64>(self.0, setting!(members.request_deadline)) != 0
    }

    /// When it was allocated, nanoseconds of the monotonic clock, at most some microseconds early; 0 where its queue does
    /// not account for its requests (`blk_mq_need_time_stamp` in `block/blk-mq.h`).
    #[inline(always)]
    pub fn started_ns(self) -> u64 {
        load(self.0, setting!(members.request_start_time))
    }

    /// Major and first minor number of the disk.
    #[inline(always)]
    pub fn disk(self) -> (u32, u32) {
        let disk: *const u8 = if setting!(constants.disk_in_request) == 0 {
            let queue: *const u8 = load(self.0, setting!(members.request_queue));
            load(queue, setting!(members.queue_disk))
        } else {
            load(self.0, setting!(members.queue_disk))
        };
        (
            load(disk, setting!(members.disk_major)),
            load(disk, setting!(members.disk_first_minor)),
        )
    }

    /// Number of the hardware queue.
    #[inline(always)]
    pub fn hardware_queue(self) -> u32 {
        let context: *const u8 = load(self.0, setting!(members.request_hardware_context));
        load(context, setting!(members.hardware_context_number))
    }

    /// The tag that stays with the request until it is freed: the scheduler's where there is one, since
    /// the driver's is given back at a requeue. Negative where there is none.
    #[inline(always)]
    pub fn lasting_tag(self) -> i32 {
        let internal: i32 = load(self.0, setting!(members.request_internal_tag));
        if internal >= 0 {
            internal
        } else {
            load(self.0, setting!(members.request_tag))
        }
    }
}

/// `struct bio`.
#[derive(Clone, Copy)]
pub struct Bio(pub *const u8);

impl Bio {
    /// The address, as an identity.
    #[inline(always)]
    pub fn address(self) -> u64 {
        self.0 as u64
    }

    /// Major and first minor number of the disk.
    #[inline(always)]
    pub fn disk(self) -> (u32, u32) {
        let device: *const u8 = load(self.0, setting!(members.bio_block_device));
        let disk: *const u8 = if setting!(constants.disk_in_bio) == 0 {
            load(device, setting!(members.block_device_disk))
        } else {
            device
        };
        (
            load(disk, setting!(members.disk_major)),
            load(disk, setting!(members.disk_first_minor)),
        )
    }

    /// Operation and flags.
    #[inline(always)]
    pub fn command_flags(self) -> u32 {
        load(self.0, setting!(members.bio_operation))
    }

    /// First sector that has not been handed on.
    #[inline(always)]
    pub fn sector(self) -> u64 {
        load(self.0, setting!(members.bio_sector))
    }

    /// Bytes that have not been handed on.
    #[inline(always)]
    pub fn bytes(self) -> u32 {
        load(self.0, setting!(members.bio_bytes))
    }

    /// Its `blk_status_t`.
    #[inline(always)]
    pub fn status(self) -> u8 {
        load(self.0, setting!(members.bio_status))
    }

    /// Address of the first page that it fills or empties; 0 where there is none.
    #[inline(always)]
    pub fn first_page(self) -> u64 {
        let vector: *const u8 = load(self.0, setting!(members.bio_vectors));
        // Read as a number: the verifier allows no arithmetic on a typed pointer.
        read(vector as u64, setting!(members.vector_page)).unwrap_or(0)
    }
}

/// `struct folio`.
#[derive(Clone, Copy)]
pub struct Folio(pub *const u8);

impl Folio {
    /// The file's mapping.
    #[inline(always)]
    pub fn mapping(self) -> Mapping {
        Mapping(load(self.0, setting!(members.folio_mapping)))
    }

    /// Number of its first page in the file.
    #[inline(always)]
    pub fn index(self) -> u64 {
        load(self.0, setting!(members.folio_index))
    }

    /// Pages: 2^order. `folio_order()` in `include/linux/mm.h`: 0 without the head flag, else a byte
    /// in the second page.
    #[inline(always)]
    pub fn pages<A: Abilities>(self) -> u64 {
        let flags: u64 = load(self.0, setting!(members.folio_flags));
        if (flags >> setting!(constants.bit_head)) & 1 == 0 {
            return 1;
        }
        let order: u8 = if A::COUNTS_MODELS {
            load(self.0, setting!(members.folio_order))
        } else {
            // Before there were folios the order is in another page than the one of the argument.
            read(self.0 as u64, setting!(members.folio_order)).unwrap_or(0)
        };
        1 << (order & 31)
    }
}

/// `struct vm_fault`.
#[derive(Clone, Copy)]
pub struct Fault(pub *const u8);

impl Fault {
    /// Mapping of the file that is mapped there.
    #[inline(always)]
    pub fn mapping(self) -> *const u8 {
        let area: *const u8 = load(self.0, setting!(members.fault_area));
        let file: *const u8 = load(area, setting!(members.area_file));
        load(file, setting!(members.file_mapping))
    }

    /// The page in the file.
    #[inline(always)]
    pub fn page(self) -> u64 {
        load(self.0, setting!(members.fault_page))
    }
}

/// `struct address_space`.
#[derive(Clone, Copy)]
pub struct Mapping(pub *const u8);

impl Mapping {
    /// Inode number and the file system's device.
    #[inline(always)]
    pub fn file(self) -> tracer_common::page::FileKey {
        let inode: *const u8 = load(self.0, setting!(members.mapping_host));
        let superblock: *const u8 = load(inode, setting!(members.inode_superblock));
        let device: u32 = load(superblock, setting!(members.superblock_device));
        tracer_common::page::FileKey {
            inode: load(inode, setting!(members.inode_number)),
            device: u64::from(device),
        }
    }
}

/// `struct task_struct`.
#[derive(Clone, Copy)]
pub struct Task(pub *const u8);

impl Task {
    /// The `PF_*` flags.
    #[inline(always)]
    pub fn flags(self) -> u32 {
        load(self.0, setting!(members.task_flags))
    }

    /// Thread id, as user space calls it.
    #[inline(always)]
    pub fn thread_id(self) -> u32 {
        load(self.0, setting!(members.task_thread_id))
    }

    /// Process id, as user space calls it.
    #[inline(always)]
    pub fn process_id(self) -> u32 {
        load(self.0, setting!(members.task_process_id))
    }

    /// The `TASK_*` state.
    #[inline(always)]
    pub fn state(self) -> u32 {
        load(self.0, setting!(members.task_state))
    }

    /// Nanoseconds that it has run. Up to date when it leaves its CPU: `update_curr` comes before `sched_switch`.
    #[inline(always)]
    pub fn run_time_ns(self) -> u64 {
        load(self.0, setting!(members.task_run_time))
    }

    /// The current one. Where the kernel has the helper (Linux 5.11), which is so wherever there are look-ups.
    #[inline(always)]
    pub fn current() -> Self {
        // SAFETY: no arguments.
        Self(unsafe { bpf_get_current_task_btf() } as *const u8)
    }

    /// Calls of `read()` and the like that it has finished (`inc_syscr`, `fs/read_write.c`).
    #[inline(always)]
    pub fn read_calls(self) -> u64 {
        load(self.0, setting!(members.task_read_calls))
    }

    /// Between `io_schedule_prepare` and `io_schedule_finish` (`kernel/sched/core.c`): it sleeps for I/O, or is
    /// just back from it.
    #[inline(always)]
    pub fn is_in_io_wait(self) -> bool {
        load::<u8>(self.0, setting!(members.task_in_iowait))
            & setting!(constants.in_iowait_mask) as u8
            != 0
    }
}
