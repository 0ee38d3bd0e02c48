//! Looks for the engine's functions in what its processes have mapped, and has them probed.

use std::{
    collections::{BTreeSet, HashMap, HashSet},
    path::{Path, PathBuf},
    sync::mpsc,
};

use tokio::sync::{mpsc::UnboundedSender, oneshot};

use crate::{
    engine::offsets_in,
    probe::{ProbePoint, Session},
    process::{MappedFile, executable_mappings, exported_symbols, mapped_pages},
};

use crate::run::{onlooker::RunSoFar, stream::Stream};

use super::marks::MarkedSymbols;

/// What the task that owns the session is asked to do.
pub enum SessionRequest {
    /// Probe a place of a file.
    Probe { file: PathBuf, point: ProbePoint },
    /// A process belongs to the engine.
    EngineProcess(u32),
    /// The engine has been started: what this process starts from now on is none of it.
    EngineStarted,
    /// Say when everything that was asked for before has been done.
    Answer(oneshot::Sender<()>),
    /// Put the figures of this moment together, for whoever looks on.
    Figures(mpsc::SyncSender<RunSoFar>),
    /// Have somebody look at what there is.
    Look(Look),
}

/// Looks at what there is.
pub type Look = Box<dyn FnOnce(&Session, &Stream) + Send>;

/// Looks into each file once.
#[derive(Debug)]
pub struct ProbeFinder {
    symbols: MarkedSymbols,
    requests: UnboundedSender<SessionRequest>,
    seen: HashSet<MappedFile>,
    /// Functions that were found, and in which file.
    found: Vec<(String, PathBuf)>,
    processes: BTreeSet<u32>,
    /// By process.
    looks: HashMap<u32, LibraryLook>,
    can_probe: bool,
}

/// The last look at the mappings of a process.
#[derive(Clone, Copy, Debug, Default)]
struct LibraryLook {
    /// As many pages were mapped.
    mapped_pages: Option<u64>,
    /// Looks since then that were left out.
    skipped: u32,
}

/// One look in so many is at all mappings, whether or not their size has changed: what was unmapped may have made room for as
/// much of another file.
const LOOKS_AT_LEAST: u32 = 5;

impl ProbeFinder {
    /// A finder that has found nothing.
    #[must_use]
    pub fn new(
        symbols: MarkedSymbols,
        requests: UnboundedSender<SessionRequest>,
        can_probe: bool,
    ) -> Self {
        Self {
            can_probe,
            symbols,
            requests,
            seen: HashSet::new(),
            found: Vec::new(),
            processes: BTreeSet::new(),
            looks: HashMap::new(),
        }
    }

    /// Looks at the program that will be started: a short-lived one may be over before anybody looks at its process.
    pub fn look_at_program(&mut self, program: &Path) {
        use std::os::unix::fs::MetadataExt as _;
        if !self.can_probe {
            return;
        }
        let Ok(metadata) = program.metadata() else {
            return;
        };
        let (major, minor) = (
            nix::sys::stat::major(metadata.dev()),
            nix::sys::stat::minor(metadata.dev()),
        );
        let device = (
            u32::try_from(major).unwrap_or(u32::MAX),
            u32::try_from(minor).unwrap_or(u32::MAX),
        );
        if self.seen.insert((device, metadata.ino())) {
            self.look_into(program, program);
        }
    }

    /// The engine has been started.
    pub fn engine_has_started(&self) {
        // As below.
        let _ = self.requests.send(SessionRequest::EngineStarted);
    }

    /// Looks at the processes' mappings.
    pub fn look_at_processes(&mut self, process_ids: &BTreeSet<u32>) {
        for process_id in process_ids {
            if self.processes.insert(*process_id) {
                // The task that takes requests ends with the window: then there is nothing to probe any more.
                let _ = self
                    .requests
                    .send(SessionRequest::EngineProcess(*process_id));
            }
            if !self.can_probe {
                continue;
            }
            let Ok(pid) = i32::try_from(*process_id) else {
                continue;
            };
            let size = mapped_pages(pid);
            let look = self.looks.entry(*process_id).or_default();
            look.skipped += 1;
            if size.is_some() && size == look.mapped_pages && look.skipped < LOOKS_AT_LEAST {
                continue;
            }
            *look = LibraryLook {
                mapped_pages: size,
                skipped: 0,
            };
            let Ok(files) = executable_mappings(pid, &self.seen) else {
                continue;
            };
            for file in files {
                if let Some(path) = &file.openable_path
                    && self.seen.insert((file.device, file.inode))
                {
                    self.look_into(path, &file.path_in_process);
                }
            }
        }
    }

    fn look_into(&mut self, file: &Path, name: &Path) {
        // No ELF file, or a damaged one: there is nothing to probe.
        let mut found = exported_symbols(file, &self.symbols.names()).unwrap_or_default();
        if found.is_empty() {
            found = offsets_in(file).unwrap_or_default();
        }
        let mut points: Vec<ProbePoint> = found
            .iter()
            .flat_map(|(symbol, offset)| self.symbols.points(symbol, *offset))
            .collect();
        // Each takes milliseconds, and the engine runs on: decode calls first.
        points.sort_by_key(|point| (point.symbol, point.returns));
        for point in points {
            let file = file.to_owned();
            let _ = self.requests.send(SessionRequest::Probe { file, point });
        }
        self.found.extend(
            found
                .into_iter()
                .map(|(symbol, _)| (symbol, name.to_owned())),
        );
    }

    /// Waits until all that was found is probed.
    pub async fn settled(&self) {
        let (sender, answer) = oneshot::channel();
        if self.requests.send(SessionRequest::Answer(sender)).is_ok() {
            // The window has closed meanwhile: then nothing is left to wait for.
            let _ = answer.await;
        }
    }

    /// Whether a decode call has been found, or none can be.
    #[must_use]
    pub fn has_decode_call(&self) -> bool {
        !self.can_probe
            || self
                .found
                .iter()
                .any(|(symbol, _)| self.symbols.decodes(symbol))
    }
}
