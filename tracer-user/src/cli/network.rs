//! What reaches others, or is reached by them: opened before rights are given up.

use std::path::Path;

use crate::{
    metrics::{CollectorAddress, Listening, ServeAddress},
    outward::{HttpUrl, Outward},
};

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
    pub fn open(
        serving: (Option<&ServeAddress>, Option<&Path>),
        collector: Option<&CollectorAddress>,
        engine_metrics: Option<&HttpUrl>,
    ) -> anyhow::Result<Self> {
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
        Ok(Self {
            listening,
            collector: collector
                .map(|collector| Outward::start(collector.url().clone()))
                .transpose()?,
            engine_metrics: engine_metrics.cloned().map(Outward::start).transpose()?,
        })
    }
}
