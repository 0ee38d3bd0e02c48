//! A moment of a run → the text format of Prometheus.

use std::collections::HashMap;

use prometheus::{
    Encoder as _, TextEncoder,
    proto::{Bucket, Counter, Gauge, Histogram, LabelPair, Metric, MetricFamily, MetricType},
};

use crate::{run::onlooker::ModelFiguresSoFar, stats::formulas::seconds};

use super::{
    exported::{EXPORTED, Exported, Kind, LatencyCounts, Of, PREFIX},
    moment::Moment,
};

/// What the text is, for whoever asked.
pub const CONTENT_TYPE: &str = prometheus::TEXT_FORMAT;

/// One number with the values of its labels.
struct Sample {
    labels: Vec<String>,
    value: f64,
}

/// Writes one run's figures, again and again.
#[derive(Default)]
pub struct Encoding {
    /// The highest value of each series of a counter: a scraper takes anything lower for a restart, and would count all of it
    /// again.
    highest: HashMap<(usize, Vec<String>), f64>,
}

impl Encoding {
    /// The text of a moment; before the run begins, that the tracer is there.
    ///
    /// # Errors
    /// A figure that the format cannot carry, which would be a mistake of [`EXPORTED`].
    pub fn text(&mut self, moment: Option<&Moment<'_>>) -> anyhow::Result<String> {
        let mut families = vec![build()];
        if let Some(moment) = moment {
            for (number, exported) in EXPORTED.iter().enumerate() {
                if let Of::Latencies(_, now) = &exported.of {
                    families.extend(latencies(exported, *now, moment));
                    continue;
                }
                let mut samples = samples(exported, moment);
                if exported.kind == Kind::Counter {
                    for sample in &mut samples {
                        let key = (number, sample.labels.clone());
                        let highest = self.highest.entry(key).or_insert(sample.value);
                        *highest = highest.max(sample.value);
                        sample.value = *highest;
                    }
                }
                if !samples.is_empty() {
                    families.push(family(exported, samples));
                }
            }
        }
        Self::write(&families)
    }

    /// The text of families that are put together elsewhere.
    ///
    /// # Errors
    /// A family that the format cannot carry.
    pub fn write(families: &[MetricFamily]) -> anyhow::Result<String> {
        let mut text = Vec::new();
        TextEncoder::new().encode(families, &mut text)?;
        Ok(String::from_utf8(text)?)
    }
}

/// A family of numbers with the names and values of their labels.
pub fn plain(
    name: String,
    help: &str,
    kind: Kind,
    samples: Vec<(Vec<(String, String)>, f64)>,
) -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(name);
    family.set_help(help.to_owned());
    family.set_field_type(metric_type(kind));
    let metrics = samples.into_iter().map(|(labels, value)| {
        let labels = labels.into_iter().map(|(name, value)| label(&name, value));
        metric(kind, labels.collect(), value)
    });
    family.set_metric(metrics.collect());
    family
}

const fn metric_type(kind: Kind) -> MetricType {
    match kind {
        Kind::Counter => MetricType::COUNTER,
        Kind::Gauge => MetricType::GAUGE,
        Kind::Histogram => MetricType::HISTOGRAM,
    }
}

fn samples(exported: &Exported, moment: &Moment<'_>) -> Vec<Sample> {
    let models = || {
        let begun = moment.begun.models.iter();
        let named = begun.zip(moment.names);
        named.zip(&moment.so_far.models)
    };
    let sample = |labels: Vec<String>, value: Option<f64>| {
        // A ratio that is none is not known.
        let value = value.filter(|value| value.is_finite())?;
        Some(Sample { labels, value })
    };
    match &exported.of {
        Of::Run(_, now) => sample(Vec::new(), now(moment)).into_iter().collect(),
        Of::Model(_, now) => models()
            .filter_map(|((begun, name), model)| sample(vec![name.clone()], now(begun, model)))
            .collect(),
        // Not one number each.
        Of::Latencies(..) => Vec::new(),
        Of::AllPhases(_, now) => models()
            .filter_map(|((begun, name), model)| sample(vec![name.clone()], now(begun, model)))
            .collect(),
        Of::Phase(_, now) => models()
            .flat_map(|((begun, name), model)| {
                let phases = model.parts.phases.phases.iter();
                phases.filter_map(move |(phase, so_far)| {
                    let labels = vec![name.clone(), phase.name().to_owned()];
                    sample(labels, now(begun, so_far))
                })
            })
            .collect(),
        Of::Class(_, now) => models()
            .flat_map(|((begun, name), model)| {
                let classes = model.parts.kinds.iter();
                classes.filter_map(move |class| {
                    let labels = vec![name.clone(), class.name.to_string()];
                    sample(labels, now(begun, class))
                })
            })
            .collect(),
    }
}

/// One histogram, of which `_sum` is not known.
pub struct HistogramSample {
    pub labels: Vec<(String, String)>,
    /// Upper limits in base units, and how many lie at or below.
    pub at_most: Vec<(f64, u64)>,
    pub all: u64,
}

/// A family of histograms.
pub fn histograms(name: String, help: &str, samples: Vec<HistogramSample>) -> MetricFamily {
    let mut family = plain(name, help, Kind::Histogram, Vec::new());
    let metrics = samples.into_iter().map(|sample| {
        let labels = sample.labels.into_iter();
        let mut metric =
            Metric::from_label(labels.map(|(name, value)| label(&name, value)).collect());
        let mut histogram = Histogram::default();
        histogram.set_sample_count(sample.all);
        histogram.set_sample_sum(f64::NAN);
        let buckets = sample.at_most.into_iter().map(|(limit, count)| {
            let mut bucket = Bucket::default();
            bucket.set_upper_bound(limit);
            bucket.set_cumulative_count(count);
            bucket
        });
        histogram.set_bucket(buckets.collect());
        metric.set_histogram(histogram);
        metric
    });
    family.set_metric(metrics.collect());
    family
}

fn latencies(
    exported: &Exported,
    now: fn(&ModelFiguresSoFar) -> Option<LatencyCounts>,
    moment: &Moment<'_>,
) -> Option<MetricFamily> {
    let models = moment.names.iter().zip(&moment.so_far.models);
    let samples: Vec<_> = models
        .filter_map(|(name, model)| {
            let counts = now(model)?;
            let at_most = counts.at_most.iter();
            Some(HistogramSample {
                labels: vec![("model".to_owned(), name.clone())],
                at_most: at_most
                    .map(|(nanos, count)| (seconds(*nanos), *count))
                    .collect(),
                all: counts.all,
            })
        })
        .collect();
    (!samples.is_empty()).then(|| histograms(exported.name(), &exported.meaning(), samples))
}

fn family(exported: &Exported, samples: Vec<Sample>) -> MetricFamily {
    let samples = samples.into_iter().map(|sample| {
        let names = exported.labels().iter().map(|name| (*name).to_owned());
        (names.zip(sample.labels).collect(), sample.value)
    });
    plain(
        exported.name(),
        &exported.meaning(),
        exported.kind,
        samples.collect(),
    )
}

fn label(name: &str, value: String) -> LabelPair {
    let mut label = LabelPair::default();
    label.set_name(name.to_owned());
    label.set_value(value);
    label
}

fn metric(kind: Kind, labels: Vec<LabelPair>, value: f64) -> Metric {
    let mut metric = Metric::from_label(labels);
    match kind {
        Kind::Counter => {
            let mut counter = Counter::default();
            counter.set_value(value);
            metric.set_counter(counter);
        }
        Kind::Gauge | Kind::Histogram => {
            let mut gauge = Gauge::default();
            gauge.set_value(value);
            metric.set_gauge(gauge);
        }
    }
    metric
}

/// That the tracer is there, and which.
pub fn build() -> MetricFamily {
    let mut family = MetricFamily::default();
    family.set_name(format!("{PREFIX}build_info"));
    family.set_help("1; the version of the tracer is the label".to_owned());
    family.set_field_type(MetricType::GAUGE);
    let labels = vec![label("version", env!("CARGO_PKG_VERSION").to_owned())];
    family.set_metric(vec![metric(Kind::Gauge, labels, 1.0)]);
    family
}

#[cfg(test)]
mod tests {
    use std::{path::PathBuf, time::Duration};

    use super::Encoding;
    use crate::{
        metrics::moment::{Moment, names},
        probe::Detail,
        run::onlooker::{
            EngineNow, LossesSoFar, ModelBegun, ModelFiguresSoFar, PagesSoFar, ReadsSoFar,
            RunBegun, RunSoFar, WaitSeconds,
        },
    };

    fn begun(models: &[&str], has_sectors: bool) -> RunBegun {
        RunBegun {
            directory: PathBuf::new(),
            detail: Detail::Counts,
            recorded_s: None,
            models: models
                .iter()
                .map(|name| ModelBegun {
                    name: (*name).to_owned(),
                    size_bytes: 1000,
                    page_bytes: 4096,
                    has_sectors,
                })
                .collect(),
        }
    }

    fn so_far(models: Vec<ModelFiguresSoFar>) -> RunSoFar {
        RunSoFar {
            at_s: 2.5,
            models,
            tracer_cpu_s: Some(0.25),
            losses: Some(LossesSoFar::default()),
            took: Duration::ZERO,
        }
    }

    fn read(total_bytes: u64) -> ModelFiguresSoFar {
        ModelFiguresSoFar {
            reads: Some(ReadsSoFar {
                count: 3,
                total_bytes,
                ..ReadsSoFar::default()
            }),
            ..ModelFiguresSoFar::default()
        }
    }

    fn text(encoding: &mut Encoding, begun: &RunBegun, so_far: &RunSoFar) -> String {
        let moment = Moment {
            begun,
            names: &names(begun, false),
            so_far,
            engine: &EngineNow::default(),
        };
        encoding.text(Some(&moment)).expect("it is encoded")
    }

    #[test]
    fn what_is_not_observed_is_absent_and_what_is_zero_is_zero() {
        let begun = begun(&["m.gguf"], true);
        let nothing = ModelFiguresSoFar {
            pages: PagesSoFar {
                refaults: Some(0),
                ..PagesSoFar::default()
            },
            ..ModelFiguresSoFar::default()
        };
        let shown = text(&mut Encoding::default(), &begun, &so_far(vec![nothing]));
        assert!(
            shown.contains("tracer_refaulted_pages_total{model=\"m.gguf\"} 0\n"),
            "{shown}"
        );
        for absent in [
            "tracer_reads_total",
            "tracer_read_bytes_total",
            "tracer_inserted",
            "tracer_resident",
            "tracer_stalled",
            "tracer_recursion",
            "tracer_engine_tokens",
        ] {
            assert!(!shown.contains(absent), "{absent} in\n{shown}");
        }
    }

    #[test]
    fn a_counter_never_goes_down_and_large_counts_stay_exact() {
        let begun = begun(&["m.gguf"], true);
        let mut encoding = Encoding::default();
        for (now, shown) in [
            (10, 10),
            (7, 10),
            (12, 12),
            ((1 << 53) - 1, 9_007_199_254_740_991u64),
        ] {
            let text = text(&mut encoding, &begun, &so_far(vec![read(now)]));
            let line = format!("tracer_read_bytes_total{{model=\"m.gguf\"}} {shown}\n");
            assert!(text.contains(&line), "no {line} in\n{text}");
        }
    }

    #[test]
    fn models_of_one_name_are_told_apart_and_odd_names_escaped() {
        let begun = begun(&["a\"\\\nb", "same", "same", "same"], true);
        let models = (0..4).map(read).collect();
        let shown = text(&mut Encoding::default(), &begun, &so_far(models));
        for line in [
            r#"tracer_read_bytes_total{model="a\"\\\nb"} 0"#,
            r#"tracer_read_bytes_total{model="same"} 1"#,
            r#"tracer_read_bytes_total{model="same #3"} 2"#,
            r#"tracer_read_bytes_total{model="same #4"} 3"#,
        ] {
            assert!(
                shown.lines().any(|own| own == line),
                "no {line} in\n{shown}"
            );
        }
        assert_eq!(names(&begun, true)[1], "model 2");
    }

    #[test]
    fn waits_of_a_part_of_the_run_are_no_waits_of_the_run() {
        let begun = begun(&["m"], true);
        let waits = |since_s| ModelFiguresSoFar {
            waits: Some(WaitSeconds {
                since_s,
                until_s: 3.0,
                stall_s: Some(1.5),
                reclaim_s: None,
            }),
            ..ModelFiguresSoFar::default()
        };
        let whole = text(&mut Encoding::default(), &begun, &so_far(vec![waits(0.0)]));
        assert!(
            whole.contains("tracer_stalled_seconds_total{model=\"m\"} 1.5\n"),
            "{whole}"
        );
        let part = text(&mut Encoding::default(), &begun, &so_far(vec![waits(1.0)]));
        assert!(!part.contains("tracer_stalled"), "{part}");
    }
}
