//! The file behind a file of overlayfs.
//!
//! Overlay has no data of its own: page cache, extents and device belong to a file of one of its layers. The layers'
//! directories are named in the mount options, as paths of the mount namespace that mounted it; in a container they
//! often cannot be reached. So a candidate counts only if it is proved.

use std::borrow::Cow;
use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use super::extents::FileExtents;
use super::filesystem::FileSystem;
use super::mount_table::Mount;

/// The layer's file that `file`, opened at the canonical `path` through overlay, stands for; or why it is not known.
/// Proof: the same size, time of last modification, and (not empty) the same extents, which FIEMAP hands through.
pub(super) fn layer_file(
    path: &Path,
    file: &File,
    file_system: &FileSystem,
) -> Result<PathBuf, String> {
    let mount = &file_system.mount;
    let path = seen_by_its_process(path);
    let inside = path.strip_prefix(&mount.mount_point).map_err(|_| {
        format!(
            "{} is not below its mount point {}",
            path.display(),
            mount.mount_point.display()
        )
    })?;
    let inside = mount
        .root
        .strip_prefix("/")
        .unwrap_or(&mount.root)
        .join(inside);
    let upper_extents = FileExtents::of(file).map_err(|error| error.to_string())?;
    let upper = file.metadata().map_err(|error| error.to_string())?;
    if upper_extents.extents.is_empty() {
        return Err(
            "the file has no data on disk by which it could be recognised in a layer".to_owned(),
        );
    }
    let layers = layers(mount);
    for layer in &layers {
        let candidate = layer.join(&inside);
        let Ok(found) = candidate.symlink_metadata() else {
            continue;
        };
        if !found.is_file() || found.len() != upper.len() {
            continue;
        }
        let same_time = (found.mtime(), found.mtime_nsec()) == (upper.mtime(), upper.mtime_nsec());
        let extents = File::open(&candidate)
            .ok()
            .and_then(|layer_file| FileExtents::of(&layer_file).ok());
        if same_time
            && extents.is_some_and(|extents| extents.fingerprint() == upper_extents.fingerprint())
        {
            return Ok(candidate);
        }
    }
    Err(format!(
        "none of its {} layers, as this process sees them, holds the same file at {} (in a container the layers' directories are usually out of sight)",
        layers.len(),
        inside.display()
    ))
}

/// A path below `/proc/P` as that process sees it: what lies behind `root`, or what one of its open or mapped files is
/// called below its root. Any other path as it is.
fn seen_by_its_process(path: &Path) -> Cow<'_, Path> {
    let mut parts = path.components();
    let begins = parts.next() == Some(Component::RootDir)
        && parts.next() == Some(Component::Normal(OsStr::new("proc")));
    let process = match parts.next() {
        Some(Component::Normal(name)) if begins => name.to_str(),
        _ => None,
    };
    let Some(process) = process.and_then(|name| name.parse::<i32>().ok()) else {
        return path.into();
    };
    match parts.next() {
        Some(Component::Normal(name)) if name == "root" => {
            Path::new("/").join(parts.as_path()).into()
        }
        Some(Component::Normal(name)) if name == "fd" || name == "map_files" => {
            let called = std::fs::read_link(path).unwrap_or_else(|_| path.to_owned());
            let below_its_root = std::fs::read_link(format!("/proc/{process}/root"))
                .ok()
                .and_then(|root| Some(Path::new("/").join(called.strip_prefix(root).ok()?)));
            below_its_root.unwrap_or(called).into()
        }
        _ => path.into(),
    }
}

/// Directories of the layers, topmost first. Those of a mount in another namespace were named by whoever mounted it,
/// mostly from our own (a container's engine), else from that one.
fn layers(mount: &Mount) -> Vec<PathBuf> {
    let named = named_layers(mount);
    let Some(pid) = mount.namespace_of else {
        return named;
    };
    let below_its_root = |layer: &PathBuf| {
        let relative = layer.strip_prefix("/").unwrap_or(layer);
        Path::new("/proc")
            .join(pid.to_string())
            .join("root")
            .join(relative)
    };
    let seen_there: Vec<PathBuf> = named.iter().map(below_its_root).collect();
    named.into_iter().chain(seen_there).collect()
}

fn named_layers(mount: &Mount) -> Vec<PathBuf> {
    let mut layers: Vec<PathBuf> = mount
        .super_option_values("upperdir")
        .map(PathBuf::from)
        .collect();
    for value in mount.super_option_values("lowerdir") {
        layers.extend(split_layers(value.as_bytes()));
    }
    for name in ["lowerdir+", "datadir+"] {
        layers.extend(mount.super_option_values(name).map(PathBuf::from));
    }
    layers
}

/// Names of the file systems that an overlay's layers lie on, as far as this process sees them; each once.
pub(super) fn layer_file_systems(mount: &Mount) -> Vec<String> {
    let mut names: Vec<String> = layers(mount)
        .iter()
        .filter_map(|layer| FileSystem::of(&File::open(layer).ok()?).ok())
        .map(|file_system| file_system.name().to_owned())
        .collect();
    names.sort_unstable();
    names.dedup();
    names
}

/// Splits `lowerdir` at colons; `\:` is a colon of a name. Empty pieces come from `::`, which announces data-only layers.
fn split_layers(value: &[u8]) -> Vec<PathBuf> {
    let mut layers = vec![Vec::new()];
    let mut bytes = value.iter().copied().peekable();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if bytes.peek().is_some() => {
                if let (Some(last), Some(escaped)) = (layers.last_mut(), bytes.next()) {
                    last.push(escaped);
                }
            }
            b':' => layers.push(Vec::new()),
            byte => layers
                .last_mut()
                .into_iter()
                .for_each(|last| last.push(byte)),
        }
    }
    layers
        .into_iter()
        .filter(|layer| !layer.is_empty())
        .map(|layer| PathBuf::from(OsString::from_vec(layer)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::storage::MountTable;

    #[test]
    fn layers_come_topmost_first_with_their_escapes_undone() {
        let table = MountTable::parse(
            b"1 2 0:50 / /o rw - overlay overlay rw,lowerdir=/a\\134:b:/c::/data,upperdir=/u,workdir=/w\n\
              3 2 0:51 / /p rw - overlay overlay ro,lowerdir+=/x:y,lowerdir+=/z,datadir+=/d\n",
        )
        .unwrap();
        let paths = |index: usize| {
            layers(&table.mounts[index])
                .iter()
                .map(|p| p.display().to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(paths(0), ["/u", "/a:b", "/c", "/data"]);
        assert_eq!(paths(1), ["/x:y", "/z", "/d"]);
    }

    #[test]
    fn layers_of_another_namespace_are_looked_for_in_both() {
        let mut table =
            MountTable::parse(b"1 2 0:50 / / ro - overlay overlay ro,lowerdir=/a:/b\n").unwrap();
        let mount = &mut table.mounts[0];
        mount.namespace_of = Some(42);
        assert_eq!(
            layers(mount),
            ["/a", "/b", "/proc/42/root/a", "/proc/42/root/b"].map(PathBuf::from)
        );
    }

    #[test]
    fn paths_below_proc_are_those_of_the_process() {
        let own = format!("/proc/{}", std::process::id());
        let program = std::env::current_exe().unwrap();
        let file = File::open(&program).unwrap();
        let descriptor = format!("{own}/fd/{}", std::os::fd::AsRawFd::as_raw_fd(&file));
        for (path, seen) in [
            (
                format!("{own}/root/models/m.gguf"),
                Path::new("/models/m.gguf"),
            ),
            (
                "/proc/self/root/m".to_owned(),
                Path::new("/proc/self/root/m"),
            ),
            (
                "/models/proc/1/root".to_owned(),
                Path::new("/models/proc/1/root"),
            ),
            ("/proc/1/cwd/m".to_owned(), Path::new("/proc/1/cwd/m")),
            (descriptor, program.as_path()),
        ] {
            assert_eq!(seen_by_its_process(Path::new(&path)), seen);
        }
    }
}
