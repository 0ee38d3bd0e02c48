//! The shared libraries that programs need.
//!
//! Of this machine's programs its own loader says them. It cannot run those of another architecture: what they need is
//! read from their dynamic sections.

use std::{
    collections::BTreeSet,
    env,
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, ensure};
use object::{
    Endianness, elf,
    read::elf::{ElfFile64, ProgramHeader as _},
};

use super::architecture::Architecture;

/// Where packages have libraries.
fn folders(architecture: Architecture) -> [PathBuf; 7] {
    let own = architecture.library_folder();
    [
        Path::new("usr/lib").join(own),
        Path::new("lib").join(own),
        "usr/lib64".into(),
        "usr/lib".into(),
        // A library of its own that libpulse needs, which the browser of the tests needs.
        Path::new("usr/lib").join(own).join("pulseaudio"),
        // Installed, these two have links in the folder above, by Debian's alternatives. PyTorch needs them.
        Path::new("usr/lib").join(own).join("blas"),
        Path::new("usr/lib").join(own).join("lapack"),
    ]
}

/// Folders with the libraries of unpacked packages, as the loader wants them.
///
/// # Errors
/// The path of the packages has a colon in it.
pub fn search_path(unpacked: &Path, architecture: Architecture) -> Result<OsString> {
    let folders = folders(architecture).map(|folder| unpacked.join(folder));
    env::join_paths(folders).context("the target folder's path has a colon")
}

/// The shared libraries that a program of this machine's architecture needs, and its loader; none for a static one.
///
/// # Errors
/// One is missing, or there is no `ldd`.
pub fn of_machine(
    program: &Path,
    unpacked: &Path,
    architecture: Architecture,
) -> Result<Vec<PathBuf>> {
    let search = search_path(unpacked, architecture)?;
    let output = Command::new("ldd")
        .arg(program)
        .env("LC_ALL", "C")
        .env("LD_LIBRARY_PATH", search)
        .output()
        .context("cannot run ldd")?;
    let said = String::from_utf8_lossy(&output.stderr);
    if said.contains("not a dynamic executable") {
        return Ok(Vec::new());
    }
    ensure!(
        output.status.success(),
        "ldd ended with {}: {}",
        output.status,
        said.trim_end()
    );
    parse_ldd(&String::from_utf8_lossy(&output.stdout))
}

/// Reads lines as `libc.so.6 => /lib/libc.so.6 (0x7f…)` and `/lib64/ld-linux-x86-64.so.2 (0x7f…)`.
fn parse_ldd(text: &str) -> Result<Vec<PathBuf>> {
    let mut libraries = Vec::new();
    for line in text.lines().map(str::trim) {
        let (name, place) = line.split_once(" => ").unwrap_or((line, line));
        ensure!(place != "not found", "its library {name} is missing");
        let path = place.split(" (").next().unwrap_or(place);
        // The kernel itself brings linux-vdso.
        if path.starts_with('/') {
            libraries.push(path.into());
        }
    }
    Ok(libraries)
}

/// The shared libraries that an unpacked program needs, and its loader, all of them unpacked; none for a static one.
///
/// # Errors
/// One is missing, or cannot be read.
pub fn of_packages(
    program: &Path,
    unpacked: &Path,
    architecture: Architecture,
) -> Result<Vec<PathBuf>> {
    let mut found = BTreeSet::new();
    let mut to_read = vec![program.to_owned()];
    while let Some(path) = to_read.pop() {
        let needs =
            Needs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let mut candidates: Vec<Vec<PathBuf>> = Vec::new();
        if let Some(loader) = &needs.loader {
            let loader = loader.trim_start_matches('/');
            candidates.push(vec![loader.into(), Path::new("usr").join(loader)]);
        }
        for name in &needs.libraries {
            let private = needs
                .search
                .iter()
                .map(|folder| folder.trim_start_matches('/').into());
            let places = private.chain(folders(architecture));
            candidates.push(places.map(|folder: PathBuf| folder.join(name)).collect());
        }
        for places in candidates {
            let name = places.first().and_then(|place| place.file_name());
            let name = name.unwrap_or_default();
            // Many name the loader too, which is in a folder of its own.
            if found.iter().any(|file: &PathBuf| file.ends_with(name)) {
                continue;
            }
            let library = places
                .iter()
                .map(|place| unpacked.join(place))
                .find(|place| place.exists())
                .with_context(|| format!("its library {} is missing", name.display()))?;
            if found.insert(library.clone()) {
                to_read.push(library);
            }
        }
    }
    Ok(found.into_iter().collect())
}

/// What a program or a library says that it needs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Needs {
    /// The path of its loader, which libraries have none of.
    loader: Option<String>,
    libraries: Vec<String>,
    /// Folders that it has libraries of its own in.
    search: Vec<String>,
}

impl Needs {
    fn read(path: &Path) -> Result<Self> {
        let content = fs::read(path)?;
        let file = ElfFile64::<Endianness>::parse(content.as_slice())?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let mut needs = Self::default();
        for segment in file.elf_program_headers() {
            if let Some(loader) = segment.interpreter(file.endian(), content.as_slice())? {
                needs.loader = Some(text(loader));
            }
        }
        let table = file.elf_dynamic_table()?;
        for entry in table.iter() {
            match entry.tag {
                elf::DT_NEEDED => needs.libraries.push(text(table.string(entry)?)),
                elf::DT_RUNPATH | elf::DT_RPATH => needs
                    .search
                    .extend(text(table.string(entry)?).split(':').map(str::to_owned)),
                _ => {}
            }
        }
        Ok(needs)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn libraries_and_the_loader_are_read_from_ldd() {
        let text = "\tlinux-vdso.so.1 (0x00007f90062bd000)\n\
            \tlibuuid.so.1 => /lib/x86_64-linux-gnu/libuuid.so.1 (0x00007f90061e3000)\n\
            \t/lib64/ld-linux-x86-64.so.2 (0x00007f90062bf000)\n";
        assert_eq!(
            parse_ldd(text).unwrap(),
            [
                Path::new("/lib/x86_64-linux-gnu/libuuid.so.1"),
                Path::new("/lib64/ld-linux-x86-64.so.2"),
            ]
        );
        assert!(parse_ldd("\tstatically linked\n").unwrap().is_empty());
        let error = parse_ldd("\tlibx.so.1 => not found\n").unwrap_err();
        assert!(error.to_string().contains("libx.so.1"));
    }

    /// The program that runs this test is a dynamic one.
    #[test]
    fn a_program_says_its_loader_and_its_libraries() {
        let needs = Needs::read(&std::env::current_exe().unwrap()).unwrap();
        let loader = needs.loader.unwrap();
        assert!(
            loader.starts_with("/lib") && loader.contains("ld"),
            "{loader}"
        );
        assert!(
            needs
                .libraries
                .iter()
                .any(|name| name.starts_with("libc.so"))
        );
    }

    #[test]
    fn unpacked_libraries_are_found_with_what_they_need_or_are_missing() {
        let folder = tempfile::tempdir().unwrap();
        let place = |path: &str| {
            let path = folder.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            path
        };
        let program = std::env::current_exe().unwrap();
        let architecture = [Architecture::Amd64, Architecture::Arm64]
            .into_iter()
            .find(|architecture| architecture.is_of_machine())
            .unwrap();
        let own_folder = architecture.library_folder();
        let of_packages = || of_packages(&program, folder.path(), architecture);
        let error = of_packages().unwrap_err();
        assert!(error.to_string().contains("is missing"), "{error}");
        // Copies of the program's own libraries, and of theirs, spread over both folders.
        let own = of_machine(&program, folder.path(), architecture).unwrap();
        let copies: BTreeSet<PathBuf> = own
            .iter()
            .enumerate()
            .map(|(number, library)| {
                let name = library.file_name().unwrap().to_str().unwrap();
                let loader = Needs::read(&program).unwrap().loader.unwrap();
                let copy = if loader.ends_with(name) {
                    place(loader.trim_start_matches('/'))
                } else if number % 2 == 0 {
                    place(&format!("lib/{own_folder}/{name}"))
                } else {
                    place(&format!("usr/lib/{own_folder}/{name}"))
                };
                fs::copy(library, &copy).unwrap();
                copy
            })
            .collect();
        let found: BTreeSet<PathBuf> = of_packages().unwrap().into_iter().collect();
        assert!(found.is_subset(&copies), "{found:?}");
        assert!(found.len() >= 2, "{found:?}");
    }
}
