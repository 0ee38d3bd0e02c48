//! The table of kernels and tests.

use std::collections::BTreeSet;

use comfy_table::{CellAlignment, Table, presets};

use super::{
    case_result::Outcome,
    results::{KernelResults, Trouble},
};

/// A line for each test with a column for each kernel, numbers below, then why tests were skipped or failed.
pub fn render(kernels: &[KernelResults]) -> String {
    let by_name: Vec<_> = kernels.iter().map(KernelResults::by_name).collect();
    let names: BTreeSet<&str> = by_name
        .iter()
        .flat_map(|cases| cases.keys().copied())
        .collect();
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header(
        std::iter::once("test".to_owned())
            .chain(kernels.iter().map(|kernel| kernel.kernel.clone())),
    );
    for name in names {
        let cells = by_name.iter().map(|cases| {
            cases
                .get(name)
                .map_or("-", |case| word(case.outcome))
                .to_owned()
        });
        table.add_row(std::iter::once(name.to_owned()).chain(cells));
    }
    let mut number = |what: &str, count: &dyn Fn(&KernelResults) -> usize| {
        let cells = kernels.iter().map(|kernel| match &kernel.trouble {
            Some(Trouble::NotRun(_)) => "not run".to_owned(),
            _ => count(kernel).to_string(),
        });
        table.add_row(std::iter::once(what.to_owned()).chain(cells));
    };
    number("= passed", &|kernel| kernel.counts().passed);
    number("= skipped", &|kernel| kernel.counts().skipped);
    number("= failed", &|kernel| kernel.counts().failed);
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    let mut text = format!("{table}\n");
    for kernel in kernels {
        text.push_str(&reasons(kernel));
    }
    text
}

/// What there is to say of a kernel: what it is, and why tests were skipped, failed or did not run.
fn reasons(kernel: &KernelResults) -> String {
    let name = kernel.release.as_ref().map_or_else(
        || kernel.kernel.clone(),
        |release| format!("{} ({release})", kernel.kernel),
    );
    let mut lines = Vec::new();
    match &kernel.trouble {
        None => {}
        Some(Trouble::NotRun(reason)) => lines.push(format!("not run: {reason}")),
        Some(Trouble::Failed(reason)) => lines.push(format!("failed: {reason}")),
    }
    for case in &kernel.cases {
        if let Outcome::Skipped | Outcome::Failed = case.outcome {
            lines.push(format!(
                "{} {}: {}",
                word(case.outcome),
                case.name,
                case.reason.as_deref().unwrap_or("it says no reason")
            ));
        }
    }
    let mut text = String::new();
    if !lines.is_empty() {
        text.push_str(&format!("\n{name}\n"));
    }
    for line in lines {
        // What goes on over several lines is set in.
        text.push_str(&format!("  {}\n", line.trim_end().replace('\n', "\n    ")));
    }
    text
}

fn word(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Started => "started",
        Outcome::Passed => "passed",
        Outcome::Skipped => "skipped",
        Outcome::Failed => "FAILED",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vm::results::tests::{case, kernel};

    #[test]
    fn every_test_has_a_cell_for_every_kernel() {
        let kernels = [
            kernel(
                "6.1",
                vec![
                    case("b", Outcome::Failed, Some("one\ntwo")),
                    case("a", Outcome::Passed, None),
                ],
            ),
            kernel("6.12", vec![case("a", Outcome::Skipped, Some("no x"))]),
            KernelResults::not_run("7.3", "no network".to_owned()),
        ];
        assert_eq!(
            render(&kernels),
            "\
| test      |    6.1 |    6.12 |     7.3 |
|-----------|--------|---------|---------|
| a         | passed | skipped |       - |
| b         | FAILED |       - |       - |
| = passed  |      1 |       0 | not run |
| = skipped |      0 |       1 | not run |
| = failed  |      1 |       0 | not run |

6.1 (6.1.0-x)
  FAILED b: one
    two

6.12 (6.12.0-x)
  skipped a: no x

7.3
  not run: no network
"
        );
    }
}
