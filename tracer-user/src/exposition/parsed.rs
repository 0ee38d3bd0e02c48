//! The text format of Prometheus → numbers: what another program serves.

use std::collections::HashMap;

use anyhow::{Context as _, bail, ensure};

/// All numbers of one metric.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ParsedFamily {
    pub name: String,
    pub help: String,
    /// `counter`, `gauge`, or what else there is.
    pub kind: String,
    pub samples: Vec<ParsedSample>,
}

/// One number.
#[derive(Clone, Debug, PartialEq)]
pub struct ParsedSample {
    /// Names and values, in their order.
    pub labels: Vec<(String, String)>,
    pub value: f64,
    pub part: Part,
}

/// What of its metric a number is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    #[default]
    Value,
    /// Of a histogram, how many lie at or below the label `le`.
    Bucket,
    /// The sum of what a histogram counts.
    Sum,
    /// How many it counts.
    Count,
}

impl Part {
    /// What a name of a histogram's numbers ends with.
    const ENDS: [(&'static str, Self); 3] = [
        ("_bucket", Self::Bucket),
        ("_sum", Self::Sum),
        ("_count", Self::Count),
    ];
}

impl ParsedSample {
    /// The value of a label.
    #[must_use]
    pub fn label(&self, name: &str) -> Option<&str> {
        let mut labels = self.labels.iter();
        labels.find_map(|(own, value)| (own == name).then_some(value.as_str()))
    }
}

/// Reads counters, gauges and histograms, in the order of the text.
///
/// # Errors
/// A line that is none of the format, with its number.
pub fn parse(text: &str) -> anyhow::Result<Vec<ParsedFamily>> {
    let mut families = Families::default();
    for (number, line) in (1..).zip(text.lines()) {
        families
            .take(line)
            .with_context(|| format!("line {number}"))?;
    }
    Ok(families.list)
}

#[derive(Default)]
struct Families {
    list: Vec<ParsedFamily>,
    /// Places in the list, by name.
    places: HashMap<String, usize>,
}

impl Families {
    fn take(&mut self, line: &str) -> anyhow::Result<()> {
        if line.is_empty() {
            return Ok(());
        }
        if let Some(comment) = line.strip_prefix("# ") {
            let mut words = comment.splitn(3, ' ');
            let (what, name, rest) = (words.next(), words.next(), words.next());
            let rest = rest.unwrap_or_default();
            match (what, name) {
                (Some("HELP"), Some(name)) => self.named(name)?.help = unescaped(rest),
                (Some("TYPE"), Some(name)) => self.named(name)?.kind = rest.to_owned(),
                _ => {}
            }
            return Ok(());
        }
        let name_end = line.find(['{', ' ']).context("a metric has no value")?;
        let (name, rest) = line.split_at(name_end);
        ensure!(!name.is_empty(), "a metric has no name");
        let (labels, rest) = match rest.strip_prefix('{') {
            Some(rest) => labels(rest)?,
            None => (Vec::new(), rest),
        };
        let value = rest.split_whitespace().next().context("no value")?;
        let value = value
            .parse()
            .with_context(|| format!("{value:?} is no number"))?;
        let (name, part) = self.of_histogram(name).unwrap_or((name, Part::Value));
        self.named(name)?.samples.push(ParsedSample {
            labels,
            value,
            part,
        });
        Ok(())
    }

    /// The histogram's name, where it is one of its numbers.
    fn of_histogram<'a>(&self, name: &'a str) -> Option<(&'a str, Part)> {
        Part::ENDS.iter().find_map(|(end, part)| {
            let base = name.strip_suffix(end)?;
            let family = self.list.get(*self.places.get(base)?)?;
            (family.kind == "histogram").then_some((base, *part))
        })
    }

    fn named(&mut self, name: &str) -> anyhow::Result<&mut ParsedFamily> {
        let place = *self.places.entry(name.to_owned()).or_insert_with(|| {
            self.list.push(ParsedFamily {
                name: name.to_owned(),
                ..ParsedFamily::default()
            });
            self.list.len() - 1
        });
        self.list.get_mut(place).context("a family has no place")
    }
}

/// What stands between braces, and the rest of the line.
fn labels(mut text: &str) -> anyhow::Result<(Vec<(String, String)>, &str)> {
    let mut labels = Vec::new();
    loop {
        text = text.trim_start_matches([',', ' ']);
        if let Some(rest) = text.strip_prefix('}') {
            return Ok((labels, rest));
        }
        let (name, rest) = text.split_once("=\"").context("a label has no value")?;
        let mut escaped = false;
        let end = rest.char_indices().find_map(|(at, letter)| {
            if escaped {
                escaped = false;
                return None;
            }
            escaped = letter == '\\';
            (letter == '"').then_some(at)
        });
        let Some(end) = end else {
            bail!("the value of the label {name} does not end")
        };
        let (value, rest) = rest.split_at(end);
        labels.push((name.to_owned(), unescaped(value)));
        text = rest.strip_prefix('"').unwrap_or(rest);
    }
}

fn unescaped(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut letters = text.chars();
    while let Some(letter) = letters.next() {
        if letter != '\\' {
            plain.push(letter);
            continue;
        }
        match letters.next() {
            Some('n') => plain.push('\n'),
            Some(other) => plain.push(other),
            None => plain.push('\\'),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::{ParsedSample, Part, parse};

    #[test]
    fn labels_with_every_escape_and_values_come_out() {
        let text = "# HELP a_total what it is\\nand \\\\ more\n# TYPE a_total counter\na_total{model=\"x\\\"y\\\\z\\n}\",phase=\"a,b\"} 12\na_total 1.5e3\n\n# TYPE b gauge\nb{} NaN\n";
        let families = parse(text).expect("it is valid");
        let [a, b] = families.as_slice() else {
            panic!("{families:?}")
        };
        assert_eq!((a.name.as_str(), a.kind.as_str()), ("a_total", "counter"));
        assert_eq!(a.help, "what it is\nand \\ more");
        let label = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        let first = ParsedSample {
            labels: vec![label("model", "x\"y\\z\n}"), label("phase", "a,b")],
            value: 12.0,
            part: Part::Value,
        };
        assert_eq!(a.samples[0], first);
        assert_eq!(a.samples[0].label("phase"), Some("a,b"));
        assert_eq!(a.samples[1].value, 1500.0);
        assert!(b.samples[0].value.is_nan());
    }

    #[test]
    fn what_is_none_of_it_is_an_error_with_its_line() {
        for wrong in ["a", "a{b=\"c} 1", "a{b} 1", "a x", "{a=\"b\"} 1"] {
            let error = parse(&format!("ok 1\n{wrong}\n")).expect_err(wrong);
            assert!(format!("{error:#}").contains("line 2"), "{error:#}");
        }
    }
}
