//! The model's file in memory, mapped and advised as llama.cpp does (`src/llama-mmap.cpp`).
//!
//! A file that is truncated while it is mapped ends the process with SIGBUS, as it does with llama.cpp; that is not handled.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use memmap2::{Advice, Mmap, MmapOptions, UncheckedAdvice};
use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};

use super::error::EngineError;
use super::options::LoadMode;

pub(super) struct Mapping {
    file: File,
    map: Mmap,
    path: PathBuf,
}

impl Mapping {
    /// Maps `file`, which must have `size_bytes` bytes.
    pub(super) fn new(
        file: File,
        path: &Path,
        size_bytes: u64,
        mode: LoadMode,
    ) -> Result<Self, EngineError> {
        let failed = |action| {
            move |source| EngineError::Mapping {
                action,
                path: path.into(),
                source,
            }
        };
        let now_bytes = file.metadata().map_err(failed("read the size of"))?.len();
        if now_bytes != size_bytes {
            return Err(EngineError::Changed { path: path.into() });
        }
        if mode == LoadMode::Populate {
            advise_file(&file, PosixFadviseAdvice::POSIX_FADV_SEQUENTIAL)
                .map_err(failed("advise sequential reads of"))?;
        }
        let mut options = MmapOptions::new();
        if mode == LoadMode::Populate {
            options.populate();
        }
        // SAFETY: the mapping is only read. That the file does not change is the user's part, as with every engine that
        // maps its model: bytes that change give other tokens (any bytes are valid weights), truncation gives SIGBUS.
        let map = unsafe { options.map(&file) }.map_err(failed("map"))?;
        if map.len() as u64 != size_bytes {
            return Err(EngineError::Changed { path: path.into() });
        }
        if mode == LoadMode::Populate {
            map.advise(Advice::WillNeed)
                .map_err(failed("ask to read ahead"))?;
        }
        Ok(Self {
            file,
            map,
            path: path.into(),
        })
    }

    /// The bytes of the file.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.map
    }

    /// Takes the file out of this process's page tables and then out of the page cache. In this order: pages that are
    /// mapped stay in the cache.
    pub(super) fn zap(&self) -> Result<(), EngineError> {
        let failed = |action| {
            move |source| EngineError::Mapping {
                action,
                path: self.path.clone(),
                source,
            }
        };
        // SAFETY: the mapping is shared, file-backed and never written: after MADV_DONTNEED its pages come from the file
        // again, with the same bytes, so references into it stay valid.
        unsafe { self.map.unchecked_advise(UncheckedAdvice::DontNeed) }
            .map_err(failed("unmap the pages of"))?;
        advise_file(&self.file, PosixFadviseAdvice::POSIX_FADV_DONTNEED)
            .map_err(failed("drop from the page cache"))
    }
}

/// Advises on the whole file.
fn advise_file(file: &File, advice: PosixFadviseAdvice) -> io::Result<()> {
    Ok(posix_fadvise(file, 0, 0, advice)?)
}

#[cfg(test)]
mod tests {
    use std::fs::{self, File};

    use super::Mapping;
    use crate::engine::{EngineError, LoadMode};

    const SIZE_BYTES: u64 = 1 << 20;

    /// Bytes of the mapping that this process has in its page tables.
    fn resident_bytes(mapping: &Mapping) -> u64 {
        let start = format!("{:x}-", mapping.bytes().as_ptr() as usize);
        let maps = fs::read_to_string("/proc/self/smaps").unwrap();
        let mut lines = maps.lines().skip_while(|line| !line.starts_with(&start));
        let resident = lines.find_map(|line| line.strip_prefix("Rss:")).unwrap();
        resident
            .trim()
            .strip_suffix(" kB")
            .unwrap()
            .parse::<u64>()
            .unwrap()
            * 1024
    }

    fn map(mode: LoadMode, size_bytes: u64) -> Result<Mapping, EngineError> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        fs::write(&path, vec![1; SIZE_BYTES as usize]).unwrap();
        Mapping::new(File::open(&path).unwrap(), &path, size_bytes, mode)
    }

    #[test]
    fn populate_brings_all_in_and_mmap_nothing_and_zap_takes_all_out() {
        assert_eq!(resident_bytes(&map(LoadMode::Mmap, SIZE_BYTES).unwrap()), 0);
        let mapping = map(LoadMode::Populate, SIZE_BYTES).unwrap();
        assert_eq!(resident_bytes(&mapping), SIZE_BYTES);
        mapping.zap().unwrap();
        assert_eq!(resident_bytes(&mapping), 0);
        assert!(mapping.bytes().iter().all(|&byte| byte == 1));
    }

    #[test]
    fn a_file_of_another_size_than_its_header_was_read_for_is_refused() {
        assert!(matches!(
            map(LoadMode::Mmap, SIZE_BYTES + 1),
            Err(EngineError::Changed { .. })
        ));
    }
}
