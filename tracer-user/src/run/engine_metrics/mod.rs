//! Tokens by the engine's own metrics, beside what was read for them: `--engine-metrics`.
//!
//! The engine's server is asked when the window opens, from time to time, and when it closes. The difference is what it did
//! meanwhile. Who asks is a process of its own ([`Outward`]), since whoever traces may not connect.

mod counts;
mod joined;
mod whose;

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{RecvTimeoutError, Sender, channel},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use anyhow::Context as _;

use crate::{
    outward::{HttpUrl, Outward},
    process::monotonic_nanos,
};

pub use joined::{Answers, add_engine_metrics};
pub use whose::{Whose, whose};

use {counts::engine_counts, joined::Answer};

/// How often it is asked, so that little is missing where the engine ends.
const INTERVAL: Duration = Duration::from_secs(5);

/// Asks an engine while it is traced.
pub struct EngineMetrics {
    url: HttpUrl,
    answers: Arc<Mutex<Answers>>,
    thread: JoinHandle<()>,
    /// Asks once more; closed, it is over.
    again: Sender<()>,
}

impl EngineMetrics {
    /// Begins, with a thread that asks at once. The gate was opened at `opened_nanos`.
    ///
    /// # Errors
    /// No thread can be made.
    pub fn start(mut outward: Outward, opened_nanos: u64) -> anyhow::Result<Self> {
        let url = outward.url().clone();
        let answers = Arc::new(Mutex::new(Answers::default()));
        let (again, asked) = channel();
        let shared = Arc::clone(&answers);
        let thread = thread::Builder::new()
            .name("engine-metrics".to_owned())
            .spawn(move || {
                loop {
                    let answer = outward.get().and_then(|body| {
                        let text = String::from_utf8(body).context("the answer is no text")?;
                        Ok(Answer {
                            at_s: monotonic_nanos().saturating_sub(opened_nanos) as f64 / 1e9,
                            counts: engine_counts(&text)?,
                        })
                    });
                    let mut answers = shared.lock().unwrap_or_else(PoisonError::into_inner);
                    match answer {
                        Ok(answer) => answers.take(answer),
                        Err(error) => {
                            let why = format!("{error:#}");
                            if answers.failure.is_none() {
                                eprintln!("tracer: the engine's metrics: {why}");
                            }
                            answers.failure = Some(why);
                        }
                    }
                    drop(answers);
                    if asked.recv_timeout(INTERVAL) == Err(RecvTimeoutError::Disconnected) {
                        break;
                    }
                }
            })
            .context("no thread for the engine's metrics")?;
        Ok(Self {
            url,
            answers,
            thread,
            again,
        })
    }

    #[must_use]
    pub const fn url(&self) -> &HttpUrl {
        &self.url
    }

    /// Asks once more where the engine still runs, and has all answers. May take as long as an address is waited for.
    #[must_use]
    pub fn finish(self, runs: bool) -> Answers {
        if runs {
            // A thread that is gone has said why.
            let _ = self.again.send(());
        }
        drop(self.again);
        if self.thread.join().is_err() {
            return Answers {
                failure: Some("its thread panicked".to_owned()),
                ..Answers::default()
            };
        }
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut answers)
    }
}
