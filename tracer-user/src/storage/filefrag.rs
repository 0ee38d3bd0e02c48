//! Extents from the saved output of `filefrag -v`: of a file that is gone, or that lies elsewhere by now.

use std::path::PathBuf;

use fiemap::FiemapExtentFlags;
use thiserror::Error;

use super::extents::{ExtentRecord, ExtentsError, FileExtents};

/// Why a text is no output of `filefrag -v`.
#[derive(Debug, Error)]
pub enum FilefragError {
    /// No file in it.
    #[error(
        "no line `File size of NAME is SIZE (N blocks of B bytes)`: save the output of filefrag -v"
    )]
    NoFile,
    /// A line of extents that is none.
    #[error(
        "line {line}: expected {expected}, as filefrag -v of e2fsprogs 1.42 or later prints `EXT: LOGICAL..LOGICAL: PHYSICAL..PHYSICAL: LENGTH: EXPECTED: FLAGS`"
    )]
    Line {
        /// Number of the line, from 1 on.
        line: usize,
        /// What should stand there.
        expected: &'static str,
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

/// The files in the output of `filefrag -v`, with their extents on their file system's device.
///
/// # Errors
/// Anything that filefrag does not print, with its line; extents that cannot be used.
pub fn parse_filefrag(text: &str) -> Result<Vec<(PathBuf, FileExtents)>, FilefragError> {
    let mut files: Vec<File> = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let line = line.trim();
        if let Some(rest) = line.strip_prefix("File size of ") {
            let file = header(rest).ok_or(FilefragError::Line {
                line: number,
                expected: "`NAME is SIZE (N blocks of B bytes)`",
            })?;
            files.push(file);
            continue;
        }
        let begins_with_number = line
            .split_once(':')
            .is_some_and(|(number, _)| !number.is_empty() && is_number(number));
        let Some(file) = files.last_mut().filter(|_| begins_with_number) else {
            // Headings, and the line that counts the extents.
            continue;
        };
        let record = extent(line, file.block_bytes).map_err(|expected| FilefragError::Line {
            line: number,
            expected,
        })?;
        file.records.push(record);
    }
    if files.is_empty() {
        return Err(FilefragError::NoFile);
    }
    files
        .into_iter()
        .map(|file| {
            let extents =
                FileExtents::from_records(file.size_bytes, file.block_bytes, file.records);
            match extents {
                Ok(extents) => Ok((file.path, extents)),
                Err(error) => Err(FilefragError::Extents {
                    path: file.path,
                    error,
                }),
            }
        })
        .collect()
}

struct File {
    path: PathBuf,
    size_bytes: u64,
    block_bytes: u64,
    records: Vec<ExtentRecord>,
}

fn is_number(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

/// `model.bin is 16777216 (4096 blocks of 4096 bytes)`. The name may hold anything.
fn header(rest: &str) -> Option<File> {
    let (name, rest) = rest.rsplit_once(" is ")?;
    let (size, rest) = rest.split_once(" (")?;
    let block = rest.strip_suffix(" bytes)")?.rsplit(' ').next()?;
    let block_bytes: u64 = block.parse().ok()?;
    Some(File {
        path: PathBuf::from(name),
        size_bytes: size.parse().ok()?,
        // Blocks are no larger than folios; this also keeps the arithmetic below small.
        block_bytes: (1..=1 << 30)
            .contains(&block_bytes)
            .then_some(block_bytes)?,
        records: Vec::new(),
    })
}

/// `0:        0..    4095:       2065..      6160:   4096:             last,eof`
fn extent(line: &str, block_bytes: u64) -> Result<ExtentRecord, &'static str> {
    let mut fields = line.split(':').skip(1);
    let mut range = |expected| {
        let (from, _) = fields
            .next()
            .and_then(|field| field.split_once(".."))
            .ok_or(expected)?;
        bytes(from, block_bytes).ok_or(expected)
    };
    let logical_bytes = range("a range of logical blocks")?;
    let physical_bytes = range("a range of physical blocks")?;
    const LENGTH: &str = "the extent's length in blocks";
    let length_bytes = fields
        .next()
        .and_then(|field| bytes(field, block_bytes))
        .ok_or(LENGTH)?;
    let mut flags = FiemapExtentFlags::empty();
    for flag in fields.last().unwrap_or_default().trim().split(',') {
        flags |= match flag {
            "last" => FiemapExtentFlags::LAST,
            "unknown_loc" | "unknown" => FiemapExtentFlags::UNKNOWN,
            "delalloc" => FiemapExtentFlags::DELALLOC,
            "encoded" => FiemapExtentFlags::ENCODED,
            "encrypted" | "data_encrypted" => FiemapExtentFlags::DATA_ENCRYPTED,
            "not_aligned" => FiemapExtentFlags::NOT_ALIGNED,
            "inline" => FiemapExtentFlags::DATA_INLINE,
            "tail_packed" => FiemapExtentFlags::DATA_TAIL,
            "unwritten" => FiemapExtentFlags::UNWRITTEN,
            "shared" => FiemapExtentFlags::SHARED,
            _ => FiemapExtentFlags::empty(),
        };
    }
    Ok(ExtentRecord {
        logical_bytes,
        physical_bytes,
        length_bytes,
        flags,
    })
}

fn bytes(blocks: &str, block_bytes: u64) -> Option<u64> {
    let blocks = blocks.trim();
    if blocks.is_empty() || !is_number(blocks) {
        return None;
    }
    blocks.parse::<u64>().ok()?.checked_mul(block_bytes)
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

    proptest! {
        #[test]
        fn any_text_gives_an_answer(text in "(File size of [a-z ]{0,9}is [0-9]{1,20} \\([0-9]{1,3} blocks of [0-9]{1,12} bytes\\)\n)?[ 0-9:.,a-z\n]{0,200}") {
            let _ = parse_filefrag(&text);
        }
    }
}
