//! What was measured, for a terminal.

use std::{collections::BTreeMap, fmt::Write as _};

use super::{
    interval::Interval,
    kept::{MeasurementRecord, VariantRecord, WorkRecord},
};

impl WorkRecord {
    /// What it is, in a few words.
    #[must_use]
    pub fn description(&self) -> String {
        match self {
            Self::Reads {
                threads,
                read_bytes,
                extents,
                model_bytes,
                processors,
                engine_reads,
                went_first,
            } => format!(
                "direct reads of {} KiB at random places, {threads} {}, {processors} {}; model of {} MB in {extents} {}{}{}",
                read_bytes >> 10,
                if *threads == 1 { "thread" } else { "threads" },
                if *processors == 1 { "CPU" } else { "CPUs" },
                model_bytes / 1_000_000,
                if *extents == 1 { "extent" } else { "extents" },
                if *engine_reads {
                    ""
                } else {
                    "; the reading threads are not the traced process's"
                },
                before_others(*went_first)
            ),
            Self::PageCache {
                traced,
                file_bytes,
                went_first,
            } => format!(
                "{} of {} MB read through the page cache, dropped, and read again{}",
                if *traced {
                    "the traced model"
                } else {
                    "another file than the traced model,"
                },
                file_bytes / 1_000_000,
                before_others(*went_first)
            ),
            Self::Idle {
                seconds,
                model_bytes,
            } => format!(
                "attached and idle for {seconds} s; model of {} MB",
                model_bytes / 1_000_000
            ),
            Self::Tokens {
                engine,
                memory_bytes,
                model_bytes,
                tokens,
            } => format!(
                "{tokens} tokens of {engine}, with {} MB of memory for a model of {} MB",
                memory_bytes / 1_000_000,
                model_bytes / 1_000_000
            ),
        }
    }
}

fn before_others(went_first: bool) -> &'static str {
    if went_first {
        "; before all other programs of a machine that others used"
    } else {
        ""
    }
}

impl MeasurementRecord {
    /// Heading and lines of a table: a line for each variant.
    #[must_use]
    pub fn rows(&self) -> Vec<Vec<String>> {
        let figures = self.figures();
        let none = self.without_tracer();
        let mut heading = vec![String::new()];
        for figure in &figures {
            heading.push(figure.heading().to_owned());
            if figure.is_of_the_work() && none.is_some() {
                heading.push("÷ none".to_owned());
            }
        }
        let mut rows = vec![heading];
        for variant in &self.variants {
            let mut row = vec![variant.name.clone()];
            for figure in &figures {
                if figure.is_a_count() {
                    row.push(shown_total(variant.total(*figure)));
                    continue;
                }
                let (unit, decimals) = figure.shown_in();
                row.push(shown(variant.interval(*figure), unit, decimals));
                if let (true, Some(none)) = (figure.is_of_the_work(), none) {
                    row.push(if variant.name == none.name {
                        "1".to_owned()
                    } else {
                        shown(variant.ratio(none, *figure), 1.0, 3)
                    });
                }
            }
            rows.push(row);
        }
        rows
    }

    /// The same as text, and a line for each program.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = self.work.description() + "\n\n";
        // Upright: a line for each figure, since there may be many.
        let rows = self.rows();
        for column in 1..rows[0].len() {
            if rows[1..]
                .iter()
                .all(|row| matches!(row[column].as_str(), "–" | "0"))
            {
                let _ = writeln!(text, "{}: none", rows[0][column]);
                continue;
            }
            let _ = writeln!(text, "{}", rows[0][column]);
            for row in &rows[1..] {
                let _ = writeln!(text, "  {:<16} {}", row[0], row[column]);
            }
        }
        text.extend(about_intervals(self).map(|line| line + "\n"));
        let lines: Vec<String> = self.variants.iter().flat_map(program_lines).collect();
        if !lines.is_empty() {
            text.push_str("programs: ns a run, what measuring costs included; runs a request\n");
            text.extend(lines);
        }
        text
    }
}

impl VariantRecord {
    /// Its programs over all rounds: name, ns a run, runs a request where requests were counted.
    #[must_use]
    pub fn programs(&self) -> Vec<(String, f64, Option<f64>)> {
        let mut sums = BTreeMap::<&str, (u64, u64)>::new();
        let mut requests = 0;
        for round in &self.rounds {
            requests += round.requests;
            for program in &round.programs {
                let sum = sums.entry(&program.name).or_default();
                sum.0 += program.runs;
                sum.1 += program.time_ns;
            }
        }
        sums.into_iter()
            .filter(|(_, (runs, _))| *runs > 0)
            .map(|(name, (runs, time_ns))| {
                (
                    name.to_owned(),
                    time_ns as f64 / runs as f64,
                    (requests > 0).then(|| runs as f64 / requests as f64),
                )
            })
            .collect()
    }
}

fn program_lines(variant: &VariantRecord) -> Vec<String> {
    variant
        .programs()
        .into_iter()
        .map(|(name, ns, runs)| {
            format!(
                "  {:<16} {name:<16} {ns:>7.0} {}\n",
                variant.name,
                runs.map_or_else(String::new, |runs| format!("{runs:>6.2}"))
            )
        })
        .collect()
}

/// `median [low … high]`; how sure the interval is where that is less than 95 %.
pub(super) fn shown(interval: Option<Interval>, unit: f64, decimals: usize) -> String {
    let Some(interval) = interval else {
        return "–".to_owned();
    };
    let [median, low, high] = [interval.median, interval.low, interval.high].map(|value| {
        let text = format!("{:.decimals$}", value / unit);
        // What rounds to nothing has no sign.
        let is_nothing = text.bytes().all(|byte| b"-0.".contains(&byte));
        text.trim_start_matches(if is_nothing { "-" } else { "" })
            .to_owned()
    });
    format!("{median} [{low} … {high}]")
}

fn shown_total(total: Option<f64>) -> String {
    total.map_or_else(|| "–".to_owned(), |total| format!("{total:.0}"))
}

/// What the intervals of some rounds are worth.
pub(super) fn about_intervals(measurement: &MeasurementRecord) -> Option<String> {
    let rounds = measurement.variants.first()?.rounds.len();
    let coverage = Interval::of(&vec![0.0; rounds])?.coverage;
    Some(format!(
        "{rounds} rounds; median [interval that holds the true median in {:.0} % of cases]",
        100.0 * coverage
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{about_intervals, shown};
    use crate::bench::record::{
        Figure, Interval, MeasurementRecord, RoundRecord, VariantRecord, WorkRecord,
    };

    fn variant(name: &str, rates: &[f64]) -> VariantRecord {
        VariantRecord {
            name: name.to_owned(),
            tracer: None,
            rounds: rates
                .iter()
                .map(|rate| RoundRecord {
                    figures: BTreeMap::from([(Figure::ReadsPerSecond, *rate)]),
                    ..RoundRecord::default()
                })
                .collect(),
        }
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        let measurement = MeasurementRecord {
            work: WorkRecord::Idle {
                seconds: 1,
                model_bytes: 0,
            },
            variants: vec![
                variant("none", &[100.0, 200.0, 400.0]),
                variant("slow", &[50.0, 100.0, 200.0]),
            ],
        };
        let rows = measurement.rows();
        assert_eq!(rows[0], ["", "reads/s", "÷ none"]);
        assert_eq!(rows[1], ["none", "200 [100 … 400]", "1"]);
        assert_eq!(rows[2], ["slow", "100 [50 … 200]", "0.500 [0.500 … 0.500]"]);
        assert_eq!(
            about_intervals(&measurement).as_deref(),
            Some("3 rounds; median [interval that holds the true median in 75 % of cases]")
        );
    }

    #[test]
    fn what_was_not_observed_is_a_dash() {
        assert_eq!(shown(None, 1.0, 0), "–");
        assert_eq!(shown(Interval::of(&[1.5e6]), 1e6, 1), "1.5 [1.5 … 1.5]");
        assert_eq!(
            shown(Interval::of(&[-0.04, 0.04, -12.0]), 1.0, 1),
            "0.0 [-12.0 … 0.0]"
        );
    }
}
