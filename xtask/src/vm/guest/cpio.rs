//! The archive that the kernel unpacks as its first file system: cpio, format `newc`
//! (`Documentation/driver-api/early-userspace/buffer-format.rst` in the kernel's source).
//!
//! The kernel takes several archives one after the other, later ones over earlier ones.

use std::{
    collections::BTreeSet,
    io::{self, Write},
    path::{Component, Path, PathBuf},
};

const FOLDER: u32 = 0o040_755;
const FILE: u32 = 0o100_000;
const LINK: u32 = 0o120_777;

/// The end of an archive, as an entry of this name.
const TRAILER: &str = "TRAILER!!!";

/// Writes an archive. Folders come by themselves; everything belongs to root.
#[derive(Debug)]
pub struct Archive<W> {
    writer: W,
    folders: BTreeSet<PathBuf>,
    next_inode: u32,
}

impl<W: Write> Archive<W> {
    /// An empty archive.
    pub fn new(writer: W) -> Self {
        Self {
            writer,
            folders: BTreeSet::new(),
            next_inode: 1,
        }
    }

    /// Adds an empty folder, and those above it.
    ///
    /// # Errors
    /// The path has a `..`, or the archive cannot be written.
    pub fn folder(&mut self, path: &Path) -> io::Result<()> {
        let mut folder = PathBuf::new();
        for component in path.components() {
            match component {
                Component::RootDir | Component::CurDir => continue,
                Component::Normal(name) => folder.push(name),
                Component::ParentDir | Component::Prefix(_) => {
                    return Err(io::Error::new(
                        io::ErrorKind::InvalidInput,
                        format!("{} names no place in an archive", path.display()),
                    ));
                }
            }
            if self.folders.insert(folder.clone()) {
                self.entry(&folder, FOLDER, &[])?;
            }
        }
        Ok(())
    }

    /// Adds a file.
    ///
    /// # Errors
    /// It is 4 GiB or larger, or the archive cannot be written.
    pub fn file(&mut self, path: &Path, permissions: u32, content: &[u8]) -> io::Result<()> {
        self.folder_of(path)?;
        self.entry(path, FILE | permissions & 0o7777, content)
    }

    /// Adds a symbolic link.
    ///
    /// # Errors
    /// The archive cannot be written.
    pub fn link(&mut self, path: &Path, target: &Path) -> io::Result<()> {
        self.folder_of(path)?;
        self.entry(path, LINK, target.as_os_str().as_encoded_bytes())
    }

    /// Ends the archive.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(mut self) -> io::Result<W> {
        self.entry(Path::new(TRAILER), 0, &[])?;
        Ok(self.writer)
    }

    fn folder_of(&mut self, path: &Path) -> io::Result<()> {
        path.parent().map_or(Ok(()), |parent| self.folder(parent))
    }

    fn entry(&mut self, path: &Path, mode: u32, content: &[u8]) -> io::Result<()> {
        let name = path.strip_prefix("/").unwrap_or(path);
        let name = name.as_os_str().as_encoded_bytes();
        let size = u32::try_from(content.len()).map_err(|_| {
            io::Error::new(
                io::ErrorKind::InvalidInput,
                format!("{} is too large for an archive", path.display()),
            )
        })?;
        let inode = self.next_inode;
        self.next_inode += 1;
        let links = if mode == FOLDER { 2 } else { 1 };
        let name_size = u32::try_from(name.len() + 1).unwrap_or(u32::MAX);
        // Magic; inode, mode, user, group, links, time, size, device and its number (2 each), name, checksum.
        let header = [inode, mode, 0, 0, links, 0, size, 0, 0, 0, 0, name_size, 0];
        let mut text = String::from("070701");
        for field in header {
            text.push_str(&format!("{field:08x}"));
        }
        self.writer.write_all(text.as_bytes())?;
        self.writer.write_all(name)?;
        self.writer.write_all(&[0])?;
        self.align(text.len() + name.len() + 1)?;
        self.writer.write_all(content)?;
        self.align(content.len())
    }

    fn align(&mut self, written: usize) -> io::Result<()> {
        let missing = written.next_multiple_of(4) - written;
        self.writer.write_all(&[0; 4][..missing])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads an archive back: name, mode, content.
    fn entries(mut archive: &[u8]) -> Vec<(String, u32, Vec<u8>)> {
        let mut found = Vec::new();
        loop {
            assert_eq!(&archive[..6], b"070701");
            let field = |number: usize| {
                let start = 6 + 8 * number;
                let text = std::str::from_utf8(&archive[start..start + 8]).unwrap();
                u32::from_str_radix(text, 16).unwrap()
            };
            let (mode, size, name_size) = (field(1), field(6) as usize, field(11) as usize);
            let name = std::str::from_utf8(&archive[110..110 + name_size - 1]).unwrap();
            let name = name.to_owned();
            let start = (110 + name_size).next_multiple_of(4);
            let content = archive[start..start + size].to_vec();
            archive = &archive[start + size.next_multiple_of(4)..];
            if name == TRAILER {
                assert!(archive.is_empty());
                return found;
            }
            found.push((name, mode, content));
        }
    }

    #[test]
    fn what_is_written_is_read_back_and_folders_come_first_and_once() {
        let mut archive = Archive::new(Vec::new());
        archive
            .file(Path::new("/a/b/one"), 0o755, b"12345")
            .unwrap();
        archive.file(Path::new("a/b/two"), 0o644, b"").unwrap();
        archive
            .link(Path::new("/a/three"), Path::new("/x"))
            .unwrap();
        archive.folder(Path::new("/a")).unwrap();
        let expected = [
            ("a", 0o040_755, "".as_bytes()),
            ("a/b", 0o040_755, b""),
            ("a/b/one", 0o100_755, b"12345"),
            ("a/b/two", 0o100_644, b""),
            ("a/three", 0o120_777, b"/x"),
        ]
        .map(|(name, mode, content)| (name.to_owned(), mode, content.to_vec()));
        assert_eq!(entries(&archive.finish().unwrap()), expected);
    }

    #[test]
    fn names_of_every_length_are_aligned() {
        for length in 1..9 {
            let mut archive = Archive::new(Vec::new());
            let (name, content) = ("n".repeat(length), vec![7; length]);
            archive.file(Path::new(&name), 0o600, &content).unwrap();
            let expected = [(name, 0o100_600, content)];
            assert_eq!(entries(&archive.finish().unwrap()), expected);
        }
    }

    #[test]
    fn a_path_that_leaves_the_archive_is_refused() {
        let mut archive = Archive::new(Vec::new());
        archive.file(Path::new("/a/../b"), 0o600, b"").unwrap_err();
    }
}
