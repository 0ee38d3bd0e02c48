//! A conversation with a llama-server while it is traced: wait until its model is loaded, ask it once, end it.
//!
//! The server is whoever listens on the port, and must descend from the run: so that another program that took the port
//! first is never asked, and a server behind a wrapper script is ended itself.

use std::{
    net::TcpListener,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use anyhow::Context as _;
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use ureq::Agent;

use crate::process::{Listeners, ObservedProcess};

/// How often a server that loads is asked whether it is ready: seldom enough to be no load.
const HEALTH_INTERVAL: Duration = Duration::from_millis(100);
/// Longest that the answer to that question may take.
const HEALTH_TIMEOUT: Duration = Duration::from_secs(5);
/// How long a server may take to end before it is killed.
const END_PATIENCE: Duration = Duration::from_secs(30);
/// An answer is a text with its tokens: nothing near this size.
const LONGEST_ANSWER_BYTES: u64 = 256 << 20;

#[derive(Clone, Debug)]
pub struct Request {
    /// Where the server listens, on 127.0.0.1.
    pub port: u16,
    pub prompt: String,
    pub tokens: u64,
    /// Temperature of the sampling.
    pub temperature: f64,
    /// Seed of the sampling.
    pub seed: u64,
}

/// What the server answered.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    pub whole: Value,
    /// Ids of the generated tokens, where it gives them.
    pub token_ids: Option<Vec<u64>>,
    pub text: String,
    /// Tokens generated, by the server's own count.
    pub generated_tokens: Option<u64>,
    /// What its `/props` says of its build.
    pub build: Option<String>,
}

impl Answer {
    fn of(whole: Value, build: Option<String>) -> Result<Self, String> {
        let text = whole
            .get("content")
            .and_then(Value::as_str)
            .ok_or("the server's answer has no content")?
            .to_owned();
        let token_ids: Option<Vec<u64>> = whole
            .get("tokens")
            .and_then(Value::as_array)
            .and_then(|tokens| tokens.iter().map(Value::as_u64).collect());
        Ok(Self {
            // A server that knows no `return_tokens` gives an empty list.
            token_ids: token_ids.filter(|ids| !ids.is_empty()),
            text,
            generated_tokens: whole.get("tokens_predicted").and_then(Value::as_u64),
            whole,
            build,
        })
    }
}

/// A port that nobody listens on now.
///
/// # Errors
/// None is free.
pub fn free_port() -> anyhow::Result<u16> {
    TcpListener::bind(("127.0.0.1", 0))
        .and_then(|listener| listener.local_addr())
        .map(|address| address.port())
        .context("no port is free on 127.0.0.1")
}

/// A conversation that goes on beside the run.
#[derive(Debug)]
pub struct Conversation {
    thread: JoinHandle<Result<Answer, String>>,
    run_is_over: Arc<AtomicBool>,
}

impl Conversation {
    /// Begins it. `launch` is the process of the tracer that starts the server.
    ///
    /// # Errors
    /// No thread can be made, or the process is gone.
    pub fn start(request: Request, launch: i32, time_limit: Duration) -> anyhow::Result<Self> {
        let run_is_over = Arc::new(AtomicBool::new(false));
        let launch = ObservedProcess::open(launch).context("cannot watch the run of a server")?;
        let thread = thread::Builder::new()
            .name("server".to_owned())
            .spawn({
                let run_is_over = Arc::clone(&run_is_over);
                move || {
                    let result = converse(&request, &launch, &run_is_over, time_limit);
                    if result.is_err() {
                        // Without an answer there is nothing to wait for.
                        let _ = launch.send(Signal::SIGTERM);
                    }
                    result
                }
            })
            .context("no thread for the server")?;
        Ok(Self {
            thread,
            run_is_over,
        })
    }

    /// What was answered. Call it after the run.
    pub fn finish(self) -> Result<Answer, String> {
        self.run_is_over.store(true, Ordering::Relaxed);
        self.thread
            .join()
            .unwrap_or_else(|_| Err("the conversation with the server panicked".to_owned()))
    }
}

fn converse(
    request: &Request,
    launch: &ObservedProcess,
    run_is_over: &AtomicBool,
    time_limit: Duration,
) -> Result<Answer, String> {
    let base = format!("http://127.0.0.1:{}", request.port);
    // What the environment says of proxies is not meant for this machine.
    let agent: Agent = Agent::config_builder()
        .proxy(None)
        .http_status_as_error(false)
        .timeout_global(Some(HEALTH_TIMEOUT))
        .build()
        .into();
    loop {
        if run_is_over.load(Ordering::Relaxed) {
            return Err("the server ended before it was ready".to_owned());
        }
        match agent.get(format!("{base}/health")).call() {
            Ok(response) if response.status().as_u16() == 200 => break,
            // Not listening yet, or loading (503).
            _ => thread::sleep(HEALTH_INTERVAL),
        }
    }
    let server = listener(request.port, launch)?;
    let build = agent
        .get(format!("{base}/props"))
        .call()
        .ok()
        .and_then(|mut response| response.body_mut().read_to_string().ok())
        .and_then(|body| serde_json::from_str::<Value>(&body).ok())
        .and_then(|props| Some(props.get("build_info")?.as_str()?.to_owned()));
    let answer = ask(&agent, &base, request, time_limit).and_then(|whole| Answer::of(whole, build));
    end(&server)?;
    answer
}

fn ask(
    agent: &Agent,
    base: &str,
    request: &Request,
    time_limit: Duration,
) -> Result<Value, String> {
    let body = json!({
        "prompt": request.prompt,
        "n_predict": request.tokens,
        "temperature": request.temperature,
        "seed": request.seed,
        "cache_prompt": false,
        "return_tokens": true,
        "stream": false,
    });
    let failed = |error: ureq::Error| format!("the server gave no answer: {error}");
    let mut response = agent
        .post(format!("{base}/completion"))
        .config()
        .timeout_global(Some(time_limit))
        .build()
        .content_type("application/json")
        .send(body.to_string())
        .map_err(failed)?;
    let text = response
        .body_mut()
        .with_config()
        .limit(LONGEST_ANSWER_BYTES)
        .read_to_string()
        .map_err(failed)?;
    let status = response.status();
    if !status.is_success() {
        return Err(format!(
            "the server answered with status {}: {}",
            status.as_u16(),
            text.chars().take(500).collect::<String>()
        ));
    }
    serde_json::from_str(&text).map_err(|error| format!("the server's answer is no JSON: {error}"))
}

/// The process of the run that listens on this port.
fn listener(port: u16, launch: &ObservedProcess) -> Result<ObservedProcess, String> {
    let listeners =
        Listeners::on(port).map_err(|error| format!("cannot read /proc/net/tcp: {error}"))?;
    launch
        .descendants()
        .map_err(|error| format!("cannot list the processes of the run: {error}"))?
        .into_iter()
        .find(|process| listeners.has(*process))
        .ok_or_else(|| {
            format!(
                "what listens on port {port} was not started by this run: does the command pass {{port}} on?"
            )
        })
        .and_then(|process| {
            ObservedProcess::open(process).map_err(|error| format!("cannot watch the server: {error}"))
        })
}

fn end(server: &ObservedProcess) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("cannot end the server: {error}");
    server.send(Signal::SIGTERM).map_err(failed)?;
    let deadline = Instant::now() + END_PATIENCE;
    while server.is_running() {
        if Instant::now() > deadline {
            server.send(Signal::SIGKILL).map_err(failed)?;
            return Err(format!(
                "the server did not end within {} s of SIGTERM, and was killed",
                END_PATIENCE.as_secs()
            ));
        }
        thread::sleep(Duration::from_millis(20));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
