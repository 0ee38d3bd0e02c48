//! Tests of executable mappings and symbols: this very program, libc, `readelf` as the reference, and broken files.

use std::ffi::c_int;
use std::io::Write;
use std::process::{Command, Stdio};

use proptest::prelude::*;

use super::*;

/// A function that only this program has.
#[unsafe(no_mangle)]
pub extern "C" fn tracer_symbol_search_target(value: c_int) -> c_int {
    value.wrapping_mul(3)
}

fn own_pid() -> i32 {
    i32::try_from(std::process::id()).expect("pid")
}

fn own_files() -> Vec<ExecutableFile> {
    executable_mappings(own_pid(), &HashSet::new()).expect("mappings")
}

/// Where in its file this process has the code at an address, from /proc/self/maps.
fn mapped_at(address: u64) -> (PathBuf, u64) {
    let maps = fs::read("/proc/self/maps").expect("maps");
    let mapping = maps
        .split(|&byte| byte == b'\n')
        .filter_map(Mapping::parse)
        .find(|mapping| (mapping.start..mapping.end).contains(&address))
        .expect("mapping");
    let MappingName::File(path) = mapping.name else {
        panic!("{:?}", mapping.name)
    };
    (path, address - mapping.start + mapping.file_offset_bytes)
}

#[test]
fn this_program_and_libc_are_where_the_kernel_has_them() {
    let here = tracer_symbol_search_target as extern "C" fn(c_int) -> c_int as usize as u64;
    let malloc = libc::malloc as *const () as usize as u64;
    for (name, address) in [("tracer_symbol_search_target", here), ("malloc", malloc)] {
        let (path, offset) = mapped_at(address);
        let files = own_files();
        let file = files
            .iter()
            .find(|file| file.path_in_process == path)
            .expect("file");
        let openable = file.openable_path.as_ref().expect("openable");
        let wanted = [name, "no_such_symbol_anywhere", ""];
        assert_eq!(
            exported_symbols(openable, &wanted).expect("symbols"),
            [(name.to_owned(), offset)]
        );
    }
}

#[test]
fn each_file_comes_once_and_what_is_not_executable_not_at_all() {
    let files = own_files();
    let mut seen = HashSet::new();
    assert!(
        files
            .iter()
            .all(|file| seen.insert((file.device, file.inode)))
    );
    let program = fs::read_link("/proc/self/exe").expect("exe");
    assert!(files.iter().any(|file| file.path_in_process == program));
    assert!(
        files
            .iter()
            .all(|file| file.path_in_process.is_absolute() && file.openable_path.is_some()),
        "{files:?}"
    );
    // A file mapped twice, and one that is mapped but not executable.
    let [code, data] = [(); 2].map(|()| {
        let file = tempfile::NamedTempFile::new_in("/var/tmp").expect("file");
        fs::write(file.path(), [0; 8192]).expect("write");
        file
    });
    // SAFETY: nobody changes the files, and nothing in them is run.
    let map = |file: &File| unsafe { memmap2::MmapOptions::new().map_exec(file) }.expect("map");
    let kept = [map(code.as_file()), map(code.as_file())];
    // SAFETY: nobody changes the file.
    let read_only = unsafe { memmap2::MmapOptions::new().map(data.as_file()) }.expect("map");
    let count = |path: &Path| {
        own_files()
            .iter()
            .filter(|file| file.path_in_process == path)
            .count()
    };
    assert_eq!((count(code.path()), count(data.path())), (1, 0));
    drop((kept, read_only));
    let error = executable_mappings(i32::MAX, &HashSet::new()).expect_err("no such process");
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

#[test]
fn a_deleted_and_replaced_program_is_still_the_one_that_runs() {
    let directory = tempfile::tempdir().expect("directory");
    let path = directory.path().join("engine");
    let sleep = Command::new("sh")
        .args(["-c", "command -v sleep"])
        .output()
        .expect("sh");
    fs::copy(String::from_utf8_lossy(&sleep.stdout).trim(), &path).expect("copy");
    let inode = fs::metadata(&path).expect("metadata").ino();
    let mut child = Command::new(&path)
        .arg("60")
        .stdin(Stdio::null())
        .spawn()
        .expect("spawn");
    fs::remove_file(&path).expect("remove");
    fs::write(&path, "another file").expect("write");
    let pid = i32::try_from(child.id()).expect("pid");
    let look = || {
        executable_mappings(pid, &HashSet::new())
            .ok()?
            .into_iter()
            .find(|file| file.path_in_process.starts_with(directory.path()))
    };
    // The kernel closes the descriptors by which `spawn` waits for exec before it maps the program.
    let found = (0..500).find_map(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        look()
    });
    let opened = found
        .as_ref()
        .and_then(|file| File::open(file.openable_path.as_ref()?).ok())
        .map(|file| file.metadata().expect("metadata").ino());
    let _ = child.kill();
    let _ = child.wait();
    let found = found.expect("found");
    assert!(
        found
            .path_in_process
            .as_os_str()
            .as_bytes()
            .ends_with(b" (deleted)"),
        "{found:?}"
    );
    // Without the capability there is no way to the file; to another one there must never be.
    assert!(opened.is_none_or(|opened| opened == inode), "{found:?}");
    if nix::unistd::geteuid().is_root() {
        assert_eq!(opened, Some(inode));
    }
}

/// Functions that `readelf` lists in a table, with their values and the program's segments: name and offset in the file.
fn by_readelf(path: &Path, arguments: &[&str]) -> Option<Vec<(String, u64)>> {
    let run = |arguments: &[&str]| {
        let output = Command::new("readelf")
            .args(arguments)
            .arg(path)
            .output()
            .ok()?;
        Some(String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let hexadecimal = |text: &str| u64::from_str_radix(text.trim_start_matches("0x"), 16).ok();
    let segments: Vec<(u64, u64, u64)> = run(&["-lW"])?
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [kind, offset, address, _, in_file, _, flags @ ..] = words.as_slice() else {
                return None;
            };
            (*kind == "LOAD" && flags.contains(&"E")).then(|| {
                Some((
                    hexadecimal(offset)?,
                    hexadecimal(address)?,
                    hexadecimal(in_file)?,
                ))
            })?
        })
        .collect();
    let mut found: Vec<_> = run(arguments)?
        .lines()
        .filter_map(|line| {
            let words: Vec<&str> = line.split_whitespace().collect();
            let [_, value, _, "FUNC", _, _, section, name, ..] = words.as_slice() else {
                return None;
            };
            if *section == "UND" {
                return None;
            }
            let value = hexadecimal(value)?;
            let (offset, address, _) = segments
                .iter()
                .find(|(_, address, in_file)| (*address..address + in_file).contains(&value))?;
            let name = name.split('@').next()?;
            Some((name.to_owned(), value - address + offset))
        })
        .collect();
    found.sort();
    found.dedup();
    Some(found)
}

#[test]
fn readelf_finds_the_same() {
    let mut compared = 0;
    for file in own_files() {
        let path = file.openable_path.expect("openable");
        let Some(expected) = by_readelf(&path, &["--dyn-syms", "-W"]).filter(|all| !all.is_empty())
        else {
            continue;
        };
        // All names at once would be a search of all by all.
        let some: Vec<_> = expected
            .iter()
            .step_by(1 + expected.len() / 200)
            .map(|(name, _)| name.as_str())
            .collect::<std::collections::BTreeSet<_>>()
            .into_iter()
            .collect();
        let mut found = exported_symbols(&path, &some).expect("symbols");
        found.sort();
        let expected: Vec<_> = expected
            .iter()
            .filter(|(name, _)| some.contains(&name.as_str()))
            .cloned()
            .collect();
        assert_eq!(found, expected, "{}", file.path_in_process.display());
        compared += expected.len();
    }
    if Command::new("readelf").arg("--version").output().is_ok() {
        assert!(compared > 100, "{compared}");
    }
}

#[test]
fn what_is_no_elf_file_is_said_to_be_none() {
    let file = tempfile::NamedTempFile::new().expect("file");
    let symbols = |bytes: &[u8]| {
        fs::write(file.path(), bytes).expect("write");
        exported_symbols(file.path(), &["malloc"])
    };
    let header = fs::read("/proc/self/exe").expect("program");
    let header = header.get(..64).expect("header").to_vec();
    for bytes in [
        &b""[..],
        b"\x7fELF",
        b"#!/bin/sh\nexec something\n",
        &header[..63],
        &header,
    ] {
        assert!(
            matches!(symbols(bytes), Err(SymbolError::Malformed { .. })),
            "{bytes:?}"
        );
    }
    let message = symbols(&header).expect_err("cut").to_string();
    assert!(message.contains("beyond the end"), "{message}");
    assert!(matches!(
        exported_symbols(Path::new("/nowhere/lib.so"), &[]),
        Err(SymbolError::Io { .. })
    ));
    assert!(matches!(
        exported_symbols(Path::new("/proc"), &[]),
        Err(SymbolError::Malformed { .. } | SymbolError::Io { .. })
    ));
}

/// An ELF file of a few hundred bytes, by hand: one executable segment, `.dynsym`, `.symtab`, their names.
fn small_elf() -> Vec<u8> {
    // Offsets: header 0, segment 64, dynsym 0x100 (4 symbols), names 0x180, symtab 0x200 (5 symbols), sections 0x300.
    let mut elf = vec![0_u8; 0x300 + 4 * 64];
    let mut put = |at: usize, bytes: &[u8]| elf[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, b"\x7fELF\x02\x01\x01");
    put(16, &[3, 0, 62, 0, 1, 0, 0, 0]);
    put(32, &64_u64.to_le_bytes());
    put(40, &0x300_u64.to_le_bytes());
    put(52, &[64, 0, 56, 0, 1, 0, 64, 0, 4, 0, 0, 0]);
    // PT_LOAD, R+X: file 0x40…0x240 at 0x10040.
    put(64, &[1, 0, 0, 0, 5, 0, 0, 0]);
    for (field, value) in [0x40_u64, 0x1_0040, 0x1_0040, 0x200, 0x900, 0x1000]
        .into_iter()
        .enumerate()
    {
        put(72 + 8 * field, &value.to_le_bytes());
    }
    let names = b"\0decode\0decode@@V2\0decoder\0hidden\0data\0imported\0";
    put(0x180, names);
    let mut symbol = |at: usize, name: u32, info: u8, section: u16, value: u64| {
        put(at, &name.to_le_bytes());
        put(at + 4, &[info, 0]);
        put(at + 6, &section.to_le_bytes());
        put(at + 8, &value.to_le_bytes());
    };
    symbol(0x118, 1, 0x12, 9, 0x1_0100); // decode
    symbol(0x130, 19, 0x12, 9, 0x1_0110); // decoder
    symbol(0x148, 39, 0x12, 0, 0x1_0120); // imported: an address in the image, but no definition
    symbol(0x218, 27, 0x02, 9, 0x1_0140); // hidden, local
    symbol(0x230, 8, 0x12, 9, 0x1_0180); // decode@@V2, in .symtab only
    symbol(0x248, 34, 0x11, 9, 0x1_0190); // data, an object
    symbol(0x260, 27, 0x12, 9, 0x1_0600); // hidden, in the part that the file does not have
    for (index, (kind, offset, size, link)) in [
        (11_u32, 0x100_u64, 0x60_u64, 2_u32),
        (3, 0x180, 0x40, 0),
        (2, 0x200, 0x78, 2),
    ]
    .into_iter()
    .enumerate()
    {
        let at = 0x300 + 64 * (index + 1);
        put(at + 4, &kind.to_le_bytes());
        put(at + 24, &offset.to_le_bytes());
        put(at + 32, &size.to_le_bytes());
        put(at + 40, &link.to_le_bytes());
    }
    elf
}

fn search_bytes(bytes: &[u8], wanted: &[&str]) -> Result<Vec<(String, u64)>, SymbolError> {
    let mut file = tempfile::NamedTempFile::new().expect("file");
    file.write_all(bytes).expect("write");
    exported_symbols(file.path(), wanted)
}

#[test]
fn pytorchs_embedding_is_found_in_every_release() {
    let found = |name: &str| {
        let names = [name.as_bytes(), b"\0"].concat();
        name_index(0, &names, &[(7, "_ZN2at4_ops9embedding4callE*")])
    };
    for name in [
        "_ZN2at4_ops9embedding4callERKNS_6TensorES4_lbb",
        "_ZN2at4_ops9embedding4callERKNS_6TensorES4_N3c106SymIntEbb",
        "_ZN2at4_ops9embedding4callERKNS_6TensorES4_lbb@@TORCH",
    ] {
        assert_eq!(found(name), Some(7), "{name}");
    }
    for name in [
        "_ZN2at4_ops9embedding4callERKNS_6TensorES4_lbb.cold",
        "_ZN2at4_ops9embedding10redispatchEN3c1014DispatchKeySetERKNS_6TensorES6_lbb",
        "_ZN2at4_ops18embedding_backward4callERKNS_6TensorES4_lbb",
        "_ZN2at4_ops9embedding4cal",
        "",
    ] {
        assert_eq!(found(name), None, "{name}");
    }
}

#[test]
fn exact_names_in_executable_parts_of_the_file_count() {
    let found = |wanted: &[&str]| search_bytes(&small_elf(), wanted).expect("symbols");
    let one = |name: &str, offset| vec![(name.to_owned(), offset)];
    assert_eq!(
        found(&["decode"]),
        one("decode", 0x100),
        ".dynsym has it, .symtab is not asked"
    );
    assert_eq!(found(&["decoder"]), one("decoder", 0x110));
    assert_eq!(
        found(&["hidden"]),
        one("hidden", 0x140),
        "from .symtab; beyond the file's part there is no code"
    );
    assert_eq!(found(&["data", "imported"]), []);
    assert_eq!(found(&["deco", "code", "V2", ""]), []);
    assert_eq!(found(&["decode@@V2"]), one("decode@@V2", 0x180));
    let both = [("deco*".to_owned(), 0x100), ("deco*".to_owned(), 0x110)];
    assert_eq!(found(&["deco*"]), both, "the beginning of a name");
    let mut without_dynsym = small_elf();
    without_dynsym[0x300 + 64 + 4] = 1;
    assert_eq!(
        search_bytes(&without_dynsym, &["decoder", "decode"]).expect("symbols"),
        one("decode", 0x180),
        "a version is left out of the comparison"
    );
}

#[test]
fn a_table_beyond_all_measure_is_refused() {
    let mut elf = small_elf();
    elf[0x300 + 64 + 32..0x300 + 64 + 40].copy_from_slice(&(600_u64 << 20).to_le_bytes());
    let mut file = tempfile::NamedTempFile::new().expect("file");
    file.write_all(&elf).expect("write");
    file.as_file()
        .set_len(700 << 20)
        .expect("a file with a hole");
    let message = exported_symbols(file.path(), &["decode"])
        .expect_err("too large")
        .to_string();
    assert!(message.contains("larger than 512 MiB"), "{message}");
}

proptest! {
    /// Any damage gives an answer or an error, and no offset beyond what a segment covers is made up.
    #[test]
    fn a_damaged_file_is_no_panic(changes in proptest::collection::vec((0_usize..0x400, any::<u8>()), 1..8), length in 0_usize..0x401) {
        let mut bytes = small_elf();
        for (at, value) in changes {
            bytes[at] = value;
        }
        bytes.truncate(length.max(1));
        let _ = search_bytes(&bytes, &["decode", "hidden", "data"]);
    }

    #[test]
    fn any_bytes_are_no_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
        elf.extend(&bytes);
        let _ = search_bytes(&elf, &["a"]);
        let _ = search_bytes(&bytes, &["a"]);
    }
}

#[test]
fn what_is_mapped_shows_in_the_pages() {
    let before = mapped_pages(own_pid()).expect("statm");
    let file = File::open("/proc/self/exe").expect("this program");
    // SAFETY: nobody changes the program while it runs.
    let mapped = unsafe { memmap2::MmapOptions::new().len(64 << 20).map(&file) };
    let after = mapped_pages(own_pid()).expect("statm");
    drop(mapped.expect("a mapping"));
    // Other tests map and unmap meanwhile, but not as much.
    assert!(after >= before + (32 << 20) / procfs::page_size());
    assert_eq!(mapped_pages(-1), None);
}
