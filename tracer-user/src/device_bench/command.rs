//! `tracer device`: a test of a device, with progress and signals, and its record on disk.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::Duration,
};

use anyhow::Context as _;
use indicatif::{ProgressBar, ProgressStyle};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::{
    output::RunDirectory,
    process::{Caller, SignalWatch},
    schema::DeviceTestRecord,
};

use super::{DeviceTestOptions, measure};

/// How often it is looked whether the thread that waits for signals is still needed, milliseconds.
const LOOK_MILLISECONDS: u16 = 100;

/// What to test.
#[derive(Clone, Debug)]
pub struct DeviceTestRequest {
    /// A model's file.
    pub file: PathBuf,
    /// Folder of a run whose reads are the pattern.
    pub run: Option<PathBuf>,
    /// How long it may take.
    pub time: Duration,
    /// Release of the running kernel.
    pub kernel: String,
    /// Where to write the record.
    pub out: Option<PathBuf>,
}

/// Tests the device of a file. A signal ends it early, with what has been measured.
///
/// # Errors
/// The device cannot be tested, or the record cannot be written.
pub fn run_device_test(
    request: DeviceTestRequest,
    signals: SignalWatch,
) -> anyhow::Result<DeviceTestRecord> {
    let caller = Caller::of_this_process()?;
    // Made first: half a minute is not to be measured for nothing.
    let directory = request
        .out
        .as_deref()
        .map(|path| RunDirectory::open_or_create(path, &caller))
        .transpose()?;
    let stop = Arc::new(AtomicBool::new(false));
    let over = Arc::new(AtomicBool::new(false));
    let waiting = {
        let (stop, over) = (Arc::clone(&stop), Arc::clone(&over));
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || wait_for_signal(&signals, &stop, &over))
            .context("cannot start the thread that waits for signals")?
    };
    let progress = progress(request.time);
    let options = DeviceTestOptions {
        file: request.file,
        run: request.run,
        time: request.time,
    };
    let measured = measure(&options, &stop, &mut |elapsed| {
        progress.set_position(elapsed.as_secs());
    });
    progress.finish_and_clear();
    over.store(true, Ordering::Relaxed);
    // It ends within a moment, and leaves nothing behind where it panicked.
    let _ = waiting.join();
    let record = DeviceTestRecord {
        kernel: request.kernel,
        ..measured?
    };
    if let Some(mut directory) = directory {
        directory.write_device_test(&record, &caller)?;
        eprintln!(
            "tracer: device.json and device.txt are in {}",
            directory.path().display()
        );
    }
    Ok(record)
}

/// Sets `stop` at a signal; ends when all is over.
fn wait_for_signal(signals: &SignalWatch, stop: &AtomicBool, over: &AtomicBool) {
    use std::os::fd::AsFd as _;
    while !over.load(Ordering::Relaxed) {
        let mut wanted = [PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        // Without signals there is only no early end.
        let _ = poll(&mut wanted, PollTimeout::from(LOOK_MILLISECONDS));
        if matches!(signals.next(), Ok(Some(_))) {
            stop.store(true, Ordering::Relaxed);
        }
    }
}

fn progress(time: Duration) -> ProgressBar {
    let progress = ProgressBar::new(time.as_secs()).with_message("measuring the device");
    // The template is a constant; where it were wrong, the plain bar would do.
    if let Ok(style) = ProgressStyle::with_template("{msg} {wide_bar} {pos} of {len} s") {
        progress.set_style(style);
    }
    if progress.is_hidden() {
        eprintln!(
            "tracer: measuring the device, up to {} s; Ctrl-C ends it",
            time.as_secs()
        );
    }
    progress
}
