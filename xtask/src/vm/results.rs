//! How the tests went on one kernel, and where that is kept.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, Result};
use serde::{Deserialize, Serialize};

use super::case_result::{CaseResult, Outcome};
use crate::kept;

/// The tests on one kernel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KernelResults {
    /// The series, or `own` for the machine's own kernel.
    pub kernel: String,
    /// As `uname -r` says it; absent where there is no such kernel here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub release: Option<String>,
    /// Why no test ran, or not all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trouble: Option<Trouble>,
    /// The tests, in the order in which they ran.
    pub cases: Vec<CaseResult>,
}

/// Why no test ran on a kernel, or not all of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// The tests were not run: nothing is known about them.
    NotRun(String),
    /// The machine failed under them.
    Failed(String),
}

impl KernelResults {
    /// A kernel on which no test ran.
    pub fn not_run(kernel: &str, reason: String) -> Self {
        Self {
            kernel: kernel.to_owned(),
            release: None,
            trouble: Some(Trouble::NotRun(reason)),
            cases: Vec::new(),
        }
    }

    /// Puts together the lines that tests wrote: a test that began and did not end has failed.
    pub fn of_lines(kernel: &str, release: String, lines: Vec<CaseResult>) -> Self {
        let mut cases: Vec<CaseResult> = Vec::new();
        for line in lines {
            match cases.iter_mut().find(|case| case.name == line.name) {
                Some(case) => *case = line,
                None => cases.push(line),
            }
        }
        for case in &mut cases {
            if case.outcome == Outcome::Started {
                case.outcome = Outcome::Failed;
                case.reason = Some("it did not end".to_owned());
            }
        }
        Self {
            kernel: kernel.to_owned(),
            release: Some(release),
            trouble: None,
            cases,
        }
    }

    /// How many tests there are of each outcome.
    pub fn counts(&self) -> Counts {
        let of = |outcome| {
            self.cases
                .iter()
                .filter(|case| case.outcome == outcome)
                .count()
        };
        Counts {
            passed: of(Outcome::Passed),
            skipped: of(Outcome::Skipped),
            failed: of(Outcome::Failed),
        }
    }

    /// Tests by their names.
    pub fn by_name(&self) -> BTreeMap<&str, &CaseResult> {
        self.cases
            .iter()
            .map(|case| (case.name.as_str(), case))
            .collect()
    }

    /// Whether nothing failed; strictly, whether everything ran as well.
    pub fn hold(&self, strict: bool) -> bool {
        let counts = self.counts();
        let ran = match &self.trouble {
            None => !self.cases.is_empty(),
            Some(Trouble::NotRun(_)) => !strict,
            Some(Trouble::Failed(_)) => false,
        };
        ran && counts.failed == 0 && (!strict || counts.skipped == 0)
    }

    /// Reads results that were kept.
    ///
    /// # Errors
    /// There are none, or they are of another form.
    pub fn load(path: &Path) -> Result<Self> {
        let text = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        serde_json::from_slice(&text)
            .with_context(|| format!("{} holds no results", path.display()))
    }

    /// Keeps them.
    ///
    /// # Errors
    /// They cannot be written.
    pub fn save(&self, path: &Path) -> Result<()> {
        let mut text =
            serde_json::to_string_pretty(self).context("cannot write results as JSON")?;
        text.push('\n');
        kept::write(path, text.as_bytes())
    }
}

/// Numbers of tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Counts {
    /// They held.
    pub passed: usize,
    /// They cannot run there.
    pub skipped: usize,
    /// They did not hold, or did not end.
    pub failed: usize,
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A test's line.
    pub fn case(name: &str, outcome: Outcome, reason: Option<&str>) -> CaseResult {
        CaseResult {
            name: name.to_owned(),
            outcome,
            reason: reason.map(str::to_owned),
            seconds: None,
        }
    }

    /// A kernel with these lines.
    pub fn kernel(name: &str, lines: Vec<CaseResult>) -> KernelResults {
        KernelResults::of_lines(name, format!("{name}.0-x"), lines)
    }

    #[test]
    fn a_test_that_did_not_end_has_failed() {
        let results = kernel(
            "6.1",
            vec![
                case("a", Outcome::Started, None),
                case("a", Outcome::Passed, None),
                case("b", Outcome::Started, None),
                case("b", Outcome::Skipped, Some("no x")),
                case("c", Outcome::Started, None),
            ],
        );
        let counts = Counts {
            passed: 1,
            skipped: 1,
            failed: 1,
        };
        assert_eq!(results.counts(), counts);
        assert_eq!(
            results.by_name()["c"].reason.as_deref(),
            Some("it did not end")
        );
    }

    #[test]
    fn what_was_not_run_holds_only_where_nobody_is_strict() {
        let not_run = KernelResults::not_run("6.1", "no network".to_owned());
        assert!(not_run.hold(false) && !not_run.hold(true));
        let passed = kernel("6.1", vec![case("a", Outcome::Passed, None)]);
        assert!(passed.hold(false) && passed.hold(true));
        let skipped = kernel("6.1", vec![case("a", Outcome::Skipped, None)]);
        assert!(skipped.hold(false) && !skipped.hold(true));
        let failed = kernel("6.1", vec![case("a", Outcome::Failed, None)]);
        assert!(!failed.hold(false));
        let died = KernelResults {
            trouble: Some(Trouble::Failed("panic".to_owned())),
            ..passed
        };
        assert!(!died.hold(false));
        // A machine that ran no test at all has shown nothing.
        assert!(!kernel("6.1", vec![]).hold(false));
    }

    #[test]
    fn results_are_read_as_they_were_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("results/6.1.json");
        KernelResults::load(&path).unwrap_err();
        for results in [
            kernel("6.1", vec![case("a", Outcome::Failed, Some("x\ny"))]),
            KernelResults::not_run("7.3", "why".to_owned()),
        ] {
            results.save(&path).unwrap();
            assert_eq!(KernelResults::load(&path).unwrap(), results);
        }
    }
}
