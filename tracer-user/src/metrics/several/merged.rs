//! The metrics of several runs at once, each of which another process of the tracer serves, and the service's own.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;

use crate::exposition::ParsedFamily;
use crate::metrics::{
    encoding::{self, Encoding, HistogramSample},
    exported::{Kind, PREFIX},
    listening::Listening,
    serving::{Serving, SoonText, Told},
};

use super::{
    asked::asked,
    service::ServiceFigure,
    sources::{SharedSources, Sources},
};

/// Runs are asked at most so often, however many scrape.
const FRESH: Duration = Duration::from_secs(1);

/// The label that tells runs apart.
pub const ENGINE_LABEL: &str = "engine";

/// Answers scrapes with all of them.
pub struct MergedServer {
    _serving: Serving,
}

impl MergedServer {
    /// Begins to answer on a socket.
    ///
    /// # Errors
    /// No descriptor or thread left.
    pub fn start(listening: &Listening, sources: SharedSources) -> anyhow::Result<Self> {
        let merged = Arc::new(Merged {
            sources,
            said: tokio::sync::Mutex::default(),
        });
        Ok(Self {
            _serving: Serving::start(listening, merged, 1)?,
        })
    }
}

struct Merged {
    sources: SharedSources,
    /// Held while runs are asked, so that many scrapes ask once.
    said: tokio::sync::Mutex<Option<(Instant, String)>>,
}

impl Told for Merged {
    fn text(self: Arc<Self>) -> SoonText {
        Box::pin(async move {
            let mut said = self.said.lock().await;
            if let Some((at, text)) = &*said
                && at.elapsed() < FRESH
            {
                return Ok(text.clone());
            }
            let Sources { runs, own } = self.sources.now();
            let answers = tokio::task::spawn_blocking(move || asked(&runs))
                .await
                .context("the runs were not asked")?;
            let text = text_of(answers, &own)?;
            *said = Some((Instant::now(), text.clone()));
            Ok(text)
        })
    }
}

/// All families, each once, with the label `engine` on each number of a run.
fn text_of(
    runs: Vec<(String, Vec<ParsedFamily>)>,
    own: &[(ServiceFigure, f64)],
) -> anyhow::Result<String> {
    let mut merged: Vec<ParsedFamily> = Vec::new();
    for (engine, families) in runs {
        for mut family in families {
            // Says which tracer it is: this one says so itself.
            if family.name == format!("{PREFIX}build_info") {
                continue;
            }
            for sample in &mut family.samples {
                let label = (ENGINE_LABEL.to_owned(), engine.clone());
                sample.labels.insert(0, label);
            }
            match merged.iter_mut().find(|known| known.name == family.name) {
                Some(known) => known.samples.append(&mut family.samples),
                None => merged.push(family),
            }
        }
    }
    let mut all = vec![encoding::build()];
    for (figure, value) in own {
        let samples = vec![(Vec::new(), *value)];
        let name = figure.name().to_owned();
        all.push(encoding::plain(
            name,
            figure.meaning(),
            figure.kind(),
            samples,
        ));
    }
    for family in merged {
        if family.kind == Kind::Histogram.name() {
            let samples = family.histograms().into_iter();
            let samples = samples.map(|histogram| HistogramSample {
                labels: histogram.labels,
                at_most: histogram.at_most,
                all: histogram.all,
            });
            let samples = samples.collect();
            all.push(encoding::histograms(family.name, &family.help, samples));
            continue;
        }
        let kind = if family.kind == Kind::Counter.name() {
            Kind::Counter
        } else {
            Kind::Gauge
        };
        let samples: Vec<_> = family
            .samples
            .into_iter()
            .map(|sample| (sample.labels, sample.value))
            .collect();
        if !samples.is_empty() {
            all.push(encoding::plain(family.name, &family.help, kind, samples));
        }
    }
    Encoding::write(&all)
}

#[cfg(test)]
mod tests {
    #[test]
    fn histograms_of_two_engines_stand_in_one_family() {
        let text = "# HELP tracer_read_latency_seconds how long\n# TYPE tracer_read_latency_seconds histogram\ntracer_read_latency_seconds_bucket{model=\"m\",le=\"0.000008191\"} 2\ntracer_read_latency_seconds_bucket{model=\"m\",le=\"+Inf\"} 9\ntracer_read_latency_seconds_sum{model=\"m\"} NaN\ntracer_read_latency_seconds_count{model=\"m\"} 9\n";
        let run = |engine: &str| (engine.to_owned(), parse(text).expect("valid"));
        let both = text_of(vec![run("a"), run("b")], &[]).expect("written");
        let of = |engine: &str| {
            text.lines()
                .skip(2)
                .map(|line| {
                    format!(
                        "{}\n",
                        line.replace("{model", &format!("{{engine=\"{engine}\",model"))
                    )
                })
                .collect::<String>()
        };
        let head: String = text
            .lines()
            .take(2)
            .map(|line| format!("{line}\n"))
            .collect();
        assert!(
            both.ends_with(&format!("{head}{}{}", of("a"), of("b"))),
            "{both}"
        );
    }

    use super::{ServiceFigure, text_of};
    use crate::exposition::parse;

    #[test]
    fn each_family_comes_once_and_each_number_has_its_engine() {
        let text = |reads: u64| {
            format!(
                "# HELP tracer_build_info 1\n# TYPE tracer_build_info gauge\ntracer_build_info{{version=\"9\"}} 1\n# HELP tracer_reads_total requests\n# TYPE tracer_reads_total counter\ntracer_reads_total{{model=\"a\\\"b\"}} {reads}\n"
            )
        };
        let run = |engine: &str, reads| (engine.to_owned(), parse(&text(reads)).expect("valid"));
        let own = (ServiceFigure::Engines, 2.0);
        let both = text_of(vec![run("one", 3), run("two \"2\"", 4)], &[own]).expect("written");
        let version = env!("CARGO_PKG_VERSION");
        assert_eq!(
            both,
            format!(
                "# HELP tracer_build_info 1; the version of the tracer is the label\n# TYPE tracer_build_info gauge\ntracer_build_info{{version=\"{version}\"}} 1\n# HELP tracer_watch_engines engines that are followed now\n# TYPE tracer_watch_engines gauge\ntracer_watch_engines 2\n# HELP tracer_reads_total requests\n# TYPE tracer_reads_total counter\ntracer_reads_total{{engine=\"one\",model=\"a\\\"b\"}} 3\ntracer_reads_total{{engine=\"two \\\"2\\\"\",model=\"a\\\"b\"}} 4\n"
            )
        );
    }
}
