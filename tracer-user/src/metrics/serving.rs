//! The thread that answers over HTTP, whatever the text that it answers with.

use std::{
    collections::VecDeque,
    convert::Infallible,
    future::Future,
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
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

use super::{
    encoding,
    listening::{Listening, Socket},
    reply::{refusal, said},
    token::Token,
};

/// A connection is over after this, whatever the client does.
const CONNECTION: Duration = Duration::from_secs(10);

/// Of more connections at once the oldest is closed: so those that do nothing never keep a scrape out.
const MOST_CONNECTIONS: usize = 64;

/// Time until connections are taken again after there was no descriptor for one.
const BREATHER: Duration = Duration::from_millis(100);

/// Longest request, bytes: its line and headers.
const LONGEST_REQUEST: usize = 16 << 10;

/// A text that will be there.
pub type SoonText = Pin<Box<dyn Future<Output = anyhow::Result<String>> + Send>>;

/// What is answered with.
pub trait Told: Send + Sync + 'static {
    /// The metrics of this moment.
    fn text(self: Arc<Self>) -> SoonText;
}

/// Answers scrapes until it is dropped.
pub struct Serving {
    /// Dropped when it is to end.
    stop: Mutex<Option<oneshot::Sender<()>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Serving {
    /// Begins to answer on a socket, with a thread of its own. What blocks to find the text out may do so in that many threads
    /// at once.
    ///
    /// # Errors
    /// No descriptor or thread left.
    pub fn start(
        listening: &Listening,
        told: Arc<dyn Told>,
        blocking_threads: usize,
    ) -> anyhow::Result<Self> {
        let answers = Arc::new(Answers {
            token: listening.token.clone(),
            told,
        });
        let socket = listening.socket.try_clone()?;
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .max_blocking_threads(blocking_threads)
            .build()
            .context("cannot start the server of the metrics")?;
        let thread = thread::Builder::new()
            .name("metrics".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    tokio::select! {
                        served = serve(socket, answers) => if let Err(error) = served {
                            eprintln!("tracer: metrics are not served any more: {error}");
                        },
                        _ = stopped => {}
                    }
                });
                // A run that is over does not answer: it is not waited for.
                runtime.shutdown_background();
            })?;
        Ok(Self {
            stop: Mutex::new(Some(stop)),
            thread: Mutex::new(Some(thread)),
        })
    }

    /// No answers any more, and every connection closed, when this returns.
    pub fn finish(&self) {
        let taken = |stop: &Mutex<Option<_>>| {
            let mut stop = stop.lock().unwrap_or_else(PoisonError::into_inner);
            stop.take()
        };
        drop(taken(&self.stop));
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(thread) = thread.take() {
            // Its panic has been printed.
            let _ = thread.join();
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.finish();
    }
}

struct Answers {
    token: Option<Token>,
    told: Arc<dyn Told>,
}

impl Answers {
    async fn answer(&self) -> Response<String> {
        match Arc::clone(&self.told).text().await {
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
}

async fn serve(socket: Socket, answers: Arc<Answers>) -> io::Result<()> {
    let mut connections = Connections::default();
    match socket {
        Socket::Network(listener) => {
            let listener = TcpListener::from_std(listener)?;
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => connections.take(stream, &answers),
                    Err(_) => tokio::time::sleep(BREATHER).await,
                }
            }
        }
        Socket::Unix(listener) => {
            let listener = UnixListener::from_std(listener)?;
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => connections.take(stream, &answers),
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
    fn take<S>(&mut self, stream: S, answers: &Arc<Answers>)
    where
        S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        self.0.retain(|connection| !connection.is_finished());
        if self.0.len() >= MOST_CONNECTIONS
            && let Some(oldest) = self.0.pop_front()
        {
            oldest.abort();
        }
        let answers = Arc::clone(answers);
        let connection = tokio::spawn(async move {
            let service = service_fn(|request| {
                let answers = Arc::clone(&answers);
                async move {
                    let refused = refusal(&request, answers.token.as_ref());
                    // A body is never read: the connection is closed after the answer.
                    drop(request);
                    Ok::<_, Infallible>(match refused {
                        Some(refused) => refused,
                        None => answers.answer().await,
                    })
                }
            });
            let mut http = http1::Builder::new();
            http.keep_alive(false).max_buf_size(LONGEST_REQUEST);
            let served = http.serve_connection(TokioIo::new(stream), service);
            // A client that went away, or sent what is no request, has had its answer, or none.
            let _ = timeout(CONNECTION, served).await;
        });
        self.0.push_back(connection.abort_handle());
    }
}
