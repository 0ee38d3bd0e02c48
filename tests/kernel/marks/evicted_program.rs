//! A program whose pages leave memory while it is started under a probe. Where the kernel then has to read the probed
//! function's page with the new process's memory locked, ext4 warns, and a warning in the kernel's log fails the case.

use std::{
    fs,
    os::fd::AsRawFd as _,
    sync::atomic::{AtomicBool, Ordering},
    thread,
};

use anyhow::{Context as _, Result, ensure};
use tests::{disk::FileSystem, model_file::ModelFile, reference::has_helper, tracer::TracerCall};

use super::{FILE_BYTES, steps};
use crate::ground::Ground;

/// So many starts, since the pages have to go in the moment between probe and start.
const STARTS: usize = 8;

pub fn a_program_whose_pages_leave_while_it_starts(ground: &Ground) -> Result<()> {
    let disk = ground.disk(FileSystem::Ext4)?;
    let model = ModelFile::contiguous(&disk, "model", FILE_BYTES)?;
    let program = disk.mount_point().join("stepping_engine");
    fs::copy(env!("CARGO_BIN_EXE_stepping_engine"), &program).context("copy the engine")?;
    disk.synchronise()?;
    let file = fs::File::open(&program).context("open the engine")?;
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                // SAFETY: a system call on a descriptor that is open.
                unsafe { libc::posix_fadvise(file.as_raw_fd(), 0, 0, libc::POSIX_FADV_DONTNEED) };
                thread::sleep(std::time::Duration::from_micros(200));
            }
        });
        let result = (0..STARTS).try_for_each(|start| {
            let run = TracerCall::launch(&ground.scratch, model.path())?
                .engine(&program, &["--steps", "2", "--prompt", "3"])
                .run()?;
            run.finished.succeeded().context("the traced engine")?;
            let steps = steps(&run.record()?)?.len();
            let expected = if has_helper("get_attach_cookie")? {
                3
            } else {
                0
            };
            ensure!(
                steps == expected,
                "start {start}: {steps} steps, not {expected}"
            );
            Ok(())
        });
        over.store(true, Ordering::Relaxed);
        result
    })
}
