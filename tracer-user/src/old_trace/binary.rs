//! The per-CPU files of blktrace → records, as a stream.
//!
//! A file is a row of `struct blk_io_trace` (include/uapi/linux/blktrace_api.h), version 7, each followed by
//! `pdu_len` bytes of data, in the byte order of the machine that wrote it:
//!
//! | offset | member | |
//! |---|---|---|
//! | 0 | magic | `0x65617400` + version |
//! | 4 | sequence | of the CPU, from 1 on |
//! | 8 | time | nanoseconds, `CLOCK_MONOTONIC` |
//! | 16 | sector | |
//! | 24 | bytes | |
//! | 28 | action | what happened; in the upper half the kind of request |
//! | 32 | pid | thread |
//! | 36 | device | `dev_t` of the kernel |
//! | 40 | cpu | |
//! | 44 | error | 16 bits |
//! | 46 | `pdu_len` | 16 bits; the id of the cgroup, where there is one, is the first 8 of these bytes |
//!
//! The data of a remap is big-endian on every machine: device from, device to, sector from.

use std::{
    io::{BufReader, ErrorKind, Read},
    path::{Path, PathBuf},
};

use tracer_common::{counters::Operation, gap::SECTOR_BYTES};

use crate::{stats::Nanos, storage::KernelDevice};

use super::{
    error::{Place, TraceError, TraceErrorKind},
    record::{Action, MOST_SECTORS, TraceRecord},
    sequence::SequenceGaps,
};

/// `BLK_IO_TRACE_MAGIC`, without the version in its last byte.
const MAGIC: u32 = 0x6561_7400;
/// `BLK_IO_TRACE_VERSION`.
const VERSION: u8 = 7;
/// `sizeof(struct blk_io_trace)`.
const HEADER_BYTES: usize = 48;
const BUFFER_BYTES: usize = 1 << 18;

/// Bits of the upper half of `action` (`enum blktrace_cat`).
mod category {
    pub const WRITE: u32 = 1 << 1;
    pub const FLUSH: u32 = 1 << 2;
    pub const SYNC: u32 = 1 << 3;
    pub const PASSTHROUGH: u32 = 1 << 9;
    pub const NOTIFY: u32 = 1 << 10;
    pub const AHEAD: u32 = 1 << 11;
    pub const METADATA: u32 = 1 << 12;
    pub const DISCARD: u32 = 1 << 13;
}

/// Lower half of `action`: the id of a cgroup comes before the data (`__BLK_TA_CGROUP`).
const WITH_CGROUP: u32 = 1 << 8;
/// Bytes of that id.
const CGROUP_BYTES: usize = 8;
/// `__BLK_TA_REMAP`.
const REMAP: u32 = 15;
/// `__BLK_TN_TIMESTAMP`.
const TIMESTAMP: u32 = 1;

/// Byte order of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ByteOrder {
    /// Of x86 and most others.
    Little,
    /// Of s390x and old POWER.
    Big,
}

impl ByteOrder {
    /// The byte order of a file that begins like this; None where no version of blktrace begins so.
    #[must_use]
    pub fn of(start: [u8; 4]) -> Option<Self> {
        let begins = |magic: u32| magic & !0xff == MAGIC;
        if begins(u32::from_le_bytes(start)) {
            Some(Self::Little)
        } else if begins(u32::from_be_bytes(start)) {
            Some(Self::Big)
        } else {
            None
        }
    }
}

/// A file that is being read.
pub struct BinaryTrace<R> {
    path: PathBuf,
    reader: BufReader<R>,
    order: ByteOrder,
    /// Of the record that is read next.
    offset: u64,
    data: Vec<u8>,
    sequences: SequenceGaps,
    wall_clock: Option<WallClock>,
    cut_off: Option<String>,
}

/// A moment by both clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WallClock {
    /// By the clock of the records.
    pub time: Nanos,
    /// Seconds since 1970, UTC.
    pub seconds: u32,
    /// And nanoseconds.
    pub nanos: u32,
}

/// What is known when a file has ended.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BinaryEnd {
    /// Records that are missing by the sequence numbers, those before the first one among them.
    pub missing: u64,
    /// When the trace was made.
    pub wall_clock: Option<WallClock>,
    /// The last record is no whole one: where.
    pub cut_off: Option<String>,
}

impl<R: Read> BinaryTrace<R> {
    /// A file from its beginning.
    pub fn new(path: &Path, order: ByteOrder, reader: R) -> Self {
        Self {
            path: path.to_owned(),
            reader: BufReader::with_capacity(BUFFER_BYTES, reader),
            order,
            offset: 0,
            data: Vec::new(),
            sequences: SequenceGaps::default(),
            wall_clock: None,
            cut_off: None,
        }
    }

    /// The next record, messages left out; None at the end.
    ///
    /// # Errors
    /// What is no record, with its offset. A last record that is cut off is the trace's end.
    pub fn next_record(&mut self) -> Result<Option<TraceRecord>, TraceError> {
        while self.cut_off.is_none() {
            let mut bytes = [0; HEADER_BYTES];
            match self.fill(&mut bytes)? {
                0 => return Ok(None),
                HEADER_BYTES => {}
                _ => return Ok(self.cut()),
            }
            let header = Header::read(&bytes, self.order);
            if header.magic & !0xff != MAGIC {
                return Err(self.error(TraceErrorKind::Magic(header.magic)));
            }
            // Below 256 by the mask.
            let version = (header.magic & 0xff) as u8;
            if version != VERSION {
                return Err(self.error(TraceErrorKind::Version(version)));
            }
            let mut data = std::mem::take(&mut self.data);
            data.resize(usize::from(header.data_bytes), 0);
            let length = self.fill(&mut data)?;
            self.data = data;
            if length < self.data.len() {
                return Ok(self.cut());
            }
            let record = self.record(&header)?;
            self.offset += (HEADER_BYTES + self.data.len()) as u64;
            if record.is_some() {
                return Ok(record);
            }
        }
        Ok(None)
    }

    fn record(&mut self, header: &Header) -> Result<Option<TraceRecord>, TraceError> {
        let kinds = header.action >> 16;
        let what = header.action & 0xff;
        let mut data = self.data.as_slice();
        if header.action & WITH_CGROUP != 0 {
            data = match data.get(CGROUP_BYTES..) {
                Some(data) => data,
                None => return Err(self.short(CGROUP_BYTES)),
            };
        }
        if kinds & category::NOTIFY != 0 {
            if what == TIMESTAMP
                && let (Some(seconds), Some(nanos)) = (data.first_chunk(), data.get(4..))
                && let Some(nanos) = nanos.first_chunk()
            {
                self.wall_clock = Some(WallClock {
                    time: Nanos(header.time),
                    seconds: word(*seconds, self.order),
                    nanos: word(*nanos, self.order),
                });
            }
            return Ok(None);
        }
        let mut device = KernelDevice(header.device);
        let mut remapped_from = None;
        if what == REMAP {
            let (Some(from), Some(to), Some(sector)) = (
                data.first_chunk(),
                data.get(4..).and_then(|data| data.first_chunk()),
                data.get(8..).and_then(|data| data.first_chunk()),
            ) else {
                return Err(self.short(16));
            };
            let from = KernelDevice(u32::from_be_bytes(*from));
            remapped_from = Some((from, u64::from_be_bytes(*sector)));
            // As blkparse prints it: the record itself carries the traced device, which is either of the two.
            device = KernelDevice(u32::from_be_bytes(*to));
        }
        let traced = KernelDevice(header.device);
        self.sequences
            .take([Some(traced), None], header.cpu, header.sequence);
        let has = |bit: u32| kinds & bit != 0;
        let sectors = u64::from(header.bytes) / SECTOR_BYTES;
        if sectors > 0
            && !has(category::PASSTHROUGH)
            && header.sector > MOST_SECTORS.saturating_sub(sectors)
        {
            return Err(self.error(TraceErrorKind::BeyondDisk(header.sector)));
        }
        Ok(Some(TraceRecord {
            time: Nanos(header.time),
            device,
            remapped_from,
            sector: header.sector,
            // A 512th of 32 bits.
            sectors: sectors as u32,
            thread_id: header.thread_id,
            cpu: header.cpu,
            sequence: header.sequence,
            action: action(what),
            // As `fill_rwbs` of blkparse decides.
            operation: if has(category::PASSTHROUGH) {
                Operation::Other
            } else if has(category::DISCARD) {
                Operation::Discard
            } else if has(category::WRITE) {
                Operation::Write
            } else if header.bytes > 0 {
                Operation::Read
            } else if has(category::FLUSH) {
                Operation::Flush
            } else {
                Operation::Other
            },
            failed: header.error != 0,
            readahead: has(category::AHEAD),
            metadata: has(category::METADATA),
            synchronous: has(category::SYNC),
        }))
    }

    /// Reads until the buffer is full or the file ends; how many bytes that were.
    fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, TraceError> {
        let mut filled = 0;
        while let Some(rest) = buffer.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.reader.read(rest) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(self.error(TraceErrorKind::Io(error))),
            }
        }
        Ok(filled)
    }

    fn cut(&mut self) -> Option<TraceRecord> {
        self.cut_off = Some(format!(
            "{}, byte {}: the last record is cut off; the trace goes on where this file ends",
            self.path.display(),
            self.offset
        ));
        None
    }

    fn short(&self, expected: usize) -> TraceError {
        self.error(TraceErrorKind::ShortData {
            length: self.data.len(),
            expected,
        })
    }

    fn error(&self, kind: TraceErrorKind) -> TraceError {
        TraceError::new(&self.path, Place::Byte(self.offset), kind)
    }

    /// What is known after the last record.
    #[must_use]
    pub fn end(self) -> BinaryEnd {
        BinaryEnd {
            missing: self.sequences.missing_from_start(),
            wall_clock: self.wall_clock,
            cut_off: self.cut_off,
        }
    }
}

fn word(bytes: [u8; 4], order: ByteOrder) -> u32 {
    match order {
        ByteOrder::Little => u32::from_le_bytes(bytes),
        ByteOrder::Big => u32::from_be_bytes(bytes),
    }
}

/// `enum blktrace_act`.
const fn action(number: u32) -> Action {
    match number {
        1 => Action::Queue,
        2 => Action::BackMerge,
        3 => Action::FrontMerge,
        4 => Action::GetRequest,
        6 => Action::Requeue,
        7 => Action::Issue,
        8 => Action::Complete,
        12 => Action::Insert,
        REMAP => Action::Remap,
        _ => Action::Other,
    }
}

/// `struct blk_io_trace`.
struct Header {
    magic: u32,
    sequence: u32,
    time: u64,
    sector: u64,
    bytes: u32,
    action: u32,
    thread_id: u32,
    device: u32,
    cpu: u32,
    error: u16,
    data_bytes: u16,
}

impl Header {
    fn read(bytes: &[u8; HEADER_BYTES], order: ByteOrder) -> Self {
        // Every offset below lies within the 48 bytes.
        let at = |from: usize| -> [u8; 4] { std::array::from_fn(|byte| bytes[from + byte]) };
        let word = |from: usize| word(at(from), order);
        let long = |from: usize| {
            let (first, second) = (u64::from(word(from)), u64::from(word(from + 4)));
            match order {
                ByteOrder::Little => second << 32 | first,
                ByteOrder::Big => first << 32 | second,
            }
        };
        let half = |from: usize| match order {
            ByteOrder::Little => u16::from_le_bytes([bytes[from], bytes[from + 1]]),
            ByteOrder::Big => u16::from_be_bytes([bytes[from], bytes[from + 1]]),
        };
        Self {
            magic: word(0),
            sequence: word(4),
            time: long(8),
            sector: long(16),
            bytes: word(24),
            action: word(28),
            thread_id: word(32),
            device: word(36),
            cpu: word(40),
            error: half(44),
            data_bytes: half(46),
        }
    }
}

#[cfg(test)]
mod tests;
