//! What the disk was given at once, and how long it took, phase by phase.

use std::collections::BTreeMap;

use crate::{
    chart::{Axis, Bar, Chart, Ink, Mark, Point, Shape},
    figures::Unit,
    report::document::{Column, Drawing, Table},
    schema::ModelRecord,
    units::{count, share},
};

use super::reads::{DEEPEST, PHASE_INKS, ReadCourse};

/// A distribution of reads, by phase.
struct Distribution<K> {
    phases: Vec<(String, BTreeMap<K, u64>)>,
    all: u64,
}

impl<K: Copy + Ord> Distribution<K> {
    fn new(course: &ReadCourse, counts: &BTreeMap<(usize, K), u64>) -> Self {
        Self {
            phases: course.by_phase(counts),
            all: counts.values().sum(),
        }
    }

    fn keys(&self) -> impl Iterator<Item = K> {
        self.phases
            .iter()
            .flat_map(|(_, reads)| reads.keys().copied())
    }

    /// The reads of one phase alone as bars, of several as a line each; and the largest share. `ends` are the ends of a
    /// value's bar, `words` what it is called.
    fn marks(
        &self,
        steps: impl Iterator<Item = K> + Clone,
        ends: impl Fn(K) -> (f64, f64),
        words: impl Fn(K) -> String,
    ) -> (Vec<Mark>, f64) {
        let mut most = 0.0_f64;
        let mut marks = Vec::new();
        let drawn = self.phases.iter().take(ReadCourse::drawn(&self.phases));
        for ((name, reads), ink) in drawn.zip(PHASE_INKS) {
            let all: u64 = reads.values().sum();
            let part = |step: K| reads.get(&step).copied().unwrap_or(0) as f64 / all.max(1) as f64;
            most = steps.clone().map(part).fold(most, f64::max);
            if ReadCourse::drawn(&self.phases) == 1 {
                let bars = steps.clone().filter(|step| reads.contains_key(step));
                let bars = bars.map(|step| {
                    let (from, to) = ends(step);
                    let number = reads.get(&step).copied().unwrap_or(0);
                    Bar {
                        from,
                        to,
                        low: 0.0,
                        high: part(step),
                        says: format!(
                            "{} · {} reads, {}",
                            words(step),
                            count(number),
                            share(Some(part(step)))
                        ),
                    }
                });
                marks.push(Mark::Bars {
                    name: "reads".into(),
                    ink,
                    bars: bars.collect(),
                });
                continue;
            }
            let mut points: Vec<Point> = Vec::new();
            for step in steps.clone() {
                let (from, to) = ends(step);
                // Each value holds up to the next point.
                if let Some(last) = points.last_mut() {
                    last.y = Some(part(step));
                } else {
                    points.push(Point {
                        x: from,
                        y: Some(part(step)),
                    });
                }
                points.push(Point {
                    x: to,
                    y: Some(0.0),
                });
            }
            marks.push(Mark::Line {
                name: name.clone(),
                ink,
                shape: Shape::Steps,
                points,
            });
        }
        (marks, most)
    }
}

/// Latency of the reads by phase, with the record's percentiles.
pub(super) fn latency(model: &ModelRecord, course: &ReadCourse) -> Result<Drawing, String> {
    let distribution = Distribution::new(course, &course.latencies);
    let (Some(first), Some(last)) = (distribution.keys().min(), distribution.keys().max()) else {
        return Err("latency: of no read both ends were seen".into());
    };
    let ends = |step: i32| {
        (
            ReadCourse::latency_us(step),
            ReadCourse::latency_us(step + 1),
        )
    };
    let shown = |micros: f64| Unit::Microseconds.show(micros);
    let words = |step: i32| format!("{} – {}", shown(ends(step).0), shown(ends(step).1));
    let (mut marks, most) = distribution.marks(first..=last, ends, words);
    let mut table = Table::new([
        Column::right("from"),
        Column::right("to"),
        Column::right("reads"),
        Column::right("share of all"),
        Column::left("phase"),
    ]);
    for (phase, reads) in &distribution.phases {
        for (step, number) in reads {
            let (from, to) = ends(*step);
            table.row([
                shown(from),
                shown(to),
                count(*number),
                share(Some(*number as f64 / distribution.all.max(1) as f64)),
                phase.clone(),
            ]);
        }
    }
    let mut sees = "How long the disk took for a read, from its issue to its end.".to_owned();
    if let Some(latency) = &model.latency_us {
        let mut said = Vec::new();
        for (name, value, ink) in [
            ("half of all at most", latency.p50, Ink::Limit),
            ("99 of 100 at most", latency.p99, Ink::Wait),
        ] {
            if let Some(value) = value {
                let words = format!("{name} {}", shown(value));
                marks.push(Mark::Upright {
                    name: words.clone(),
                    ink,
                    at: value,
                });
                said.push(words);
            }
        }
        if !said.is_empty() {
            sees.push_str(&format!(" {}.", capital(&said.join(", "))));
        }
    }
    let halves: Vec<String> = model
        .phases
        .iter()
        .flatten()
        .filter_map(|phase| {
            let latency = phase.latency_us.as_ref()?;
            let median = latency.p50.filter(|_| latency.count > 0)?;
            Some(format!(
                "{} {}",
                phase.phase.replace('_', "-"),
                shown(median)
            ))
        })
        .collect();
    if halves.len() > 1 {
        sees.push_str(&format!(
            " Half of the reads of each phase took at most: {}.",
            halves.join(", ")
        ));
    }
    Ok(Drawing {
        chart: Chart {
            name: "latency".into(),
            title: "How long the disk took for a read".into(),
            sees,
            x: Axis::log(
                "latency (logarithmic)",
                Unit::Microseconds,
                ends(first).0,
                ends(last).1,
            ),
            y: Axis::linear("share of the phase's reads", Unit::Share, 0.0, most * 1.08),
            edges: Vec::new(),
            marks,
        },
        table,
    })
}

fn capital(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| {
        first.to_uppercase().collect::<String>() + characters.as_str()
    })
}

/// How many reads were with the driver at once, by phase.
pub(super) fn queue_depth(course: &ReadCourse) -> Result<Drawing, String> {
    let distribution = Distribution::new(course, &course.depths);
    let Some(deepest) = distribution.keys().max() else {
        return Err("queue depth: of no read both ends were seen".into());
    };
    let name = |depth: usize| {
        if depth == DEEPEST {
            format!("{depth} or more")
        } else {
            depth.to_string()
        }
    };
    let ends = |depth: usize| (depth as f64 - 0.5, depth as f64 + 0.5);
    let words = |depth: usize| format!("{} in flight", name(depth));
    let (marks, most) = distribution.marks(1..=deepest, ends, words);
    let mut table = Table::new([
        Column::right("in flight"),
        Column::right("reads"),
        Column::right("share of all"),
        Column::left("phase"),
    ]);
    let drawn = ReadCourse::drawn(&distribution.phases);
    let mut alone = Vec::new();
    for (phase, reads) in &distribution.phases {
        for (depth, number) in reads {
            table.row([
                name(*depth),
                count(*number),
                share(Some(*number as f64 / distribution.all.max(1) as f64)),
                phase.clone(),
            ]);
        }
        let own: u64 = reads.values().sum();
        let single = reads.get(&1).copied().unwrap_or(0) as f64 / own.max(1) as f64;
        alone.push(if drawn == 1 {
            share(Some(single))
        } else {
            format!("{} ({phase})", share(Some(single)))
        });
    }
    alone.truncate(drawn);
    Ok(Drawing {
        chart: Chart {
            name: "queue-depth".into(),
            title: "How many reads the disk had at once".into(),
            sees: format!(
                "Reads with the disk when another one was issued, this one included. {} were alone: a fast disk needs several at once to be fast.",
                alone.join(", ")
            ),
            x: Axis::linear("reads in flight", Unit::Count, 0.5, deepest as f64 + 0.5),
            y: Axis::linear("share of the phase's reads", Unit::Share, 0.0, most * 1.08),
            edges: Vec::new(),
            marks,
        },
        table,
    })
}

#[cfg(test)]
mod tests {
    use crate::{
        chart::Mark,
        read_list::ReadRow,
        schema::{ModelRecord, PhaseRecord, RunRecord},
    };

    use super::{ReadCourse, latency, queue_depth};

    fn phase(name: &str, start_s: f64, end_s: f64) -> PhaseRecord {
        PhaseRecord {
            phase: name.into(),
            start_s,
            end_s,
            duration_s: end_s - start_s,
            ..Default::default()
        }
    }

    fn read(time_ns: u64, latency_ns: u64) -> ReadRow {
        ReadRow {
            time_ns,
            latency_ns: Some(latency_ns),
            bytes: 4096,
            request_bytes: 4096,
            ..Default::default()
        }
    }

    #[test]
    fn phases_are_apart_and_no_read_is_lost() {
        let mut record = RunRecord::default();
        record.time.wall_s = 2.0;
        let model = ModelRecord {
            phases: Some(vec![phase("load", 0.0, 1.0), phase("generation", 1.0, 2.0)]),
            ..Default::default()
        };
        let mut course = ReadCourse::new(&record, &model, None);
        // Three at once while loading, then one alone that takes long.
        for time in [0, 10, 20] {
            course.add(&read(time, 100_000));
        }
        course.add(&read(1_500_000_000, 20_000_000));
        assert_eq!(ReadCourse::drawn(&course.by_phase(&course.sizes)), 2);
        let depth = queue_depth(&course).expect("a chart");
        assert!(
            depth
                .chart
                .sees
                .contains("33.3 % (load), 100.0 % (generation) were alone"),
            "{}",
            depth.chart.sees
        );
        assert_eq!(depth.table.rows().len(), 4);
        let times = latency(&model, &course).expect("a chart");
        let names: Vec<&str> = times
            .chart
            .marks
            .iter()
            .filter_map(|mark| match mark {
                Mark::Line { name, points, .. } => {
                    let highest = points
                        .iter()
                        .filter_map(|point| point.y)
                        .fold(0.0, f64::max);
                    assert!((highest - 1.0).abs() < 1e-9, "{name}: {highest}");
                    Some(name.as_str())
                }
                _ => None,
            })
            .collect();
        assert_eq!(names, ["load", "generation"]);
        assert_eq!(times.table.rows().len(), 2);
    }
}
