//! What runs and the service say → one request of OTLP.

use std::{
    collections::HashMap,
    time::{Duration, SystemTime},
};

use crate::exposition::{ParsedFamily, ParsedHistogram};
use crate::metrics::{
    exported::{EXPORTED, Exported, Kind, PREFIX},
    several::{SaidNow, ServiceFigure},
};

use super::message::{
    CUMULATIVE, Data, ExportMetricsServiceRequest, Gauge, Histogram, HistogramDataPoint,
    InstrumentationScope, KeyValue, Metric, NumberDataPoint, Resource, ResourceMetrics,
    ScopeMetrics, Sum,
};

/// The time of a run's figures, by which the start of its counters is known.
const RUN_SECONDS: &str = "tracer_run_seconds";

/// Puts requests together, one after the other.
#[derive(Debug)]
pub struct Requests {
    /// Left out where there is none.
    host: Option<String>,
    /// When the service was started.
    since: SystemTime,
    /// Of each engine, when its window began, and how long that was at the last look.
    windows: HashMap<Option<String>, (SystemTime, f64)>,
}

impl Requests {
    #[must_use]
    pub fn new(host: Option<String>, since: SystemTime) -> Self {
        Self {
            host,
            since,
            windows: HashMap::new(),
        }
    }

    /// The request of this moment.
    #[must_use]
    pub fn request(&mut self, said: &SaidNow, now: SystemTime) -> ExportMetricsServiceRequest {
        let mut metrics: Vec<Metric> = Vec::new();
        for (figure, value) in &said.own {
            let point = point(Vec::new(), *value, figure.kind(), self.since, now);
            let unit = match figure {
                ServiceFigure::OwnCpuSeconds => "s",
                _ => "1",
            };
            let name = figure.name().trim_end_matches("_total");
            let name = name.trim_end_matches("_seconds").replacen('_', ".", 2);
            metrics.push(metric(&name, figure.meaning(), unit, figure.kind(), point));
        }
        for (engine, families) in &said.runs {
            let Some(seconds) = run_seconds(families) else {
                continue;
            };
            let start = self.start(engine.as_ref(), seconds, now);
            for family in families {
                let exported = EXPORTED.iter().find(|it| it.name() == family.name);
                let Some(exported) = exported else {
                    continue;
                };
                let name = name(exported);
                if exported.kind == Kind::Histogram {
                    let points = family.histograms().into_iter().map(|histogram| {
                        let attributes = attributes(engine.as_deref(), &histogram.labels);
                        histogram_point(attributes, &histogram, start, now)
                    });
                    add_histograms(&mut metrics, exported, &name, points.collect());
                    continue;
                }
                let points = family.samples.iter().map(|sample| {
                    let attributes = attributes(engine.as_deref(), &sample.labels);
                    point(attributes, sample.value, exported.kind, start, now)
                });
                for point in points {
                    match metrics.iter_mut().find(|metric| metric.name == name) {
                        Some(known) => add(known, point),
                        None => {
                            let unit = exported.unit_symbol();
                            let meaning = exported.meaning();
                            metrics.push(metric(&name, &meaning, unit, exported.kind, point));
                        }
                    }
                }
            }
        }
        self.windows
            .retain(|engine, _| said.runs.iter().any(|(own, _)| own == engine));
        ExportMetricsServiceRequest {
            resource_metrics: vec![ResourceMetrics {
                resource: Some(Resource {
                    attributes: [
                        Some(KeyValue::of("service.name", "tracer")),
                        Some(KeyValue::of("service.version", env!("CARGO_PKG_VERSION"))),
                        self.host
                            .as_ref()
                            .map(|host| KeyValue::of("host.name", host)),
                    ]
                    .into_iter()
                    .flatten()
                    .collect(),
                }),
                scope_metrics: vec![ScopeMetrics {
                    scope: Some(InstrumentationScope {
                        name: "tracer".to_owned(),
                        version: env!("CARGO_PKG_VERSION").to_owned(),
                    }),
                    metrics,
                }],
            }],
        }
    }

    /// When an engine's window began: the same time for all of it, though each look would compute another.
    fn start(&mut self, engine: Option<&String>, seconds: f64, now: SystemTime) -> SystemTime {
        let begun = Duration::try_from_secs_f64(seconds)
            .ok()
            .and_then(|length| now.checked_sub(length))
            .unwrap_or(now);
        let window = self
            .windows
            .entry(engine.cloned())
            .or_insert((begun, seconds));
        if seconds < window.1 {
            window.0 = begun;
        }
        window.1 = seconds;
        window.0
    }
}

fn run_seconds(families: &[ParsedFamily]) -> Option<f64> {
    let family = families.iter().find(|family| family.name == RUN_SECONDS)?;
    Some(family.samples.first()?.value)
}

/// `tracer.read`, `tracer.phase.read`: dots between names, and no unit.
fn name(exported: &Exported) -> String {
    let stem = exported.stem();
    let dotted = ["phase_", "class_", "engine_", "model_"]
        .iter()
        .find_map(|group| stem.strip_prefix(group).map(|rest| (group, rest)));
    let prefix = PREFIX.trim_end_matches('_');
    match dotted {
        Some((group, rest)) => format!("{prefix}.{}.{rest}", group.trim_end_matches('_')),
        None => format!("{prefix}.{stem}"),
    }
}

fn attributes(engine: Option<&str>, labels: &[(String, String)]) -> Vec<KeyValue> {
    let engine = engine.map(|engine| KeyValue::of("tracer.engine", engine));
    let mut attributes = Vec::from_iter(engine);
    for (label, value) in labels {
        let key = match label.as_str() {
            // OpenTelemetry's conventions for generative AI have no storage; the model is theirs.
            "model" => "gen_ai.request.model",
            "phase" => "tracer.phase",
            "class" => "tracer.tensor.class",
            other => other,
        };
        attributes.push(KeyValue::of(key, value));
    }
    attributes
}

fn point(
    attributes: Vec<KeyValue>,
    value: f64,
    kind: Kind,
    start: SystemTime,
    now: SystemTime,
) -> NumberDataPoint {
    NumberDataPoint {
        start_time_unix_nano: match kind {
            Kind::Counter => nanos(start),
            Kind::Gauge | Kind::Histogram => 0,
        },
        time_unix_nano: nanos(now),
        as_double: Some(value),
        attributes,
    }
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    since
        .ok()
        .and_then(|since| u64::try_from(since.as_nanos()).ok())
        .unwrap_or(0)
}

fn metric(name: &str, meaning: &str, unit: &str, kind: Kind, point: NumberDataPoint) -> Metric {
    let data_points = vec![point];
    Metric {
        name: name.to_owned(),
        description: meaning.to_owned(),
        unit: unit.to_owned(),
        data: Some(match kind {
            Kind::Counter => Data::Sum(Sum {
                data_points,
                aggregation_temporality: CUMULATIVE,
                is_monotonic: true,
            }),
            Kind::Gauge | Kind::Histogram => Data::Gauge(Gauge { data_points }),
        }),
    }
}

fn add(metric: &mut Metric, point: NumberDataPoint) {
    match &mut metric.data {
        Some(Data::Sum(sum)) => sum.data_points.push(point),
        Some(Data::Gauge(gauge)) => gauge.data_points.push(point),
        Some(Data::Histogram(_)) | None => {}
    }
}

fn histogram_point(
    attributes: Vec<KeyValue>,
    histogram: &ParsedHistogram,
    start: SystemTime,
    now: SystemTime,
) -> HistogramDataPoint {
    let mut below = 0;
    let ends = histogram.at_most.iter().map(|(_, count)| *count);
    let bucket_counts = ends.chain([histogram.all]).map(|count| {
        let own = count.saturating_sub(below);
        below = count;
        own
    });
    HistogramDataPoint {
        start_time_unix_nano: nanos(start),
        time_unix_nano: nanos(now),
        count: histogram.all,
        bucket_counts: bucket_counts.collect(),
        explicit_bounds: histogram.at_most.iter().map(|(limit, _)| *limit).collect(),
        attributes,
    }
}

/// To the metric that there is, or in one of their own.
fn add_histograms(
    metrics: &mut Vec<Metric>,
    exported: &Exported,
    name: &str,
    mut points: Vec<HistogramDataPoint>,
) {
    let known = metrics.iter_mut().find(|metric| metric.name == name);
    if let Some(Data::Histogram(known)) = known.and_then(|metric| metric.data.as_mut()) {
        known.data_points.append(&mut points);
    } else if !points.is_empty() {
        metrics.push(Metric {
            name: name.to_owned(),
            description: exported.meaning(),
            unit: exported.unit_symbol().to_owned(),
            data: Some(Data::Histogram(Histogram {
                data_points: points,
                aggregation_temporality: CUMULATIVE,
            })),
        });
    }
}

#[cfg(test)]
mod tests {
    use std::{
        collections::BTreeSet,
        time::{Duration, SystemTime},
    };

    use super::{Data, EXPORTED, Requests, name};
    use crate::{
        exposition::parse,
        metrics::{SaidNow, ServiceFigure},
    };

    #[test]
    fn names_are_each_another() {
        let mut seen = BTreeSet::new();
        for exported in EXPORTED {
            assert!(seen.insert(name(exported)), "{} twice", name(exported));
        }
        assert!(seen.contains("tracer.read") && seen.contains("tracer.phase.read"));
    }

    #[test]
    fn a_counter_has_one_start_in_a_window_and_another_in_the_next() {
        let begin = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let mut requests = Requests::new(Some("h".to_owned()), begin);
        let mut starts = Vec::new();
        // The third look is of the next window; the clock of a look is never exact.
        for (at, seconds) in [(10.0, 9.0), (20.0, 19.1), (30.0, 2.0), (40.0, 12.05)] {
            let text = format!(
                "# TYPE tracer_run_seconds gauge\ntracer_run_seconds {seconds}\n# TYPE tracer_reads_total counter\ntracer_reads_total{{model=\"m\"}} 0\n"
            );
            let said = SaidNow {
                runs: vec![(Some("e".to_owned()), parse(&text).expect("valid"))],
                own: vec![(ServiceFigure::Windows, 3.0)],
            };
            let now = begin + Duration::from_secs_f64(at);
            let request = requests.request(&said, now);
            let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
            let names: Vec<&str> = metrics.iter().map(|metric| metric.name.as_str()).collect();
            assert_eq!(
                names,
                ["tracer.watch.windows", "tracer.run", "tracer.reads"]
            );
            let Some(Data::Sum(sum)) = &metrics[2].data else {
                panic!("{metrics:?}");
            };
            let point = &sum.data_points[0];
            assert_eq!(point.as_double, Some(0.0));
            starts.push(point.start_time_unix_nano / 1_000_000_000);
        }
        assert_eq!(starts, [1001, 1001, 1028, 1028]);
    }

    #[test]
    fn a_histogram_has_its_buckets_alone_and_no_sum() {
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1000);
        let text = "# TYPE tracer_run_seconds gauge\ntracer_run_seconds 100\n# TYPE tracer_read_latency_seconds histogram\ntracer_read_latency_seconds_bucket{model=\"m\",le=\"0.5\"} 2\ntracer_read_latency_seconds_bucket{model=\"m\",le=\"1\"} 5\ntracer_read_latency_seconds_bucket{model=\"m\",le=\"+Inf\"} 9\ntracer_read_latency_seconds_sum{model=\"m\"} NaN\ntracer_read_latency_seconds_count{model=\"m\"} 9\n";
        let run = |engine: &str| (Some(engine.to_owned()), parse(text).expect("valid"));
        let said = SaidNow {
            runs: vec![run("one"), run("two")],
            own: Vec::new(),
        };
        let request = Requests::new(None, now).request(&said, now);
        let metrics = &request.resource_metrics[0].scope_metrics[0].metrics;
        let [_, latency] = metrics.as_slice() else {
            panic!("{metrics:?}")
        };
        let Some(Data::Histogram(histogram)) = &latency.data else {
            panic!("{latency:?}")
        };
        assert_eq!(
            (latency.name.as_str(), latency.unit.as_str()),
            ("tracer.read_latency", "s")
        );
        assert_eq!(histogram.data_points.len(), 2);
        let point = &histogram.data_points[0];
        assert_eq!((point.count, &point.bucket_counts), (9, &vec![2, 3, 4]));
        assert_eq!(point.explicit_bounds, [0.5, 1.0]);
        assert_eq!(point.start_time_unix_nano, 900_000_000_000);
    }
}
