//! What the loader fixes before load. The kernel side sees it as constants: the verifier removes what
//! they switch off and takes member offsets as if they had been compiled in.

use crate::{extent::MAX_DEVICES, slice::SpanIndex};

/// Place in the map of the gate of what is not 0 once records are wanted no longer.
pub const STEPPED_DOWN: u32 = 1;

/// A device whose requests are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct DeviceFilter {
    /// Major number of the whole disk.
    pub major: u32,
    /// First minor number of the whole disk.
    pub first_minor: u32,
    /// First of its extents in the extent table.
    pub first_extent: u32,
    /// Number of its extents.
    pub extents: u32,
    /// First of its slots in the request table.
    pub first_slot: u32,
    /// Tags to a hardware queue.
    pub tags: u32,
    /// Hardware queues.
    pub hardware_queues: u32,
    /// Keeps the size a multiple of eight.
    pub reserved: u32,
}

/// From a sector to the first extent that ends after it, or one shortly before: the device's sectors from its first extent
/// on, cut into pieces of 2^shift sectors.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ExtentIndex {
    /// First sector of the first extent.
    pub first_sector: u64,
    /// Place in the map of indices of the first piece.
    pub first_piece: u32,
    /// Number of pieces; 0 for a device without extents.
    pub pieces: u32,
    /// log2 of a piece's sectors.
    pub shift: u32,
    /// Keeps the size a multiple of eight.
    pub reserved: u32,
}

/// Offsets, in bytes, of the members that the programs read, from the running kernel's BTF.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct MemberOffsets {
    /// `request.q`.
    pub request_queue: u32,
    /// `request.mq_hctx`.
    pub request_hardware_context: u32,
    /// `request.cmd_flags`.
    pub request_command_flags: u32,
    /// `request.tag`.
    pub request_tag: u32,
    /// `request.internal_tag`.
    pub request_internal_tag: u32,
    /// `request.__data_len`.
    pub request_data_length: u32,
    /// `request.__sector`.
    pub request_sector: u32,
    /// `request.deadline`.
    pub request_deadline: u32,
    /// `request.start_time_ns`.
    pub request_start_time: u32,
    /// `request_queue.disk`, or `request.rq_disk`.
    pub queue_disk: u32,
    /// `gendisk.major`.
    pub disk_major: u32,
    /// `gendisk.first_minor`.
    pub disk_first_minor: u32,
    /// `blk_mq_hw_ctx.queue_num`.
    pub hardware_context_number: u32,
    /// `folio.flags`.
    pub folio_flags: u32,
    /// The byte that holds the order of a large folio: `folio._folio_order`, the lowest byte of
    /// `folio._flags_1`, or `compound_order` of the second page.
    pub folio_order: u32,
    /// `folio.mapping`.
    pub folio_mapping: u32,
    /// `folio.index`.
    pub folio_index: u32,
    /// `address_space.host`.
    pub mapping_host: u32,
    /// `inode.i_ino`.
    pub inode_number: u32,
    /// `inode.i_sb`.
    pub inode_superblock: u32,
    /// `super_block.s_dev`.
    pub superblock_device: u32,
    /// `task_struct.flags`.
    pub task_flags: u32,
    /// `task_struct.pid`.
    pub task_thread_id: u32,
    /// `task_struct.tgid`.
    pub task_process_id: u32,
    /// `task_struct.__state`, or `state`.
    pub task_state: u32,
    /// The byte that holds the bit `task_struct.in_iowait`.
    pub task_in_iowait: u32,
    /// `task_struct.se.sum_exec_runtime`, or unused.
    pub task_run_time: u32,
    /// `task_struct.ioac.syscr`, or unused.
    pub task_read_calls: u32,
    /// `request.bio`.
    pub request_bio: u32,
    /// `bio.bi_io_vec`.
    pub bio_vectors: u32,
    /// `bio_vec.bv_page`.
    pub vector_page: u32,
    /// `page.compound_head`.
    pub page_compound_head: u32,
    /// `super_block.s_magic`.
    pub superblock_magic: u32,
    /// `bio.bi_bdev`, or `bio.bi_disk`.
    pub bio_block_device: u32,
    /// `block_device.bd_disk`, or unused.
    pub block_device_disk: u32,
    /// `bio.bi_opf`.
    pub bio_operation: u32,
    /// `bio.bi_iter.bi_sector`.
    pub bio_sector: u32,
    /// `bio.bi_iter.bi_size`.
    pub bio_bytes: u32,
    /// `bio.bi_status`.
    pub bio_status: u32,
    /// `vm_fault.vma`.
    pub fault_area: u32,
    /// `vm_fault.pgoff`.
    pub fault_page: u32,
    /// `vm_area_struct.vm_file`.
    pub area_file: u32,
    /// `file.f_mapping`.
    pub file_mapping: u32,
}

/// Values of the running kernel's enumerators.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct KernelConstants {
    /// `REQ_OP_READ`.
    pub operation_read: u32,
    /// `REQ_OP_WRITE`.
    pub operation_write: u32,
    /// `REQ_OP_FLUSH`.
    pub operation_flush: u32,
    /// `REQ_OP_DISCARD`.
    pub operation_discard: u32,
    /// 1 << `__REQ_META`.
    pub flag_metadata: u32,
    /// 1 << `__REQ_RAHEAD`.
    pub flag_readahead: u32,
    /// 1 << `__REQ_SYNC`.
    pub flag_synchronous: u32,
    /// `PG_head`: bit number in the flags of a folio.
    pub bit_head: u32,
    /// Position of the request among the arguments of `block_rq_issue`: 0, or 1 where the queue comes first (before
    /// Linux 5.11).
    pub request_argument: u32,
    /// 1 << `__REQ_SWAP`, or 0 where the kernel has no such flag.
    pub flag_swap: u32,
    /// Mask of `task_struct.in_iowait` in its byte.
    pub in_iowait_mask: u32,
    /// Position of the bio among the arguments of `block_bio_queue`.
    pub queued_bio_argument: u32,
    /// Position of the bio among the arguments of `block_getrq`.
    pub allocated_bio_argument: u32,
    /// Position of the request among the arguments of `block_rq_insert`.
    pub inserted_request_argument: u32,
    /// Position of the bio among the arguments of `block_bio_remap`.
    pub remapped_bio_argument: u32,
    /// 1 where a request names its disk itself (`request.rq_disk`) and not through its queue.
    pub disk_in_request: u32,
    /// 1 where a bio names its disk itself (`bio.bi_disk`) and not through its block device.
    pub disk_in_bio: u32,
    /// Position of the request among the arguments of `block_rq_requeue`.
    pub requeued_argument: u32,
}

/// All of it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Settings {
    /// Devices whose requests are looked at; the first [`Settings::device_count`] are valid.
    pub devices: [DeviceFilter; MAX_DEVICES],
    /// By device.
    pub extent_indices: [ExtentIndex; MAX_DEVICES],
    /// Where the bits of single sectors begin in the bitmap of what was read; before them are those of whole blocks
    /// ([`crate::extent::SECTORS_IN_BLOCK`]).
    pub first_sector_bit: u64,
    /// Number of valid devices.
    pub device_count: u32,
    /// Unread bytes in the ring buffer from which on a record wakes the reader; below, the reader comes
    /// by itself every few milliseconds.
    pub wake_above_bytes: u32,
    /// Places of each CPU's ring ([`crate::ring`]): a power of two.
    pub ring_slots: u32,
    /// Whether each read of a model, each page-cache event and each wait gives a record, and not only a count.
    pub records: u32,
    /// Whether the kernel shows no event to programs while a thread of process 1 runs, so that a switch from it to
    /// another thread goes unseen.
    pub hides_from_process_1: u32,
    /// Whether the kernel counts each thread's calls of `read()`.
    pub counts_read_calls: u32,
    /// Whether reads and page-cache events are counted by slices of time and spans of the files ([`crate::slice`]).
    pub slices: u32,
    /// Whether a read whose issue no program saw is taken in when it completes: where the kernel gives a program a stack of its
    /// own (Linux 6.13), since the way there is too deep for the one that programs share.
    pub takes_in_late: u32,
    /// Whether records can be switched off while the programs run ([`STEPPED_DOWN`]).
    pub steps_down: u32,
    /// CPUs that there may be, each with blocks of its own in each slice.
    pub cpus: u32,
    /// Blocks of each span that the CPUs share out among them: a power of two, or as many as CPUs.
    pub span_blocks: u32,
    /// The spans of sectors.
    pub read_spans: SpanIndex,
    /// The spans of pages.
    pub page_spans: SpanIndex,
    /// Member offsets.
    pub members: MemberOffsets,
    /// Enumerators.
    pub constants: KernelConstants,
}

impl Settings {
    /// All zero, as the programs are compiled with.
    pub const ZERO: Self = Self {
        devices: [DeviceFilter {
            major: 0,
            first_minor: 0,
            first_extent: 0,
            extents: 0,
            first_slot: 0,
            tags: 0,
            hardware_queues: 0,
            reserved: 0,
        }; MAX_DEVICES],
        extent_indices: [ExtentIndex {
            first_sector: 0,
            first_piece: 0,
            pieces: 0,
            shift: 0,
            reserved: 0,
        }; MAX_DEVICES],
        device_count: 0,
        wake_above_bytes: 0,
        ring_slots: 0,
        records: 0,
        hides_from_process_1: 0,
        counts_read_calls: 0,
        slices: 0,
        takes_in_late: 0,
        steps_down: 0,
        cpus: 0,
        span_blocks: 0,
        read_spans: SpanIndex { spans: 0, shift: 0 },
        page_spans: SpanIndex { spans: 0, shift: 0 },
        first_sector_bit: 0,
        members: MemberOffsets::ZERO,
        constants: KernelConstants::ZERO,
    };
}

impl MemberOffsets {
    /// All zero, as the programs are compiled with.
    pub const ZERO: Self = Self {
        request_queue: 0,
        request_hardware_context: 0,
        request_command_flags: 0,
        request_tag: 0,
        request_internal_tag: 0,
        request_data_length: 0,
        request_sector: 0,
        request_deadline: 0,
        request_start_time: 0,
        queue_disk: 0,
        disk_major: 0,
        disk_first_minor: 0,
        hardware_context_number: 0,
        folio_flags: 0,
        folio_order: 0,
        folio_mapping: 0,
        folio_index: 0,
        mapping_host: 0,
        inode_number: 0,
        inode_superblock: 0,
        superblock_device: 0,
        task_flags: 0,
        task_thread_id: 0,
        task_process_id: 0,
        task_state: 0,
        task_in_iowait: 0,
        task_run_time: 0,
        task_read_calls: 0,
        request_bio: 0,
        bio_vectors: 0,
        vector_page: 0,
        page_compound_head: 0,
        superblock_magic: 0,
        bio_block_device: 0,
        block_device_disk: 0,
        bio_operation: 0,
        bio_sector: 0,
        bio_bytes: 0,
        bio_status: 0,
        fault_area: 0,
        fault_page: 0,
        area_file: 0,
        file_mapping: 0,
    };
}

impl KernelConstants {
    /// All zero, as the programs are compiled with.
    pub const ZERO: Self = Self {
        operation_read: 0,
        operation_write: 0,
        operation_flush: 0,
        operation_discard: 0,
        flag_metadata: 0,
        flag_readahead: 0,
        flag_synchronous: 0,
        bit_head: 0,
        request_argument: 0,
        flag_swap: 0,
        in_iowait_mask: 0,
        queued_bio_argument: 0,
        allocated_bio_argument: 0,
        inserted_request_argument: 0,
        remapped_bio_argument: 0,
        disk_in_request: 0,
        disk_in_bio: 0,
        requeued_argument: 0,
    };
}

// No padding: the loader hands the bytes over.
const _: () = assert!(
    size_of::<Settings>()
        == MAX_DEVICES * (size_of::<DeviceFilter>() + size_of::<ExtentIndex>())
            + size_of::<u64>()
            + 11 * size_of::<u32>()
            + 2 * size_of::<SpanIndex>()
            + size_of::<MemberOffsets>()
            + size_of::<KernelConstants>()
);
