//! Experts of a running engine, thrown out of memory in turn so that their use shows.
//!
//! Nothing fires where a page that is in memory is used. Where all experts fit, nobody sees which of them a token picks, until
//! their pages are not there: then a page fault reaches each that is used (`sizing/experts.rs`). Layer after layer has its turn,
//! so that what is read again at a time is what a few tokens use of a few layers.

use std::{
    collections::BTreeMap,
    fs::File,
    ops::Range,
    sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel},
    thread::JoinHandle,
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};

use crate::{
    place::{ModelPieces, Subject},
    pressure::{addresses_of, page_out, processes_mapping},
    process::ObservedProcess,
    schema::ShownExpertsRecord,
    storage::{ResidentPages, residency_of_range},
    units,
};

/// From one round to the next: some tokens pass meanwhile, of which the first shows all experts of the layers that had
/// their turn.
const ROUND: Duration = Duration::from_millis(500);

/// Parts of a layer's experts: slot of the file among those that are traced, and place in it.
type Parts = Vec<(usize, Range<u64>)>;

/// Throws experts out while it lives.
#[derive(Debug)]
pub struct ShownExperts {
    /// Dropped, it ends the thread.
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<ShownExpertsRecord>>,
}

/// What is to be thrown out, found before anything is touched.
#[derive(Debug)]
pub struct ExpertsToShow {
    /// By slot.
    files: BTreeMap<usize, File>,
    layers: Vec<Parts>,
    at_a_time_bytes: u64,
}

impl ExpertsToShow {
    /// The experts of the one model. `process` is the engine's.
    ///
    /// # Errors
    /// There are none, or they could not be thrown out; in words.
    pub fn find(
        subject: &Subject,
        pieces: &[ModelPieces],
        process: &ObservedProcess,
        at_a_time_bytes: u64,
    ) -> anyhow::Result<Self> {
        let ([model], [pieces]) = (&subject.models[..], pieces) else {
            bail!("--show-experts takes one model: name it with --model");
        };
        let mut layers: BTreeMap<u32, Parts> = BTreeMap::new();
        for piece in &pieces.pieces {
            let tensor = piece.tensor(pieces.outline.as_ref());
            let (Some(layer), Some(_)) = (tensor.and_then(|tensor| tensor.layer), piece.expert())
            else {
                continue;
            };
            let Some(slot) = model.files.get(usize::from(piece.file)) else {
                continue;
            };
            let part = piece.offset_bytes..piece.offset_bytes + piece.bytes;
            let parts = layers.entry(layer).or_default();
            match parts.last_mut() {
                Some((file, last)) if file == slot && last.end == part.start => last.end = part.end,
                _ => parts.push((*slot, part)),
            }
        }
        ensure!(
            !layers.is_empty(),
            "{} has no experts that are known: leave out --show-experts; `tracer size` needs it only for a model with experts",
            model.name
        );
        let mut files = BTreeMap::new();
        for (slot, file) in model.files.iter().zip(subject.files_of(model)) {
            files.insert(*slot, file.open.try_clone()?);
            let (holders, _) = processes_mapping(&file.open)
                .with_context(|| format!("cannot see who has {} mapped", file.path.display()))?;
            let others: Vec<String> = holders
                .iter()
                .filter(|holder| holder.pid != process.pid())
                .map(ToString::to_string)
                .collect();
            ensure!(
                others.is_empty(),
                "{} is mapped by {} too, so that its pages would stay: --show-experts takes an engine that has the model for itself",
                file.path.display(),
                others.join(", ")
            );
            ensure!(
                !holders.is_empty(),
                "process {} has {} not mapped: only what is read through a mapping can be made to show",
                process.pid(),
                file.path.display()
            );
        }
        page_out(process.exit_descriptor(), &[]).context(
            "cannot throw experts out of the engine's memory: it takes Linux 5.10, CAP_SYS_NICE and CAP_SYS_PTRACE; run as root, or leave --show-experts out",
        )?;
        Ok(Self {
            files,
            layers: layers.into_values().collect(),
            at_a_time_bytes,
        })
    }

    /// Begins. The first round is over when this returns.
    ///
    /// # Errors
    /// The process has ended, or its memory cannot be looked at.
    pub fn begin(self, process: &ObservedProcess) -> anyhow::Result<ShownExperts> {
        let process = ObservedProcess::open(process.pid())?;
        let (stop, stopped) = channel();
        let mut rounds = Rounds {
            layers: self.layers,
            next: 0,
            files: self.files,
            process,
            record: ShownExpertsRecord {
                at_a_time_bytes: self.at_a_time_bytes,
                ..ShownExpertsRecord::default()
            },
        };
        rounds.round()?;
        let record = &rounds.record;
        ensure!(
            record.found_bytes == 0 || record.stayed_bytes < record.found_bytes,
            "nothing of the {} of experts that were thrown out left memory: they are locked, or the file may not be written by this user",
            units::bytes(record.found_bytes)
        );
        let thread = std::thread::Builder::new()
            .name("shown-experts".to_owned())
            .spawn(move || rounds.go_on(&stopped))
            .context("cannot start a thread")?;
        Ok(ShownExperts {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl ShownExperts {
    /// Ends, and says what was done.
    #[must_use]
    pub fn end(mut self) -> Option<ShownExpertsRecord> {
        drop(self.stop.take());
        self.thread.take().and_then(|thread| thread.join().ok())
    }
}

struct Rounds {
    layers: Vec<Parts>,
    /// Layer whose turn is next.
    next: usize,
    files: BTreeMap<usize, File>,
    process: ObservedProcess,
    record: ShownExpertsRecord,
}

impl Rounds {
    fn go_on(mut self, stopped: &Receiver<()>) -> ShownExpertsRecord {
        while matches!(stopped.recv_timeout(ROUND), Err(RecvTimeoutError::Timeout)) {
            // Where the engine has ended there is nothing to throw out, and the run ends soon.
            if self.round().is_err() {
                break;
            }
        }
        self.record
    }

    /// Throws the experts of the next layers out, as many as may be at a time, and at least of one.
    fn round(&mut self) -> anyhow::Result<()> {
        let mut bytes = 0;
        let mut by_file: BTreeMap<usize, Vec<Range<u64>>> = BTreeMap::new();
        for _ in 0..self.layers.len() {
            let parts = &self.layers[self.next];
            let of_layer: u64 = parts.iter().map(|(_, part)| part.end - part.start).sum();
            if bytes > 0 && bytes + of_layer > self.record.at_a_time_bytes {
                break;
            }
            bytes += of_layer;
            for (file, part) in parts {
                by_file.entry(*file).or_default().push(part.clone());
            }
            self.next = (self.next + 1) % self.layers.len();
        }
        for (slot, parts) in by_file {
            let Some(file) = self.files.get(&slot) else {
                continue;
            };
            let in_memory = || -> anyhow::Result<u64> {
                let mut sum = 0;
                for part in &parts {
                    let residency = residency_of_range(file, part.clone())?;
                    sum += residency
                        .observed()
                        .map_or(0, ResidentPages::resident_bytes);
                }
                Ok(sum)
            };
            self.record.found_bytes += in_memory()?;
            let addresses = addresses_of(self.process.pid(), file, &parts)?;
            page_out(self.process.exit_descriptor(), &addresses)?;
            self.record.stayed_bytes += in_memory()?;
        }
        self.record.rounds += 1;
        Ok(())
    }
}
