//! The thread that sends.

use std::{
    sync::mpsc::{RecvTimeoutError, Sender, channel},
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use anyhow::{Context as _, bail};
use prost::Message as _;

use crate::metrics::several::{SharedSources, asked};

use super::{address::CollectorAddress, request::Requests};

/// A collector that takes longer is not there.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends until it is dropped.
pub struct Push {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Push {
    /// Begins to send what the sources say, each time after `every`.
    ///
    /// # Errors
    /// No thread can be made.
    pub fn start(
        collector: CollectorAddress,
        every: Duration,
        host: String,
        sources: SharedSources,
    ) -> anyhow::Result<Self> {
        let (stop, stopped) = channel();
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(PATIENCE))
            .http_status_as_error(false)
            .build()
            .into();
        let thread = thread::Builder::new()
            .name("otlp".to_owned())
            .spawn(move || {
                let mut requests = Requests::new(host, SystemTime::now());
                let mut fails = false;
                while stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout) {
                    let now = sources.now();
                    let runs = asked(&now.runs);
                    let request = requests.request(&runs, &now.own, SystemTime::now());
                    match send(&agent, &collector, &request.encode_to_vec()) {
                        Ok(()) if fails => {
                            eprintln!("tracer: {collector} takes metrics again");
                            fails = false;
                        }
                        Ok(()) => {}
                        Err(error) => {
                            if !fails {
                                eprintln!("tracer: metrics are not taken by {collector}: {error:#}; it is tried again and again");
                            }
                            fails = true;
                        }
                    }
                }
            })?;
        Ok(Self {
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Push {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            // Its panic has been printed.
            let _ = thread.join();
        }
    }
}

fn send(agent: &ureq::Agent, collector: &CollectorAddress, body: &[u8]) -> anyhow::Result<()> {
    let answer = agent
        .post(collector.to_string())
        .header("Content-Type", "application/x-protobuf")
        .send(body)
        .context("no answer")?;
    if !answer.status().is_success() {
        bail!("the answer is {}", answer.status());
    }
    Ok(())
}
