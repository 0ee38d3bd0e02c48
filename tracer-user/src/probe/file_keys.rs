//! How the page-cache tracepoints name a file, learnt by reading one byte of it, or by touching a page of it.

use std::{fs::File, os::unix::fs::FileExt as _};

use anyhow::anyhow;
use aya::maps::{Array, HashMap};
use tracer_common::page::{FileKey, FileSlot, LearntKey};

use super::{Session, aggregates::Plain};

impl Session {
    /// Reads the first byte of a file, and returns how the tracepoint of that look-up named it. Kernels without that
    /// tracepoint (before 6.12) show an insert where the page was not cached, and else that a page is mapped. None where
    /// neither is shown, or the file system does not use the page cache.
    ///
    /// # Errors
    /// A map that cannot be written or read.
    pub fn learn_key(&mut self, file: &File) -> anyhow::Result<Option<FileKey>> {
        let thread_id = nix::unistd::gettid().as_raw().unsigned_abs();
        self.set_learnt(LearntKey {
            thread_id,
            ..LearntKey::default()
        })?;
        // Whatever comes of it, the answer is in the map.
        let _ = file.read_at(&mut [0], 0);
        let mut learnt = self.learnt()?;
        if learnt.found == 0 {
            touch_first_page(file);
            learnt = self.learnt()?;
        }
        self.set_learnt(LearntKey::default())?;
        Ok((learnt.found != 0).then_some(learnt.key))
    }

    fn learnt(&mut self) -> anyhow::Result<LearntKey> {
        let map = self
            .programs()
            .map("LEARNT_KEY")
            .ok_or_else(|| anyhow!("the eBPF object has no map LEARNT_KEY"))?;
        Ok(Array::<_, Plain<LearntKey>>::try_from(map)?.get(&0, 0)?.0)
    }

    fn set_learnt(&mut self, value: LearntKey) -> anyhow::Result<()> {
        let map = self
            .programs()
            .map_mut("LEARNT_KEY")
            .ok_or_else(|| anyhow!("the eBPF object has no map LEARNT_KEY"))?;
        Array::<_, Plain<LearntKey>>::try_from(map)?.set(0, Plain(value), 0)?;
        Ok(())
    }

    /// Gives the file in a slot another key.
    ///
    /// # Errors
    /// No such slot, or a map that cannot be written.
    pub fn replace_file(&mut self, slot: usize, key: FileKey) -> anyhow::Result<()> {
        let old = self.set_file_key(slot, key)?;
        let map = self
            .programs()
            .map_mut("FILES")
            .ok_or_else(|| anyhow!("the eBPF object has no map FILES"))?;
        let mut files: HashMap<_, Plain<FileKey>, Plain<FileSlot>> = HashMap::try_from(map)?;
        let value = files.get(&Plain(old), 0)?;
        files.remove(&Plain(old))?;
        files.insert(Plain(key), value, 0)?;
        Ok(())
    }
}

/// Maps the first page of a file and reads a byte of it; an empty file has none.
fn touch_first_page(file: &File) {
    if !file.metadata().is_ok_and(|metadata| metadata.len() > 0) {
        return;
    }
    // SAFETY: mapped for this one load. Where the file is cut short meanwhile the load raises SIGBUS, as it does for
    // whoever maps a file that changes; the model of a run does not.
    if let Ok(mapping) = unsafe { memmap2::MmapOptions::new().len(1).map(file) } {
        std::hint::black_box(mapping.first().copied());
    }
}
