//! Reads a header front to back, and is the one place that keeps the bounds: the file's end, and the memory.

use std::io::{self, BufReader, Read, Take};

use super::error::{GgufError, GgufErrorKind};

/// The longest header accepted. Real ones have some 10 MB (vocabulary and merges); the limit bounds the time that a
/// damaged count can cost in a huge file.
pub(super) const MAX_HEADER_BYTES: u64 = 256 << 20;
/// What may be kept in memory of one header: keys, names, text values and the structures that hold them.
pub(super) const MAX_KEPT_BYTES: u64 = 64 << 20;
/// Longest key or tensor name. The format allows keys of 65,535 bytes, llama.cpp names of 63.
pub(super) const MAX_NAME_BYTES: u64 = 65_535;

/// A bounded reader that knows where in the file it is.
pub(super) struct Cursor<R: Read> {
    source: BufReader<Take<R>>,
    position_bytes: u64,
    file_size_bytes: u64,
    kept_bytes: u64,
}

impl<R: Read> Cursor<R> {
    /// Starts at the first byte of `source`, which has `file_size_bytes` bytes.
    pub(super) fn new(source: R, file_size_bytes: u64) -> Self {
        Self {
            source: BufReader::new(source.take(file_size_bytes)),
            position_bytes: 0,
            file_size_bytes,
            kept_bytes: 0,
        }
    }

    /// Offset of the next byte.
    pub(super) fn position_bytes(&self) -> u64 {
        self.position_bytes
    }

    /// The size of the file.
    pub(super) fn file_size_bytes(&self) -> u64 {
        self.file_size_bytes
    }

    /// Fails unless `count` things of at least `least_bytes` each can still follow in the file and the header.
    pub(super) fn expect_room(
        &self,
        what: &'static str,
        count: u64,
        least_bytes: u64,
    ) -> Result<(), GgufError> {
        let needed_bytes = count.saturating_mul(least_bytes);
        if needed_bytes > self.file_size_bytes.saturating_sub(self.position_bytes) {
            let file_size_bytes = self.file_size_bytes;
            return Err(GgufErrorKind::BeyondFile {
                what,
                needed_bytes,
                file_size_bytes,
            }
            .at(self.position_bytes));
        }
        let end_bytes = self.position_bytes.saturating_add(needed_bytes);
        if end_bytes > MAX_HEADER_BYTES {
            let kind = GgufErrorKind::Limit {
                what: "the header's length in bytes",
                found: end_bytes,
                limit: MAX_HEADER_BYTES,
            };
            return Err(kind.at(self.position_bytes));
        }
        Ok(())
    }

    /// Accounts for `bytes` that the caller is about to keep in memory.
    pub(super) fn keep(&mut self, bytes: u64) -> Result<(), GgufError> {
        self.kept_bytes = self.kept_bytes.saturating_add(bytes);
        if self.kept_bytes > MAX_KEPT_BYTES {
            let what = "the header's names and values in bytes";
            let kind = GgufErrorKind::Limit {
                what,
                found: self.kept_bytes,
                limit: MAX_KEPT_BYTES,
            };
            return Err(kind.at(self.position_bytes));
        }
        Ok(())
    }

    /// The next `N` bytes.
    pub(super) fn array<const N: usize>(
        &mut self,
        what: &'static str,
    ) -> Result<[u8; N], GgufError> {
        self.expect_room(what, 1, N as u64)?;
        let mut bytes = [0; N];
        self.source
            .read_exact(&mut bytes)
            .map_err(|error| self.failed(error))?;
        self.position_bytes += N as u64;
        Ok(bytes)
    }

    /// A little-endian u32.
    pub(super) fn u32(&mut self, what: &'static str) -> Result<u32, GgufError> {
        Ok(u32::from_le_bytes(self.array(what)?))
    }

    /// A little-endian u64.
    pub(super) fn u64(&mut self, what: &'static str) -> Result<u64, GgufError> {
        Ok(u64::from_le_bytes(self.array(what)?))
    }

    /// Passes over `length_bytes` without keeping them.
    pub(super) fn skip(&mut self, what: &'static str, length_bytes: u64) -> Result<(), GgufError> {
        self.expect_room(what, 1, length_bytes)?;
        let copied = io::copy(&mut (&mut self.source).take(length_bytes), &mut io::sink())
            .map_err(|error| self.failed(error))?;
        if copied < length_bytes {
            return Err(self.failed(io::ErrorKind::UnexpectedEof.into()));
        }
        self.position_bytes += length_bytes;
        Ok(())
    }

    /// Text of `length_bytes`, kept. Bytes that are no UTF-8 make the whole text an ASCII-escaped one, so that two
    /// different names stay different.
    pub(super) fn text(
        &mut self,
        what: &'static str,
        length_bytes: u64,
    ) -> Result<String, GgufError> {
        self.expect_room(what, 1, length_bytes)?;
        // Counted four times: escaping makes "\xNN" of one byte.
        self.keep(length_bytes.saturating_mul(4))?;
        let mut bytes = Vec::new();
        let copied = (&mut self.source)
            .take(length_bytes)
            .read_to_end(&mut bytes)
            .map_err(|error| self.failed(error))?;
        if (copied as u64) < length_bytes {
            return Err(self.failed(io::ErrorKind::UnexpectedEof.into()));
        }
        self.position_bytes += length_bytes;
        Ok(String::from_utf8(bytes)
            .unwrap_or_else(|error| error.as_bytes().escape_ascii().to_string()))
    }

    /// A key or a tensor name: length, then text.
    pub(super) fn name(&mut self, what: &'static str) -> Result<String, GgufError> {
        let start = self.position_bytes;
        let length_bytes = self.u64(what)?;
        if length_bytes > MAX_NAME_BYTES {
            return Err(GgufErrorKind::Limit {
                what,
                found: length_bytes,
                limit: MAX_NAME_BYTES,
            }
            .at(start));
        }
        self.text(what, length_bytes)
    }

    fn failed(&self, error: io::Error) -> GgufError {
        GgufErrorKind::Io(error).at(self.position_bytes)
    }
}
