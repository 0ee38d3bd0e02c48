//! A condition for scripts: `tok/s<-5%` holds where another column's tokens per second are more than 5 % below the first's.

use std::str::FromStr;

use thiserror::Error;

use crate::{
    figures::{AcrossRuns, Unit},
    units::{parse_bytes, parse_duration},
};

use super::record::{Change, Comparison};

/// A bound that a change may cross.
#[derive(Clone, Debug)]
pub struct Condition {
    /// As it was written.
    text: String,
    figure: AcrossRuns,
    /// Whether it holds below the bound, else above it.
    below: bool,
    bound: Bound,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Bound {
    /// Of the first column's value.
    Relative(f64),
    /// In the figure's unit.
    Absolute(f64),
}

/// Why a condition is none.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum UnknownCondition {
    #[error(
        "{0:?} has neither < nor >: write a figure and how much it may change, such as 'tok/s<-5%' or 'total read>1G'"
    )]
    NoBound(String),
    #[error("there is no figure {name:?}; {near}. `tracer compare --figures` lists all")]
    NoFigure { name: String, near: String },
    #[error(
        "{0:?} is no change: a number with %, such as -5%, or one in the figure's unit, such as 1G, 250ms or 0.02"
    )]
    NoChange(String),
}

/// What became of a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Judgement {
    Holds(String),
    DoesNotHold,
    /// The figure cannot be compared.
    Unknown(String),
}

impl FromStr for Condition {
    type Err = UnknownCondition;

    fn from_str(text: &str) -> Result<Self, UnknownCondition> {
        let at = text
            .rfind(['<', '>'])
            .ok_or_else(|| UnknownCondition::NoBound(text.to_owned()))?;
        let (name, bound) = text.split_at(at);
        let figure = AcrossRuns::find(name).ok_or_else(|| UnknownCondition::NoFigure {
            name: name.trim().to_owned(),
            near: near(name),
        })?;
        let below = bound.starts_with('<');
        let words = bound.trim_start_matches(['<', '>']).trim();
        let bound = parse(words, figure.unit())
            .ok_or_else(|| UnknownCondition::NoChange(words.to_owned()))?;
        Ok(Self {
            text: text.to_owned(),
            figure,
            below,
            bound,
        })
    }
}

fn parse(words: &str, unit: Unit) -> Option<Bound> {
    let number = |words: &str| {
        words
            .trim()
            .parse::<f64>()
            .ok()
            .filter(|value| value.is_finite())
    };
    if let Some(percent) = words.strip_suffix('%') {
        return number(percent).map(|percent| Bound::Relative(percent / 100.0));
    }
    if let Some(value) = number(words) {
        return Some(Bound::Absolute(value));
    }
    let (sign, size) = match words.strip_prefix('-') {
        Some(size) => (-1.0, size),
        None => (1.0, words.strip_prefix('+').unwrap_or(words)),
    };
    let size = match unit {
        Unit::Bytes | Unit::BytesPerSecond => parse_bytes(size).ok()? as f64,
        Unit::Seconds => parse_duration(size).ok()?.as_secs_f64(),
        Unit::Microseconds => parse_duration(size).ok()?.as_secs_f64() * 1e6,
        _ => return None,
    };
    Some(Bound::Absolute(sign * size))
}

/// Some figures whose names have a word of this one.
fn near(name: &str) -> String {
    const MOST: usize = 5;
    let words: Vec<String> = name
        .to_lowercase()
        .split(|letter: char| !letter.is_alphanumeric())
        .filter(|word| word.len() > 2)
        .map(str::to_owned)
        .collect();
    let all = AcrossRuns::all();
    let alike = all.iter().filter(|figure| {
        let known = format!("{} {}", figure.name(), figure.label()).to_lowercase();
        words.iter().any(|word| known.contains(word.as_str()))
    });
    let mut near: Vec<String> = alike.map(AcrossRuns::label).take(MOST).collect();
    if near.is_empty() {
        near = all.iter().map(AcrossRuns::label).take(MOST).collect();
    }
    format!("there are {}", near.join(", "))
}

impl Condition {
    /// Whether it holds of any column but the first, in any table.
    #[must_use]
    pub fn judge(&self, comparison: &Comparison) -> Judgement {
        let name = self.figure.name();
        let mut unknown = None;
        let mut judged = false;
        for table in &comparison.tables {
            let Some(figure) = table.figures.iter().find(|figure| figure.name == name) else {
                unknown = Some(format!("no run has {}", self.figure.label()));
                continue;
            };
            for (change, column) in figure.changes.iter().zip(table.columns.iter().skip(1)) {
                match change {
                    Change::NotCompared { why } => {
                        unknown = Some(format!("{} is not compared: {why}", self.figure.label()));
                    }
                    Change::Compared {
                        difference,
                        relative,
                        ..
                    } => {
                        judged = true;
                        let (change, bound) = match self.bound {
                            Bound::Relative(bound) => {
                                (relative_change(*difference, *relative), bound)
                            }
                            Bound::Absolute(bound) => (*difference, bound),
                        };
                        if (self.below && change < bound) || (!self.below && change > bound) {
                            let of = if table.title.is_empty() {
                                String::new()
                            } else {
                                format!(" ({})", table.title)
                            };
                            return Judgement::Holds(format!(
                                "{}: {} of {}{of} changed by {}",
                                self.text,
                                self.figure.label(),
                                column.letter,
                                self.shown(*difference, *relative)
                            ));
                        }
                    }
                }
            }
        }
        match unknown {
            Some(why) => Judgement::Unknown(format!("{}: {why}", self.text)),
            None if judged => Judgement::DoesNotHold,
            None => Judgement::Unknown(format!("{}: nothing was compared", self.text)),
        }
    }

    fn shown(&self, difference: f64, relative: Option<f64>) -> String {
        let amount = self.figure.unit().show_difference(difference);
        match relative {
            Some(relative) => format!("{amount} ({:+.1} %)", relative * 100.0),
            None => amount,
        }
    }
}

/// From nothing to something is more than any part of nothing.
fn relative_change(difference: f64, relative: Option<f64>) -> f64 {
    relative.unwrap_or(if difference == 0.0 {
        0.0
    } else {
        f64::INFINITY.copysign(difference)
    })
}

#[cfg(test)]
mod tests {
    use super::{Bound, Condition, UnknownCondition};

    fn bound(text: &str) -> Bound {
        text.parse::<Condition>().expect(text).bound
    }

    #[test]
    fn a_bound_is_a_part_or_an_amount_in_the_figures_unit() {
        assert_eq!(bound("tok/s<-5%"), Bound::Relative(-0.05));
        assert_eq!(bound("engine.tokens_per_s < -5 %"), Bound::Relative(-0.05));
        assert_eq!(
            bound("total read>1G"),
            Bound::Absolute(1024.0 * 1024.0 * 1024.0)
        );
        assert_eq!(bound("generation: stalled > 250ms"), Bound::Absolute(0.25));
        assert_eq!(bound("latency, p99>+2ms"), Bound::Absolute(2000.0));
        assert_eq!(bound("coverage<-0.02"), Bound::Absolute(-0.02));
        assert_eq!(
            bound("total read<-1G"),
            Bound::Absolute(-1024.0 * 1024.0 * 1024.0)
        );
    }

    #[test]
    fn what_is_no_condition_is_told_with_what_there_is() {
        let error = |text: &str| text.parse::<Condition>().expect_err(text).to_string();
        assert!(error("tok/s").contains("neither < nor >"));
        let near = error("tokens per second<-5%");
        assert!(near.contains("no figure \"tokens per second\""), "{near}");
        assert!(near.contains("tok/s") || near.contains("tokens"), "{near}");
        assert!(error("tok/s<fast").contains("no change"));
        assert!(matches!(
            "coverage<1G".parse::<Condition>(),
            Err(UnknownCondition::NoChange(_))
        ));
        assert!(error("tok/s<nan%").contains("no change"));
    }
}
