//! The figures of one run, to whoever scrapes.

use std::{
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::exposition::parse;
use crate::run::onlooker::{EngineNow, Onlook, RunBegun, RunHandle, RunSoFar};

use super::{
    encoding::Encoding,
    listening::Listening,
    moment::{Moment, names},
    serving::{Serving, SoonText, Told},
    several::SaidNow,
};

/// The run is asked for its figures at most so often, however many scrape.
const FRESH: Duration = Duration::from_secs(1);

/// How long a run may take to say them. While a window closes nobody answers.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// Answers scrapes while a run goes on. What the run does never waits for a client.
pub struct Server {
    state: Arc<State>,
    serving: Option<Serving>,
}

struct State {
    redact: bool,
    run: Mutex<Run>,
    /// Held while the figures are asked for, so that many scrapes ask once.
    said: tokio::sync::Mutex<Said>,
}

/// What the run has told.
#[derive(Default)]
struct Run {
    begun: Option<Arc<RunBegun>>,
    names: Arc<Vec<String>>,
    handle: Option<RunHandle>,
    engine: EngineNow,
    /// Its last figures, once the window is closed.
    last: Option<RunSoFar>,
}

/// What was answered last.
#[derive(Default)]
struct Said {
    encoding: Encoding,
    figures: Option<RunSoFar>,
    text: Option<(Instant, String)>,
    was_last: bool,
}

impl Server {
    /// Begins to answer on a socket, where there is one, with a thread of its own.
    ///
    /// # Errors
    /// No descriptor or thread left.
    pub fn start(listening: Option<&Listening>, redact: bool) -> anyhow::Result<Self> {
        let state = Arc::new(State {
            redact,
            run: Mutex::default(),
            said: tokio::sync::Mutex::default(),
        });
        let told: Arc<dyn Told> = Arc::clone(&state) as _;
        let serving = listening
            .map(|listening| Serving::start(listening, told, 1))
            .transpose()?;
        Ok(Self { state, serving })
    }

    /// No answers any more, and every connection closed, when this returns.
    pub fn finish(&self) {
        if let Some(serving) = &self.serving {
            serving.finish();
        }
    }

    /// What says the figures of each moment to somebody else, from a thread of his.
    ///
    /// # Errors
    /// No descriptor left.
    pub fn telling(&self) -> io::Result<impl FnMut() -> SaidNow + Send + use<>> {
        let state = Arc::clone(&self.state);
        let runtime = tokio::runtime::Builder::new_current_thread().build()?;
        Ok(move || {
            let text = runtime.block_on(state.of_now());
            let families = text.and_then(|text| parse(&text));
            SaidNow {
                // A run that has not begun says nothing.
                runs: families.map(|said| (None, said)).into_iter().collect(),
                own: Vec::new(),
            }
        })
    }
}

impl Onlook for Server {
    fn begun(&self, run: RunBegun, handle: RunHandle) {
        let mut told = lock(&self.state.run);
        told.names = Arc::new(names(&run, self.state.redact));
        told.begun = Some(Arc::new(run));
        told.handle = Some(handle);
    }

    fn engine_outputs(&self) -> [Option<std::os::fd::OwnedFd>; 2] {
        [None, None]
    }

    fn engine(&self, engine: EngineNow) {
        lock(&self.state.run).engine = engine;
    }

    fn reported(&self, _folder: Result<PathBuf, String>) {}

    fn closed(&self, last: RunSoFar) {
        let mut told = lock(&self.state.run);
        told.last = Some(last);
        told.handle = None;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Told for State {
    fn text(self: Arc<Self>) -> SoonText {
        Box::pin(async move { self.of_now().await })
    }
}

impl State {
    async fn of_now(&self) -> anyhow::Result<String> {
        let mut said = self.said.lock().await;
        let (begun, names, handle, engine, last) = {
            let run = lock(&self.run);
            (
                run.begun.clone(),
                Arc::clone(&run.names),
                run.handle.clone(),
                run.engine.clone(),
                run.last.clone(),
            )
        };
        let is_last = last.is_some();
        if let Some((at, text)) = &said.text
            && at.elapsed() < FRESH
            && said.was_last == is_last
        {
            return Ok(text.clone());
        }
        let now = match (last, handle) {
            (Some(last), _) => Some(last),
            (None, Some(handle)) => {
                tokio::task::spawn_blocking(move || handle.figures(ANSWER_WITHIN)).await?
            }
            (None, None) => None,
        };
        // A run that is too busy to say has said something before; `tracer_run_seconds` tells how old that is.
        if now.is_some() {
            said.figures = now;
        }
        let Said {
            encoding, figures, ..
        } = &mut *said;
        let moment = begun.as_ref().zip(figures.as_ref());
        let moment = moment.map(|(begun, so_far)| Moment {
            begun,
            names: &names,
            so_far,
            engine: &engine,
        });
        let text = encoding.text(moment.as_ref())?;
        said.text = moment_known(moment.is_some(), &text);
        said.was_last = is_last;
        Ok(text)
    }
}

/// What may be said again for a while. That there is no run yet is looked at each time.
fn moment_known(known: bool, text: &str) -> Option<(Instant, String)> {
    known.then(|| (Instant::now(), text.to_owned()))
}
