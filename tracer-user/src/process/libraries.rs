//! Where uprobes can be set: the executable files that a process has mapped, and the symbols in them.
//!
//! A uprobe belongs to a file and an offset in it. The file is the one that the process runs, which may be in another
//! mount namespace, deleted, or replaced by another one under the same name: hence the two paths of [`ExecutableFile`].
//! Symbols are read from `.dynsym`, and from `.symtab` for what is not there; never from debug information.
//!
//! The tables are read into memory rather than mapped: a file that somebody truncates while it is mapped would end the
//! tracer with SIGBUS. They are searched one by one: the hash tables' readers of crate `object` panic on hostile tables
//! (no buckets, chains that lead out), and a search through all names of a 100 MiB library takes a millisecond.

use std::collections::HashSet;
use std::fs::{self, File};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

use object::Endianness;
use object::elf::{
    FileHeader32, FileHeader64, PF_X, PT_LOAD, SHN_UNDEF, SHT_DYNSYM, SHT_SYMTAB, STT_FUNC,
    STT_NOTYPE,
};
use object::pod::{self, Pod};
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader, Sym};
use thiserror::Error;

use super::mappings::{Mapping, MappingName};

/// Largest table that is read, bytes. The largest engines' symbol tables are some tens of MiB.
const LARGEST_TABLE_BYTES: u64 = 512 << 20;

/// A file of which a process has some part mapped executable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExecutableFile {
    /// Device number as the kernel's mapping has it, major and minor; on overlay and btrfs not what stat(2) says.
    pub device: (u32, u32),
    /// Inode number in the mapping.
    pub inode: u64,
    /// Its name as the process sees it (` (deleted)` at the end where the name is gone).
    pub path_in_process: PathBuf,
    /// A path under which this process can open it: `/proc/PID/map_files/…`, which is the mapped file itself whatever
    /// became of its name (needs CAP_CHECKPOINT_RESTORE or CAP_SYS_ADMIN), else the name below `/proc/PID/root`. It
    /// holds as long as the process keeps the file mapped. `None` where neither can be opened, or the name now leads to
    /// another file: no uprobe can be set there.
    pub openable_path: Option<PathBuf>,
}

/// A mapped file, as the kernel's mapping names it: device, major and minor, and inode.
pub type MappedFile = ((u32, u32), u64);

/// The files that a process has mapped executable, each once, in the order of their addresses; without those that are known.
///
/// # Errors
/// As of reading `/proc/PID/maps`: ended (ENOENT, ESRCH), not permitted (EACCES).
pub fn executable_mappings(
    pid: i32,
    known: &HashSet<MappedFile>,
) -> io::Result<Vec<ExecutableFile>> {
    let maps = fs::read(format!("/proc/{pid}/maps"))?;
    let mut seen = HashSet::new();
    let mut files = Vec::new();
    for mapping in maps.split(|&byte| byte == b'\n').filter_map(Mapping::parse) {
        let MappingName::File(path) = &mapping.name else {
            continue;
        };
        let executable = mapping.permissions.as_bytes().get(2) == Some(&b'x');
        let file = (mapping.device, mapping.inode);
        if executable && mapping.inode != 0 && !known.contains(&file) && seen.insert(file) {
            files.push(ExecutableFile {
                device: mapping.device,
                inode: mapping.inode,
                openable_path: openable_path(pid, &mapping, path),
                path_in_process: path.clone(),
            });
        }
    }
    Ok(files)
}

/// Pages that a process has mapped; None where that cannot be read. Unlike its list of mappings, this asks for no lock that the
/// process needs itself (`proc_pid_statm` in `fs/proc/array.c`).
#[must_use]
pub fn mapped_pages(pid: i32) -> Option<u64> {
    let line = fs::read_to_string(format!("/proc/{pid}/statm")).ok()?;
    line.split(' ').next()?.parse().ok()
}

fn openable_path(pid: i32, mapping: &Mapping, path: &Path) -> Option<PathBuf> {
    // Unlike in maps the addresses are not padded here (proc_map_files_readdir in fs/proc/base.c).
    let mapped = PathBuf::from(format!(
        "/proc/{pid}/map_files/{:x}-{:x}",
        mapping.start, mapping.end
    ));
    if File::open(&mapped).is_ok() {
        return Some(mapped);
    }
    let mut named = PathBuf::from(format!("/proc/{pid}/root"));
    named.push(path.strip_prefix("/").ok()?);
    let metadata = File::open(&named).and_then(|file| file.metadata()).ok()?;
    // The inode number agrees on overlay too in most cases, but not in all; a name that is gone must not be taken for
    // one that ends like this.
    let deleted = path.as_os_str().as_bytes().ends_with(b" (deleted)");
    (metadata.ino() == mapping.inode
        || (!deleted && metadata.is_file() && on_overlay(&metadata, mapping)))
    .then_some(named)
}

/// Whether stat(2) gives another device than the mapping, so that the inode numbers cannot be compared.
fn on_overlay(metadata: &fs::Metadata, mapping: &Mapping) -> bool {
    let device = metadata.dev();
    (libc::major(device), libc::minor(device)) != mapping.device
}

/// Why the symbols of a file cannot be read.
#[derive(Debug, Error)]
pub enum SymbolError {
    /// It cannot be opened or read.
    #[error("cannot read the symbols of {path}: {source}")]
    Io { path: PathBuf, source: io::Error },
    /// It is no ELF file, or a broken one.
    #[error("{path} is no ELF file whose symbols can be read: {reason}")]
    Malformed { path: PathBuf, reason: &'static str },
}

/// What is wrong with a file, before its name is known.
enum Fault {
    Io(io::Error),
    Malformed(&'static str),
}

impl From<io::Error> for Fault {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// Functions of these names that the file defines, each with its offset in the file, where a uprobe can be set.
///
/// Names are compared as they are in the symbol table (C++ names mangled); a version after `@` is left out of the
/// comparison. A wanted name that ends with `*` is the beginning of one: a mangled name up to its parameters. A name may come with several offsets (versions of it, or static functions of several objects), in
/// ascending order; names come in the order of `wanted`. Resolvers of indirect functions are left out: a uprobe there
/// would fire once. `.symtab` is searched only for names that `.dynsym` does not define.
///
/// # Errors
/// The file cannot be read, or is no ELF file. A file without symbols, or without these, is an empty answer.
pub fn exported_symbols(file: &Path, wanted: &[&str]) -> Result<Vec<(String, u64)>, SymbolError> {
    let fault = |fault| match fault {
        Fault::Io(source) => SymbolError::Io {
            path: file.to_owned(),
            source,
        },
        Fault::Malformed(reason) => SymbolError::Malformed {
            path: file.to_owned(),
            reason,
        },
    };
    let open = || -> Result<_, Fault> {
        let opened = File::open(file)?;
        let metadata = opened.metadata()?;
        if !metadata.is_file() {
            return Err(Fault::Malformed("it is not a regular file"));
        }
        let bytes = metadata.len();
        let source = Source {
            file: opened,
            bytes,
        };
        let identification = source.read(0, 16)?;
        match identification.get(..5) {
            Some(b"\x7fELF\x02") => search::<FileHeader64<Endianness>>(&source, wanted),
            Some(b"\x7fELF\x01") => search::<FileHeader32<Endianness>>(&source, wanted),
            _ => Err(Fault::Malformed("it does not begin like one")),
        }
    };
    open().map_err(fault)
}

/// A file from which pieces are read, never beyond its end.
struct Source {
    file: File,
    bytes: u64,
}

impl Source {
    fn read(&self, offset: u64, length: u64) -> Result<Vec<u8>, Fault> {
        if offset
            .checked_add(length)
            .is_none_or(|end| end > self.bytes)
        {
            return Err(Fault::Malformed("a table lies beyond the end of the file"));
        }
        if length > LARGEST_TABLE_BYTES {
            return Err(Fault::Malformed("a table is larger than 512 MiB"));
        }
        let mut buffer = vec![0; usize::try_from(length).unwrap_or_default()];
        self.file.read_exact_at(&mut buffer, offset)?;
        Ok(buffer)
    }
}

/// A table's bytes as items; bytes after the last whole one are left out.
fn items<T: Pod>(bytes: &[u8]) -> &[T] {
    pod::slice_from_bytes(bytes, bytes.len() / size_of::<T>()).map_or(&[], |(items, _)| items)
}

fn search<Elf: FileHeader<Endian = Endianness>>(
    source: &Source,
    wanted: &[&str],
) -> Result<Vec<(String, u64)>, Fault> {
    let bytes = source.read(0, size_of::<Elf>() as u64)?;
    let header =
        Elf::parse(bytes.as_slice()).map_err(|_| Fault::Malformed("its header is broken"))?;
    let endian = header
        .endian()
        .map_err(|_| Fault::Malformed("its byte order is unknown"))?;
    // A table with more than 65,279 sections says 0 here; only object files of a compiler have as many.
    let table =
        |offset: u64, count: u16, size: usize| source.read(offset, u64::from(count) * size as u64);
    if header.e_shnum(endian) > 0
        && usize::from(header.e_shentsize(endian)) != size_of::<Elf::SectionHeader>()
        || header.e_phnum(endian) > 0
            && usize::from(header.e_phentsize(endian)) != size_of::<Elf::ProgramHeader>()
    {
        return Err(Fault::Malformed("its tables have items of an unknown size"));
    }
    let sections = table(
        header.e_shoff(endian).into(),
        header.e_shnum(endian),
        size_of::<Elf::SectionHeader>(),
    )?;
    let segments = table(
        header.e_phoff(endian).into(),
        header.e_phnum(endian),
        size_of::<Elf::ProgramHeader>(),
    )?;
    let sections: &[Elf::SectionHeader] = items(&sections);
    let segments: &[Elf::ProgramHeader] = items(&segments);

    let mut found: Vec<Vec<u64>> = vec![Vec::new(); wanted.len()];
    for kind in [SHT_DYNSYM, SHT_SYMTAB] {
        let missing: Vec<(usize, &str)> = wanted
            .iter()
            .copied()
            .enumerate()
            .filter(|(index, name)| {
                !name.is_empty() && found.get(*index).is_some_and(Vec::is_empty)
            })
            .collect();
        if missing.is_empty() {
            break;
        }
        for section in sections
            .iter()
            .filter(|section| section.sh_type(endian) == kind)
        {
            let names = sections
                .get(section.sh_link(endian) as usize)
                .ok_or(Fault::Malformed("its symbols have no names"))?;
            let read = |section: &Elf::SectionHeader| {
                source.read(
                    section.sh_offset(endian).into(),
                    section.sh_size(endian).into(),
                )
            };
            let (symbols, names) = (read(section)?, read(names)?);
            for symbol in items::<Elf::Sym>(&symbols) {
                let Some(index) = name_index(symbol.st_name(endian), &names, &missing) else {
                    continue;
                };
                let code = matches!(symbol.st_type(), STT_FUNC | STT_NOTYPE)
                    && symbol.st_shndx(endian) != SHN_UNDEF;
                let offset = code
                    .then(|| file_offset::<Elf>(segments, endian, symbol.st_value(endian).into()))
                    .flatten();
                if let (Some(offset), Some(offsets)) = (offset, found.get_mut(index)) {
                    offsets.push(offset);
                }
            }
        }
    }
    let mut symbols = Vec::new();
    for (name, mut offsets) in wanted.iter().zip(found) {
        offsets.sort_unstable();
        offsets.dedup();
        symbols.extend(
            offsets
                .into_iter()
                .map(|offset| ((*name).to_owned(), offset)),
        );
    }
    Ok(symbols)
}

/// Which of the wanted names stands at this place of the string table.
fn name_index(at: u32, names: &[u8], wanted: &[(usize, &str)]) -> Option<usize> {
    let name = names.get(at as usize..)?;
    wanted
        .iter()
        .find(|(_, wanted)| {
            let Some(beginning) = wanted.strip_suffix('*') else {
                let rest = name.strip_prefix(wanted.as_bytes());
                return rest
                    .and_then(<[u8]>::first)
                    .is_some_and(|&end| end == 0 || end == b'@');
            };
            // A compiler puts parts of a function aside, under its name and a point.
            name.strip_prefix(beginning.as_bytes()).is_some_and(|rest| {
                let ends = |byte: &&u8| matches!(byte, 0 | b'@' | b'.');
                rest.iter().find(ends).is_some_and(|end| *end != b'.')
            })
        })
        .map(|(index, _)| *index)
}

/// Where in the file the code at an address of its image is; `None` if that is not in an executable segment's part that
/// comes from the file.
fn file_offset<Elf: FileHeader<Endian = Endianness>>(
    segments: &[Elf::ProgramHeader],
    endian: Endianness,
    address: u64,
) -> Option<u64> {
    segments
        .iter()
        .filter(|segment| segment.p_type(endian) == PT_LOAD && segment.p_flags(endian) & PF_X != 0)
        .find_map(|segment| {
            let into = address.checked_sub(segment.p_vaddr(endian).into())?;
            (into < segment.p_filesz(endian).into())
                .then(|| into.checked_add(segment.p_offset(endian).into()))?
        })
}

#[cfg(test)]
mod tests;
