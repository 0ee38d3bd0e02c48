//! The thread that sends.

use std::{
    sync::mpsc::{RecvTimeoutError, Sender, channel},
    thread::{self, JoinHandle},
    time::{Duration, SystemTime},
};

use prost::Message as _;

use crate::{metrics::several::SaidNow, outward::Outward};

use super::request::Requests;

/// Sends until it is dropped.
pub struct Push {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Push {
    /// Begins to send what is said of each moment, each time after `every`.
    ///
    /// # Errors
    /// No thread can be made.
    pub fn start(
        mut collector: Outward,
        every: Duration,
        host: Option<String>,
        mut now: impl FnMut() -> SaidNow + Send + 'static,
    ) -> anyhow::Result<Self> {
        let (stop, stopped) = channel();
        let thread = thread::Builder::new()
            .name("otlp".to_owned())
            .spawn(move || {
                let mut requests = Requests::new(host, SystemTime::now());
                let mut fails = false;
                let mut goes_on = true;
                while goes_on {
                    goes_on = stopped.recv_timeout(every) == Err(RecvTimeoutError::Timeout);
                    let said = now();
                    // The last figures of a run are sent too; a collector that is not there is not waited for again.
                    if !goes_on && (fails || said.runs.is_empty()) {
                        break;
                    }
                    let request = requests.request(&said, SystemTime::now());
                    match collector.post_protobuf(&request.encode_to_vec()) {
                        Ok(()) if fails => {
                            eprintln!("tracer: {} takes metrics again", collector.url());
                            fails = false;
                        }
                        Ok(()) => {}
                        Err(error) => {
                            if !fails {
                                eprintln!("tracer: metrics are not taken by {}: {error:#}; it is tried again and again", collector.url());
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
