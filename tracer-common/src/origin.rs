//! For whom a read is: told from where its data goes.

/// For whom a read is. The kernel side looks at the first page that the read fills.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(usize)]
pub enum ReadOrigin {
    /// The page fills the page cache of a traced file.
    TracedFile = 0,
    /// The page fills the page cache of another file.
    OtherFile = 1,
    /// The page fills the page cache of a block device: metadata of file systems that use it (ext4), or a read
    /// of the device itself.
    BlockDevice = 2,
    /// The page belongs to no file: direct I/O into a process's memory.
    Unbuffered = 3,
    /// Marked as a read of swap (`REQ_SWAP`).
    Swap = 4,
    /// Marked as metadata by the file system (`REQ_META`).
    Metadata = 5,
}

/// Number of [`ReadOrigin`]s.
pub const READ_ORIGINS: usize = 6;

/// All of them, by number.
pub const ALL_READ_ORIGINS: [ReadOrigin; READ_ORIGINS] = [
    ReadOrigin::TracedFile,
    ReadOrigin::OtherFile,
    ReadOrigin::BlockDevice,
    ReadOrigin::Unbuffered,
    ReadOrigin::Swap,
    ReadOrigin::Metadata,
];

impl ReadOrigin {
    /// The origin with this number.
    #[must_use]
    pub fn of_number(number: usize) -> Option<Self> {
        ALL_READ_ORIGINS.get(number).copied()
    }
}

const _: () = {
    let mut number = 0;
    while number < READ_ORIGINS {
        assert!(ALL_READ_ORIGINS[number] as usize == number);
        number += 1;
    }
};
