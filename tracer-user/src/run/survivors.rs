//! Processes that a launched command leaves behind when it ends: a server that went into the background, an engine
//! that a script started. While one of them has the model open, the window stays open.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use nix::sys::signal::Signal;
use tokio::time;

use crate::process::ObservedProcess;

use super::{tracing::Opened, waiting::SAMPLE_INTERVAL, watch::engine::EngineWatch};

/// How long nobody may have the model open before the window ends: an engine that reads a model's files one after the
/// other has none open for a moment.
const BETWEEN_FILES: Duration = Duration::from_secs(2);
/// The same where nobody has had the model open at all: an engine may load its libraries for long.
const BEFORE_THE_FIRST: Duration = Duration::from_secs(30);
/// How long they may take to end after a signal.
const PATIENCE: Duration = Duration::from_secs(5);

/// What became of the processes that a command left behind.
#[derive(Debug, Default)]
pub(super) struct Survivors {
    /// Why the window was ended before they were done with the model, where that is so.
    pub stopped: Option<String>,
    /// What a reader of the record should know of them.
    pub notes: Vec<String>,
    /// Whether any of them had the model open after the command's end: what the kernel says of the command alone is not
    /// the engine's then.
    pub had_the_model: bool,
    /// All that were seen, by process id.
    process_ids: BTreeSet<u32>,
}

impl Survivors {
    /// Names those that live on, and follows none.
    pub fn left_alone(watch: &EngineWatch) -> Self {
        Self {
            notes: left(&watch.running()).into_iter().collect(),
            ..Self::default()
        }
    }

    /// What they read from storage, as far as it was seen.
    pub fn storage_read_bytes(&self, watch: &EngineWatch) -> u64 {
        watch.files.last_read_by(&self.process_ids)
    }
}

/// Follows what the command has left behind, as long as it has the model open.
pub(super) async fn follow(
    watch: &mut EngineWatch,
    opened: &mut Opened,
) -> anyhow::Result<Survivors> {
    let mut survivors = Survivors::default();
    let mut running = watch.running();
    if running.is_empty() {
        return Ok(survivors);
    }
    let began = Instant::now();
    let mut last_held: Option<Instant> = None;
    let mut signalled: Option<Instant> = None;
    let mut announced = false;
    let mut followed = BTreeSet::new();
    let mut interval = time::interval(SAMPLE_INTERVAL);
    interval.set_missed_tick_behavior(time::MissedTickBehavior::Skip);
    loop {
        tokio::select! {
            _ = interval.tick() => {}
            readable = opened.signals.readable() => {
                let mut readable = readable?;
                let Some(received) = readable.get_inner().next()? else {
                    readable.clear_ready();
                    continue;
                };
                let firm = signalled.is_some();
                for process in &running {
                    // From the terminal those in the foreground have got it as well.
                    if firm || !received.from_terminal {
                        // One that has ended meanwhile needs none.
                        let _ = process.send(if firm { Signal::SIGKILL } else { received.signal });
                    }
                }
                signalled.get_or_insert_with(Instant::now);
                survivors.stopped.get_or_insert_with(|| format!(
                    "stopped by {} while processes that the command had started still had the model open",
                    received.signal
                ));
            }
        }
        running = watch.running();
        survivors.process_ids.extend(
            running
                .iter()
                .filter_map(|process| u32::try_from(process.pid()).ok()),
        );
        if running.is_empty() || signalled.is_some_and(|at| at.elapsed() > PATIENCE) {
            break;
        }
        opened.look_at(watch);
        watch.files.look(&watch.process_ids, &opened.subject);
        if !watch.files.holders().is_empty() {
            last_held = Some(Instant::now());
            followed.extend(holders(watch, &running)?);
            if !announced {
                announced = true;
                eprintln!(
                    "tracer: the command has ended, and what it started reads on: {}; tracing goes on until it is done with the model (--until-exit ends with the command)",
                    followed.iter().cloned().collect::<Vec<_>>().join(", ")
                );
            }
            continue;
        }
        let (since, patience) = match last_held {
            Some(at) => (at, BETWEEN_FILES),
            None if watch.files.has_seen_any() => (began, BETWEEN_FILES),
            None => (began, BEFORE_THE_FIRST),
        };
        if since.elapsed() > patience {
            break;
        }
        if !announced && patience == BEFORE_THE_FIRST {
            announced = true;
            eprintln!(
                "tracer: the command has ended, and nobody has had the model open yet; what it started lives on: {}; waiting up to {} s for one of them to open it (Ctrl-C or --until-exit: not at all)",
                names(&running),
                BEFORE_THE_FIRST.as_secs()
            );
        }
    }
    survivors.had_the_model = !followed.is_empty();
    if survivors.had_the_model {
        survivors.notes.push(format!(
            "the command ended {:.1} s before the window: processes that it had started had the model open, and were traced until they were done with it: {}",
            began.elapsed().as_secs_f64(),
            followed.into_iter().collect::<Vec<_>>().join(", ")
        ));
    }
    survivors.notes.extend(left(&watch.running()));
    Ok(survivors)
}

/// What a reader should know of processes that live on after the window.
fn left(running: &[ObservedProcess]) -> Option<String> {
    (!running.is_empty()).then(|| {
        format!(
            "processes that the command started live on: {}; what they read from now on is in no figure",
            names(running)
        )
    })
}

/// Names of those that have the model open now. The first is looked at from here on, in place of the command.
fn holders(watch: &mut EngineWatch, running: &[ObservedProcess]) -> std::io::Result<Vec<String>> {
    let holders: Vec<&ObservedProcess> = running
        .iter()
        .filter(|process| {
            u32::try_from(process.pid()).is_ok_and(|pid| watch.files.holders().contains(&pid))
        })
        .collect();
    let is_watched = watch
        .watched()
        .is_some_and(|watched| holders.iter().any(|holder| holder.pid() == watched.pid()));
    let first = holders.first().map(|holder| holder.pid());
    let names = holders.into_iter().map(name).collect();
    if !is_watched && let Some(process) = first.and_then(|pid| ObservedProcess::open(pid).ok()) {
        watch.go_on_with(process)?;
    }
    Ok(names)
}

fn names(processes: &[ObservedProcess]) -> String {
    let names: Vec<String> = processes.iter().map(name).collect();
    names.join(", ")
}

fn name(process: &ObservedProcess) -> String {
    format!("{} ({})", process.pid(), process.identity().command_name)
}
