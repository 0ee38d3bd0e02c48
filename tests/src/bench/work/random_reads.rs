//! Threads that read a file at random places, as fast as they can.

use std::{
    fs::OpenOptions,
    os::unix::fs::{FileExt as _, OpenOptionsExt as _},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::{self, JoinHandle},
};

use anyhow::{Context as _, Result, bail, ensure};

/// What is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReadLoad {
    /// Threads.
    pub threads: usize,
    /// Bytes a read, whole pages.
    pub read_bytes: usize,
    /// Where the threads' random offsets begin.
    pub seed: u64,
}

/// A page, for buffers that direct reads take.
#[repr(C, align(4096))]
#[derive(Clone)]
struct Page([u8; 4096]);

/// Away from the other threads' counts: two lines, since processors fetch them in pairs.
#[repr(align(128))]
#[derive(Debug, Default)]
struct Count(AtomicU64);

/// Threads at work; dropped, they stop.
#[derive(Debug)]
pub struct RandomReads {
    counts: Arc<Vec<Count>>,
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<Result<()>>>,
}

impl RandomReads {
    /// Starts direct reads of a file.
    ///
    /// # Errors
    /// Where the file cannot be opened for them, or is smaller than a read.
    pub fn start(path: &Path, load: ReadLoad) -> Result<Self> {
        ensure!(
            load.read_bytes > 0 && load.read_bytes.is_multiple_of(size_of::<Page>()),
            "a direct read is of whole pages, not of {} bytes",
            load.read_bytes
        );
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(libc::O_DIRECT)
            .open(path)
            .with_context(|| format!("open {} for direct reads", path.display()))?;
        let size = file.metadata().context("ask for the file's size")?.len();
        let places = size / load.read_bytes as u64;
        ensure!(places > 0, "the file has {size} bytes, less than a read");
        let file = Arc::new(file);
        let counts: Arc<Vec<Count>> =
            Arc::new((0..load.threads).map(|_| Count::default()).collect());
        let stop = Arc::new(AtomicBool::new(false));
        let threads = (0..load.threads)
            .map(|number| {
                let (file, counts, stop) =
                    (Arc::clone(&file), Arc::clone(&counts), Arc::clone(&stop));
                let mut random = fastrand::Rng::with_seed(load.seed.wrapping_add(number as u64));
                thread::Builder::new()
                    .name("reads".into())
                    .spawn(move || {
                        let mut pages = vec![Page([0; 4096]); load.read_bytes / size_of::<Page>()];
                        // SAFETY: the pages are bytes without gaps between them, and borrowed for as long.
                        let buffer = unsafe {
                            std::slice::from_raw_parts_mut(
                                pages.as_mut_ptr().cast::<u8>(),
                                load.read_bytes,
                            )
                        };
                        while !stop.load(Ordering::Relaxed) {
                            let offset = random.u64(..places) * load.read_bytes as u64;
                            file.read_exact_at(buffer, offset)
                                .context("read the file at a random place")?;
                            counts[number].0.fetch_add(1, Ordering::Relaxed);
                        }
                        Ok(())
                    })
                    .context("start a thread that reads")
            })
            .collect::<Result<_>>()?;
        Ok(Self {
            counts,
            stop,
            threads,
        })
    }

    /// Reads so far.
    #[must_use]
    pub fn done(&self) -> u64 {
        self.counts
            .iter()
            .map(|count| count.0.load(Ordering::Relaxed))
            .sum()
    }

    /// Stops the threads.
    ///
    /// # Errors
    /// Where a read failed.
    pub fn stop(mut self) -> Result<()> {
        self.join()
    }

    fn join(&mut self) -> Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let mut result = Ok(());
        for thread in self.threads.drain(..) {
            match thread.join() {
                Ok(ended) => result = result.and(ended),
                Err(_) => bail!("a thread that reads has panicked"),
            }
        }
        result
    }
}

impl Drop for RandomReads {
    fn drop(&mut self) {
        // Whoever wants to know how they ended calls `stop`.
        let _ = self.join();
    }
}
