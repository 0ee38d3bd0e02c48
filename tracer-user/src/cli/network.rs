//! What reaches others, or is reached by them: opened before rights are given up.

use std::time::Duration;

use crate::{
    metrics::Listening,
    outward::{HttpUrl, Outward},
};

use super::arguments::Command;

/// The ways in and out of a command.
#[derive(Default)]
pub struct Network {
    /// Where metrics are served.
    pub listening: Option<Listening>,
    /// To a collector of metrics.
    pub collector: Option<Outward>,
    /// To the engine's own metrics.
    pub engine_metrics: Option<Outward>,
}

impl Network {
    /// Opens those that are asked for.
    ///
    /// # Errors
    /// An address that cannot be had; no process can be made.
    pub fn open(command: &Command) -> anyhow::Result<Self> {
        let (serving, collector) = match command {
            Command::Launch(arguments) => (arguments.trace.serving(), &arguments.trace.otlp),
            Command::Attach(arguments) => (arguments.trace.serving(), &arguments.trace.otlp),
            Command::Demo(arguments) => (arguments.trace.serving(), &arguments.trace.otlp),
            Command::Watch(arguments) => (arguments.serving(), &arguments.otlp),
            _ => return Ok(Self::default()),
        };
        let listening = match serving {
            (Some(address), token_file) => {
                let listening = Listening::open(address, token_file)?;
                eprintln!("tracer: metrics at {}", listening.address());
                if !address.is_local() {
                    eprintln!(
                        "tracer: other machines can reach them; nothing is encrypted, the token neither"
                    );
                }
                Some(listening)
            }
            (None, _) => None,
        };
        let engine_metrics = match command {
            Command::Attach(arguments) => arguments.engine_metrics.clone(),
            _ => None,
        };
        Ok(Self {
            listening,
            collector: collector
                .as_ref()
                .map(|collector| Outward::start(collector.url().clone()))
                .transpose()?,
            engine_metrics: engine_metrics.map(Outward::start).transpose()?,
        })
    }
}

/// How often metrics are sent.
///
/// # Errors
/// It is no time, or too short a one.
pub fn sending(text: &str) -> Result<Duration, String> {
    let time = super::size::duration(text)?;
    if time < Duration::from_secs(1) {
        return Err("metrics are sent once a second at most; 60s is usual".to_owned());
    }
    Ok(time)
}

/// Where an engine serves its metrics.
///
/// # Errors
/// It is no address, in words.
pub fn engine_metrics(text: &str) -> Result<HttpUrl, String> {
    let url: HttpUrl = text
        .parse()
        .map_err(|error| format!("{error}; write it as http://127.0.0.1:8080/metrics"))?;
    Ok(url.or_path("/metrics"))
}

#[cfg(test)]
mod tests {
    use super::engine_metrics;

    #[test]
    fn an_engine_has_its_metrics_at_the_usual_path() {
        let url = engine_metrics("http://127.0.0.1:8080").expect("an address");
        assert_eq!(url.to_string(), "http://127.0.0.1:8080/metrics");
        let why = engine_metrics("127.0.0.1:8080").expect_err("no scheme");
        assert!(why.contains("http://127.0.0.1:8080/metrics"), "{why}");
    }
}
