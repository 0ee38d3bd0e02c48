//! One line of an extent, and whether it contradicts itself.

use fiemap::FiemapExtentFlags;

use crate::storage::extents::ExtentRecord;

/// How the numbers of the extents are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Radix {
    Decimal = 10,
    Hexadecimal = 16,
}

/// `0:        0..    4095:       2065..      6160:   4096:             last,eof`
pub(super) struct ExtentLine<'a> {
    pub(super) line: usize,
    pub(super) number: u64,
    pub(super) logical: (&'a str, &'a str),
    pub(super) physical: (&'a str, &'a str),
    pub(super) length: &'a str,
    pub(super) flags: FiemapExtentFlags,
    /// `last`: no extent follows.
    pub(super) is_last: bool,
    /// `eof`: it reaches to the end of the file. Extents behind it were allocated in advance.
    pub(super) is_eof: bool,
}

pub(super) fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

pub(super) fn extent_line(line: usize, text: &str) -> Result<ExtentLine<'_>, &'static str> {
    const LENGTH: &str = "the extent's length in blocks";
    let mut fields = text.splitn(5, ':');
    let number = fields.next().and_then(|field| field.parse().ok());
    let mut range = |expected| {
        let (from, to) = fields
            .next()
            .and_then(|field| field.split_once(".."))
            .ok_or(expected)?;
        // Versions before 1.43 leave the end out of a range of one block.
        let (from, to) = (from.trim(), to.trim());
        (is_hexadecimal(from) && (to.is_empty() || is_hexadecimal(to)))
            .then_some((from, to))
            .ok_or(expected)
    };
    let logical = range("a range of logical blocks")?;
    let physical = range("a range of physical blocks")?;
    let length = fields
        .next()
        .map(str::trim)
        .filter(|length| is_hexadecimal(length))
        .ok_or(LENGTH)?;
    let mut extent = ExtentLine {
        line,
        number: number.ok_or("the extent's number")?,
        logical,
        physical,
        length,
        flags: FiemapExtentFlags::empty(),
        is_last: false,
        is_eof: false,
    };
    for word in fields
        .next()
        .unwrap_or_default()
        .split([' ', '\t', ':'])
        .filter(|word| !word.is_empty())
    {
        // Where the extent was expected, so that it adjoined the one before it.
        if !is_hexadecimal(word) {
            extent.add_flags(word)?;
        }
    }
    Ok(extent)
}

pub(super) fn is_hexadecimal(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl ExtentLine<'_> {
    pub(super) fn add_flags(&mut self, words: &str) -> Result<(), &'static str> {
        for word in words.split(',').filter(|word| !word.is_empty()) {
            self.flags |= match word {
                "last" => FiemapExtentFlags::LAST,
                "unknown_loc" | "unknown" => FiemapExtentFlags::UNKNOWN,
                "delalloc" => FiemapExtentFlags::DELALLOC,
                "encoded" => FiemapExtentFlags::ENCODED,
                "encrypted" | "data_encrypted" => FiemapExtentFlags::DATA_ENCRYPTED,
                "not_aligned" => FiemapExtentFlags::NOT_ALIGNED,
                "inline" => FiemapExtentFlags::DATA_INLINE,
                "tail_packed" => FiemapExtentFlags::DATA_TAIL,
                "unwritten" => FiemapExtentFlags::UNWRITTEN,
                "merged" => FiemapExtentFlags::MERGED,
                "shared" => FiemapExtentFlags::SHARED,
                "eof" => FiemapExtentFlags::empty(),
                _ => return Err("flags that are known, such as last,eof"),
            };
            self.is_eof |= word == "eof";
            self.is_last |= word == "last";
        }
        Ok(())
    }

    /// Whether its blocks have places: those of the other flags may have none, and then no length either.
    pub(super) fn has_blocks(&self) -> bool {
        !self.flags.intersects(
            FiemapExtentFlags::UNKNOWN
                | FiemapExtentFlags::DELALLOC
                | FiemapExtentFlags::DATA_INLINE,
        )
    }

    /// What contradicts itself if the numbers are read so; none where all fits.
    pub(super) fn contradiction(&self, radix: Radix) -> Option<&'static str> {
        let number = |text: &str| u64::from_str_radix(text, radix as u32).ok();
        let Some(length) = number(self.length) else {
            return Some("the extent's length is no number");
        };
        if !self.has_blocks() {
            return None;
        }
        if length == 0 {
            return Some("the extent has no blocks");
        }
        let fits = |(from, to): (&str, &str)| {
            let from = number(from)?;
            // Left out where it is the same.
            let to = if to.is_empty() { from } else { number(to)? };
            (to.checked_sub(from)?.checked_add(1)? == length).then_some(())
        };
        if fits(self.logical).is_none() {
            return Some("the range of logical blocks and the length do not fit");
        }
        if fits(self.physical).is_none() {
            return Some("the range of physical blocks and the length do not fit");
        }
        None
    }

    /// First logical block and the one after the last.
    pub(super) fn logical_blocks(&self, radix: Radix) -> Option<(u64, u64)> {
        let start = u64::from_str_radix(self.logical.0, radix as u32).ok()?;
        let length = u64::from_str_radix(self.length, radix as u32).ok()?;
        Some((start, start.checked_add(length)?))
    }

    pub(super) fn record(&self, radix: Radix, block_bytes: u64) -> Option<ExtentRecord> {
        let bytes = |text: &str| {
            u64::from_str_radix(text, radix as u32)
                .ok()?
                .checked_mul(block_bytes)
        };
        Some(ExtentRecord {
            logical_bytes: bytes(self.logical.0)?,
            physical_bytes: bytes(self.physical.0)?,
            length_bytes: bytes(self.length)?,
            flags: self.flags,
        })
    }
}
