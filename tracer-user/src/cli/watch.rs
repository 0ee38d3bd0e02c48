//! `tracer watch`.

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::Context as _;
use clap::{ArgGroup, Args};
use nix::sys::signal::Signal;

use crate::{
    metrics::{CollectorAddress, ServeAddress},
    outward::HttpUrl,
    process::SignalWatch,
    watch::{self, Condition, EngineChoice, WatchOptions},
};

use super::{examples, network::Network};

/// Shorter windows would be mostly beginnings and ends.
const SHORTEST_WINDOW: Duration = Duration::from_secs(5);

/// Engines to follow, and what to do with what they read.
#[derive(Debug, Args)]
#[command(
    after_help = examples::WATCH,
    group = ArgGroup::new("engines").required(true).multiple(true).args(["names", "cgroups", "any_model"])
)]
pub struct WatchArguments {
    /// Follow engines of this name, such as llama-server, ollama, vllm. Can be given several times.
    #[arg(long = "name", value_name = "NAME")]
    pub names: Vec<String>,
    /// Follow what runs in this control group: a service of systemd such as llama-server.service, or the id of a container. Can be
    /// given several times.
    #[arg(long = "cgroup", value_name = "GROUP", value_parser = cgroup)]
    pub cgroups: Vec<String>,
    /// Follow every process that has a GGUF or safetensors file open.
    #[arg(long)]
    pub any_model: bool,
    /// Where windows are written, as host=…/date=…/run=…: docs/FLEET.md reads such folders as one table.
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
    /// Length of a window: after it the next one begins.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = window)]
    pub every: Duration,
    /// Follow at most so many engines at once; what goes beyond is named.
    #[arg(long, value_name = "COUNT", default_value_t = 10, value_parser = clap::value_parser!(u16).range(1..=100))]
    pub engines_at_most: u16,
    /// Record an engine, event by event, where this holds over ten seconds: 'refaults/s>1000', 'read/s>200M',
    /// 'read/step>2x need'. Can be given several times: one is enough.
    #[arg(long, value_name = "CONDITION")]
    pub record_on: Vec<Condition>,
    /// How long to record then.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = super::size::duration)]
    pub record_for: Duration,
    /// Do not record an engine again within this time.
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = super::size::duration)]
    pub record_pause: Duration,
    /// Serve the figures of all windows for Prometheus, with the label `engine`, at /metrics of this address: 127.0.0.1:9464, or a
    /// Unix socket, unix:/run/tracer.sock. Anything but this machine's own addresses takes a token.
    #[arg(long, value_name = "ADDRESS")]
    pub serve: Option<ServeAddress>,
    /// Send the figures of all windows to a collector of OpenTelemetry (OTLP over HTTP), such as http://127.0.0.1:4318.
    #[arg(long, value_name = "URL")]
    pub otlp: Option<CollectorAddress>,
    /// How often to send them.
    #[arg(long, value_name = "TIME", default_value = "60s", value_parser = super::size::sending, requires = "otlp")]
    pub otlp_every: Duration,
    /// Ask the engine's server for its own count of tokens, at this address: http://127.0.0.1:8080/metrics of llama-server
    /// --metrics, or of vLLM. Each window then has bytes read for a token. Only the window of the engine that listens there.
    #[arg(long, value_name = "URL", value_parser = HttpUrl::of_engine_metrics)]
    pub engine_metrics: Option<HttpUrl>,
    /// A file with the secret that a scraper has to show as its bearer token. Nothing is encrypted.
    #[arg(long, value_name = "FILE", requires = "serve")]
    pub serve_token_file: Option<PathBuf>,
}

impl WatchArguments {
    /// Where to serve, and the file with the secret.
    #[must_use]
    pub fn serving(&self) -> (Option<&ServeAddress>, Option<&Path>) {
        (self.serve.as_ref(), self.serve_token_file.as_deref())
    }
}

fn window(text: &str) -> Result<Duration, String> {
    let time = super::size::duration(text)?;
    if time < SHORTEST_WINDOW {
        return Err(format!(
            "a window has {} or more; 1h is usual",
            humantime::format_duration(SHORTEST_WINDOW)
        ));
    }
    Ok(time)
}

/// One part of a group's path: what is looked for in each process's.
fn cgroup(text: &str) -> Result<String, String> {
    match text.trim_matches('/') {
        "" => Err("a group has a name".to_owned()),
        name if name.contains('/') => Err(format!(
            "give one part of the group's path, such as {}",
            name.rsplit('/').next().unwrap_or(name)
        )),
        name => Ok(name.to_owned()),
    }
}

/// Watches until a signal.
///
/// # Errors
/// What keeps it from watching.
pub fn watch(arguments: WatchArguments, network: Network) -> anyhow::Result<i32> {
    let signals = [
        Signal::SIGINT,
        Signal::SIGTERM,
        Signal::SIGHUP,
        Signal::SIGUSR1,
    ];
    let signals = SignalWatch::new(&signals).context("cannot take over the handling of signals")?;
    let options = WatchOptions {
        engines: EngineChoice {
            names: arguments.names,
            cgroups: arguments.cgroups,
            any_model: arguments.any_model,
        },
        directory: arguments.out,
        every: arguments.every,
        engines_at_most: arguments.engines_at_most.into(),
        record_on: arguments.record_on,
        record_for: arguments.record_for,
        record_pause: arguments.record_pause,
        serves: network.listening.is_some() || network.collector.is_some(),
        engine_metrics: arguments.engine_metrics,
    };
    let every = arguments.otlp_every;
    let collector = network.collector.map(|collector| (collector, every));
    watch::watch(options, network.listening.as_ref(), collector, &signals)
}

#[cfg(test)]
mod tests {
    use super::{cgroup, window};

    #[test]
    fn a_group_is_one_part_of_its_path_and_a_window_has_a_length() {
        assert_eq!(
            cgroup("llama-server.service"),
            Ok("llama-server.service".to_owned())
        );
        assert_eq!(cgroup("/docker/"), Ok("docker".to_owned()));
        let why = cgroup("/system.slice/x.service").expect_err("a path");
        assert!(why.contains("such as x.service"), "{why}");
        assert!(cgroup("/").is_err());
        assert!(window("1s").is_err() && window("5s").is_ok());
    }
}
