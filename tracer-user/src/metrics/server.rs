//! The thread that answers scrapes.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use hyper::{
    Response, StatusCode,
    header::{CONTENT_TYPE, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, UnixListener},
    sync::oneshot,
    task::AbortHandle,
    time::timeout,
};

use crate::run::onlooker::{EngineNow, Onlook, RunBegun, RunHandle, RunSoFar};

use super::{
    encoding::{self, Encoding},
    listening::{Listening, Socket},
    moment::{Moment, names},
    reply::{refusal, said},
    token::Token,
};

/// The run is asked for its figures at most so often, however many scrape.
const FRESH: Duration = Duration::from_secs(1);

/// How long a run may take to say them. While a window closes nobody answers.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// A connection is over after this, whatever the client does.
const CONNECTION: Duration = Duration::from_secs(10);

/// Of more connections at once the oldest is closed: so those that do nothing never keep a scrape out.
const MOST_CONNECTIONS: usize = 64;

/// Time until connections are taken again after there was no descriptor for one.
const BREATHER: Duration = Duration::from_millis(100);

/// Longest request, bytes: its line and headers.
const LONGEST_REQUEST: usize = 16 << 10;

/// Answers scrapes while a run goes on. What the run does never waits for a client.
pub struct Server {
    state: Arc<State>,
    /// Dropped when it is to end.
    stop: Mutex<Option<oneshot::Sender<()>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct State {
    redact: bool,
    token: Option<Token>,
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
    /// Begins to answer on a socket, with a thread of its own.
    ///
    /// # Errors
    /// No descriptor or thread left.
    pub fn start(listening: &Listening, redact: bool) -> anyhow::Result<Self> {
        let state = Arc::new(State {
            redact,
            token: listening.token.clone(),
            run: Mutex::default(),
            said: tokio::sync::Mutex::default(),
        });
        let socket = listening.socket.try_clone()?;
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(1)
            .build()
            .context("cannot start the server of the metrics")?;
        let shared = Arc::clone(&state);
        let thread = thread::Builder::new()
            .name("metrics".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        served = serve(socket, shared) => if let Err(error) = served {
                            eprintln!("tracer: metrics are not served any more: {error}");
                        },
                        _ = stopped => {}
                    }
                });
                // A run that is over does not answer: it is not waited for.
                runtime.shutdown_background();
            })?;
        Ok(Self {
            state,
            stop: Mutex::new(Some(stop)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// No answers any more, and every connection closed, when this returns.
    pub fn finish(&self) {
        drop(lock(&self.stop).take());
        if let Some(thread) = lock(&self.thread).take() {
            // Its panic has been printed.
            let _ = thread.join();
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.finish();
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

async fn serve(socket: Socket, state: Arc<State>) -> io::Result<()> {
    let mut connections = Connections::default();
    match socket {
        Socket::Network(listener) => {
            let listener = TcpListener::from_std(listener)?;
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => connections.take(stream, &state),
                    Err(_) => tokio::time::sleep(BREATHER).await,
                }
            }
        }
        Socket::Unix(listener) => {
            let listener = UnixListener::from_std(listener)?;
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => connections.take(stream, &state),
                    Err(_) => tokio::time::sleep(BREATHER).await,
                }
            }
        }
    }
}

/// The connections there are, the oldest first.
#[derive(Default)]
struct Connections(VecDeque<AbortHandle>);

impl Connections {
    fn take<S>(&mut self, stream: S, state: &Arc<State>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.0.retain(|connection| !connection.is_finished());
        if self.0.len() >= MOST_CONNECTIONS
            && let Some(oldest) = self.0.pop_front()
        {
            oldest.abort();
        }
        let state = Arc::clone(state);
        let connection = tokio::spawn(async move {
            let answers = service_fn(|request| {
                let state = Arc::clone(&state);
                async move {
                    let refused = refusal(&request, state.token.as_ref());
                    // A body is never read: the connection is closed after the answer.
                    drop(request);
                    Ok::<_, Infallible>(match refused {
                        Some(refused) => refused,
                        None => state.answer().await,
                    })
                }
            });
            let mut http = http1::Builder::new();
            http.keep_alive(false).max_buf_size(LONGEST_REQUEST);
            let served = http.serve_connection(TokioIo::new(stream), answers);
            // A client that went away, or sent what is no request, has had its answer, or none.
            let _ = timeout(CONNECTION, served).await;
        });
        self.0.push_back(connection.abort_handle());
    }
}

impl State {
    async fn answer(self: Arc<Self>) -> Response<String> {
        match self.text().await {
            Ok(text) => {
                let mut response = Response::new(text);
                let kind = HeaderValue::from_static(encoding::CONTENT_TYPE);
                response.headers_mut().insert(CONTENT_TYPE, kind);
                response
            }
            Err(error) => said(
                StatusCode::INTERNAL_SERVER_ERROR,
                &format!("the figures cannot be written: {error:#}\n"),
            ),
        }
    }

    async fn text(&self) -> anyhow::Result<String> {
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
