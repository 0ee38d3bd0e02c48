//! The page-cache side of the contract: which files, and what is remembered for a thread.

/// Most files of all models together.
pub const MAX_FILES: u32 = 1024;

/// Most files that are no model's and are counted all the same.
pub const OTHER_FILES: u32 = 1024;

/// Marks of threads and of processes, each by the lowest bits of its id: a power of two.
pub const MARKS: u32 = 4096;

/// Bytes of a page where nothing says otherwise: on x86-64 always. Kernels for aarch64 may have 16 or 64 KiB; the kernel
/// side counts its own pages, whatever they are.
pub const USUAL_PAGE_BYTES: u64 = 4096;

/// A file as the page-cache tracepoints name it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[repr(C)]
pub struct FileKey {
    /// Inode number (`i_ino`).
    pub inode: u64,
    /// The file system's device (`s_dev`) in the kernel's encoding, major << 20 | minor.
    pub device: u64,
}

/// What the kernel side needs to know of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct FileSlot {
    /// Bit of the first page in the bitmap of evicted pages; a multiple of 64.
    pub first_bit: u64,
    /// Pages of the file at the start of the run.
    pub pages: u64,
    /// Slot of the file in the per-file counters.
    pub file: u32,
    /// Slot of the model that it is of.
    pub model: u32,
}

/// A file whose mapping has been seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct KnownFile {
    /// Address of its `struct address_space`; 0 until it was seen.
    pub mapping: u64,
    /// The file.
    pub slot: FileSlot,
}

/// Whose mappings were seen of late.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct MappingVerdict {
    /// Address of the latest mapping that is no model's.
    pub foreign_mapping: u64,
    /// Slot of the latest file that is a model's.
    pub file: u32,
    /// Keeps the size a multiple of eight.
    pub reserved: u32,
}

/// How a look-up by one thread named its file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct LearntKey {
    /// The thread whose look-ups count; 0: nobody's.
    pub thread_id: u32,
    /// 1 once a look-up was seen.
    pub found: u32,
    /// The file of the last one.
    pub key: FileKey,
}

/// A thread that waits, or has waited.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct WaitingThread {
    /// When it left the CPU, `CLOCK_MONOTONIC` nanoseconds.
    pub start_ns: u64,
    /// When it was back on a CPU; 0 while it waits, or where its return was hidden.
    pub end_ns: u64,
    /// How long it had run when it left the CPU, nanoseconds; 0 on kernels that hide no return.
    pub run_time_ns: u64,
    /// When a look-up told what it had waited for although its return was hidden; else 0.
    pub look_up_ns: u64,
    /// How many calls of `read()` it had finished before the wait: a look-up with as many is of the same call.
    pub read_calls: u64,
    /// One of [`crate::record::wait_kind`].
    pub kind: u32,
    /// Slot of the file.
    pub file: u32,
    /// Page of the file.
    pub page: u32,
    /// Its process.
    pub process_id: u32,
    /// 1 where it was preempted right after its wait.
    pub was_preempted: u32,
    /// Keeps the size a multiple of eight.
    pub reserved: u32,
}

/// The last page-cache event of a thread, to tell a first-touch hit from the end of a miss.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct ThreadTouch {
    /// One of [`touch`].
    pub kind: u32,
    /// Slot of the file.
    pub file: u32,
    /// The page that faulted, or the first page of the window that was mapped.
    pub first_page: u64,
    /// The page that faulted, or the last page of the window.
    pub last_page: u64,
}

/// Kinds of [`ThreadTouch`].
pub mod touch {
    /// The thread faulted on a page; the `map_pages` that follows completes that fault.
    pub const FAULT: u32 = 1;
    /// The thread mapped a window, and this was counted as a tentative hit.
    pub const TENTATIVE_HIT: u32 = 2;
    /// The thread mapped a window as the end of a fault.
    pub const MAPPED: u32 = 3;
}
