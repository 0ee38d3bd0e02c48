//! What goes through the ring buffer: one record for each event of a read of a model.
//!
//! Records are `repr(C)` without padding, in the byte order of the machine, which they never leave in this form. One list
//! makes their kinds, structs and decoder.

use core::fmt;

use crate::ring::RECORD_ROOM_BYTES;

/// The first byte of a record that has this number: it has no other value, so a record cannot name another kind.
#[derive(Clone, Copy, PartialEq, Eq)]
#[repr(transparent)]
pub struct KindByte<const NUMBER: u8>(u8);

impl<const NUMBER: u8> KindByte<NUMBER> {
    /// The byte.
    pub const NEW: Self = Self(NUMBER);
}

impl<const NUMBER: u8> fmt::Debug for KindByte<NUMBER> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&NUMBER, formatter)
    }
}

/// A record that a program hands to user space.
///
/// # Safety
/// The type is `repr(C)`, consists of integers without padding, and its first byte is a [`KindByte`] with the number of
/// [`Kind`].
pub unsafe trait EventRecord: Copy + 'static {
    /// Its kind.
    const KIND: Kind;
}

/// Bytes that are no record: the programs and this loader are not of the same build.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DecodeError {
    /// The first byte names no kind.
    UnknownKind(u8),
    /// Wrong number of bytes for the kind.
    WrongLength {
        /// The kind.
        kind: u8,
        /// Bytes there were.
        length: usize,
        /// Bytes there should be.
        expected: usize,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::UnknownKind(kind) => {
                write!(
                    formatter,
                    "a record of the eBPF programs has the unknown kind {kind}"
                )
            }
            Self::WrongLength {
                kind,
                length,
                expected,
            } => write!(
                formatter,
                "a record of kind {kind} of the eBPF programs has {length} bytes instead of {expected}"
            ),
        }
    }
}

impl core::error::Error for DecodeError {}

/// Makes of one list: the kinds and their numbers, the structs, the enum of both, and the decoder.
macro_rules! records {
    ($(
        $(#[$documentation:meta])*
        $kind:ident = $number:literal: $name:ident {
            $($(#[$field_documentation:meta])* $field:ident: $type:ty,)*
        }
    )*) => {
        /// Kind of a record. The numbers are never reused.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum Kind {
            $($(#[$documentation])* $kind = $number,)*
        }

        impl Kind {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$kind),*];
            /// One more than the largest number.
            pub const NUMBERS: usize = {
                let mut largest = 0;
                $(if $number > largest { largest = $number; })*
                largest + 1
            };
        }

        $(
            $(#[$documentation])*
            #[derive(Clone, Copy, Debug, PartialEq, Eq)]
            #[repr(C)]
            pub struct $name {
                /// Names this kind.
                pub kind: KindByte<$number>,
                $($(#[$field_documentation])* pub $field: $type,)*
            }

            // SAFETY: repr(C), the kind's byte comes first, and the sizes of the fields add up to the struct's.
            unsafe impl EventRecord for $name {
                const KIND: Kind = Kind::$kind;
            }

            const _: () = assert!(size_of::<$name>() <= RECORD_ROOM_BYTES);
            const _: () = assert!(
                size_of::<$name>() == 1 $(+ size_of::<$type>())*,
                "padding would carry kernel memory to user space"
            );
        )*

        /// One record of the eBPF programs.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Record {
            $($(#[$documentation])* $kind($name),)*
        }

        impl Record {
            /// Its kind.
            #[must_use]
            pub const fn kind(&self) -> Kind {
                match self {
                    $(Self::$kind(_) => Kind::$kind,)*
                }
            }

            /// Decodes the record at the beginning of some room for one.
            ///
            /// # Errors
            /// An unknown kind.
            pub fn decode_first(room: &[u8; RECORD_ROOM_BYTES]) -> Result<Self, DecodeError> {
                match room[0] {
                    $($number => Self::decode(&room[..size_of::<$name>()]),)*
                    kind => Err(DecodeError::UnknownKind(kind)),
                }
            }

            /// Decodes one record.
            ///
            /// # Errors
            /// An unknown kind, or the wrong length for the kind.
            pub const fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
                let length = bytes.len();
                let Some(&kind) = bytes.first() else {
                    return Err(DecodeError::WrongLength { kind: 0, length, expected: 1 });
                };
                // A number given twice would make the second arm unreachable.
                #[deny(unreachable_patterns)]
                match kind {
                    $($number => {
                        let expected = size_of::<$name>();
                        if length != expected {
                            return Err(DecodeError::WrongLength { kind, length, expected });
                        }
                        // SAFETY: as many bytes as the struct has; it consists of integers, and the one byte that may
                        // not have every value has the right one.
                        Ok(Self::$kind(unsafe { bytes.as_ptr().cast::<$name>().read_unaligned() }))
                    })*
                    _ => Err(DecodeError::UnknownKind(kind)),
                }
            }
        }
    };
}

impl Record {
    /// When what it tells had happened, `CLOCK_MONOTONIC`, nanoseconds. A wait is told when it has ended, or later.
    #[must_use]
    pub const fn time_ns(&self) -> u64 {
        match self {
            Self::Issue(record) => record.time_ns,
            Self::Complete(record) => record.time_ns,
            Self::Requeue(record) => record.time_ns,
            Self::Unseen(record) => record.time_ns,
            Self::Page(record) => record.time_ns,
            Self::Wait(record) => record.end_ns,
            Self::Mark(record) => record.time_ns,
            Self::Stage(record) => record.time_ns,
        }
    }
}

/// Bits of [`IssueRecord::flags`].
pub mod issue_flag {
    /// Issued before: after a requeue, or the remainder after a partial completion. Carries no
    /// predecessor.
    pub const REISSUE: u8 = 1;
    /// The file system's metadata flag (`REQ_META`).
    pub const METADATA: u8 = 2;
    /// Read ahead of the need (`REQ_RAHEAD`).
    pub const READAHEAD: u8 = 4;
    /// Somebody waits for it (`REQ_SYNC`; the kernel treats every read as synchronous, so it is set by
    /// the submitter's flag only).
    pub const SYNCHRONOUS: u8 = 8;
    /// In a record of a model, where reads are counted by place: this one is not, since it lies in several extents, over which
    /// user space divides it.
    pub const UNDIVIDED: u8 = 16;
    /// From this bit on, in a record of [`super::ANY_MODEL`]: the number of the read's
    /// [`crate::origin::ReadOrigin`], 3 bits.
    pub const ORIGIN_SHIFT: u8 = 4;
    /// The number, shifted.
    pub const ORIGIN_MASK: u8 = 7 << ORIGIN_SHIFT;
    /// No program saw the issue; it was noticed when the read completed, which is its time and place in the order.
    pub const LATE: u8 = 128;
}

/// End of the previous read where there was none.
pub const NO_PREVIOUS_END: u64 = u64::MAX;

/// [`IssueRecord::model`] where the kernel side did not divide the read: it touches a model, and user space finds out
/// which. The order of the times of such records is the order of the reads, and they carry no previous end.
pub const ANY_MODEL: u8 = u8::MAX;

/// Bits of [`CompleteRecord::flags`].
pub mod complete_flag {
    /// Nothing of the request is left.
    pub const LAST: u8 = 1;
}

/// What [`PageRecord::event`] says. Evictions are [`EVICTION`](page_event::EVICTION) + the number of the
/// [`crate::counters::EvictionAgent`].
pub mod page_event {
    /// A folio entered the page cache.
    pub const INSERT: u8 = 1;
    /// A folio entered the page cache, brought by a page fault of the current thread on one of its pages: the
    /// fault was a major one.
    pub const INSERT_BY_FAULT: u8 = 2;
    /// A page fault reached the file's fault handler; one page.
    pub const FAULT: u8 = 3;
    /// A page fault mapped what was cached in a window around it.
    pub const MAP_WINDOW: u8 = 4;
    /// `read()` or the like found a range of pages.
    pub const LOOKUP: u8 = 5;
    /// A folio left the page cache.
    pub const EVICTION: u8 = 8;
}

/// What [`WaitRecord::wait`] says.
pub mod wait_kind {
    /// For a folio of a model's file: in a page fault on it, or in a `read()` that found it right after.
    pub const MODEL_FOLIO: u8 = 1;
    /// For other I/O of the engine, direct reads of the model among it.
    pub const OTHER_IO: u8 = 2;
    /// In direct reclaim, of the system or of the cgroup.
    pub const RECLAIM: u8 = 3;
    /// Uninterruptible sleep that is no I/O, in a page fault on a model's file: a lock.
    pub const LOCK: u8 = 4;
}

/// [`MarkRecord::tokens`] where the batch's size cannot be seen.
pub const UNKNOWN_TOKENS: u32 = u32::MAX;

/// What [`StageRecord::stage`] says. Issue and completion have records of their own.
pub mod stage {
    /// A bio was queued: blktrace's Q.
    pub const QUEUE: u8 = 1;
    /// A request was allocated for it: G.
    pub const GET_REQUEST: u8 = 2;
    /// The request was inserted in a scheduler's queue: I.
    pub const INSERT: u8 = 3;
    /// A bio was remapped to another device, or from a partition to its disk: A.
    pub const REMAP: u8 = 4;
}

records! {
    /// A read was handed to the driver. A request that touches several models gives one record for each.
    Issue = 1: IssueRecord {
        /// Slot of the device.
        device: u8,
        /// Slot of the model, or [`ANY_MODEL`].
        model: u8,
        /// Bits of [`issue_flag`].
        flags: u8,
        /// Thread that was current.
        thread_id: u32,
        /// `CLOCK_MONOTONIC`, nanoseconds.
        time_ns: u64,
        /// Address of the kernel's `struct request`.
        request: u64,
        /// First sector of the request.
        sector: u64,
        /// What the kernel's exchange returned: the end of the model's previous read on this device, or
        /// [`NO_PREVIOUS_END`].
        previous_end: u64,
        /// Bytes of the request.
        bytes: u32,
        /// Process that was current.
        process_id: u32,
    }

    /// A part of a read, or all of it, came back from the driver.
    Complete = 2: CompleteRecord {
        /// Slot of the device.
        device: u8,
        /// `blk_status_t`: 0 without error.
        status: u8,
        /// Bits of [`complete_flag`].
        flags: u8,
        /// Bytes that came back.
        bytes: u32,
        /// `CLOCK_MONOTONIC`, nanoseconds.
        time_ns: u64,
        /// Address of the kernel's `struct request`.
        request: u64,
        /// First sector that came back.
        sector: u64,
    }

    /// An issued read went back to the queue and will be issued again.
    Requeue = 3: RequeueRecord {
        /// Slot of the device.
        device: u8,
        /// Zero.
        reserved: u16,
        /// Bytes of the request.
        bytes: u32,
        /// `CLOCK_MONOTONIC`, nanoseconds.
        time_ns: u64,
        /// Address of the kernel's `struct request`.
        request: u64,
        /// First sector of the request.
        sector: u64,
        /// When it was first issued, `CLOCK_MONOTONIC` nanoseconds; 0 where that is not known.
        issue_time_ns: u64,
    }

    /// A read has ended and no program saw it: its tag names another read now.
    Unseen = 4: UnseenRecord {
        /// Slot of the device.
        device: u8,
        /// Zero.
        reserved: u16,
        /// Zero.
        reserved_too: u32,
        /// `CLOCK_MONOTONIC` when it was noticed, nanoseconds: the read ended some time before.
        time_ns: u64,
        /// Address of the kernel's `struct request`.
        request: u64,
    }

    /// Something happened to pages of a model's file.
    Page = 5: PageRecord {
        /// One of [`page_event`].
        event: u8,
        /// Slot of the file.
        file: u16,
        /// Process that was current: for a fault the one that faulted, for an eviction the one that reclaimed.
        process_id: u32,
        /// `CLOCK_MONOTONIC`, nanoseconds.
        time_ns: u64,
        /// First page in the file.
        first_page: u32,
        /// Number of pages.
        pages: u32,
    }

    /// A thread waited.
    Wait = 6: WaitRecord {
        /// One of [`wait_kind`].
        wait: u8,
        /// Slot of the file; 0 where the wait is for none.
        file: u16,
        /// The thread.
        thread_id: u32,
        /// `CLOCK_MONOTONIC` when it left the CPU, nanoseconds.
        start_ns: u64,
        /// `CLOCK_MONOTONIC` when it was back on a CPU, nanoseconds.
        end_ns: u64,
        /// Its process.
        process_id: u32,
        /// The page that it waited for; 0 where the wait is for none.
        page: u32,
    }

    /// An engine's exported function was entered or left.
    Mark = 7: MarkRecord {
        /// 1 where the function returns, 0 where it is entered.
        returns: u8,
        /// Number of the probed function, as the loader gave it.
        symbol: u16,
        /// Process.
        process_id: u32,
        /// Thread.
        thread_id: u32,
        /// Tokens in the batch of a decode call; [`UNKNOWN_TOKENS`] where they cannot be seen.
        tokens: u32,
        /// `CLOCK_MONOTONIC`, nanoseconds.
        time_ns: u64,
        /// Second argument at entry, as a number; the return value at return.
        value: u64,
    }

    /// A read passed another stage of the block layer; for the audit only.
    Stage = 8: StageRecord {
        /// Slot of the device.
        device: u8,
        /// One of [`stage`].
        stage: u8,
        /// Zero.
        reserved: u8,
        /// Bytes.
        bytes: u32,
        /// `CLOCK_MONOTONIC`, nanoseconds.
        time_ns: u64,
        /// First sector on the whole disk.
        sector: u64,
        /// Thread that was current.
        thread_id: u32,
        /// Process that was current.
        process_id: u32,
    }
}

#[cfg(test)]
mod tests;
