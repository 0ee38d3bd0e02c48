//! The mappings of a process (`/proc/P/maps`, `/proc/P/smaps`), the way `pmap -x` shows them.
//!
//! Parsed here and not by a library because names are bytes: one mapped file whose name is no UTF-8 must not make the
//! whole table unreadable.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fmt;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use serde::Serialize;

use super::process::{ObservedProcess, ProcessError};

/// What is mapped.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum MappingName {
    /// A file, as the kernel names it (` (deleted)` at the end where its name is gone).
    File(PathBuf),
    /// `[heap]`, `[stack]`, `[anon:name]` and the like.
    Special(String),
    /// Anonymous memory without a name.
    Anonymous,
}

impl fmt::Display for MappingName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(formatter, "{}", path.display()),
            Self::Special(name) => formatter.write_str(name),
            Self::Anonymous => formatter.write_str("[anon]"),
        }
    }
}

/// One line of `/proc/P/maps`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mapping {
    /// First address.
    pub start: u64,
    /// First address after it.
    pub end: u64,
    /// As printed, `r--s` for instance.
    pub permissions: String,
    /// Offset of the first byte in the file, bytes.
    pub file_offset_bytes: u64,
    /// Device number of the file's file system, major and minor; 0:0 without a file. On overlay and btrfs not what
    /// stat(2) says.
    pub device: (u32, u32),
    /// Inode number; 0 without a file.
    pub inode: u64,
    /// What is mapped.
    pub name: MappingName,
}

impl Mapping {
    /// Reads a line without its `\n`; `None` if it is no mapping.
    #[must_use]
    pub fn parse(line: &[u8]) -> Option<Self> {
        let mut fields = line.splitn(6, |&byte| byte == b' ');
        let mut field = || {
            fields
                .next()
                .and_then(|field| std::str::from_utf8(field).ok())
        };
        let (start, end) = field()?.split_once('-')?;
        let permissions = field()?.to_owned();
        let offset = field()?;
        let (major, minor) = field()?.split_once(':')?;
        let inode = field()?;
        // The name is padded to a column.
        let rest = fields.next().unwrap_or_default();
        let name = rest
            .get(rest.iter().take_while(|&&byte| byte == b' ').count()..)
            .unwrap_or_default();
        let address = |text: &str| u64::from_str_radix(text, 16).ok();
        let number = |text: &str| u32::from_str_radix(text, 16).ok();
        Some(Self {
            start: address(start)?,
            end: address(end)?,
            permissions,
            file_offset_bytes: address(offset)?,
            device: (number(major)?, number(minor)?),
            inode: inode.parse().ok()?,
            name: match name {
                [] => MappingName::Anonymous,
                [b'/', ..] => MappingName::File(OsString::from_vec(unescape(name)).into()),
                _ => MappingName::Special(String::from_utf8_lossy(name).into_owned()),
            },
        })
    }
}

/// The kernel writes a newline in a name as `\012` and nothing else (`seq_file_path(m, file, "\n")` in
/// fs/proc/task_mmu.c), so a name that really has the four characters `\012` cannot be told from it.
fn unescape(name: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(name.len());
    let mut rest = name;
    while let [first, tail @ ..] = rest {
        if let Some(after) = rest.strip_prefix(b"\\012") {
            plain.push(b'\n');
            rest = after;
        } else {
            plain.push(*first);
            rest = tail;
        }
    }
    plain
}

/// Memory of one mapping, or of several together, bytes. `None` where the kernel prints no such line.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct MemoryUse {
    /// Address space.
    pub size_bytes: Option<u64>,
    /// Resident.
    pub rss_bytes: Option<u64>,
    /// Resident, each page divided by the number of its users.
    pub pss_bytes: Option<u64>,
    /// Resident and anonymous (in a private mapping of a file: pages that were written).
    pub anonymous_bytes: Option<u64>,
    /// Locked and resident.
    pub locked_bytes: Option<u64>,
    /// Swapped out.
    pub swap_bytes: Option<u64>,
}

impl MemoryUse {
    /// From the `Key: value kB` lines of one mapping or of a rollup.
    pub(crate) fn from_smaps(text: &[u8]) -> Self {
        let mut usage = Self::default();
        for line in text.split(|&byte| byte == b'\n') {
            usage.line(line);
        }
        usage
    }

    fn line(&mut self, line: &[u8]) {
        let Some((key, value)) = std::str::from_utf8(line)
            .ok()
            .and_then(|line| line.split_once(':'))
        else {
            return;
        };
        let member = match key {
            "Size" => &mut self.size_bytes,
            "Rss" => &mut self.rss_bytes,
            "Pss" => &mut self.pss_bytes,
            "Anonymous" => &mut self.anonymous_bytes,
            "Locked" => &mut self.locked_bytes,
            "Swap" => &mut self.swap_bytes,
            _ => return,
        };
        *member = value
            .trim()
            .strip_suffix(" kB")
            .and_then(|kib| kib.trim().parse::<u64>().ok()?.checked_mul(1024));
    }

    fn add(&mut self, other: &Self) {
        let sum = |left: &mut Option<u64>, right: Option<u64>| {
            *left = match (*left, right) {
                (Some(left), Some(right)) => Some(left.saturating_add(right)),
                _ => None,
            };
        };
        sum(&mut self.size_bytes, other.size_bytes);
        sum(&mut self.rss_bytes, other.rss_bytes);
        sum(&mut self.pss_bytes, other.pss_bytes);
        sum(&mut self.anonymous_bytes, other.anonymous_bytes);
        sum(&mut self.locked_bytes, other.locked_bytes);
        sum(&mut self.swap_bytes, other.swap_bytes);
    }
}

/// One mapping with its memory.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MappingRow {
    /// First address.
    pub start: u64,
    /// First address after it.
    pub end: u64,
    /// As printed, `r--s` for instance.
    pub permissions: String,
    /// Path, `[heap]`, `[anon]`, …
    pub name: String,
    /// Its memory.
    pub memory: MemoryUse,
}

/// All mappings of one name together.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct NameRow {
    /// Path, `[heap]`, `[anon]`, …
    pub name: String,
    /// How many.
    pub mapping_count: u64,
    /// Their memory.
    pub memory: MemoryUse,
}

/// The mappings of a process at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct MappingTable {
    /// The largest by resident memory (then by size), at most as many as were asked for.
    pub largest: Vec<MappingRow>,
    /// How many mappings there are in all.
    pub mapping_count: u64,
    /// All of them together.
    pub total: MemoryUse,
    /// Merged by name, all names, the largest first.
    pub by_name: Vec<NameRow>,
}

impl MappingTable {
    /// Reads it. Walks all page tables, so not while something is timed: tens of milliseconds for a large process, during
    /// which its own mmap calls wait.
    ///
    /// # Errors
    /// The process has ended or may not be read (it needs ptrace rights over the process).
    pub fn read(process: &ObservedProcess, largest: usize) -> Result<Self, ProcessError> {
        Ok(Self::parse(&process.read("smaps")?, largest))
    }

    /// From the text of `/proc/P/smaps`.
    #[must_use]
    pub fn parse(smaps: &[u8], largest: usize) -> Self {
        let mut rows: Vec<MappingRow> = Vec::new();
        for line in smaps.split(|&byte| byte == b'\n') {
            if let Some(mapping) = Mapping::parse(line) {
                rows.push(MappingRow {
                    start: mapping.start,
                    end: mapping.end,
                    permissions: mapping.permissions,
                    name: mapping.name.to_string(),
                    memory: MemoryUse::default(),
                });
            } else if let Some(row) = rows.last_mut() {
                row.memory.line(line);
            }
        }
        let mut total = None;
        let mut by_name: HashMap<&str, NameRow> = HashMap::new();
        for row in &rows {
            sum_up(&mut total, &row.memory);
            by_name
                .entry(&row.name)
                .and_modify(|entry| {
                    entry.mapping_count += 1;
                    entry.memory.add(&row.memory);
                })
                .or_insert_with(|| NameRow {
                    name: row.name.clone(),
                    mapping_count: 1,
                    memory: row.memory,
                });
        }
        let order = |memory: &MemoryUse| std::cmp::Reverse((memory.rss_bytes, memory.size_bytes));
        let mut by_name: Vec<NameRow> = by_name.into_values().collect();
        by_name.sort_by(|left, right| {
            order(&left.memory)
                .cmp(&order(&right.memory))
                .then(left.name.cmp(&right.name))
        });
        let mapping_count = rows.len() as u64;
        rows.sort_by_key(|row| order(&row.memory));
        rows.truncate(largest);
        Self {
            largest: rows,
            mapping_count,
            total: total.unwrap_or_default(),
            by_name,
        }
    }
}

fn sum_up(total: &mut Option<MemoryUse>, memory: &MemoryUse) {
    match total {
        Some(total) => total.add(memory),
        None => *total = Some(*memory),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_bytes() {
        let name = |line: &[u8]| Mapping::parse(line).map(|mapping| mapping.name);
        let file =
            |bytes: &[u8]| Some(MappingName::File(OsString::from_vec(bytes.to_vec()).into()));
        let head = "7f0000000000-7f0000001000 r--s 00001000 fe:00 247030                     ";
        assert_eq!(
            name(&[head.as_bytes(), b"/m/a  b \xff.gguf "].concat()),
            file(b"/m/a  b \xff.gguf ")
        );
        assert_eq!(
            name(&[head.as_bytes(), b"/m/a\\012b.gguf (deleted)"].concat()),
            file(b"/m/a\nb.gguf (deleted)")
        );
        assert_eq!(
            name(b"7f0000000000-7f0000001000 rw-p 00000000 00:00 0 "),
            Some(MappingName::Anonymous)
        );
        assert_eq!(
            name(b"7f0000000000-7f0000001000 rw-p 00000000 00:00 0"),
            Some(MappingName::Anonymous)
        );
        assert_eq!(
            name(b"7f0000000000-7f0000001000 rw-p 00000000 00:00 0       [heap]"),
            Some(MappingName::Special("[heap]".to_owned()))
        );
        let mapping = Mapping::parse(&[head.as_bytes(), b"/m"].concat()).expect("mapping");
        assert_eq!(
            (mapping.start, mapping.end),
            (0x7f00_0000_0000, 0x7f00_0000_1000)
        );
        assert_eq!(
            (
                mapping.file_offset_bytes,
                mapping.inode,
                mapping.permissions.as_str()
            ),
            (4096, 247_030, "r--s")
        );
        assert_eq!(mapping.device, (0xfe, 0));
        for line in [
            "Rss:                8 kB",
            "VmFlags: rd mr mw me ",
            "",
            "x-y r--p 0 0:0 0",
            "1-2",
        ] {
            assert_eq!(name(line.as_bytes()), None, "{line}");
        }
    }

    #[test]
    fn a_table_says_how_much_it_leaves_out() {
        let mapping = |start: u64, name: &str, rss: u64| {
            format!(
                "{start:x}000-{start:x}fff r--p 00000000 00:00 0    {name}\nSize:  64 kB\nRss:  {rss} kB\nPss: 1 kB\nLocked: 2 kB\nVmFlags: rd\n"
            )
        };
        let smaps = [
            mapping(1, "/a", 4),
            mapping(2, "/b", 32),
            mapping(3, "/a", 40),
            mapping(4, "", 8),
        ]
        .concat();
        // The last mapping has no such line.
        let smaps = smaps.replacen("Pss: 1 kB\n", "Pss: 1 kB\nSwap: 3 kB\n", 3);
        let table = MappingTable::parse(smaps.as_bytes(), 2);
        assert_eq!(
            table
                .largest
                .iter()
                .map(|row| row.start)
                .collect::<Vec<_>>(),
            [0x3000, 0x2000]
        );
        assert_eq!(table.mapping_count, 4);
        assert_eq!(table.total.rss_bytes, Some(84 << 10));
        assert_eq!(table.total.size_bytes, Some(256 << 10));
        assert_eq!(table.total.locked_bytes, Some(8 << 10));
        assert_eq!(table.total.swap_bytes, None, "a sum of some is no sum");
        assert_eq!(
            table.largest.first().and_then(|row| row.memory.swap_bytes),
            Some(3 << 10)
        );
        assert_eq!(table.total.anonymous_bytes, None, "not printed is not 0");
        let names: Vec<_> = table
            .by_name
            .iter()
            .map(|row| (row.name.as_str(), row.mapping_count, row.memory.rss_bytes))
            .collect();
        assert_eq!(
            names,
            [
                ("/a", 2, Some(44 << 10)),
                ("/b", 1, Some(32 << 10)),
                ("[anon]", 1, Some(8 << 10))
            ]
        );
        assert_eq!(MappingTable::parse(b"", 5).total, MemoryUse::default());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_no_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
            let _ = Mapping::parse(&bytes);
            let _ = MappingTable::parse(&bytes, 3);
        }
    }
}
