//! Doing the reads.

use std::{
    fs::{File, OpenOptions},
    os::{
        fd::AsRawFd as _,
        unix::fs::{FileExt as _, OpenOptionsExt as _},
    },
    path::Path,
};

use anyhow::{Context as _, Result, bail, ensure};
use clap::ValueEnum;

use crate::{
    model_file::{Checksum, Mapping},
    plan::ReadPlan,
};

/// Alignment of buffers: enough for direct reads of every device whose logical blocks are a page at most.
const ALIGNMENT: usize = 4096;

/// How a reader reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ReadMode {
    /// pread(2) through the page cache.
    Buffered,
    /// pread(2) with O_DIRECT, past the page cache.
    Direct,
    /// Through a mapping of the whole file.
    Mmap,
}

/// What reads brought.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ReadTotals {
    /// Reads done.
    pub reads: u64,
    /// Bytes that they brought.
    pub bytes: u64,
    /// Of their content.
    pub checksum: Checksum,
}

impl ReadTotals {
    /// Adds those of another thread or round.
    pub fn merge(&mut self, other: Self) {
        self.reads += other.reads;
        self.bytes += other.bytes;
        self.checksum.merge(other.checksum);
    }
}

/// A file that is open for reads of one mode.
#[derive(Debug)]
pub struct Reader {
    file: File,
    size_bytes: u64,
    mapping: Option<Mapping>,
    /// Another file, of which something is read past the page cache before each read.
    other: Option<File>,
}

impl Reader {
    /// Opens a file. `random_advice` tells the kernel not to read ahead.
    ///
    /// # Errors
    /// Where the file cannot be opened or mapped, or the advice is refused.
    pub fn open(path: &Path, mode: ReadMode, random_advice: bool) -> Result<Self> {
        let flags = if mode == ReadMode::Direct {
            libc::O_DIRECT
        } else {
            0
        };
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(flags)
            .open(path)
            .with_context(|| format!("open {}", path.display()))?;
        let size_bytes = file.metadata().context("look at the file")?.len();
        let mapping = match mode {
            ReadMode::Mmap => Some(Mapping::of(&file)?),
            ReadMode::Buffered | ReadMode::Direct => None,
        };
        if random_advice {
            if let Some(mapping) = &mapping {
                mapping.advise(libc::MADV_RANDOM)?;
            }
            // SAFETY: a system call on a descriptor that is open.
            let result =
                unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_RANDOM) };
            ensure!(
                result == 0,
                "POSIX_FADV_RANDOM: {}",
                std::io::Error::from_raw_os_error(result)
            );
        }
        Ok(Self {
            file,
            size_bytes,
            mapping,
            other: None,
        })
    }

    /// Before each read, reads as much of another file at the same place with O_DIRECT: the thread waits for that.
    ///
    /// # Errors
    /// Where the file cannot be opened.
    pub fn after_reads_of(mut self, path: &Path) -> Result<Self> {
        let opened = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_DIRECT)
            .open(path);
        self.other = Some(opened.with_context(|| format!("open {}", path.display()))?);
        Ok(self)
    }

    /// Gives the pages of its mapping back, if it has one, so that they can be evicted.
    ///
    /// # Errors
    /// Where the kernel refuses.
    pub fn unmap_pages(&self) -> Result<()> {
        self.mapping
            .as_ref()
            .map_or(Ok(()), |mapping| mapping.advise(libc::MADV_DONTNEED))
    }

    fn read(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let Some(mapping) = &self.mapping else {
            return self
                .file
                .read_at(buffer, offset)
                .with_context(|| format!("read {} bytes at {offset}", buffer.len()));
        };
        let bytes = mapping.bytes();
        let from = usize::try_from(offset).map_or(bytes.len(), |offset| offset.min(bytes.len()));
        let to = (from + buffer.len()).min(bytes.len());
        buffer[..to - from].copy_from_slice(&bytes[from..to]);
        Ok(to - from)
    }
}

/// Does the reads of a plan in their order.
///
/// # Errors
/// Where a read fails, or brings less than asked for before the end of the file.
pub fn read_plan(reader: &Reader, plan: &ReadPlan) -> Result<ReadTotals> {
    let longest = plan
        .reads
        .iter()
        .map(|read| read.length_bytes)
        .max()
        .unwrap_or(0);
    let longest = usize::try_from(longest).context("a read does not fit into memory")?;
    let mut memory = vec![0u8; longest + ALIGNMENT];
    let aligned = memory.as_ptr().align_offset(ALIGNMENT);
    let buffer = &mut memory[aligned..aligned + longest];
    let mut totals = ReadTotals::default();
    for read in &plan.reads {
        let buffer = &mut buffer[..read.length_bytes as usize];
        if let Some(other) = &reader.other {
            other
                .read_at(buffer, read.offset_bytes)
                .context("read the other file")?;
        }
        let length = reader.read(read.offset_bytes, buffer)?;
        if length < buffer.len() && read.offset_bytes + (length as u64) < reader.size_bytes {
            bail!(
                "a short read: {length} of {} bytes at {}, and the file has {}",
                buffer.len(),
                read.offset_bytes,
                reader.size_bytes
            );
        }
        totals.reads += 1;
        totals.bytes += length as u64;
        totals.checksum.add(&buffer[..length]);
    }
    Ok(totals)
}
