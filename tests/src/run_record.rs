//! `run.json`, as somebody reads it who knows only its documentation.

use std::{fs, path::Path};

use anyhow::{Context as _, Result, bail};
use serde_json::Value;

/// A run's record. Members are named by path: `reads.count`, `checks.0.name`.
#[derive(Clone, Debug)]
pub struct RunRecord {
    root: Value,
}

/// A self-check of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Check {
    pub name: String,
    /// Whether both sides agree; nothing where one could not be observed.
    pub holds: Option<bool>,
    pub left: String,
    pub right: String,
}

impl RunRecord {
    /// Loads `run.json` from a run's folder.
    ///
    /// # Errors
    /// Where there is none, or it is no JSON.
    pub fn load(directory: &Path) -> Result<Self> {
        let path = directory.join("run.json");
        let text = fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))?;
        Self::parse(&text).with_context(|| format!("read {}", path.display()))
    }

    /// Reads it from text.
    ///
    /// # Errors
    /// Where the text is no JSON.
    pub fn parse(text: &str) -> Result<Self> {
        Ok(Self {
            root: serde_json::from_str(text).context("it is no JSON")?,
        })
    }

    /// The record as one model's: of several (`models[]`), member paths start at this one.
    ///
    /// # Errors
    /// Where there is no such model.
    pub fn model(&self, index: usize) -> Result<Self> {
        Ok(Self {
            root: self.value(&format!("models.{index}"))?.clone(),
        })
    }

    /// A member.
    ///
    /// # Errors
    /// Names the first part of the path that is missing, and what is there instead.
    pub fn value(&self, path: &str) -> Result<&Value> {
        let mut value = &self.root;
        let mut walked = String::new();
        for part in path.split('.') {
            let next = match value {
                Value::Object(members) => members.get(part),
                Value::Array(elements) => part
                    .parse::<usize>()
                    .ok()
                    .and_then(|index| elements.get(index)),
                _ => None,
            };
            let Some(next) = next else {
                let there = match value {
                    Value::Object(members) => {
                        format!(
                            "the members {}",
                            members.keys().cloned().collect::<Vec<_>>().join(", ")
                        )
                    }
                    Value::Array(elements) => format!("{} elements", elements.len()),
                    other => other.to_string(),
                };
                bail!("the record has no {path}: {walked:?} has {there}");
            };
            if !walked.is_empty() {
                walked.push('.');
            }
            walked.push_str(part);
            value = next;
        }
        Ok(value)
    }

    /// A whole number.
    ///
    /// # Errors
    /// Where it is missing, null, or no whole number.
    pub fn count(&self, path: &str) -> Result<u64> {
        self.typed(path, "a whole number", Value::as_u64)
    }

    /// A whole number that may be below 0.
    ///
    /// # Errors
    /// Where it is missing, null, or no whole number.
    pub fn signed(&self, path: &str) -> Result<i64> {
        self.typed(path, "a whole number", Value::as_i64)
    }

    /// A number.
    ///
    /// # Errors
    /// Where it is missing, null, or no number.
    pub fn number(&self, path: &str) -> Result<f64> {
        self.typed(path, "a number", Value::as_f64)
    }

    /// True or false.
    ///
    /// # Errors
    /// Where it is missing, null, or neither.
    pub fn flag(&self, path: &str) -> Result<bool> {
        self.typed(path, "true or false", Value::as_bool)
    }

    /// Text.
    ///
    /// # Errors
    /// Where it is missing, null, or no text.
    pub fn text(&self, path: &str) -> Result<&str> {
        self.typed(path, "text", Value::as_str)
    }

    /// Whether a member is null, which says: not observed.
    ///
    /// # Errors
    /// Where it is missing.
    pub fn is_null(&self, path: &str) -> Result<bool> {
        Ok(self.value(path)?.is_null())
    }

    fn typed<'a, T>(
        &'a self,
        path: &str,
        what: &str,
        convert: impl Fn(&'a Value) -> Option<T>,
    ) -> Result<T> {
        let value = self.value(path)?;
        convert(value).with_context(|| format!("{path} is {value}, not {what}"))
    }

    /// The self-checks.
    ///
    /// # Errors
    /// Where `checks` or one of its members is missing.
    pub fn checks(&self) -> Result<Vec<Check>> {
        let number = self
            .value("checks")?
            .as_array()
            .context("checks is no array")?
            .len();
        (0..number)
            .map(|index| {
                let side = |name: &str| {
                    self.value(&format!("checks.{index}.{name}"))
                        .map(|value| match value {
                            Value::String(text) => text.clone(),
                            other => other.to_string(),
                        })
                };
                Ok(Check {
                    name: self.text(&format!("checks.{index}.name"))?.to_owned(),
                    holds: self.value(&format!("checks.{index}.holds"))?.as_bool(),
                    left: side("left")?,
                    right: side("right")?,
                })
            })
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::RunRecord;

    fn record() -> RunRecord {
        RunRecord::parse(
            r#"{"reads": {"count": 3, "coverage": null}, "partial": false,
                "checks": [{"name": "a", "holds": null, "left": "1", "right": 2}],
                "models": [{"reads": {"count": 9}}]}"#,
        )
        .expect("plain JSON")
    }

    #[test]
    fn members_are_found_by_path() {
        let record = record();
        assert_eq!(record.count("reads.count").expect("a count"), 3);
        assert!(!record.flag("partial").expect("a flag"));
        assert!(record.is_null("reads.coverage").expect("there"));
        let checks = record.checks().expect("checks");
        assert_eq!((checks[0].holds, checks[0].right.as_str()), (None, "2"));
        assert_eq!(
            record
                .model(0)
                .and_then(|model| model.count("reads.count"))
                .expect("a count"),
            9
        );
    }

    #[test]
    fn a_missing_member_is_named_with_its_neighbours() {
        let message = record()
            .count("reads.total_bytes")
            .expect_err("missing")
            .to_string();
        assert!(
            message.contains("reads.total_bytes") && message.contains("count, coverage"),
            "{message}"
        );
        let message = record()
            .number("reads.coverage")
            .expect_err("null")
            .to_string();
        assert!(message.contains("null"), "{message}");
        assert!(record().count("checks.4.name").is_err());
    }
}
