//! When an engine is to be recorded: `refaults/s>1000`, `read/s>200M`, `read/step>2x need`.

use std::{fmt, str::FromStr};

use crate::{
    metrics::rates,
    units::{bytes, parse_bytes},
};

use super::growth::Growth;

/// A figure that grows faster than it should.
#[derive(Clone, Debug, PartialEq)]
pub struct Condition {
    /// As it was written.
    text: String,
    measure: Measure,
    limit: Limit,
}

/// What is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Measure {
    /// How much a counter grows in a second.
    PerSecond { metric: String, is_bytes: bool },
    /// Bytes that are read in a step of the generation.
    ReadPerStep,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Limit {
    Value(f64),
    /// That many times what a step needs.
    Needs(f64),
}

/// A condition that holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Met {
    /// What holds, with the figure, in words.
    pub words: String,
}

impl Condition {
    /// It compares with what a step of the model needs.
    #[must_use]
    pub const fn needs_need(&self) -> bool {
        matches!(self.limit, Limit::Needs(_))
    }

    /// Whether it holds of what was counted of one model between two looks. What is not known holds nothing.
    #[must_use]
    pub fn met(&self, model: &str, growth: &Growth, need_bytes: Option<u64>) -> Option<Met> {
        let (value, is_bytes) = match &self.measure {
            Measure::PerSecond { metric, is_bytes } => (growth.per_second(metric)?, *is_bytes),
            Measure::ReadPerStep => (growth.read_per_step()?, true),
        };
        let limit = match self.limit {
            Limit::Value(value) => value,
            Limit::Needs(times) => times * need_bytes? as f64,
        };
        let shown = if is_bytes {
            bytes(value as u64)
        } else {
            format!("{value:.0}")
        };
        (value > limit).then(|| Met {
            words: format!("{self}: it is {shown} of {model}"),
        })
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.text)
    }
}

const EXAMPLES: &str = "write it as 'refaults/s>1000', 'read/s>200M' or 'read/step>2x need'";

impl FromStr for Condition {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let Some((figure, limit)) = text.split_once('>') else {
            return Err(format!(
                "{text:?} compares nothing: it takes a figure, > and a limit; {EXAMPLES}"
            ));
        };
        let (figure, limit) = (figure.trim(), limit.trim());
        let measure = measure(figure)?;
        let limit = if let Some(times) = limit.strip_suffix("need") {
            if measure != Measure::ReadPerStep {
                return Err(format!(
                    "{limit:?}: only read/step can be compared with what a step needs; give {figure} a number"
                ));
            }
            let times = times.trim().trim_end_matches(['x', '×']).trim();
            Limit::Needs(positive(times).ok_or_else(|| {
                format!("{limit:?} is no limit: write how many times the need, such as 2x need")
            })?)
        } else {
            let is_bytes = match &measure {
                Measure::PerSecond { is_bytes, .. } => *is_bytes,
                Measure::ReadPerStep => true,
            };
            Limit::Value(if is_bytes {
                parse_bytes(limit)? as f64
            } else {
                positive(limit).ok_or_else(|| {
                    format!("{limit:?} is no limit: write a number above 0, such as 1000")
                })?
            })
        };
        Ok(Self {
            text: text.to_owned(),
            measure,
            limit,
        })
    }
}

fn measure(figure: &str) -> Result<Measure, String> {
    let (name, per) = figure.rsplit_once('/').ok_or_else(|| {
        format!("{figure:?} says not per what: {figure}/s is its growth in a second; {EXAMPLES}")
    })?;
    match per {
        "step" if name == "read" => Ok(Measure::ReadPerStep),
        "step" => Err(format!(
            "{figure:?}: only read/step is counted by step; {EXAMPLES}"
        )),
        "s" => rates()
            .into_iter()
            .find(|rate| rate.names.iter().any(|own| own == name))
            .map(|rate| Measure::PerSecond {
                metric: rate.metric,
                is_bytes: rate.is_bytes,
            })
            .ok_or_else(|| {
                let rates = rates();
                let names: Vec<&str> = rates
                    .iter()
                    .filter_map(|rate| rate.names.first().map(String::as_str))
                    .collect();
                format!(
                    "there is no counter {name:?}; there are {}, and those by their members in run.json (cache.refaults)",
                    names.join(", ")
                )
            }),
        other => Err(format!(
            "{figure:?}: nothing is counted by {other:?}; it is /s, or read/step"
        )),
    }
}

fn positive(text: &str) -> Option<f64> {
    let number: f64 = text.parse().ok()?;
    (number.is_finite() && number > 0.0).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::Condition;
    use crate::watch::recordings::growth::Growth;

    fn condition(text: &str) -> Condition {
        text.parse().expect(text)
    }

    fn growth(seconds: f64, counters: &[(&str, f64)], step: Option<(f64, f64)>) -> Growth {
        Growth {
            seconds,
            counters: counters
                .iter()
                .map(|(name, value)| ((*name).to_owned(), *value))
                .collect(),
            generation: step,
        }
    }

    #[test]
    fn a_counter_is_compared_by_the_second() {
        let ten_seconds = growth(10.0, &[("tracer_refaulted_pages_total", 10_010.0)], None);
        for (text, holds) in [
            ("refaults/s>1000", true),
            ("refaulted/s > 1001", false),
            ("cache.refaults/s>1e3", true),
        ] {
            let met = condition(text).met("m.gguf", &ten_seconds, None);
            assert_eq!(met.is_some(), holds, "{text}");
        }
        let met = condition("refaults/s>1000").met("m.gguf", &ten_seconds, None);
        assert_eq!(
            met.expect("it holds").words,
            "refaults/s>1000: it is 1001 of m.gguf"
        );
        // Not observed: nothing holds.
        let unseen = growth(10.0, &[], None);
        assert_eq!(condition("refaults/s>1").met("m", &unseen, None), None);
        let no_time = growth(0.0, &[("tracer_refaulted_pages_total", 5.0)], None);
        assert_eq!(condition("refaults/s>1").met("m", &no_time, None), None);
    }

    #[test]
    fn bytes_are_sizes() {
        let read = growth(2.0, &[("tracer_read_bytes_total", 600.0 * 1048576.0)], None);
        assert!(condition("read/s>299M").met("m", &read, None).is_some());
        assert!(condition("read/s>300M").met("m", &read, None).is_none());
    }

    #[test]
    fn a_step_is_compared_with_its_need() {
        let steps = |read, steps| growth(10.0, &[], Some((read, steps)));
        let twice = condition("read/step>2x need");
        assert!(twice.met("m", &steps(2001.0, 10.0), Some(100)).is_some());
        assert!(twice.met("m", &steps(2000.0, 10.0), Some(100)).is_none());
        assert!(twice.met("m", &steps(2001.0, 10.0), None).is_none());
        assert!(twice.met("m", &steps(2001.0, 0.0), Some(1)).is_none());
        assert!(twice.needs_need() && condition("read/step>1.5need").needs_need());
        let plain = condition("read/step>1K");
        assert!(plain.met("m", &steps(10_250.0, 10.0), None).is_some());
    }

    #[test]
    fn what_is_no_condition_is_refused_with_the_way_out() {
        for (wrong, says) in [
            ("refaults/s", "compares nothing"),
            ("refaults>1000", "refaults/s"),
            ("refaults/s<1000", "compares nothing"),
            (
                "refault/s>1000",
                "there is no counter \"refault\"; there are",
            ),
            ("reads/step>1", "only read/step"),
            ("reads/token>1", "/s, or read/step"),
            ("reads/s>2x need", "only read/step"),
            ("reads/s>-1", "above 0"),
            ("reads/s>many", "above 0"),
            ("read/s>1X", "no size"),
            ("read/step>x need", "2x need"),
        ] {
            let why = wrong.parse::<Condition>().expect_err(wrong);
            assert!(why.contains(says), "{wrong}: {why}");
        }
    }
}
