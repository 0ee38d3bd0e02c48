//! One line of JSON for each test on the kernel: how it went. `xtask` reads these lines, compiled from this very file.

use serde::{Deserialize, Serialize};

/// How a test went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It has begun. Where no other line follows, the machine ended before the test.
    Started,
    Passed,
    /// It cannot run here.
    Skipped,
    /// It did not hold.
    Failed,
}

/// A test and how it went.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CaseResult {
    pub name: String,
    pub outcome: Outcome,
    /// Why it was skipped, or what failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What it took, seconds; absent of one that has only begun.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub seconds: Option<f64>,
}

impl CaseResult {
    /// Reads a line of JSON; `None` where it is something else.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        serde_json::from_str(line).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_as_it_was_written() {
        for (reason, seconds) in [
            (None, None),
            (Some("two\nlines \"x\"".to_owned()), Some(0.5)),
        ] {
            let result = CaseResult {
                name: "a::b".to_owned(),
                outcome: Outcome::Skipped,
                reason,
                seconds,
            };
            let line = serde_json::to_string(&result).expect("it is a line");
            assert!(!line.contains('\n'), "{line}");
            assert_eq!(CaseResult::parse(&line), Some(result));
        }
        assert_eq!(CaseResult::parse("exit 0"), None);
        assert_eq!(CaseResult::parse("{\"name\":\"a\",\"outc"), None);
    }
}
