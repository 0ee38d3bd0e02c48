//! An engine that does what it is told, and the windows of it that the service has written.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use anyhow::{Context as _, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::Value;
use tests::{
    disk::LoopDisk, model_file::ModelFile, reader::RunningProgram, run_record::RunRecord,
    tracer::TracerCall,
};

use super::FILE_SYSTEM;
use crate::{
    ground::{Ground, check_no_violation},
    processes::holds_open,
};

pub const LIMIT: Duration = Duration::from_secs(60);
pub const MODEL_BYTES: u64 = 4 << 20;

/// What the engine is called.
pub const NAME: &str = "engine-of-tests";

/// Does each line that it reads, and says so.
const SCRIPT: &str = "while read -r line; do eval \"$line\"; echo done; done\n";

pub fn disk(ground: &Ground) -> Result<LoopDisk> {
    ground.disk(FILE_SYSTEM)
}

pub fn model(disk: &LoopDisk, name: &str) -> Result<ModelFile> {
    ModelFile::contiguous(disk, name, MODEL_BYTES)
}

/// A shell that is told what to open and to read.
pub struct Engine {
    program: RunningProgram,
    told: usize,
}

impl Engine {
    pub fn start(ground: &Ground) -> Result<Self> {
        let folder = ground.scratch.fresh_directory("engine")?;
        let script = folder.join(NAME);
        fs::write(&script, SCRIPT)?;
        let mut command = Command::new("sh");
        command.arg(&script);
        Ok(Self {
            program: RunningProgram::start(&ground.scratch, command)?,
            told: 0,
        })
    }

    pub fn process_id(&self) -> u32 {
        self.program.process_id()
    }

    fn tell(&mut self, line: &str) -> Result<()> {
        self.program.send_line(line)?;
        self.told += 1;
        let told = self.told;
        self.program
            .wait_until("it has done as told", LIMIT, |program| {
                program.output_so_far().matches("done\n").count() >= told
            })
    }

    /// Opens a model, and lets the one before go.
    pub fn open(&mut self, model: &ModelFile) -> Result<()> {
        self.tell(&format!("exec 3<'{}'", model.path().display()))?;
        ensure!(
            holds_open(self.process_id(), model.path()),
            "it is not open"
        );
        Ok(())
    }

    /// Reads all of it, past the page cache: [`MODEL_BYTES`] from the device.
    pub fn read(&mut self, model: &ModelFile) -> Result<()> {
        self.tell(&format!(
            "dd if='{}' of=/dev/null bs=64k iflag=direct status=none",
            model.path().display()
        ))
    }

    pub fn end(self) -> Result<()> {
        self.program.signal(Signal::SIGKILL)?;
        self.program.ended(LIMIT)?;
        Ok(())
    }
}

/// A service at work.
pub struct Service {
    pub program: RunningProgram,
    pub folder: PathBuf,
}

impl Service {
    /// Starts it for [`NAME`], in a folder.
    pub fn start(ground: &Ground, folder: &Path, options: &[&str]) -> Result<Self> {
        let mut call = TracerCall::bare(&ground.scratch, &["watch"])?
            .option("--name", NAME)
            .option("--out", folder);
        for option in options {
            call = call.flag(option);
        }
        Self::of(call, folder)
    }

    pub fn of(call: TracerCall<'_>, folder: &Path) -> Result<Self> {
        let service = Self {
            program: call.start()?,
            folder: folder.to_owned(),
        };
        service.said("watching;", 1)?;
        Ok(service)
    }

    /// Waits until it has said these words so often.
    pub fn said(&self, words: &str, times: usize) -> Result<()> {
        self.program
            .wait_until(&format!("it says {words:?}"), LIMIT, |program| {
                program.errors_so_far().matches(words).count() >= times
            })
    }

    /// Waits until so many windows count.
    pub fn counting(&self, windows: usize) -> Result<()> {
        self.program.wait_until("its windows count", LIMIT, |_| {
            counting(&self.folder) >= windows
        })
    }

    /// Ends it as systemd does, and has what it said.
    pub fn stop(self) -> Result<String> {
        self.program.signal(Signal::SIGTERM)?;
        let finished = self.program.finish(LIMIT)?;
        finished.succeeded()?;
        let hidden = folders(&self.folder, ".run=");
        ensure!(hidden.is_empty(), "{hidden:?} are left");
        Ok(finished.errors)
    }
}

/// Open windows whose tracer says that it traces.
fn counting(folder: &Path) -> usize {
    let windows = folders(folder, ".run=");
    let logs = windows.iter().map(|window| window.join("tracer.log"));
    logs.filter(|log| fs::read_to_string(log).is_ok_and(|text| text.contains("tracing process")))
        .count()
}

/// Folders of all days whose names begin so, in their order.
pub fn folders(folder: &Path, beginning: &str) -> Vec<PathBuf> {
    let listed = |folder: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    };
    let named = |path: &PathBuf, beginning: &str| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.starts_with(beginning)
    };
    let mut found: Vec<PathBuf> = listed(folder)
        .into_iter()
        .filter(|path| named(path, "host="))
        .flat_map(|host| listed(&host))
        .filter(|path| named(path, "date="))
        .flat_map(|date| listed(&date))
        .filter(|path| named(path, beginning))
        .collect();
    found.sort();
    found
}

/// A window that is over.
pub struct Window {
    pub record: RunRecord,
    pub watch: Value,
}

impl Window {
    pub fn read_bytes(&self) -> Result<u64> {
        self.record.count("reads.total_bytes")
    }
}

/// All windows, each with figures that no check contradicts and that are the device's own.
pub fn windows(folder: &Path) -> Result<Vec<Window>> {
    folders(folder, "run=")
        .iter()
        .map(|folder| {
            let record = RunRecord::load(folder)?;
            check_no_violation(&record)?;
            let by_counter = record.count("devices.0.statistics_sectors_read")? * 512;
            let by_tracer = record.count("devices.0.read_bytes")?;
            ensure!(
                by_counter == by_tracer,
                "{}: {by_tracer} bytes by the tracer, {by_counter} by the device",
                folder.display()
            );
            let watch = fs::read(folder.join("watch.json")).context("watch.json")?;
            Ok(Window {
                record,
                watch: serde_json::from_slice(&watch)?,
            })
        })
        .collect()
}

/// So many windows, which read this much together.
pub fn check_read(windows: &[Window], number: usize, bytes: u64) -> Result<()> {
    let read: Vec<u64> = windows
        .iter()
        .map(Window::read_bytes)
        .collect::<Result<_>>()?;
    ensure!(
        windows.len() == number && read.iter().sum::<u64>() == bytes,
        "{number} windows should have read {bytes} bytes, and {} read {read:?}",
        windows.len()
    );
    Ok(())
}
