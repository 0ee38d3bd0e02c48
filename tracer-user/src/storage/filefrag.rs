//! Extents from the saved output of `filefrag -v`: of a file that is gone, or that lies elsewhere by now.

use std::path::PathBuf;

mod error;
mod line;

use super::extents::{ExtentRecord, FileExtents};
use line::{ExtentLine, Radix, extent_line, is_number};

pub use error::FilefragError;

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
mod tests;
