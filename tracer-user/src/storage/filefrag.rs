//! Extents from the saved output of `filefrag -v`: of a file that is gone, or that lies elsewhere by now.

use std::path::PathBuf;

use fiemap::FiemapExtentFlags;
use thiserror::Error;

use super::extents::{ExtentRecord, ExtentsError, FileExtents};

/// Why a text is no output of `filefrag -v`, or one that cannot be used.
#[derive(Debug, Error)]
pub enum FilefragError {
    /// No file in it.
    #[error(
        "no line `File size of NAME is SIZE (N blocks of B bytes)`: save the output of filefrag -v"
    )]
    NoFile,
    /// A line that does not belong there.
    #[error(
        "line {line}: expected {expected}, as filefrag -v of e2fsprogs 1.42 or later prints `EXT: LOGICAL..LOGICAL: PHYSICAL..PHYSICAL: LENGTH: EXPECTED: FLAGS`, each extent on one line. Save its output again, straight into a file"
    )]
    Line {
        /// Number of the line, from 1 on.
        line: usize,
        /// What should stand there.
        expected: &'static str,
    },
    /// What a line says contradicts itself, in decimal as in hexadecimal numbers.
    #[error(
        "line {line}: {contradiction}. The text was changed; save the output of filefrag -v again"
    )]
    Contradiction {
        /// Number of the line, from 1 on.
        line: usize,
        /// What does not fit.
        contradiction: &'static str,
    },
    /// Both readings of the numbers are possible.
    #[error(
        "the numbers may be decimal or hexadecimal (filefrag -X), and nothing in the text tells which: save the output of filefrag -v, without -X"
    )]
    DecimalOrHexadecimal,
    /// Lines are missing.
    #[error(
        "{}: the text is cut: {reason}. Save the whole output of filefrag -v", path.display()
    )]
    Cut {
        /// The file.
        path: PathBuf,
        /// What shows it.
        reason: String,
    },
    /// The addresses are not those of a disk.
    #[error(
        "{}: it lies on {file_system}, whose addresses are not sectors of a disk: the trace cannot be compared with them", path.display()
    )]
    NotOnDisk {
        /// The file.
        path: PathBuf,
        /// The file system.
        file_system: String,
    },
    /// The extents of a file cannot be used.
    #[error("{}: {error}", path.display())]
    Extents {
        /// The file.
        path: PathBuf,
        /// Why.
        error: ExtentsError,
    },
}

/// File systems on one disk whose extents are addressed from its start, by the magic number that `statfs` gives and
/// filefrag prints (include/uapi/linux/magic.h and the file systems' own headers). Through an overlay FIEMAP gives the
/// extents of the file below.
const ADDRESSED_BY_DISK: [u64; 11] = [
    0xef53,      // ext2, ext3, ext4
    0x5846_5342, // XFS
    0xf2f5_2010, // f2fs
    0x3153_464a, // JFS
    0x0116_1970, // GFS2
    0x7461_636f, // OCFS2
    0x4d44,      // FAT
    0x2011_bab0, // exFAT
    0x5346_544e, // NTFS
    0x7366_746e, // NTFS, as ntfs3 says it
    0x794c_7630, // overlayfs
];

/// What others are called.
const ADDRESSED_OTHERWISE: [(u64, &str); 6] = [
    (0x9123_683e, "btrfs"),
    (0xca45_1a4e, "bcachefs"),
    (0x2fc1_2fc1, "ZFS"),
    (0x6969, "NFS"),
    (0x6573_5546, "FUSE"),
    (0x0102_1994, "tmpfs"),
];

/// The files in the output of `filefrag -v`, with their extents on their file system's device. All that the text says
/// about itself is compared: ranges with lengths, the number of extents with the lines, the end of the file, the type of
/// the file system. Numbers may be decimal or hexadecimal (`filefrag -X`).
///
/// # Errors
/// Anything that filefrag does not print, with its line; a text that is cut or contradicts itself; extents that cannot be
/// used.
pub fn parse_filefrag(text: &str) -> Result<Vec<(PathBuf, FileExtents)>, FilefragError> {
    let files = read_lines(text)?;
    let radix = radix_of(&files)?;
    files.into_iter().map(|file| file.extents(radix)).collect()
}

/// How the numbers of the extents are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Radix {
    Decimal = 10,
    Hexadecimal = 16,
}

/// One file of the text, as it stands there.
struct File<'a> {
    path: PathBuf,
    size_bytes: u64,
    block_bytes: u64,
    blocks: u64,
    /// Magic number of its file system, where the text says it.
    file_system: Option<u64>,
    lines: Vec<ExtentLine<'a>>,
    /// What filefrag counted: pieces that do not adjoin.
    pieces: Option<u64>,
}

/// `0:        0..    4095:       2065..      6160:   4096:             last,eof`
struct ExtentLine<'a> {
    line: usize,
    number: u64,
    logical: (&'a str, &'a str),
    physical: (&'a str, &'a str),
    length: &'a str,
    flags: FiemapExtentFlags,
    /// `last`: no extent follows.
    is_last: bool,
    /// `eof`: it reaches to the end of the file. Extents behind it were allocated in advance.
    is_eof: bool,
}

fn read_lines(text: &str) -> Result<Vec<File<'_>>, FilefragError> {
    let mut files: Vec<File> = Vec::new();
    let mut file_system = None;
    for (number, line) in (1..).zip(text.trim_start_matches('\u{feff}').lines()) {
        let line = line.trim();
        let error = |expected| FilefragError::Line {
            line: number,
            expected,
        };
        if line.is_empty() || is_heading(line) {
            continue;
        }
        if let Some(rest) = line.strip_prefix("Filesystem type is: ") {
            let magic = u64::from_str_radix(rest.trim(), 16)
                .map_err(|_| error("the file system's number, such as ef53"))?;
            file_system = Some(magic);
        } else if let Some(rest) = line.strip_prefix("File size of ") {
            let file = header(rest, file_system).ok_or_else(|| {
                error("`NAME is SIZE (N blocks of B bytes)`, where N blocks hold SIZE")
            })?;
            files.push(file);
        } else if let Some(pieces) = count_of_pieces(line) {
            match files.last_mut() {
                Some(file) => file.pieces = Some(pieces),
                // `NAME: 2 extents found`, without -v.
                None => return Err(FilefragError::NoFile),
            }
        } else if let Some(file) = files.last_mut().filter(|_| begins_with_number(line)) {
            file.lines.push(extent_line(number, line).map_err(error)?);
        } else if files.is_empty() {
            // What stands before the first file does not matter: a prompt, the command.
        } else {
            return Err(error("an extent"));
        }
    }
    if files.is_empty() {
        return Err(FilefragError::NoFile);
    }
    Ok(files)
}

fn is_heading(line: &str) -> bool {
    line.starts_with("ext:")
        || line.starts_with("ext ")
        || line.starts_with("Filesystem cylinder groups")
        || line.starts_with("Blocksize of file")
}

fn begins_with_number(line: &str) -> bool {
    line.split_once(':')
        .is_some_and(|(number, _)| !number.is_empty() && is_number(number))
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `m.gguf: 2 extents found`, also `…, perfection would be 1 extent`. The name may hold anything.
fn count_of_pieces(line: &str) -> Option<u64> {
    let (_, rest) = line.rsplit_once(": ")?;
    let (count, rest) = rest.split_once(' ')?;
    (rest.starts_with("extents found") || rest.starts_with("extent found"))
        .then(|| count.parse().ok())?
}

/// `model.bin is 16777216 (4096 blocks of 4096 bytes)`. The name may hold anything.
fn header(rest: &str, file_system: Option<u64>) -> Option<File<'static>> {
    let (name, rest) = rest.rsplit_once(" is ")?;
    let (size, rest) = rest.split_once(" (")?;
    let (blocks, block) = rest.strip_suffix(" bytes)")?.split_once(" of ")?;
    let blocks = blocks.split_once(" block")?.0.parse().ok()?;
    let block_bytes: u64 = block.parse().ok()?;
    let size_bytes: u64 = size.parse().ok()?;
    if block_bytes == 0 || size_bytes.div_ceil(block_bytes) != blocks {
        return None;
    }
    Some(File {
        path: PathBuf::from(name),
        size_bytes,
        // Blocks are no larger than folios; this also keeps the arithmetic below small.
        block_bytes: (1..=1 << 30)
            .contains(&block_bytes)
            .then_some(block_bytes)?,
        blocks,
        file_system,
        lines: Vec::new(),
        pieces: None,
    })
}

fn extent_line(line: usize, text: &str) -> Result<ExtentLine<'_>, &'static str> {
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

fn is_hexadecimal(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

impl ExtentLine<'_> {
    fn add_flags(&mut self, words: &str) -> Result<(), &'static str> {
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
    fn has_blocks(&self) -> bool {
        !self.flags.intersects(
            FiemapExtentFlags::UNKNOWN
                | FiemapExtentFlags::DELALLOC
                | FiemapExtentFlags::DATA_INLINE,
        )
    }

    /// What contradicts itself if the numbers are read so; none where all fits.
    fn contradiction(&self, radix: Radix) -> Option<&'static str> {
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
    fn logical_blocks(&self, radix: Radix) -> Option<(u64, u64)> {
        let start = u64::from_str_radix(self.logical.0, radix as u32).ok()?;
        let length = u64::from_str_radix(self.length, radix as u32).ok()?;
        Some((start, start.checked_add(length)?))
    }

    fn record(&self, radix: Radix, block_bytes: u64) -> Option<ExtentRecord> {
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

impl File<'_> {
    /// The first contradiction if its numbers are read so, with its line.
    fn contradiction(&self, radix: Radix) -> Option<(usize, &'static str)> {
        self.lines.iter().find_map(|line| {
            let ends_early = || {
                let (start, end) = line.logical_blocks(radix)?;
                (line.is_eof && line.has_blocks() && start < end && end < self.blocks)
                    .then_some("the extent that is marked `eof` ends before the file does")
            };
            let contradiction = line.contradiction(radix).or_else(ends_early)?;
            Some((line.line, contradiction))
        })
    }

    /// Whether the last extent ends with the file's last block: it does but where more was allocated, or a hole follows.
    fn ends_with_its_blocks(&self, radix: Radix) -> bool {
        self.lines
            .iter()
            .filter(|line| line.is_last || line.is_eof)
            .filter_map(|line| line.logical_blocks(radix))
            .any(|(_, end)| end == self.blocks)
    }

    fn extents(self, radix: Radix) -> Result<(PathBuf, FileExtents), FilefragError> {
        if let Some(magic) = self
            .file_system
            .filter(|magic| !ADDRESSED_BY_DISK.contains(magic))
        {
            let name = ADDRESSED_OTHERWISE
                .iter()
                .find(|(other, _)| *other == magic)
                .map_or_else(
                    || format!("a file system that is not known (type {magic:x})"),
                    |(_, name)| (*name).to_owned(),
                );
            return Err(FilefragError::NotOnDisk {
                path: self.path,
                file_system: name,
            });
        }
        let records = self
            .lines
            .iter()
            .map(|line| {
                line.record(radix, self.block_bytes)
                    .ok_or(FilefragError::Contradiction {
                        line: line.line,
                        contradiction: "an address beyond any disk",
                    })
            })
            .collect::<Result<Vec<_>, _>>()?;
        // An extent without a place is the better reason.
        if let Some(reason) = self.cut(&records).filter(|_| self.has_places()) {
            return Err(FilefragError::Cut {
                path: self.path,
                reason,
            });
        }
        match FileExtents::from_records(self.size_bytes, self.block_bytes, records) {
            Ok(extents) => Ok((self.path, extents)),
            Err(error) => Err(FilefragError::Extents {
                path: self.path,
                error,
            }),
        }
    }

    fn has_places(&self) -> bool {
        self.lines.iter().all(ExtentLine::has_blocks)
    }

    /// Whether its last line is marked as the last.
    fn is_whole(&self) -> bool {
        self.lines
            .last()
            .is_none_or(|last| last.is_last || last.is_eof)
    }

    /// What shows that lines are missing.
    fn cut(&self, records: &[ExtentRecord]) -> Option<String> {
        for (place, line) in (0u64..).zip(&self.lines) {
            if line.number != place {
                return Some(format!(
                    "line {} has extent {} where {place} should follow",
                    line.line, line.number
                ));
            }
        }
        let pieces = pieces(records);
        if let Some(counted) = self.pieces.filter(|counted| *counted != pieces) {
            return Some(format!(
                "it says {counted} extents and has lines for {pieces}"
            ));
        }
        if self.lines.iter().rev().skip(1).any(|line| line.is_last) {
            return Some("an extent follows the one that is marked as the last".to_owned());
        }
        match self.lines.last() {
            Some(_) if !self.is_whole() => {
                Some("its last extent is not marked `last` or `eof`".to_owned())
            }
            None if self.pieces.is_none() && self.blocks > 0 => {
                Some("it has no extents and no line that counts them".to_owned())
            }
            _ => None,
        }
    }
}

/// Pieces that do not adjoin, as filefrag counts them (`filefrag_fiemap` in misc/filefrag.c): an extent is a new piece
/// unless it begins where the one before it ends, on the disk, or as far behind that as it is in the file.
fn pieces(records: &[ExtentRecord]) -> u64 {
    let mut pieces = u64::from(!records.is_empty());
    for pair in records.windows(2) {
        if let [before, next] = pair {
            let end = before.physical_bytes.saturating_add(before.length_bytes);
            let hole = next
                .logical_bytes
                .saturating_sub(before.logical_bytes.saturating_add(before.length_bytes));
            let adjoins = next.physical_bytes == end
                || (hole > 0 && next.physical_bytes == end.saturating_add(hole));
            pieces += u64::from(!adjoins);
        }
    }
    pieces
}

/// How the numbers of a text are written: the way in which nothing contradicts itself.
fn radix_of(files: &[File<'_>]) -> Result<Radix, FilefragError> {
    let contradiction = |radix| files.iter().find_map(|file| file.contradiction(radix));
    match (
        contradiction(Radix::Decimal),
        contradiction(Radix::Hexadecimal),
    ) {
        (None, Some(_)) => Ok(Radix::Decimal),
        (Some(_), None) if has_letters(files) || ends_right(files, Radix::Hexadecimal) => {
            Ok(Radix::Hexadecimal)
        }
        (Some((line, contradiction)), _) => Err(FilefragError::Contradiction {
            line,
            contradiction,
        }),
        (None, None) if reads_the_same(files) => Ok(Radix::Decimal),
        (None, None) if ends_right(files, Radix::Decimal) => Ok(Radix::Decimal),
        (None, None) if ends_right(files, Radix::Hexadecimal) => Ok(Radix::Hexadecimal),
        // Refused for another reason, whatever its numbers are.
        (None, None)
            if !files
                .iter()
                .all(|file| file.is_whole() && file.has_places()) =>
        {
            Ok(Radix::Decimal)
        }
        (None, None) => Err(FilefragError::DecimalOrHexadecimal),
    }
}

fn has_letters(files: &[File<'_>]) -> bool {
    files.iter().flat_map(|file| &file.lines).any(|line| {
        [
            line.logical.0,
            line.logical.1,
            line.physical.0,
            line.physical.1,
            line.length,
        ]
        .into_iter()
        .any(|text| !is_number(text))
    })
}

fn ends_right(files: &[File<'_>], radix: Radix) -> bool {
    files.iter().any(|file| file.ends_with_its_blocks(radix))
}

/// Whether every number is the same in both ways of writing.
fn reads_the_same(files: &[File<'_>]) -> bool {
    let same = |text: &str| text.trim_start_matches('0').len() <= 1;
    files.iter().flat_map(|file| &file.lines).all(|line| {
        [line.logical.0, line.physical.0, line.length]
            .into_iter()
            .all(same)
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::parse_filefrag;

    /// As e2fsprogs 1.47 prints it.
    const TWO_EXTENTS: &str = "\
Filesystem type is: ef53
File size of a is b/model (1).gguf is 16777000 (4096 blocks of 4096 bytes)
 ext:     logical_offset:        physical_offset: length:   expected: flags:
   0:        0..    2047:       2065..      4112:   2048:            
   1:     2048..    4095:       8192..     10239:   2048:       4113: last,eof
a is b/model (1).gguf: 2 extents found
";

    #[test]
    fn extents_are_read() {
        let files = parse_filefrag(TWO_EXTENTS).unwrap();
        let [(path, extents)] = files.as_slice() else {
            panic!("{files:?}");
        };
        assert_eq!(path, Path::new("a is b/model (1).gguf"));
        assert_eq!(extents.size_bytes, 16_777_000);
        assert_eq!(extents.holes_bytes, 0);
        assert_eq!(extents.physical_extent_count, 2);
        assert_eq!(extents.extents[1].physical_bytes, 8192 * 4096);
        assert_eq!(extents.extents[1].file_offset_bytes, 2048 * 4096);
        // Units of 512 bytes, and two files in one text.
        let text = format!(
            "{TWO_EXTENTS}File size of b is 1024 (2 blocks of 512 bytes)\n 0: 0.. 1: 100.. 101: 2: last,unwritten,eof\n"
        );
        let files = parse_filefrag(&text).unwrap();
        assert_eq!(files.len(), 2);
        assert_eq!(
            (files[1].1.holes_bytes, files[1].1.extents.len()),
            (1024, 0)
        );
    }

    #[test]
    fn what_is_none_is_refused_with_its_line() {
        for (text, expected) in [
            ("", "no line `File size of"),
            ("model: 2 extents found", "no line `File size of"),
            (
                "File size of a is x (1 block of 4096 bytes)",
                "line 1: expected `NAME is",
            ),
            // Of e2fsprogs before 1.42.
            (
                "File size of a is 4096 (1 block of 4096 bytes)\n ext logical physical\n   0:  0  2065  1 eof",
                "line 3: expected a range of logical",
            ),
            (
                "File size of a is 4096 (1 block of 4096 bytes)\n 0: 0..0: 7..7: x: eof",
                "line 2: expected the extent's length",
            ),
            (
                "File size of a is 4096 (1 block of 4096 bytes)\n 0: 0..0: 7..7: 1: : inline",
                "a: the data at offset 0 is stored inside",
            ),
        ] {
            let error = parse_filefrag(text).expect_err(text).to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }

    const ONE_EXTENT: &str = "\
Filesystem type is: ef53
File size of m.gguf is 2097052 (512 blocks of 4096 bytes)
 ext:     logical_offset:        physical_offset: length:   expected: flags:
   0:        0..     511:       1000..      1511:    512:             last,eof
m.gguf: 1 extent found
";

    #[test]
    fn numbers_are_decimal_or_hexadecimal_as_the_text_shows() {
        let hexadecimal = "\
Filesystem type is: 58465342
File size of m.gguf is 2097052 (512 blocks of 4096 bytes)
   0:        0..      ff:       1000..      10ff:    100:            
   1:      100..     1ff:       5000..      50ff:    100:       1100: last,eof
m.gguf: 2 extents found
";
        let files = parse_filefrag(hexadecimal).unwrap();
        let starts: Vec<_> = files[0]
            .1
            .extents
            .iter()
            .map(|e| e.physical_bytes)
            .collect();
        assert_eq!(starts, [0x1000 * 4096, 0x5000 * 4096]);
        // Without a letter: the ranges tell.
        let no_letter = "File size of a is 90112 (22 blocks of 4096 bytes)\n 0: 0..15: 1000..1015: 16: last,eof\n";
        assert_eq!(
            parse_filefrag(no_letter).unwrap()[0].1.extents[0].physical_bytes,
            0x1000 * 4096
        );
        // More was allocated than the file needs, and the numbers fit either way.
        let both =
            "File size of a is 4096 (1 block of 4096 bytes)\n 0: 0..1: 1000..1001: 2: last,eof\n";
        let error = parse_filefrag(both).unwrap_err().to_string();
        assert!(error.contains("without -X"), "{error}");
    }

    #[test]
    fn a_text_that_contradicts_itself_is_refused() {
        let changed = |from: &str, to: &str| {
            assert!(ONE_EXTENT.contains(from));
            parse_filefrag(&ONE_EXTENT.replace(from, to))
        };
        parse_filefrag(ONE_EXTENT).unwrap();
        for (from, to, expected) in [
            ("ef53", "9123683e", "m.gguf: it lies on btrfs"),
            ("ef53", "dead", "not known (type dead)"),
            (" 1511", " 1510", "line 4: the range of physical blocks"),
            (" 511:", " 510:", "line 4: the range of logical blocks"),
            ("512 blocks", "600 blocks", "line 2: expected `NAME is SIZE"),
            (
                "2097052 (512 blocks",
                "2457600 (600 blocks",
                "line 4: the extent that is marked `eof` ends before",
            ),
            (
                "1 extent found",
                "2 extents found",
                "it says 2 extents and has lines for 1",
            ),
            ("last,eof", "", "not marked `last`"),
            (
                "last,eof",
                "last,strange,eof",
                "line 4: expected flags that are known",
            ),
            (
                "m.gguf: 1",
                "hello\nm.gguf: 1",
                "line 5: expected an extent",
            ),
            ("   0:", "   1:", "extent 1 where 0 should follow"),
            (
                "512:             last,eof",
                "0:     last,unknown_loc,delalloc,eof",
                "delayed allocation",
            ),
            (
                "512:             last,eof",
                "512: 100\nlast,eof",
                "line 5: expected an extent",
            ),
        ] {
            let error = changed(from, to).expect_err(to).to_string();
            assert!(error.contains(expected), "{to}: {error}");
        }
        // Marks of byte order and lines of a shell do not matter.
        changed("Filesystem type", "\u{feff}Filesystem type").unwrap();
        changed("Filesystem type", "$ filefrag -v m.gguf\nFilesystem type").unwrap();
        // Nor do extents behind the end, which fallocate(2) can make.
        changed(
            "last,eof\nm.gguf: 1 extent",
            "eof\n   1: 512.. 767: 1512.. 1767: 256: last,unwritten,eof\nm.gguf: 1 extent",
        )
        .unwrap();
        changed("   0:", "   0: 0.. 1: 7.. 8: 2: last\n   1:").unwrap_err();
    }

    proptest! {
        #[test]
        fn any_text_gives_an_answer(text in "(File size of [a-z ]{0,9}is [0-9]{1,20} \\([0-9]{1,3} blocks of [0-9]{1,12} bytes\\)\n)?[ 0-9:.,a-z\n]{0,200}") {
            let _ = parse_filefrag(&text);
        }
    }
}
