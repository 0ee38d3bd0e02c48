//! The table of arrows in `docs/ARCHITECTURE.md`.

use std::{collections::BTreeMap, path::Path};

use super::finding::Finding;

/// Where it is, from the workspace's root.
pub const DOCUMENT: &str = "docs/ARCHITECTURE.md";

/// Which room may import which, each with the row's line.
#[derive(Debug, Default)]
pub struct Table {
    /// What stands in the rows, by room.
    pub rows: BTreeMap<String, Row>,
    /// What is wrong with the table itself.
    pub findings: Vec<Finding>,
}

/// What a room may import.
#[derive(Debug)]
pub struct Row {
    /// Line in the document, from 1.
    pub line: usize,
    /// Names of rooms, and of crates.
    pub imports: Vec<String>,
}

impl Table {
    /// Reads the table under `## Arrows`: rooms in backticks in the first column, what they import in backticks in the
    /// second. What stands in parentheses explains.
    pub fn parse(document: &str) -> Self {
        let mut table = Self::default();
        let rows = document
            .lines()
            .enumerate()
            .skip_while(|(_, text)| text.trim() != "## Arrows")
            .skip(1)
            .take_while(|(_, text)| !text.starts_with("## "))
            .filter(|(_, text)| text.starts_with('|'));
        for (index, text) in rows {
            let columns: Vec<_> = text.trim().trim_matches('|').split('|').collect();
            let [rooms, imports] = columns.as_slice() else {
                continue;
            };
            for room in names(rooms) {
                let row = Row {
                    line: index + 1,
                    imports: names(imports),
                };
                if table.rows.insert(room.clone(), row).is_some() {
                    table.findings.push(Finding::new(
                        Path::new(DOCUMENT),
                        index + 1,
                        format!("`{room}` has two rows: make them one"),
                    ));
                }
            }
        }
        if table.rows.is_empty() {
            table.findings.push(Finding::of_all(
                Path::new(DOCUMENT),
                "there is no table of rooms and their imports under `## Arrows`",
            ));
        }
        table
    }
}

/// The names in backticks outside of parentheses.
fn names(column: &str) -> Vec<String> {
    let mut depth = 0_usize;
    let outside: String = column
        .chars()
        .filter(|character| match character {
            '(' => {
                depth += 1;
                false
            }
            ')' => {
                depth = depth.saturating_sub(1);
                false
            }
            _ => depth == 0,
        })
        .collect();
    outside
        .split('`')
        .skip(1)
        .step_by(2)
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_of_the_section_only() {
        let table = Table::parse(
            "| `x` | `y` |\n## Arrows\n\n| room | imports |\n|---|---|\n\
             | `a` | `b` (its `part`), `c` |\n| `b`, `c` | none |\n\n## Next\n| `z` | `a` |",
        );
        assert!(table.findings.is_empty());
        let rows: Vec<_> = table
            .rows
            .iter()
            .map(|(room, row)| (room.as_str(), row.line, row.imports.join(" ")))
            .collect();
        assert_eq!(
            rows,
            [
                ("a", 6, "b c".into()),
                ("b", 7, String::new()),
                ("c", 7, String::new())
            ]
        );
    }

    #[test]
    fn two_rows_for_a_room() {
        let table = Table::parse("## Arrows\n| `a` | `b` |\n| `a` | `c` |");
        assert_eq!(table.findings.len(), 1);
    }

    #[test]
    fn no_table() {
        assert_eq!(Table::parse("## Arrows\n").findings.len(), 1);
        assert_eq!(Table::parse("| `a` | `b` |").findings.len(), 1);
    }
}
