//! Kernel modules for the guest: those that are wanted, and what they depend on.
//!
//! Debian's packages hold no index of the modules (the installation makes it), so it is made here, from what each
//! module says of itself in its section `.modinfo`.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result, bail, ensure};
use object::{Object as _, ObjectSection as _};

/// What the guest's devices, file systems and tests may need. A kernel may have it built in, or not at all.
pub const WANTED: [&str; 34] = [
    "virtio_pci",
    "virtio_blk",
    "nvme",
    "loop",
    "brd",
    "null_blk",
    "zram",
    "ext4",
    "xfs",
    "btrfs",
    "overlay",
    "dm_mod",
    "dm_crypt",
    "md_mod",
    "raid0",
    "raid1",
    "mq_deadline",
    "bfq",
    "kyber_iosched",
    // What the kernel asks for by itself, by alias.
    "aes_generic",
    "aesni_intel",
    "algif_skcipher",
    "cbc",
    "crc32c_generic",
    "crc32c_intel",
    "ecb",
    "essiv",
    "sha256_generic",
    "xts",
    "lz4",
    "lzo",
    "lzo_rle",
    "zstd",
    "xxhash_generic",
];

/// A module for the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Module {
    /// Its name, with underscores.
    pub name: String,
    /// Its path below `/lib/modules/RELEASE`, without the ending of a compression.
    pub path: PathBuf,
    /// The module, not compressed.
    pub content: Vec<u8>,
    /// What it says of itself.
    pub information: Information,
}

/// The parts of `.modinfo` that matter here.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Information {
    /// Names of the modules that have to be there before.
    pub needs: Vec<String>,
    /// By what else the kernel may ask for it, such as `fs-xfs`.
    pub aliases: Vec<String>,
}

impl Information {
    /// Reads the section's `key=value` strings, each ended by a zero.
    fn parse(section: &[u8]) -> Self {
        let mut information = Self::default();
        for entry in section.split(|byte| *byte == 0) {
            let entry = String::from_utf8_lossy(entry);
            match entry.split_once('=') {
                Some(("depends", names)) => information.needs.extend(
                    names
                        .split(',')
                        .filter(|name| !name.is_empty())
                        .map(normal_name),
                ),
                Some(("alias", alias)) => information.aliases.push(alias.to_owned()),
                _ => {}
            }
        }
        information
    }
}

/// Modules go by names with `-` and with `_`, meaning the same.
fn normal_name(name: &str) -> String {
    name.replace('-', "_")
}

/// Reads the wanted modules and all that they need from a folder `…/modules/RELEASE`, each before what needs it.
///
/// # Errors
/// A module cannot be read, or needs one that is not there.
pub fn collect(folder: &Path, wanted: &[&str]) -> Result<Vec<Module>> {
    let mut files = BTreeMap::new();
    index(folder, &mut files)?;
    let names = wanted
        .iter()
        .map(|name| normal_name(name))
        .filter(|name| files.contains_key(name));
    let mut read = BTreeMap::new();
    let mut to_read: Vec<String> = names.clone().collect();
    while let Some(name) = to_read.pop() {
        if read.contains_key(&name) {
            continue;
        }
        let file = files.get(&name).with_context(|| {
            format!("a module needs {name}, which {} has not", folder.display())
        })?;
        let module = read_module(folder, file, name.clone())?;
        to_read.extend(module.information.needs.iter().cloned());
        read.insert(name, module);
    }
    let needs = |name: &str| {
        read.get(name)
            .map(|module| module.information.needs.as_slice())
            .unwrap_or_default()
    };
    let names: Vec<String> = names.collect();
    let order = load_order(&names, needs)?;
    Ok(order
        .into_iter()
        .filter_map(|name| read.remove(&name))
        .collect())
}

/// The order in which modules can be loaded: each after what it needs, none twice.
fn load_order<'a>(
    names: &[String],
    needs: impl Fn(&str) -> &'a [String] + Copy,
) -> Result<Vec<String>> {
    fn visit<'a>(
        name: &str,
        needs: impl Fn(&str) -> &'a [String] + Copy,
        above: &mut Vec<String>,
        order: &mut Vec<String>,
    ) -> Result<()> {
        if order.iter().any(|placed| placed == name) {
            return Ok(());
        }
        ensure!(
            !above.iter().any(|waiting| waiting == name),
            "modules need each other: {} and {name}",
            above.join(", ")
        );
        above.push(name.to_owned());
        for needed in needs(name) {
            visit(needed, needs, above, order)?;
        }
        above.pop();
        order.push(name.to_owned());
        Ok(())
    }
    let mut order = Vec::new();
    for name in names {
        visit(name, needs, &mut Vec::new(), &mut order)?;
    }
    Ok(order)
}

/// `modules.dep`: a line for each module, with all that it needs, nearest first.
pub fn dependency_file(modules: &[Module]) -> Result<String> {
    let find = |name: &str| modules.iter().find(|module| module.name == name);
    let needs = |name: &str| {
        find(name)
            .map(|module| module.information.needs.as_slice())
            .unwrap_or_default()
    };
    let mut text = String::new();
    for module in modules {
        text.push_str(&format!("{}:", module.path.display()));
        let mut order = load_order(std::slice::from_ref(&module.name), needs)?;
        // The last is the module itself.
        order.pop();
        for needed in order.iter().rev().filter_map(|name| find(name)) {
            text.push_str(&format!(" {}", needed.path.display()));
        }
        text.push('\n');
    }
    Ok(text)
}

/// `modules.alias`.
pub fn alias_file(modules: &[Module]) -> String {
    let mut text = String::new();
    for module in modules {
        for alias in &module.information.aliases {
            text.push_str(&format!("alias {alias} {}\n", module.name));
        }
    }
    text
}

/// Finds the files of all modules, by name.
fn index(folder: &Path, files: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let entry = entry.with_context(|| format!("cannot list {}", folder.display()))?;
        let path = entry.path();
        let kind = entry
            .file_type()
            .with_context(|| format!("cannot look at {}", path.display()))?;
        if kind.is_dir() {
            index(&path, files)?;
        } else if let Some(name) = module_name(&entry.file_name().to_string_lossy()) {
            files.insert(name, path);
        }
    }
    Ok(())
}

/// The module's name, from its file's: `crc32c-intel.ko.xz` is `crc32c_intel`.
fn module_name(file_name: &str) -> Option<String> {
    let (name, ending) = file_name.split_once(".ko")?;
    matches!(ending, "" | ".xz" | ".zst" | ".gz").then(|| normal_name(name))
}

fn read_module(folder: &Path, file: &Path, name: String) -> Result<Module> {
    let read = || -> Result<Module> {
        let ending = file.extension().and_then(|ending| ending.to_str());
        let content = match ending {
            Some("xz") => decompressed("xz", file)?,
            Some("zst") => decompressed("zstd", file)?,
            Some("gz") => decompressed("gzip", file)?,
            _ => fs::read(file)?,
        };
        let path = if ending == Some("ko") {
            file.to_owned()
        } else {
            file.with_extension("")
        };
        let elf = object::File::parse(content.as_slice())?;
        let section = elf
            .section_by_name(".modinfo")
            .context("it has no .modinfo")?;
        let information = Information::parse(section.data()?);
        Ok(Module {
            name,
            path: path.strip_prefix(folder)?.to_owned(),
            information,
            content,
        })
    };
    read().with_context(|| format!("cannot read the module {}", file.display()))
}

fn decompressed(program: &str, file: &Path) -> Result<Vec<u8>> {
    let output = Command::new(program)
        .args(["--decompress", "--stdout", "--"])
        .arg(file)
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    if !output.status.success() {
        bail!(
            "{program} ended with {}: {}",
            output.status,
            String::from_utf8_lossy(&output.stderr).trim_end()
        );
    }
    Ok(output.stdout)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owned(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn module(name: &str, needs: &[&str], aliases: &[&str]) -> Module {
        Module {
            name: name.to_owned(),
            path: format!("kernel/{name}.ko").into(),
            content: Vec::new(),
            information: Information {
                needs: owned(needs),
                aliases: owned(aliases),
            },
        }
    }

    #[test]
    fn a_module_says_what_it_needs_and_is_called() {
        let section =
            b"license=GPL\0depends=libcrc32c,dm-mod\0alias=fs-xfs\0name=xfs\0\0alias=a=b\0";
        let information = Information::parse(section);
        assert_eq!(information.needs, ["libcrc32c", "dm_mod"]);
        assert_eq!(information.aliases, ["fs-xfs", "a=b"]);
        assert_eq!(Information::parse(b"depends=\0"), Information::default());
    }

    #[test]
    fn names_of_files_give_names_of_modules() {
        assert_eq!(
            module_name("crc32c-intel.ko.xz").as_deref(),
            Some("crc32c_intel")
        );
        assert_eq!(module_name("loop.ko").as_deref(), Some("loop"));
        assert_eq!(module_name("modules.order"), None);
        assert_eq!(module_name("x.kotlin"), None);
    }

    #[test]
    fn what_is_needed_comes_before_what_needs_it_and_once() {
        let graph: BTreeMap<&str, Vec<String>> = BTreeMap::from([
            ("a", owned(&["b", "c"])),
            ("b", owned(&["d"])),
            ("c", owned(&["d"])),
            ("d", owned(&[])),
        ]);
        let needs = |name: &str| graph.get(name).map(Vec::as_slice).unwrap_or_default();
        assert_eq!(
            load_order(&owned(&["a", "c"]), needs).unwrap(),
            ["d", "b", "c", "a"]
        );
        let circle: BTreeMap<&str, Vec<String>> =
            BTreeMap::from([("a", owned(&["b"])), ("b", owned(&["a"]))]);
        let needs = |name: &str| circle.get(name).map(Vec::as_slice).unwrap_or_default();
        load_order(&owned(&["a"]), needs).unwrap_err();
    }

    #[test]
    fn the_index_names_all_that_a_module_needs_nearest_first() {
        let modules = [
            module("virtio", &[], &[]),
            module("virtio_ring", &["virtio"], &[]),
            module("virtio_blk", &["virtio_ring"], &["virtio:d2v*"]),
        ];
        assert_eq!(
            dependency_file(&modules).unwrap(),
            "kernel/virtio.ko:\n\
             kernel/virtio_ring.ko: kernel/virtio.ko\n\
             kernel/virtio_blk.ko: kernel/virtio_ring.ko kernel/virtio.ko\n"
        );
        assert_eq!(alias_file(&modules), "alias virtio:d2v* virtio_blk\n");
    }
}
