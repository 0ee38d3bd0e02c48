//! eBPF programs, maps and links that the kernel holds.

use std::{collections::BTreeSet, fmt, fs};

use anyhow::{Context as _, Result};

/// One object, by its kind and the kernel's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum BpfObject {
    Program(u32),
    Map(u32),
    /// A link: an attachment.
    Link(u32),
}

impl fmt::Display for BpfObject {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Program(id) => write!(formatter, "program {id}"),
            Self::Map(id) => write!(formatter, "map {id}"),
            Self::Link(id) => write!(formatter, "link {id}"),
        }
    }
}

/// The member of `union bpf_attr` for the three `*_GET_NEXT_ID` commands (<linux/bpf.h>).
#[repr(C)]
#[derive(Default)]
struct NextId {
    start_id: u32,
    next_id: u32,
    open_flags: u32,
}

const PROGRAM_GET_NEXT_ID: libc::c_int = 11;
const MAP_GET_NEXT_ID: libc::c_int = 12;
const LINK_GET_NEXT_ID: libc::c_int = 31;

/// All that the kernel holds, whoever loaded it.
pub fn all() -> Result<BTreeSet<BpfObject>> {
    let mut objects = BTreeSet::new();
    for (command, object) in [
        (
            PROGRAM_GET_NEXT_ID,
            BpfObject::Program as fn(u32) -> BpfObject,
        ),
        (MAP_GET_NEXT_ID, BpfObject::Map),
        (LINK_GET_NEXT_ID, BpfObject::Link),
    ] {
        let mut attribute = NextId::default();
        loop {
            // SAFETY: the attribute is as the command wants it, its size is passed, and it outlives the call.
            let result = unsafe {
                libc::syscall(
                    libc::SYS_bpf,
                    command,
                    &raw mut attribute,
                    size_of::<NextId>(),
                )
            };
            if result != 0 {
                let error = std::io::Error::last_os_error();
                if error.raw_os_error() == Some(libc::ENOENT) {
                    break;
                }
                return Err(error)
                    .with_context(|| format!("list eBPF objects (bpf command {command})"));
            }
            objects.insert(object(attribute.next_id));
            attribute.start_id = attribute.next_id;
        }
    }
    Ok(objects)
}

/// Those that a process has a descriptor of, and the programs and maps behind its links.
pub fn held_by_processes() -> Result<BTreeSet<BpfObject>> {
    let mut held = BTreeSet::new();
    for entry in fs::read_dir("/proc").context("list /proc")? {
        let entry = entry.context("list /proc")?;
        // Gone meanwhile, or no process at all.
        for descriptor in fs::read_dir(entry.path().join("fdinfo"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let Ok(text) = fs::read_to_string(descriptor.path()) else {
                continue;
            };
            held.extend(text.lines().filter_map(object_of_line));
        }
    }
    Ok(held)
}

fn object_of_line(line: &str) -> Option<BpfObject> {
    let (name, value) = line.split_once(':')?;
    let id = value.trim().parse().ok()?;
    match name {
        "prog_id" => Some(BpfObject::Program(id)),
        "map_id" => Some(BpfObject::Map(id)),
        "link_id" => Some(BpfObject::Link(id)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::{BpfObject, object_of_line};

    #[test]
    fn descriptors_name_their_object() {
        assert_eq!(object_of_line("prog_id:\t17"), Some(BpfObject::Program(17)));
        assert_eq!(object_of_line("map_id:\t3"), Some(BpfObject::Map(3)));
        assert_eq!(object_of_line("link_id:\t5"), Some(BpfObject::Link(5)));
        assert_eq!(object_of_line("pos:\t0"), None);
    }
}
