//! The service: look, decide, do, wait.

use std::{
    collections::{BTreeSet, HashMap},
    os::fd::AsFd as _,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use nix::{
    errno::Errno,
    poll::{PollFd, PollFlags, PollTimeout, poll},
    sys::signal::Signal,
};

use crate::{
    metrics::{Listening, MergedServer, Push, SharedSources, said},
    outward::Outward,
    process::SignalWatch,
    run::require_machine,
};

use super::{
    engine::{EngineKey, SeenEngine},
    failures::Failures,
    folder::{Before, LEAST_FREE_BYTES, WatchFolder},
    follow::{Followed, Following, Outcome},
    labels::Labels,
    options::WatchOptions,
    plan::{OpenWindow, plan},
    recordings::{Recordings, Sentinel, Why},
    seen::look,
    served::{Counts, served},
    starts::{boot_id, started_at},
};

/// Time from look to look, at least and at most.
const LOOK_EVERY: Duration = Duration::from_secs(2);
const LONGEST_REST: Duration = Duration::from_secs(30);

/// That many times as long as it looked it rests: with many processes a look takes long, and must not cost more than a hundredth
/// of a CPU.
const REST_TO_LOOK: u32 = 100;

/// Watches until a signal, and sends metrics to a collector each time after a while; returns the status to exit with.
///
/// # Errors
/// The machine cannot trace, the folder cannot be used, `/proc` cannot be read.
pub fn watch(
    options: WatchOptions,
    listening: Option<&Listening>,
    collector: Option<(Outward, Duration)>,
    signals: &SignalWatch,
) -> anyhow::Result<i32> {
    require_machine()?;
    let folder = WatchFolder::take(&options.directory)?;
    let left = folder.put_leftovers_away()?;
    for path in &left.kept {
        say(&format!(
            "kept what the service that was killed had counted: {}",
            path.display()
        ));
    }
    for path in &left.lost {
        say(&format!(
            "the service was killed before it could write {}: what that had counted is lost",
            path.display()
        ));
    }
    let sources = SharedSources::default();
    let _server = listening
        .map(|listening| MergedServer::start(listening, sources.clone()))
        .transpose()?;
    let _push = collector
        .map(|(collector, every)| {
            let (host, sources) = (folder.host().to_owned(), sources.clone());
            Push::start(collector, every, Some(host), move || said(&sources))
        })
        .transpose()?;
    say(&format!(
        "watching; a window of {} is written to {}; SIGUSR1 records every engine, Ctrl-C ends",
        humantime::format_duration(options.every),
        folder.path().display()
    ));
    let mut service = Service {
        recordings: Recordings::new(options.record_pause),
        sentinel: Sentinel::new(options.record_on.clone()),
        boot_id: boot_id()?,
        counts: Counts {
            windows_lost: left.lost.len() as u64,
            ..Counts::default()
        },
        options,
        folder,
        sources,
        windows: Vec::new(),
        recording: None,
        before: HashMap::new(),
        failures: Failures::default(),
        labels: Labels::default(),
        told: BTreeSet::new(),
        seen: Vec::new(),
    };
    let result = service.run(signals);
    // Whatever happened: nothing is left at work, and what was counted is kept.
    let stopped = service.stop(signals);
    result.and(stopped).map(|()| 0)
}

fn say(text: &str) {
    eprintln!("tracer: {text}");
}

struct Service {
    options: WatchOptions,
    folder: WatchFolder,
    boot_id: String,
    sources: SharedSources,
    seen: Vec<SeenEngine>,
    windows: Vec<Followed>,
    recording: Option<Followed>,
    recordings: Recordings,
    sentinel: Sentinel,
    /// Windows of engines that still run.
    before: HashMap<EngineKey, Option<Before>>,
    failures: Failures,
    labels: Labels,
    /// What was said of the present state, each once.
    told: BTreeSet<String>,
    counts: Counts,
}

impl Service {
    /// Until a signal to end.
    fn run(&mut self, signals: &SignalWatch) -> anyhow::Result<()> {
        let mut next_look = Instant::now();
        loop {
            let some_ended = self.put_ended_away()?;
            // A window that is over is followed by the next at once.
            if some_ended || Instant::now() >= next_look {
                let took = self.look()?;
                next_look = Instant::now() + rest_after(took);
            }
            self.wait(signals, next_look)?;
            while let Some(received) = signals.next().context("cannot read signals")? {
                if received.signal == Signal::SIGUSR1 {
                    self.recordings
                        .ask(self.windows.iter().map(|window| window.engine));
                    continue;
                }
                say(&format!("stopped by {}", received.signal));
                self.end_all(received.from_terminal)?;
                return Ok(());
            }
        }
    }

    /// Looks who is there, and does what is to be done about it. How long looking took.
    fn look(&mut self) -> anyhow::Result<Duration> {
        let begun = Instant::now();
        self.seen = look(&self.options.engines)?;
        let took = begun.elapsed();
        let exists: BTreeSet<EngineKey> = self
            .seen
            .iter()
            .map(|engine| engine.key)
            .chain(self.windows.iter().map(|window| window.engine))
            .collect();
        self.labels.keep(|engine| exists.contains(&engine));
        self.failures.keep(|engine| exists.contains(&engine));
        self.recordings.keep(|engine| exists.contains(&engine));
        // An engine that has let its model go may open another.
        self.before
            .retain(|engine, _| exists.contains(engine) || started_at(*engine).is_some());
        let mut told = BTreeSet::new();
        let has_room = self.has_room(&mut told)?;
        let open: Vec<OpenWindow> = self.windows.iter().map(open_window).collect();
        let now = Instant::now();
        let decided = plan(&self.seen, &open, self.options.engines_at_most, |engine| {
            has_room && self.failures.may_be_tried(engine, now)
        });
        for engine in &decided.end {
            if let Some(window) = self.windows.iter_mut().find(|it| it.engine == *engine) {
                window.end("the engine opened another model", false)?;
            }
        }
        for shared in &decided.shared {
            let ends = self
                .windows
                .iter()
                .any(|window| window.engine == shared.with && window.is_ending());
            if !ends {
                told.insert(format!(
                    "{} has only models open that {} has too: its reads are counted with that one's",
                    self.in_words(shared.engine),
                    self.in_words(shared.with)
                ));
            }
        }
        for engine in &decided.beyond {
            told.insert(format!(
                "{} is not followed: {} are already (--engines-at-most)",
                self.in_words(*engine),
                self.options.engines_at_most
            ));
        }
        self.counts.not_followed = decided.beyond.len() as u64;
        told.extend(self.failures.reasons().map(str::to_owned));
        for begin in decided.begin {
            self.begin(begin.engine, &begin.models)?;
        }
        for text in told.difference(&self.told) {
            say(text);
        }
        self.told = told;
        self.look_for_recordings()?;
        self.sources
            .set(served(&self.windows, &self.counts, self.options.serves));
        Ok(took)
    }

    /// Whether a window's record would find room; said once until it does again.
    fn has_room(&self, told: &mut BTreeSet<String>) -> anyhow::Result<bool> {
        let has_room = self.folder.free_bytes()? >= LEAST_FREE_BYTES;
        if !has_room {
            told.insert(format!(
                "less than {} MiB are left on the disk of {}: no window is begun until there is room; remove what is not needed",
                LEAST_FREE_BYTES >> 20,
                self.folder.path().display()
            ));
        }
        Ok(has_room)
    }

    fn in_words(&self, engine: EngineKey) -> String {
        let name = self.seen.iter().find(|seen| seen.key == engine);
        let name = name.map_or("an engine", |seen| seen.name.as_str());
        format!("{name} ({engine})")
    }

    fn begin(&mut self, engine: EngineKey, models: &[usize]) -> anyhow::Result<()> {
        let Some(seen) = self.seen.iter().find(|seen| seen.key == engine) else {
            return Ok(());
        };
        let label = self.labels.of(engine, &seen.name);
        let before = *self
            .before
            .entry(engine)
            .or_insert_with(|| self.folder.before(engine, &self.boot_id));
        let number = before.map_or(1, |before| before.windows + 1);
        let following = Following {
            engine: seen,
            label: &label,
            models: models
                .iter()
                .filter_map(|model| seen.models.get(*model))
                .collect(),
            boot_id: &self.boot_id,
            length: self.options.every,
        };
        let serves = self.options.serves || !self.options.record_on.is_empty();
        let engine_metrics = self.options.engine_metrics.as_ref();
        match Followed::window(&self.folder, &following, number, serves, engine_metrics) {
            Ok(window) => {
                let names: Vec<&str> = following
                    .models
                    .iter()
                    .map(|model| model.name.as_str())
                    .collect();
                say(&format!(
                    "window {number} of {label} ({engine}) begins: {}",
                    names.join(", ")
                ));
                self.sentinel.begun(engine, &following.models);
                self.windows.push(window);
            }
            Err(error) => self.has_failed(engine, &format!("{error:#}")),
        }
        Ok(())
    }

    fn has_failed(&mut self, engine: EngineKey, why: &str) {
        let why = format!("{} cannot be followed: {why}", self.in_words(engine));
        self.failures.failed(engine, why, Instant::now());
    }

    /// Puts away what windows and a recording that have ended left. True: some have.
    fn put_ended_away(&mut self) -> anyhow::Result<bool> {
        let mut ended = Vec::new();
        let mut number = 0;
        while let Some(window) = self.windows.get_mut(number) {
            window.see_to_its_end()?;
            match window.try_wait()? {
                Some(status) => ended.push((self.windows.swap_remove(number), status)),
                None => number += 1,
            }
        }
        let some_ended = !ended.is_empty();
        for (window, status) in ended {
            self.window_is_over(window, status);
        }
        if let Some(recording) = &mut self.recording {
            recording.see_to_its_end()?;
            if let Some(status) = recording.try_wait()?
                && let Some(recording) = self.recording.take()
            {
                self.recording_is_over(recording, status);
            }
        }
        Ok(some_ended)
    }

    fn window_is_over(&mut self, window: Followed, status: std::process::ExitStatus) {
        let (engine, label, number) = (window.engine, window.label.clone(), window.number());
        let before = self.before.get(&engine).copied().flatten();
        let counted_until = before
            .map(|before| before.ended_at)
            .or_else(|| started_at(engine));
        self.sentinel.ended(engine);
        match window.put_away(&self.folder, status, counted_until) {
            Ok(Outcome::Kept {
                path,
                before,
                trouble,
            }) => {
                self.counts.windows += 1;
                self.failures.succeeded(engine);
                self.before.insert(engine, before);
                say(&format!(
                    "window {number} of {label} is in {}",
                    path.display()
                ));
                if let Some(error) = trouble {
                    say(&format!("{error:#}"));
                }
            }
            Ok(Outcome::Lost(why)) => {
                // One that ended before anything could be counted has lost nothing.
                if started_at(engine).is_some() {
                    self.counts.windows_lost += 1;
                    self.has_failed(engine, &why);
                }
            }
            Err(error) => self.has_failed(engine, &format!("{error:#}")),
        }
    }

    fn recording_is_over(&mut self, recording: Followed, status: std::process::ExitStatus) {
        let (engine, label) = (recording.engine, recording.label.clone());
        self.recordings.ended(engine, Instant::now());
        match recording.put_away(&self.folder, status, None) {
            Ok(Outcome::Kept { path, .. }) => {
                self.counts.recordings += 1;
                say(&format!(
                    "the recording of {label} is in {}",
                    path.display()
                ));
            }
            Ok(Outcome::Lost(why)) => say(&format!("{label} was not recorded: {why}")),
            Err(error) => say(&format!("{label} was not recorded: {error:#}")),
        }
    }

    /// Begins a recording, where one is due.
    fn look_for_recordings(&mut self) -> anyhow::Result<()> {
        let met = self.sentinel.look(&self.windows, Instant::now());
        if self.recording.is_some() {
            return Ok(());
        }
        let Some((engine, why)) = self.recordings.next(&met, Instant::now()) else {
            return Ok(());
        };
        let why = match why {
            Why::Asked => "it was asked for".to_owned(),
            Why::Met(words) => words,
        };
        let found = self.seen.iter().find(|seen| seen.key == engine);
        let (Some(seen), Some(window)) = (
            found,
            self.windows.iter().find(|window| window.engine == engine),
        ) else {
            return Ok(());
        };
        let models = seen
            .models
            .iter()
            .filter(|model| !window.files.is_disjoint(&model.files));
        let following = Following {
            engine: seen,
            label: &window.label,
            models: models.collect(),
            boot_id: &self.boot_id,
            length: self.options.record_for,
        };
        match Followed::recording(&self.folder, &following, &why) {
            Ok(recording) => {
                say(&format!(
                    "{} is recorded for {}, since {why}",
                    window.label,
                    humantime::format_duration(self.options.record_for)
                ));
                self.recording = Some(recording);
            }
            Err(error) => {
                say(&format!("{} is not recorded: {error:#}", window.label));
                self.recordings.ended(engine, Instant::now());
            }
        }
        Ok(())
    }

    /// Waits for a signal, the end of a run, or the next look.
    fn wait(&self, signals: &SignalWatch, until: Instant) -> anyhow::Result<()> {
        let mut descriptors = vec![PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
        for run in self.windows.iter().chain(&self.recording) {
            descriptors.push(PollFd::new(
                run.child().exit_descriptor(),
                PollFlags::POLLIN,
            ));
        }
        let left = until.saturating_duration_since(Instant::now());
        // A moment more, so that the time is over afterwards.
        let left = PollTimeout::try_from(left.as_millis().saturating_add(1));
        match poll(&mut descriptors, left.unwrap_or(PollTimeout::MAX)) {
            Ok(_) | Err(Errno::EINTR) => Ok(()),
            Err(error) => Err(error).context("cannot wait"),
        }
    }

    fn end_all(&mut self, know_already: bool) -> anyhow::Result<()> {
        for run in self.windows.iter_mut().chain(&mut self.recording) {
            run.end("the service was stopped", know_already)?;
        }
        Ok(())
    }

    /// Ends every run, and keeps what it has counted.
    fn stop(&mut self, signals: &SignalWatch) -> anyhow::Result<()> {
        self.end_all(false)?;
        while !self.windows.is_empty() || self.recording.is_some() {
            self.put_ended_away()?;
            self.wait(signals, Instant::now() + LOOK_EVERY)?;
            // They have been told already; a second signal changes nothing.
            while signals.next().context("cannot read signals")?.is_some() {}
        }
        let reasons = self.failures.reasons();
        for lost in reasons.filter(|reason| !self.told.contains(*reason)) {
            say(lost);
        }
        Ok(())
    }
}

fn rest_after(look: Duration) -> Duration {
    (look * REST_TO_LOOK).clamp(LOOK_EVERY, LONGEST_REST)
}

fn open_window(window: &Followed) -> OpenWindow {
    OpenWindow {
        engine: window.engine,
        files: window.files.clone(),
        ending: window.is_ending(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::rest_after;

    #[test]
    fn a_look_that_takes_long_is_followed_by_a_long_rest() {
        for (look, rest) in [(1, 2000), (20, 2000), (50, 5000), (2000, 30_000)] {
            let shown = rest_after(Duration::from_millis(look));
            assert_eq!(shown, Duration::from_millis(rest), "after {look} ms");
        }
    }
}
